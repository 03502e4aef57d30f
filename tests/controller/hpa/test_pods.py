"""Rules 5 to 7: averages and percentages, which pods count, and what is assumed of those that do not."""

from __future__ import annotations

import pytest

from controller.hpa import ControllerSettings, Phase, Pod, PodValues
from controller.hpa.pods import group_pods, propose_from_pods, truncated_quotient
from controller.hpa.seen import Seen
from controller.hpa.spec import MetricSpec, Source, TargetType, Tolerances
from tests.controller.hpa.builders import CPU, CPU_AVERAGE, RATE, a_pod, samples, some_pods

NOW = 1000.0
PENDING = a_pod("new", phase=Phase.PENDING, is_ready=None, ready_since=None, started=None)


def proposed(
    metric: MetricSpec,
    reading: PodValues,
    *pods: Pod,
    replicas: int | None = None,
    tolerance: float = 0.0,
) -> int | None:
    """With as many replicas as pods, unless given."""
    seen = Seen(NOW, len(pods) if replicas is None else replicas, len(pods), pods=pods)
    return propose_from_pods(metric, ControllerSettings(), Tolerances(tolerance, tolerance), seen, reading)


def is_counted(pod: Pod, *, sampled_at: float, is_cpu: bool = True, window_seconds: float = 15.0) -> bool:
    reading = samples(**{pod.name: 1}, at=sampled_at, window_seconds=window_seconds)
    settings = ControllerSettings(cpu_initialization_period_seconds=300, initial_readiness_delay_seconds=30)
    groups = group_pods((pod,), reading, settings, now=NOW, is_cpu=is_cpu)
    assert groups.counted + len(groups.unready) == 1
    return groups.counted == 1


def test_an_average_is_cut_to_whole_milli_units_before_the_ratio() -> None:
    # 301 / 3 = 100.33 is 100, the target itself.
    assert proposed(RATE, samples(100, 100, 101), *some_pods(3)) == 3
    assert proposed(RATE, samples(101, 101, 101), *some_pods(3)) == 4


def test_a_utilization_is_cut_to_whole_percent_before_the_ratio() -> None:
    # 152 of 300 is 50.67 %, so 50 %, the target itself.
    assert proposed(CPU, samples(50, 51, 51), *some_pods(3)) == 3
    assert proposed(CPU, samples(51, 51, 51), *some_pods(3)) == 4


def test_utilization_compares_sums_not_the_pods_own_shares() -> None:
    pods = (a_pod("p0", request_milli=100), a_pod("p1", request_milli=900))

    assert proposed(CPU, samples(100, 0), *pods) == 1  # 10 % of all, although p0 is full


def test_division_goes_towards_zero_as_in_go() -> None:
    assert [truncated_quotient(each, 2) for each in (5, -5, 4, -4, 0)] == [2, -2, 2, -2, 0]


def test_a_proposal_rounds_up() -> None:
    assert proposed(RATE, samples(120, 121, 121), *some_pods(3)) == 4
    assert proposed(CPU_AVERAGE, samples(34, 34, 34), *some_pods(3)) == 2


def test_within_tolerance_the_present_replicas_are_kept_not_the_pods() -> None:
    assert proposed(RATE, samples(105, 105), *some_pods(2), replicas=5, tolerance=0.1) == 5


def test_out_of_tolerance_the_counted_pods_are_multiplied() -> None:
    assert proposed(RATE, samples(200, 200), *some_pods(2), replicas=5) == 4


def test_without_pods_or_samples_a_metric_fails() -> None:
    assert proposed(RATE, samples(100)) is None
    assert proposed(RATE, samples(), *some_pods(1)) is None
    assert proposed(RATE, samples(new=100), PENDING) is None  # the only sample is of a pod that does not count


def test_utilization_fails_if_any_pod_has_no_request() -> None:
    pods = (a_pod("p0"), a_pod("p1", request_milli=None, is_deleting=True))

    assert proposed(CPU, samples(50, 50), *pods) is None
    assert proposed(CPU_AVERAGE, samples(200, 50), *pods) == 2


def test_utilization_fails_if_only_pods_that_are_gone_have_samples() -> None:
    assert proposed(CPU, samples(gone=100), PENDING, a_pod()) is None


def test_a_sample_of_a_pod_that_is_gone_counts_in_an_average_but_not_in_a_utilization() -> None:
    assert proposed(RATE, samples(100, gone=300), a_pod()) == 2
    assert proposed(CPU, samples(50, gone=300), a_pod()) == 1


@pytest.mark.parametrize(
    ("pod", "group"),
    [
        (a_pod(is_deleting=True), "ignored"),
        (a_pod(phase=Phase.FAILED), "ignored"),
        (a_pod(phase=Phase.PENDING, is_deleting=True), "ignored"),
        (a_pod(phase=Phase.PENDING), "unready"),
        (a_pod("unsampled", phase=Phase.PENDING), "unready"),
        (a_pod("unsampled", is_ready=False), "missing"),
        (a_pod("unsampled"), "missing"),
        (a_pod(is_ready=None), "unready"),
    ],
)
def test_the_first_question_that_fits_decides_a_pods_group(pod: Pod, group: str) -> None:
    groups = group_pods((pod,), samples(1), ControllerSettings(), now=NOW, is_cpu=True)

    assert groups.counted == 0
    assert getattr(groups, group) == (pod.name,)


def test_a_ready_pod_with_a_sample_is_counted() -> None:
    assert is_counted(a_pod(), sampled_at=NOW)


@pytest.mark.parametrize("metric", [RATE, MetricSpec(Source.RESOURCE, TargetType.AVERAGE_VALUE, 100, "memory")])
def test_only_cpu_asks_whether_a_pod_is_ready(metric: MetricSpec) -> None:
    pods = (a_pod("p0"), a_pod("p1", is_ready=None))

    assert proposed(metric, samples(200, 200), *pods) == 4
    assert proposed(CPU_AVERAGE, samples(200, 200), *pods) == 2


def test_a_pods_metric_called_cpu_is_not_cpu() -> None:
    named = MetricSpec(Source.PODS, TargetType.AVERAGE_VALUE, 100, "cpu")

    assert proposed(named, samples(200, 200), a_pod("p0"), a_pod("p1", is_ready=None)) == 4


@pytest.mark.parametrize("pod", [a_pod(is_ready=None), a_pod(ready_since=None), a_pod(started=None)])
def test_a_pod_without_condition_or_start_time_is_unready(pod: Pod) -> None:
    assert not is_counted(pod, sampled_at=NOW)


def test_during_initialization_a_sample_counts_once_its_window_lies_after_the_change() -> None:
    young = a_pod(started=NOW - 100, ready_since=NOW - 40)

    assert is_counted(young, sampled_at=NOW - 25)
    assert not is_counted(young, sampled_at=NOW - 25.5)
    assert not is_counted(young, sampled_at=NOW - 25, window_seconds=16)


def test_during_initialization_a_pod_that_is_not_ready_never_counts() -> None:
    assert not is_counted(a_pod(is_ready=False, started=NOW - 100, ready_since=NOW - 40), sampled_at=NOW)


def test_initialization_ends_when_its_period_has_passed() -> None:
    just_ready = a_pod(ready_since=NOW - 1)

    assert is_counted(just_ready._replace(started=NOW - 300), sampled_at=NOW - 10)
    assert not is_counted(just_ready._replace(started=NOW - 299), sampled_at=NOW - 10)


def test_after_initialization_only_a_pod_that_was_never_ready_is_unready() -> None:
    started = NOW - 600
    never_ready = a_pod(is_ready=False, started=started, ready_since=started + 29)
    lost_readiness = a_pod(is_ready=False, started=started, ready_since=started + 30)
    late_but_ready = a_pod(is_ready=True, started=started, ready_since=started + 1)

    assert not is_counted(never_ready, sampled_at=NOW)
    assert is_counted(lost_readiness, sampled_at=NOW)
    assert is_counted(late_but_ready, sampled_at=started)


def test_on_the_way_up_unready_pods_count_as_idle() -> None:
    # Over p0 alone they are half above the target, and would be two replicas; over both pods they are below it.
    assert proposed(RATE, samples(150), a_pod("p0"), PENDING, replicas=1) == 1
    assert proposed(CPU, samples(75), a_pod("p0"), PENDING, replicas=1) == 1


def test_a_sample_of_an_unready_pod_is_not_used() -> None:
    assert proposed(RATE, samples(400, new=9000), a_pod("p0"), PENDING) == 4


def test_on_the_way_down_unready_pods_do_not_count() -> None:
    assert proposed(RATE, samples(50, 50), *some_pods(2), PENDING) == 1
    assert proposed(RATE, samples(80, 80, gone=80), *some_pods(2), PENDING, replicas=9) == 2  # one look is enough


def test_deleted_and_failed_pods_do_not_count_at_all() -> None:
    leaving = a_pod("p1", is_deleting=True)

    assert proposed(RATE, samples(400, 9000), a_pod("p0"), leaving) == 4
    assert proposed(RATE, samples(50, 0), a_pod("p0"), leaving) == 1


def test_on_the_way_up_missing_pods_count_as_idle() -> None:
    # Over two pods they are a fifth above the target, and would be three replicas; over all three they are below it.
    assert proposed(RATE, samples(120, 120), *some_pods(3), replicas=2) == 2
    assert proposed(CPU, samples(60, 60), *some_pods(3), replicas=2) == 2


def test_on_the_way_down_missing_pods_count_as_at_their_target() -> None:
    # 20, 20 and an assumed 100 are 46 on average: 0.46 * 3 rounds up to 2; without the third it would be 1.
    assert proposed(RATE, samples(20, 20), *some_pods(3)) == 2


def test_on_the_way_down_missing_pods_are_assumed_to_use_all_they_requested() -> None:
    # 10 + 10 + 100 of 300 are 40 %, at a target of 50 % 0.8: all three stay.  Without the third 0.2 * 2 would be 1.
    assert proposed(CPU, samples(10, 10), *some_pods(3)) == 3


def test_a_target_above_all_that_is_requested_is_assumed_of_missing_pods_instead() -> None:
    busy = MetricSpec(Source.RESOURCE, TargetType.UTILIZATION, 150, "cpu")

    pods = (*some_pods(2), a_pod("p2", request_milli=1000))

    # 1500 of 1200 are 125 %, 0.83 of the target: three stay.  Were it only the 1000 requested, 83 % and 0.55: two.
    assert proposed(busy, samples(0, 0), *pods) == 3


def test_at_exactly_the_target_missing_pods_change_nothing() -> None:
    assert proposed(RATE, samples(100, 100), *some_pods(3)) == 3
    assert proposed(CPU, samples(50, 50), *some_pods(3)) == 3


def test_the_second_look_keeps_the_replicas_when_it_is_within_tolerance() -> None:
    # Over two pods 210 are 105, within a tenth of the target; 230 are 115 and not.
    assert proposed(RATE, samples(210), a_pod("p0"), PENDING, tolerance=0.1) == 2
    assert proposed(RATE, samples(230), a_pod("p0"), PENDING, tolerance=0.1) == 3


def test_the_second_look_keeps_the_replicas_when_it_turns_from_up_to_down() -> None:
    assert proposed(RATE, samples(150), a_pod("p0"), PENDING, replicas=7) == 7


def test_the_second_look_keeps_the_replicas_when_it_turns_from_down_to_up() -> None:
    pods = (a_pod("p0"), a_pod("p1", request_milli=1000))

    # 40 of 100 is below 50 %; with an assumed 1000 of 1000 for p1 it is 94 %, which would be four replicas.
    assert proposed(CPU, samples(40), *pods, replicas=3) == 3


def test_the_second_look_keeps_the_replicas_when_rounding_moves_against_it() -> None:
    # Both looks say up, but six of the ten replicas asked for have no pods yet: 1.5 * 4 = 6 would be fewer.
    assert proposed(RATE, samples(200, 200, 200), *some_pods(3), PENDING, replicas=10) == 10
    # And both say down, but there are more pods than replicas: 0.8 * 5 = 4 would be more.
    assert proposed(RATE, samples(75, 75, 75, 75), *some_pods(5), replicas=3) == 3


def test_the_second_look_multiplies_all_it_has_looked_at() -> None:
    # p0 and the sample of a pod that is gone, with the pending one idle: 600 / 3 is twice the target, three times two.
    assert proposed(RATE, samples(300, gone=300), a_pod("p0"), PENDING) == 6
