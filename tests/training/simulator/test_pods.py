from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.simulator.clusters import STEP, a_cluster, in_blocks, one_policy, some_replicas
from training.simulator.cluster import ClusterSettings
from training.simulator.pods import Fleet, Pods


def a_fleet(cluster: ClusterSettings, asked: list[int], *, initial: int = 0) -> Fleet:
    """What becomes of one policy's replicas."""
    return Pods(cluster, len(asked), np.array([initial], dtype=np.int32)).advance(one_policy(asked))


def ready(cluster: ClusterSettings, asked: list[int], *, initial: int = 0) -> list[int]:
    replicas: list[int] = a_fleet(cluster, asked, initial=initial).ready[:, 0].tolist()
    return replicas


def paid(cluster: ClusterSettings, asked: list[int], *, initial: int = 0) -> list[int]:
    replicas: list[int] = a_fleet(cluster, asked, initial=initial).paid[:, 0].tolist()
    return replicas


@dataclass(eq=False)
class Node:
    """A node that was added for one pod."""

    used_until: int  # the first step at which no pod is on it


@dataclass(eq=False)
class Pod:
    serves_from: float
    node: Node | None = None  # None: on a node that is always there, or still without
    node_comes: float = np.inf


def followed(cluster: ClusterSettings, asked: list[int], *, initial: int = 0) -> tuple[list[int], list[int]]:
    """Replicas ready and paid for at every step, pod by pod and node by node: the slow way that says what is meant.

    A pod needs a place when it is created.  The first `free_replicas` always have one.  Every further pod takes an
    added node for itself: an idle one if there is any, the last used first, and else a new one that comes after the
    provisioning time if the pod is still wanted then.  A node goes when it has been idle for the keeping time.
    """
    startup = cluster.startup_steps(len(asked)).tolist()
    provisioning, keep = cluster.steps(cluster.provisioning_seconds), cluster.steps(cluster.node_keep_seconds)
    always = math.inf if cluster.free_replicas is None else cluster.free_replicas
    pods = [Pod(-np.inf, Node(0) if number > always else None) for number in range(1, initial + 1)]
    nodes = [pod.node for pod in pods if pod.node]
    given_up: list[int] = []  # the step, for every pod
    served, cost = [], []
    for step, count in enumerate(asked):
        given_up += [step] * max(len(pods) - count, 0)
        del pods[count:]  # the youngest
        in_use = [pod.node for pod in pods]
        nodes = [node for node in nodes if node in in_use or node.used_until + keep > step]
        idle = sorted((node for node in nodes if node not in in_use), key=lambda node: node.used_until)
        while len(pods) < count:
            starts = startup[step]
            if len(pods) < always:
                pods.append(Pod(step + starts))
            elif idle:
                pods.append(Pod(step + starts, idle.pop()))
            else:
                pods.append(Pod(step + provisioning + starts, node_comes=step + provisioning))
        for pod in pods:
            if pod.node_comes == step:
                pod.node = Node(step)
                nodes.append(pod.node)
            if pod.node:
                pod.node.used_until = step + 1
        served.append(sum(pod.serves_from <= step for pod in pods))
        cost.append(len(pods) + sum(step - last < cluster.steps(cluster.drain_seconds) for last in given_up))
    return served, cost


FIXED = st.builds(
    a_cluster,
    startup_seconds=st.sampled_from([0.0, 1.0, 15.0, 40.0, 90.0]),
    drain_seconds=st.sampled_from([0.0, 15.0, 50.0]),
)
RANDOM = st.builds(
    a_cluster,
    startup_seconds=st.sampled_from([10.0, 40.0, 90.0]),
    startup_spread=st.sampled_from([0.1, 0.5, 1.0]),
    drain_seconds=st.sampled_from([0.0, 50.0]),
    seed=st.integers(0, 5),
)
NODES = st.tuples(st.one_of(FIXED, RANDOM), st.integers(0, 6), st.integers(0, 5), st.integers(0, 6)).map(
    lambda drawn: replace(
        drawn[0],
        free_replicas=drawn[1],
        provisioning_seconds=float(drawn[2] * STEP),
        node_keep_seconds=float(drawn[3] * STEP),
    )
)
ANY = st.one_of(FIXED, RANDOM, NODES)
ALIKE = ANY.filter(lambda cluster: cluster.startup_spread == 0)  # all pods start in the same time


@pytest.mark.parametrize(("startup_seconds", "steps"), [(0, 0), (1, 1), (15, 1), (16, 2), (120, 8), (120.5, 9)])
def test_a_pod_serves_from_the_first_step_that_begins_after_its_start_up(startup_seconds: float, steps: int) -> None:
    asked = [2] * 5 + [3] * 20

    served = ready(a_cluster(startup_seconds=startup_seconds), asked, initial=2)

    assert served == [2] * (5 + steps) + [3] * (20 - steps)


def test_initial_replicas_serve_at_once() -> None:
    assert ready(a_cluster(), [4, 4, 4], initial=4) == [4, 4, 4]


def test_pods_that_start_are_given_up_before_pods_that_serve() -> None:
    served = ready(a_cluster(startup_seconds=45), [2, 5, 3, 3, 3, 3], initial=2)

    assert served == [2, 2, 2, 2, 3, 3]


def test_a_pod_that_is_asked_for_again_starts_anew() -> None:
    served = ready(a_cluster(startup_seconds=30), [3, 2, 3, 3, 3, 3], initial=3)

    assert served == [3, 2, 2, 2, 3, 3]


def test_a_starting_pod_is_paid_for_and_a_given_up_one_until_it_is_drained() -> None:
    cost = paid(a_cluster(drain_seconds=30), [2, 5, 5, 1, 1, 1, 1], initial=2)

    assert cost == [2, 5, 5, 5, 5, 1, 1]


def test_a_pod_that_drains_is_paid_for_beside_the_one_that_is_asked_for_in_its_place() -> None:
    cost = paid(a_cluster(drain_seconds=30), [5, 3, 5, 5, 5], initial=5)

    assert cost == [5, 5, 7, 5, 5]


def test_the_pods_of_one_step_start_together_and_those_of_another_by_themselves() -> None:
    cluster = a_cluster(startup_seconds=60, startup_spread=0.8, seed=1)
    startup = cluster.startup_steps(40).tolist()
    assert startup[3] != startup[4]

    served = ready(cluster, [0] * 3 + [2] + [5] * 36)

    assert served == [2 * (step >= 3 + startup[3]) + 3 * (step >= 4 + startup[4]) for step in range(40)]


@given(asked=some_replicas())
def test_start_up_times_that_hardly_spread_are_fixed_ones(asked: list[int]) -> None:
    fixed = a_cluster(startup_seconds=40)

    assert ready(replace(fixed, startup_spread=1e-9), asked) == ready(fixed, asked)


@settings(deadline=None)
@given(cluster=st.one_of(FIXED, RANDOM), asked=some_replicas(), initial=st.integers(0, 8))
def test_the_fleet_is_what_following_every_pod_gives(cluster: ClusterSettings, asked: list[int], initial: int) -> None:
    fleet = a_fleet(cluster, asked, initial=initial)

    assert (fleet.ready[:, 0].tolist(), fleet.paid[:, 0].tolist()) == followed(cluster, asked, initial=initial)


@settings(deadline=None, max_examples=300)
@given(cluster=NODES, asked=some_replicas(), initial=st.integers(0, 8))
def test_the_fleet_is_what_following_every_pod_and_node_gives(
    cluster: ClusterSettings, asked: list[int], initial: int
) -> None:
    fleet = a_fleet(cluster, asked, initial=initial)

    assert (fleet.ready[:, 0].tolist(), fleet.paid[:, 0].tolist()) == followed(cluster, asked, initial=initial)


@settings(deadline=None)
@given(cluster=ANY, asked=some_replicas(), initial=st.integers(0, 8))
def test_what_serves_was_asked_for_and_what_was_asked_for_is_paid(
    cluster: ClusterSettings, asked: list[int], initial: int
) -> None:
    fleet, wanted = a_fleet(cluster, asked, initial=initial), one_policy(asked)

    assert (fleet.ready >= 0).all()
    assert (fleet.ready <= wanted).all()
    assert (fleet.paid >= wanted).all()


@settings(deadline=None)
@given(cluster=ALIKE, asked=some_replicas(), initial=st.integers(0, 8))
def test_a_pod_that_serves_does_so_until_it_is_given_up(
    cluster: ClusterSettings, asked: list[int], initial: int
) -> None:
    # Where start-up times differ, the youngest is given up even if it serves and an older one does not.
    served = ready(cluster, asked, initial=initial)

    assert all(now >= min(last, wanted) for last, now, wanted in zip(served, served[1:], asked[1:], strict=False))


@settings(deadline=None)
@given(cluster=ANY, asked=some_replicas(), initial=st.integers(0, 8), sizes=st.lists(st.integers(1, 9), max_size=8))
def test_blocks_of_any_size_give_the_same_fleet(
    cluster: ClusterSettings, asked: list[int], initial: int, sizes: list[int]
) -> None:
    whole = a_fleet(cluster, asked, initial=initial)

    pods = Pods(cluster, len(asked), np.array([initial], dtype=np.int32))
    parts = [pods.advance(one_policy(asked)[block]) for block in in_blocks(len(asked), sizes)]

    np.testing.assert_array_equal(np.concatenate([part.ready for part in parts]), whole.ready)
    np.testing.assert_array_equal(np.concatenate([part.paid for part in parts]), whole.paid)


@settings(deadline=None)
@given(cluster=ANY, one=some_replicas(), other=some_replicas())
def test_policies_beside_each_other_are_policies_alone(
    cluster: ClusterSettings, one: list[int], other: list[int]
) -> None:
    length = min(len(one), len(other))
    asked = np.concatenate([one_policy(one[:length]), one_policy(other[:length])], axis=1)

    both = Pods(cluster, length, np.array([1, 3], dtype=np.int32)).advance(asked)

    assert both.ready[:, 0].tolist() == ready(cluster, one[:length], initial=1)
    assert both.ready[:, 1].tolist() == ready(cluster, other[:length], initial=3)


def test_the_seed_decides_how_long_pods_start() -> None:
    cluster, asked = a_cluster(startup_spread=0.5), list(range(40))

    assert ready(cluster, asked) == ready(a_cluster(startup_spread=0.5), asked)
    assert ready(cluster, asked) != ready(replace(cluster, seed=1), asked)


def nodes_in(**named: float) -> ClusterSettings:
    """Three replicas fit; a node for more comes after a minute and stays for a minute; pods start in half a minute."""
    return a_cluster(
        **{"startup_seconds": 30, "free_replicas": 3, "provisioning_seconds": 60, "node_keep_seconds": 60, **named}
    )


def test_a_pod_that_fits_starts_at_once_and_one_that_does_not_waits_for_its_node() -> None:
    served = ready(nodes_in(), [2] + [5] * 9, initial=2)

    # Asked for at step 1: one fits and serves two steps later, two wait four steps longer.
    assert served == [2, 2, 2, 3, 3, 3, 3, 5, 5, 5]


@pytest.mark.parametrize(("idle_steps", "served"), [(1, 2), (3, 2), (4, 6), (5, 6)])
def test_a_pod_finds_an_added_node_for_as_long_as_that_is_kept(idle_steps: int, served: int) -> None:
    asked = [5] + [3] * idle_steps + [5] * 10

    waited = ready(nodes_in(), asked, initial=5).index(5, 1) - (1 + idle_steps)

    assert waited == served


def test_a_pod_on_a_kept_node_goes_on_serving_when_others_are_no_longer_kept() -> None:
    asked = [8] + [3] * 3 + [5] * 10

    served = ready(nodes_in(), asked, initial=8)

    assert served == [8] + [3] * 5 + [5] * 8


def test_a_short_use_of_a_kept_node_keeps_it_again() -> None:
    asked = [5] + [3] * 3 + [5] + [3] * 3 + [5] * 4

    served = ready(nodes_in(), asked, initial=5)

    assert served[-2:] == [5, 5]


def test_a_node_never_comes_for_a_pod_that_is_given_up_before() -> None:
    asked = [3] + [4] * 3 + [3] + [4] * 8

    served = ready(nodes_in(), asked, initial=3)

    assert served.index(4) == 5 + 4 + 2  # as if it had not been asked for before


@settings(deadline=None)
@given(cluster=st.one_of(FIXED, RANDOM), asked=some_replicas(), initial=st.integers(0, 8))
def test_nodes_that_are_there_at_once_or_never_short_change_nothing(
    cluster: ClusterSettings, asked: list[int], initial: int
) -> None:
    served = ready(cluster, asked, initial=initial)

    assert ready(replace(cluster, free_replicas=2, provisioning_seconds=0), asked, initial=initial) == served
    assert ready(replace(cluster, free_replicas=8, provisioning_seconds=60), asked, initial=initial) == served
