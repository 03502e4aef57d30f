"""What is read of a live HPA's status, which Kubernetes does not always fill with sense."""

from __future__ import annotations

import pytest

from controller.kube.hpas import Current, reduce_hpa
from tests.cluster.admin import Json
from tests.cluster.workloads import an_hpa


def a_live_hpa(average: str) -> Json:
    manifest = an_hpa("agent")
    manifest["metadata"] |= {"namespace": "shop", "uid": "1", "resourceVersion": "7"}
    named = manifest["spec"]["metrics"][0]["external"]["metric"]
    reading = {"type": "External", "external": {"metric": named, "current": {"averageValue": average}}}
    manifest["status"] = {"currentReplicas": 3, "desiredReplicas": 3, "currentMetrics": [reading]}
    return manifest


def test_an_average_is_read() -> None:
    assert reduce_hpa(a_live_hpa("8500m")).readings == (Current(average_milli=8500),)


@pytest.mark.parametrize("average", ["-9223372036854775808m", "many"])
def test_what_is_no_reading_is_not_known_and_does_not_cost_the_others_their_watch(average: str) -> None:
    """The first is what Kubernetes writes of a new HPA whose target has no pods yet: an average over none."""
    assert reduce_hpa(a_live_hpa(average)).readings == (Current(),)
