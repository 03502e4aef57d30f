"""Start-up times outlive a target's pods only where somebody may ask for them again."""

from __future__ import annotations

from controller.kube.pods import Pod, PodBook
from controller.resource.resource import TargetKey

AGENT, RUN = TargetKey("shop", "Deployment", "agent"), TargetKey("shop", "Job", "report-29384756")


def run_pods(book: PodBook, target: TargetKey, count: int = 3) -> list[Pod]:
    pods = [Pod(f"{target.name}-{at}", target, 100.0, 110.0, False) for at in range(count)]
    for pod in pods:
        book.seen("ADDED", None, pod)
    return pods


def end(book: PodBook, pods: list[Pod]) -> None:
    for pod in pods:
        book.seen("DELETED", pod, None)


def test_runs_of_a_job_are_forgotten_with_their_pods() -> None:
    book = PodBook()
    pods = run_pods(book, RUN)

    book.keep_only({AGENT})
    assert book.startup(RUN, None).samples == 3
    end(book, pods)
    book.keep_only({AGENT})

    assert book.startup(RUN, None).samples == 0


def test_a_resources_target_keeps_them_also_at_zero_pods() -> None:
    book = PodBook()
    end(book, run_pods(book, AGENT))

    book.keep_only({AGENT})

    assert book.startup(AGENT, None).samples == 3
