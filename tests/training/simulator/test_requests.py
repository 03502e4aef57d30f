from __future__ import annotations

import math
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.errors import InputError
from tests.training.simulator.clusters import a_cluster, some_replicas
from training.simulator.arrivals import spread_arrivals
from training.simulator.cluster import ClusterSettings, Spread
from training.simulator.requests import (
    Outcome,
    RequestOutcomes,
    ServiceLaw,
    ServiceTimes,
    arrival_times,
    serve_requests,
)

SERVED, TIMED_OUT, WAITING = Outcome


def served(
    arrivals: Sequence[float],
    service: Sequence[float],
    ready: Sequence[int],
    *,
    cluster: ClusterSettings | None = None,
    slots: int = 1,
) -> RequestOutcomes:
    """What becomes of given requests, with replicas ready in each step of 15 s."""
    return serve_requests(
        np.array(arrivals, dtype=np.float64),
        np.array(service, dtype=np.float64),
        np.array(ready, dtype=np.int32),
        cluster or a_cluster(),
        slots=slots,
    )


def followed(
    arrivals: Sequence[float], service: Sequence[float], ready: Sequence[int], cluster: ClusterSettings, slots: int
) -> list[tuple[Outcome, float]]:
    """Outcome and wait of every request, event by event with replicas one can point at: the slow way to say it."""
    end = len(ready) * cluster.step_seconds
    replicas: list[list[float]] = []  # when each slot of each replica is free
    begun: dict[int, float] = {}
    waiting: list[int] = []
    instants = [*arrivals, *range(0, end, cluster.step_seconds)]
    heapify(instants)
    came = 0
    while instants and (now := heappop(instants)) < end:
        count = ready[int(now // cluster.step_seconds)]
        del replicas[count:]
        replicas += [[now] * slots for _ in range(count - len(replicas))]
        while came < len(arrivals) and arrivals[came] <= now:
            waiting.append(came)
            came += 1
        waiting = [request for request in waiting if arrivals[request] + cluster.timeout_seconds >= now]
        free = sorted((at, row, slot) for row, each in enumerate(replicas) for slot, at in enumerate(each) if at <= now)
        for (_, row, slot), request in zip(free, waiting, strict=False):  # the slot that was free first
            begun[request] = now
            replicas[row][slot] = now + service[request]
            heappush(instants, now + service[request])
        waiting = waiting[len(free) :]
    outcomes = []
    for request, arrival in enumerate(arrivals):
        if request in begun:
            outcomes.append((SERVED, begun[request] - arrival))
        elif arrival + cluster.timeout_seconds < end:
            outcomes.append((TIMED_OUT, cluster.timeout_seconds))
        else:
            outcomes.append((WAITING, end - arrival))
    return outcomes


def test_requests_wait_for_the_slot_that_is_free_first() -> None:
    result = served([0, 1, 2, 3], [5, 2, 4, 1], [2])

    # The first slot is busy until 5, the other until 3 and then until 7.
    assert result.wait_seconds.tolist() == [0, 0, 1, 2]
    assert result.outcome.tolist() == [SERVED] * 4


def test_a_replica_brings_all_its_slots() -> None:
    result = served([0, 0, 0, 0], [5, 6, 7, 8], [1], slots=3)

    assert result.wait_seconds.tolist() == [0, 0, 0, 5]


def test_a_replica_that_is_added_takes_who_waits_when_its_step_begins() -> None:
    result = served([1, 2, 3], [60, 60, 60], [1, 1, 3])

    assert result.wait_seconds.tolist() == [0, 28, 27]


def test_a_replica_that_is_given_up_finishes_but_takes_nobody() -> None:
    cluster = a_cluster(timeout_seconds=300)

    result = served([1, 2, 3, 31], [10, 20, 2, 1], [2, 1, 1], cluster=cluster)

    # The second replica is given up at 15 and busy until 22; the third request had come to the first at 11.
    assert result.wait_seconds.tolist() == [0, 0, 8, 0]
    assert served([1, 2, 16, 17], [30, 4, 1, 1], [2, 1, 1], cluster=cluster).wait_seconds.tolist() == [0, 0, 15, 15]


def test_a_replica_that_comes_back_is_a_new_one() -> None:
    result = served([1, 16, 31], [100, 1, 1], [1, 0, 1])

    assert result.wait_seconds.tolist() == [0, 14, 0]  # while the old one still has the first


def test_a_request_gives_up_after_the_time_out_and_takes_no_slot() -> None:
    result = served([0, 1, 2], [40, 10, 5], [1] * 4, cluster=a_cluster(timeout_seconds=38))

    assert result.outcome.tolist() == [SERVED, TIMED_OUT, SERVED]
    assert result.wait_seconds.tolist() == [0, 38, 38]  # a slot at the very last moment is in time


def test_at_the_end_some_have_waited_so_far() -> None:
    result = served([0, 1, 20], [100, 1, 1], [1, 1], cluster=a_cluster(timeout_seconds=28, slo_wait_seconds=9.5))

    assert result.outcome.tolist() == [SERVED, TIMED_OUT, WAITING]
    assert result.wait_seconds.tolist() == [0, 28, 10]
    assert result.is_late.tolist() == [False, True, True]  # that one cannot be served in time any more


def test_without_replicas_all_wait_or_give_up() -> None:
    result = served([0, 20], [1, 1], [0, 0], cluster=a_cluster(timeout_seconds=25))

    assert result.outcome.tolist() == [TIMED_OUT, WAITING]


def test_the_summary_counts_and_measures() -> None:
    arrivals = [0.0, 0, 0, 0, 0]
    result = served(arrivals, [1, 2, 3, 40, 1], [1] * 2, cluster=a_cluster(timeout_seconds=20, slo_wait_seconds=2.5))

    summary = result.summary()

    assert result.wait_seconds.tolist() == [0, 1, 3, 6, 20]
    assert (summary.arrivals, summary.served, summary.timed_out, summary.waiting) == (5, 4, 1, 0)
    assert (summary.late_ratio, summary.mean_wait_seconds) == (0.6, 6.0)
    assert (summary.p95_wait_seconds, summary.p99_wait_seconds) == pytest.approx((17.2, 19.44))


def test_a_wait_of_just_the_slo_is_not_late() -> None:
    assert served([0, 0], [2, 2], [1], cluster=a_cluster(slo_wait_seconds=2)).is_late.tolist() == [False, False]


def test_only_the_scored_requests_are_counted() -> None:
    result = served([0, 0, 0], [5, 5, 5], [1])

    summary = result.summary(result.arrival_seconds < 0)
    assert (summary.arrivals, summary.served, summary.timed_out, summary.waiting) == (0, 0, 0, 0)
    assert math.isnan(summary.late_ratio)
    assert math.isnan(summary.p99_wait_seconds)

    summary = result.summary(np.array([True, False, True]))
    assert (summary.arrivals, summary.mean_wait_seconds, summary.late_ratio) == (2, 5.0, 0.5)


def test_nobody_comes_and_nothing_is_simulated() -> None:
    assert len(served([], [], [1, 2])) == 0
    assert served([], [], []).summary().arrivals == 0


INSTANTS = st.integers(0, 100)  # whole seconds: many things happen at once, and sums are exact
REQUESTS = st.lists(st.tuples(INSTANTS, st.integers(1, 40)), max_size=40)


@settings(deadline=None, max_examples=400)
@given(
    requests=REQUESTS,
    ready=some_replicas(highest=3, longest=12),
    slots=st.integers(1, 3),
    timeout=st.sampled_from([3.0, 10.0, 15.0, 40.0]),
)
def test_outcomes_are_what_following_every_event_gives(
    requests: list[tuple[int, int]], ready: list[int], slots: int, timeout: float
) -> None:
    requests = sorted((at, takes) for at, takes in requests if at < 15 * len(ready))
    arrivals, service = [float(at) for at, _ in requests], [float(takes) for _, takes in requests]
    cluster = a_cluster(timeout_seconds=timeout)

    result = served(arrivals, service, ready, cluster=cluster, slots=slots)

    pairs = list(zip(result.outcome.tolist(), result.wait_seconds.tolist(), strict=True))
    assert pairs == followed(arrivals, service, ready, cluster, slots)


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    ready=some_replicas(highest=4, longest=30),
    law=st.sampled_from(ServiceLaw),
    seed=st.integers(0, 100),
)
def test_every_request_has_one_outcome_and_its_turn(
    counts: list[int], ready: list[int], law: ServiceLaw, seed: int
) -> None:
    cluster, steps = a_cluster(seed=seed), min(len(counts), len(ready))
    arrivals = arrival_times(np.array(counts[:steps], dtype=np.float64), cluster)
    service = ServiceTimes(1.3, law).draw(len(arrivals), seed)

    result = served(arrivals.tolist(), service.tolist(), ready[:steps], cluster=cluster, slots=2)

    summary = result.summary()
    assert summary.arrivals == sum(counts[:steps]) == summary.served + summary.timed_out + summary.waiting
    begun = (result.arrival_seconds + result.wait_seconds)[result.outcome == SERVED]
    assert (np.diff(begun) >= -1e-9).all()
    assert result.wait_seconds.min(initial=0) >= 0
    assert result.wait_seconds.max(initial=0) <= cluster.timeout_seconds + 1e-9


@settings(deadline=None)
@given(counts=st.lists(st.one_of(st.just(0), st.integers(0, 500)), max_size=30), seed=st.integers(0, 100))
def test_arrival_times_are_in_order_and_as_many_as_each_step_says(counts: list[int], seed: int) -> None:
    times = arrival_times(np.array(counts, dtype=np.float64), a_cluster(seed=seed))

    assert (np.diff(times) >= 0).all()
    assert np.bincount((times // 15).astype(int), minlength=len(counts)).tolist() == counts


def test_arrival_times_are_uniform_within_their_step() -> None:
    times = arrival_times(np.full(1000, 100.0), a_cluster())

    share = np.sort(times % 15 / 15)
    distance = np.abs(share - (np.arange(len(share)) + 0.5) / len(share)).max()
    assert distance < 1.95 / math.sqrt(len(share))  # Kolmogorov-Smirnov at one in a thousand


def test_the_steps_of_a_poisson_spread_become_single_requests() -> None:
    cluster = a_cluster()
    arrivals = spread_arrivals(np.array([90.5, 30.0]), 60, cluster, Spread.POISSON)

    times = arrival_times(arrivals.requests, cluster)

    assert len(times) == arrivals.requests.sum()


def test_a_seed_decides_arrivals_and_service_times_apart_from_each_other() -> None:
    counts, exponential = np.full(5, 10.0), ServiceTimes(1.0)

    assert arrival_times(counts, a_cluster(seed=1)).tolist() == arrival_times(counts, a_cluster(seed=1)).tolist()
    assert arrival_times(counts, a_cluster(seed=1)).tolist() != arrival_times(counts, a_cluster(seed=2)).tolist()
    assert exponential.draw(9, 1).tolist() == exponential.draw(9, 1).tolist() != exponential.draw(9, 2).tolist()


def test_a_longer_run_begins_with_the_service_times_of_a_shorter_one() -> None:
    for law in ServiceLaw:
        assert ServiceTimes(2.0, law).draw(100, 0)[:40].tolist() == ServiceTimes(2.0, law).draw(40, 0).tolist()


@pytest.mark.parametrize(
    ("times", "variation"),
    [
        (ServiceTimes(3.0), 1.0),
        (ServiceTimes(3.0, ServiceLaw.DETERMINISTIC), 0.0),
        (ServiceTimes(3.0, ServiceLaw.LOGNORMAL, 0.5), 0.5),
        (ServiceTimes(3.0, ServiceLaw.LOGNORMAL, 0.0), 0.0),
        (ServiceTimes(3.0, ServiceLaw.LOGNORMAL, 1.5), 1.5),
    ],
)
def test_service_times_have_the_mean_and_variation_asked_for(times: ServiceTimes, variation: float) -> None:
    drawn = times.draw(400_000, 5)

    assert drawn.mean() == pytest.approx(3, abs=4 * 3 * variation / math.sqrt(400_000) + 1e-9)
    assert drawn.std() / 3 == pytest.approx(variation, rel=0.03, abs=1e-9)


def test_service_times_that_fill_a_replica_use_its_whole_capacity() -> None:
    times = ServiceTimes.that_fill(a_cluster(capacity_per_replica=8.0), 4, ServiceLaw.LOGNORMAL, 2.0)

    assert times == ServiceTimes(0.5, ServiceLaw.LOGNORMAL, 2.0)


@pytest.mark.parametrize("mean", [0.0, -1.0, math.nan, math.inf])
def test_service_has_to_take_time(mean: float) -> None:
    with pytest.raises(InputError, match=rf"requests take {mean} s on average; give a time above 0"):
        ServiceTimes(mean)


@pytest.mark.parametrize("variation", [-0.1, math.nan, math.inf])
def test_service_times_vary_by_something_finite(variation: float) -> None:
    with pytest.raises(InputError, match=rf"service times vary by {variation} of their mean; give 0 or more"):
        ServiceTimes(1.0, ServiceLaw.LOGNORMAL, variation)


@pytest.mark.parametrize("count", [1.5, -1.0, math.nan])
def test_single_requests_need_whole_counts(count: float) -> None:
    with pytest.raises(InputError, match=r"whole counts per step; spread them with Spread\.POISSON"):
        arrival_times(np.array([3.0, count]), a_cluster())


@pytest.mark.parametrize(
    ("arrivals", "service", "ready", "slots", "message"),
    [
        ([1], [1], [1], 0, "replicas of 0 slots serve nothing; give 1 or more"),
        ([1], [1], [1, -2], 1, "-2 replicas are ready at step 1; give 0 or more"),
        ([1, 2], [1], [1], 1, "2 requests arrive, but 1 service times are given; draw as many"),
        ([2, 1], [1, 1], [1], 1, "arrive in order and within the 15 s of 1 steps; sort and cut them"),
        ([-1], [1], [1], 1, "arrive in order and within the 15 s of 1 steps; sort and cut them"),
        ([15], [1], [1], 1, "arrive in order and within the 15 s of 1 steps; sort and cut them"),
        ([math.nan], [1], [1], 1, "arrive in order and within the 15 s of 1 steps; sort and cut them"),
        ([1], [-1], [1], 1, "a service time is negative or not finite; give seconds of 0 or more"),
        ([1], [math.inf], [1], 1, "a service time is negative or not finite; give seconds of 0 or more"),
    ],
)
def test_what_cannot_be_served_is_refused(
    arrivals: list[float], service: list[float], ready: list[int], slots: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        served(arrivals, service, ready, slots=slots)


def test_one_policy_is_served_at_a_time() -> None:
    ready = np.ones((4, 2), dtype=np.int32)

    with pytest.raises(
        InputError, match=r"ready replicas have the shape \(4, 2\); give those of one policy, \(step,\)"
    ):
        serve_requests(np.array([1.0]), np.array([1.0]), ready, a_cluster(), slots=1)
