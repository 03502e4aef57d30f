from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.series import FloatArray
from tests.training.simulator.clusters import a_cluster, in_blocks, one_policy, some_replicas
from training.simulator.cluster import ClusterSettings
from training.simulator.queue import FluidQueue, Served

LOADS = st.tuples(
    some_replicas(highest=4),
    st.lists(st.one_of(st.just(0.0), st.floats(0, 1200)), min_size=40, max_size=40),
).map(lambda drawn: (one_policy(drawn[0]), np.array(drawn[1][: len(drawn[0])])))
CLUSTERS = st.builds(
    a_cluster,
    slo_wait_seconds=st.sampled_from([0.0, 2.0, 10.0]),
    timeout_seconds=st.sampled_from([10.1, 15.0, 40.0, 100.0]),
)


def a_queue(cluster: ClusterSettings, requests: FloatArray, ready: int) -> Served:
    """What becomes of so many requests per step with always the same replicas."""
    return FluidQueue(cluster, 1).advance(requests, one_policy([ready] * len(requests)))


def per_second(*spans: tuple[float, int]) -> FloatArray:
    """Requests per step of 15 s: each rate for so many steps."""
    return np.concatenate([np.full(steps, rate * 15.0) for rate, steps in spans])


def of_one(values: FloatArray) -> list[float]:
    """A single policy's values at every step."""
    listed: list[float] = values[:, 0].tolist()
    return listed


def test_while_demand_is_below_capacity_nobody_waits() -> None:
    result = a_queue(a_cluster(), per_second((9.9, 20)), 1)

    assert of_one(result.served) == pytest.approx([9.9 * 15] * 20)
    assert not result.backlog.any()
    assert not result.late.any()
    assert not result.timed_out.any()
    assert not result.wait_seconds.any()


def test_in_overload_the_backlog_and_the_waits_grow_along_a_line() -> None:
    result = a_queue(a_cluster(), per_second((12, 5)), 1)  # 2 more per second than one replica serves

    assert of_one(result.backlog) == pytest.approx([30, 60, 90, 120, 150])
    # Who finds a backlog of b waits b / 10 s: in the middle of a step, 15, 45, ... are ahead.
    assert of_one(result.wait_seconds) == pytest.approx([1.5, 4.5, 7.5, 10.5, 13.5])
    assert of_one(result.served) == pytest.approx([150] * 5)


def test_requests_are_late_from_the_moment_that_the_wait_passes_the_slo() -> None:
    result = a_queue(a_cluster(slo_wait_seconds=2), per_second((12, 3)), 1)

    # 20 are ahead, 2 s of work, after 10 of the 15 seconds.
    assert of_one(result.late) == pytest.approx([180 / 3, 180, 180])


def test_a_backlog_is_gone_after_what_it_holds_over_the_spare_capacity() -> None:
    result = a_queue(a_cluster(), per_second((12, 5), (6, 5)), 1)

    # 150 wait, 4 per second more are served than come: 37.5 s.
    assert of_one(result.backlog)[4:] == pytest.approx([150, 90, 30, 0, 0, 0])
    assert of_one(result.served)[5:] == pytest.approx([150, 150, 120, 90, 90])
    # In the last step, the wait falls from 3 s to nothing within half of it.
    assert of_one(result.wait_seconds)[5:] == pytest.approx([12, 6, 3 / 2 / 2, 0, 0])
    # And passes 2 s after 2.5 of the 15 s.
    assert of_one(result.late)[5:] == pytest.approx([90, 90, 90 / 6, 0, 0])


def test_requests_give_up_a_time_out_after_they_came() -> None:
    cluster = a_cluster(timeout_seconds=30)

    result = a_queue(cluster, per_second((15, 10)), 1)

    # Whoever is served after t seconds came at 2/3 t, so that the first has waited 30 s after 90 s.
    assert of_one(result.timed_out) == pytest.approx([0] * 6 + [75] * 4)
    assert of_one(result.backlog) == pytest.approx([75, 150, 225, 300, 375, 450, 450, 450, 450, 450])
    assert of_one(result.served) == pytest.approx([150] * 10)


def test_a_step_in_which_the_wait_reaches_the_time_out_has_it_from_then_on() -> None:
    result = a_queue(a_cluster(timeout_seconds=30), per_second((30, 3)), 1)

    # 300 are ahead after 15 s; then the wait would grow by 2 s a second and is at the time-out at once.
    assert of_one(result.wait_seconds) == pytest.approx([15, 30, 30])
    assert a_queue(a_cluster(timeout_seconds=10), per_second((30, 1)), 1).wait_seconds[0, 0] == pytest.approx(
        10 / 2 * (1 / 3) + 10 * (2 / 3)
    )


def test_replicas_that_come_serve_those_who_still_wait() -> None:
    queue = FluidQueue(a_cluster(timeout_seconds=30), 1)

    result = queue.advance(per_second((15, 8), (10, 4)), one_policy([1] * 8 + [2] * 4))

    # 450 wait when the second replica is there, and leave at 10 per second more than come.
    assert of_one(result.backlog)[7:] == pytest.approx([450, 300, 150, 0, 0])
    assert not result.timed_out[8:].any()
    assert of_one(result.wait_seconds)[8:] == pytest.approx([18.75, 11.25, 3.75, 0])


def test_without_replicas_all_are_late_but_wait_for_those_that_come_in_time() -> None:
    queue = FluidQueue(a_cluster(timeout_seconds=30), 1)

    result = queue.advance(per_second((10, 4)), one_policy([0, 2, 0, 0]))

    assert of_one(result.served) == pytest.approx([0, 300, 0, 0])
    assert of_one(result.backlog) == pytest.approx([150, 0, 150, 300])
    assert of_one(result.late) == pytest.approx([150, 110, 150, 150])  # the second step's until 40 are ahead
    assert of_one(result.wait_seconds) == pytest.approx([30, 3.75, 30, 30])


def test_requests_without_a_replica_have_given_up_after_the_time_out() -> None:
    result = a_queue(a_cluster(timeout_seconds=20), per_second((10, 4)), 0)

    assert of_one(result.backlog) == pytest.approx([150, 200, 200, 200])
    assert of_one(result.timed_out) == pytest.approx([0, 100, 150, 150])


@settings(deadline=None)
@given(cluster=CLUSTERS, load=LOADS)
def test_every_request_is_served_waits_or_has_given_up(
    cluster: ClusterSettings, load: tuple[np.ndarray, FloatArray]
) -> None:
    ready, requests = load

    result = FluidQueue(cluster, 1).advance(requests, ready)

    came = np.cumsum(requests)
    left = np.cumsum(result.served[:, 0]) + np.cumsum(result.timed_out[:, 0])
    np.testing.assert_allclose(left + result.backlog[:, 0], came, atol=1e-6)
    for counted in (result.served, result.timed_out, result.backlog, result.late):
        assert counted.min() >= -1e-6
    assert (result.served <= ready * cluster.step_capacity + 1e-6).all()


@settings(deadline=None)
@given(cluster=CLUSTERS, load=LOADS)
def test_late_requests_are_some_of_those_that_came_and_waits_end_with_the_time_out(
    cluster: ClusterSettings, load: tuple[np.ndarray, FloatArray]
) -> None:
    ready, requests = load

    result = FluidQueue(cluster, 1).advance(requests, ready)

    assert (result.late <= requests[:, None]).all()
    assert result.wait_seconds.min() >= 0
    assert result.wait_seconds.max() <= cluster.timeout_seconds + 1e-6


@settings(deadline=None)
@given(cluster=CLUSTERS, load=LOADS, sizes=st.lists(st.integers(1, 9), max_size=8))
def test_blocks_of_any_size_give_the_same_queue(
    cluster: ClusterSettings, load: tuple[np.ndarray, FloatArray], sizes: list[int]
) -> None:
    ready, requests = load
    whole = FluidQueue(cluster, 1).advance(requests, ready)

    queue = FluidQueue(cluster, 1)
    parts = [queue.advance(requests[block], ready[block]) for block in in_blocks(len(requests), sizes)]

    for name in ("served", "timed_out", "backlog", "late", "wait_seconds"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))


@settings(deadline=None)
@given(cluster=CLUSTERS, load=LOADS, sizes=st.lists(st.integers(1, 9), max_size=8))
def test_the_late_requests_alone_are_those_of_the_whole_answer(
    cluster: ClusterSettings, load: tuple[np.ndarray, FloatArray], sizes: list[int]
) -> None:
    ready, requests = load

    queue = FluidQueue(cluster, 1)
    late = [queue.advance_late(requests[block], ready[block]) for block in in_blocks(len(requests), sizes)]

    np.testing.assert_array_equal(np.concatenate(late), FluidQueue(cluster, 1).advance(requests, ready).late)


@settings(deadline=None)
@given(cluster=CLUSTERS, load=LOADS)
def test_more_replicas_never_make_a_request_late(cluster: ClusterSettings, load: tuple[np.ndarray, FloatArray]) -> None:
    ready, requests = load

    both = FluidQueue(cluster, 2).advance(requests, np.concatenate([ready, ready + 1], axis=1))

    for fewer, more in (both.late.T, both.backlog.T, both.wait_seconds.T):
        assert (more <= fewer + 1e-6).all()


@settings(deadline=None)
@given(cluster=CLUSTERS, load=LOADS)
def test_queues_beside_each_other_are_queues_alone(
    cluster: ClusterSettings, load: tuple[np.ndarray, FloatArray]
) -> None:
    ready, requests = load

    both = FluidQueue(cluster, 2).advance(requests, np.concatenate([ready, ready[::-1]], axis=1))

    for column, alone in enumerate((ready, ready[::-1])):
        result = FluidQueue(cluster, 1).advance(requests, alone)
        np.testing.assert_array_equal(both.backlog[:, column], result.backlog[:, 0])
        np.testing.assert_array_equal(both.late[:, column], result.late[:, 0])
