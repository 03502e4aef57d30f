"""Ready pods and start-up times, from pods as they come, change and go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controller.kube import pods
from controller.kube.api import Json, KubeApi
from controller.kube.pods import Pod, PodBook, reduce_pod
from controller.kube.reflector import Reflector
from controller.live.cluster import scoped
from controller.resource.resource import TargetKey
from tests.cluster.workloads import a_deployment, deployments
from tests.servers.processes import wait_until

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AGENT = TargetKey("shop", "Deployment", "agent")
HASH = "5b8f7c9d4f"


def a_pod(
    uid: str = "p",
    *,
    after: int | None = None,
    restarts: int = 0,
    owner: tuple[str, str] | None = ("ReplicaSet", f"agent-{HASH}"),
    label: str = "pod-template-hash",
    is_leaving: bool = False,
) -> Json:
    """Created at noon, Ready so many seconds later."""
    ready = NOON + timedelta(seconds=after or 0)
    return {
        "metadata": {
            "namespace": "shop", "name": uid, "uid": uid, "creationTimestamp": "2026-03-02T12:00:00Z",
            "labels": {label: HASH},
            "ownerReferences": [] if owner is None else [{"kind": owner[0], "name": owner[1], "controller": True}],
            **({"deletionTimestamp": "2026-03-02T13:00:00Z"} if is_leaving else {}),
        },
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-02T12:00:00Z"},
                {
                    "type": "Ready", "status": "False" if after is None else "True",
                    "lastTransitionTime": ready.strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            ],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }  # fmt: skip


def seen(book: PodBook, *story: Json | None) -> None:
    """One pod's life, from one state to the next; None: gone."""
    before: Pod | None = None
    for manifest in story:
        after = None if manifest is None else reduce_pod(manifest)
        book.seen("MODIFIED", before, after)
        before = after


def test_a_start_is_from_created_to_ready() -> None:
    book = PodBook()

    for uid, seconds in (("a", 10), ("b", 20), ("c", 30)):
        seen(book, a_pod(uid), a_pod(uid, after=seconds))

    assert book.ready(AGENT) == 3
    assert book.startup(AGENT, 99) == (30.0, 3)


def test_nine_pods_in_ten_start_within_the_planned_time() -> None:
    book = PodBook()

    for at in range(1, 21):
        seen(book, a_pod(f"p{at}", after=at))

    assert book.startup(AGENT, None) == (18.0, 20)


def test_the_last_fifty_pods_count() -> None:
    book = PodBook()

    for at in range(60):
        seen(book, a_pod(f"p{at}", after=600 if at < 10 else 5))

    assert book.startup(AGENT, None) == (5.0, 50)


def test_before_three_pods_the_fallback_holds() -> None:
    book = PodBook()
    seen(book, a_pod("a", after=1))
    seen(book, a_pod("b", after=1))

    assert book.startup(AGENT, 42) == (42, 0)
    assert book.startup(AGENT, None) == (120, 0)


def test_pods_that_restarted_or_came_back_do_not_tell_how_long_a_start_takes() -> None:
    book = PodBook()

    for uid in "abc":
        seen(book, a_pod(uid), a_pod(uid, after=900, restarts=2))
        seen(book, a_pod(f"{uid}2", after=5), a_pod(f"{uid}2"), a_pod(f"{uid}2", after=900, restarts=1))

    assert book.startup(AGENT, None) == (5.0, 3)
    assert book.ready(AGENT) == 6


def test_pods_that_never_become_ready_are_there_and_not_ready() -> None:
    book = PodBook()
    seen(book, a_pod("a"), a_pod("a"))

    assert (book.existing(AGENT), book.ready(AGENT)) == (1, 0)
    assert book.startup(AGENT, 42) == (42, 0)


def test_pods_that_took_an_hour_were_broken_rather_than_starting() -> None:
    book = PodBook()
    for uid in "abc":
        seen(book, a_pod(uid, after=3601))

    assert book.startup(AGENT, 42) == (42, 0)


def test_pods_on_their_way_out_do_not_count() -> None:
    book = PodBook()

    seen(book, a_pod("a", after=5), a_pod("a", after=5, is_leaving=True), None)
    seen(book, a_pod("b", after=5), None)

    assert (book.existing(AGENT), book.ready(AGENT)) == (0, 0)


def test_pods_are_counted_under_what_scales_them() -> None:
    owners = {
        ("ReplicaSet", f"agent-{HASH}", "pod-template-hash"): ("Deployment", "agent"),
        ("ReplicaSet", f"agent-{HASH}", "rollouts-pod-template-hash"): ("Rollout", "agent"),
        ("ReplicaSet", "agent", "pod-template-hash"): ("ReplicaSet", "agent"),
        ("StatefulSet", "agent", "other"): ("StatefulSet", "agent"),
    }

    for (kind, name, label), expected in owners.items():
        found = reduce_pod(a_pod(owner=(kind, name), label=label))
        assert found is not None
        assert found.target == TargetKey("shop", *expected)
    assert reduce_pod(a_pod(owner=None)) is None


def test_start_up_times_of_targets_that_are_gone_are_forgotten() -> None:
    book = PodBook()
    other = TargetKey("shop", "Job", "nightly")
    for uid in "abc":
        seen(book, a_pod(uid, after=5), None)
        seen(book, a_pod(f"{uid}2", after=5, owner=("Job", "nightly")), None)

    book.keep_only({AGENT})

    assert book.startup(AGENT, None) == (5.0, 3)
    assert book.startup(other, 42) == (42, 0)


def test_a_real_deployment_is_counted_and_its_start_measured(api: KubeApi, namespace: str) -> None:
    book = PodBook()
    reflector: Reflector[Pod] = Reflector(
        api, scoped(pods.COLLECTION, namespace), reduce_pod, params=pods.PARAMS, seen=book.seen
    )
    reflector.start()
    target = TargetKey(namespace, "Deployment", "agent")

    api.create(deployments(namespace), a_deployment("agent", replicas=4, startup_seconds=2))
    wait_until(lambda: book.ready(target) == 4, "all pods are ready", 60)

    seconds, samples = book.startup(target, 99)
    assert samples == 4
    assert 1 <= seconds <= 20  # written in whole seconds; nodes may be busy
    api.merge(deployments(namespace, "agent"), {"spec": {"replicas": 1}}, manager="tests")
    wait_until(lambda: (book.existing(target), book.ready(target)) == (1, 1), "pods are gone", 60)
    api.delete(deployments(namespace, "agent"))
    wait_until(lambda: book.existing(target) == 0, "the last one too", 60)
    reflector.stop()
