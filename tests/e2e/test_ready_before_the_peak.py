"""A day in four minutes on a real cluster: pre-scaled pods are Ready when the peak comes, the HPA alone is late.

Two Deployments on the same demand with the same HPA, in the same run; pods take half a minute to start.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.builders import DAY
from tests.cluster.fixtures import a_namespace
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import autoscalers, deployments
from tests.controller.live.world import TARGET, World, a_cautious_autoscaler, a_world
from tests.predictor.server.serving import endless
from tests.servers.processes import wait_until

STARTUP_SECONDS = 30
LOWEST = 8  # more than the night needs, so that no floor of ours is left then
EVERY_SECONDS = 0.5
_SMOOTH = 5  # seconds: noise of single seconds is nobody's peak


@dataclass(frozen=True, slots=True)
class Look:
    """One moment of the day."""

    at: int
    need: int
    ours: int  # Ready pods
    alone: int
    lowest: int  # minReplicas of our HPA
    has_record: bool


@pytest.mark.alone
@pytest.mark.timeout(700)
def test_pods_are_ready_before_each_foreseen_peak_and_the_hpa_alone_is_late(
    cluster: Cluster, far_model: Path, tmp_path: Path
) -> None:
    with (
        a_namespace(cluster) as namespace,
        a_world(cluster, namespace, tmp_path, far_model, startup_seconds=STARTUP_SECONDS, lowest=LOWEST) as world,
    ):
        lead = {"type": "Measured", "startupSeconds": STARTUP_SECONDS, "metricDelaySeconds": 1}
        world.cluster.admin.create(autoscalers(namespace), a_cautious_autoscaler(lead=lead, quantile=0.9))
        wait_until(lambda: world.condition("Trusted")[0] == "True", "forecasts are trusted", 60)
        begin = int(time.time()) + STARTUP_SECONDS + 10  # what was asked for at the start is Ready by then
        looks = watch(world, until=begin + DAY)
        looks = [look for look in looks if look.at >= begin]

        short_ours = seconds_short(looks, lambda look: look.ours)
        short_alone = seconds_short(looks, lambda look: look.alone)
        print(  # noqa: T201 - the figure that this is about
            f"\nshort of pods: {short_ours:.0f} s pre-scaled, {short_alone:.0f} s by the HPA alone, of {DAY} s"
        )
        assert short_alone >= 20, "the HPA alone is late"
        assert short_ours <= short_alone / 4, "pre-scaled pods are Ready in time"
        rising = [look for look in looks if is_first_of_peak(look, looks)]
        assert rising
        assert all(look.ours >= look.need for look in rising), "Ready before the demand of the peak"
        assert any(look.alone < look.need for look in rising)

        at_rest = [look for look in looks if look.need < LOWEST - 1]
        assert any(look.lowest == LOWEST and not look.has_record for look in at_rest), "as the user wrote it"
        world.cluster.admin.merge(autoscalers(namespace, "agent"), {"spec": {"paused": True}})
        wait_until(lambda: world.is_given_back(LOWEST), "the user's minimum is back", 30)
        owners = [
            each["manager"]
            for each in world.hpa["metadata"]["managedFields"]
            if "f:minReplicas" in each["fieldsV1"].get("f:spec", {})
        ]
        assert owners == ["tests"]


def watch(world: World, *, until: int) -> list[Look]:
    """What there is, twice a second."""
    looks = []
    while (now := time.time()) < until:
        found = {
            each["metadata"]["name"]: int(each["status"].get("readyReplicas") or 0)
            for each in world.cluster.admin.get(deployments(world.namespace))["items"]
        }
        hpa = world.hpa
        has_record = "forescale.io/original-min-replicas" in hpa["metadata"].get("annotations", {})
        looks.append(
            Look(int(now), need_at(int(now)), found["agent"], found["alone"], hpa["spec"]["minReplicas"], has_record)
        )
        time.sleep(EVERY_SECONDS)
    return looks


def need_at(second: int) -> int:
    """Replicas that demand needs, smoothed."""
    steps = np.arange(second - _SMOOTH + 1, second + 1, dtype=np.int64)
    return math.ceil(float(endless(steps).mean()) / TARGET)


def seconds_short(looks: list[Look], ready: Callable[[Look], int]) -> float:
    """Time in which demand needs more pods than are Ready."""
    return EVERY_SECONDS * sum(look.need > ready(look) for look in looks)


def is_first_of_peak(look: Look, looks: list[Look]) -> bool:
    """Whether demand reaches nine tenths of the day's peak for the first time in a while."""
    high = 0.9 * max(each.need for each in looks)
    before = [each for each in looks if look.at - 30 <= each.at < look.at]
    return look.need >= high and len(before) >= 30 and all(each.need < high for each in before)
