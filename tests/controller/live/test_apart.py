"""A fault of ours with one resource is not the others', and does not keep its own floor for good."""

from __future__ import annotations

import pytest

from controller.kube.pods import PodBook
from controller.resource.resource import Resource, TargetKey
from controller.startup import Startup
from tests.cluster.workloads import an_autoscaler
from tests.controller.live.rehearsal import BEGIN, SHOP, Rehearsal, an_answer

RAILS = {"staleAfterSeconds": 60, "holdSeconds": 60, "scaleDownWindowSeconds": 60}


class Broken(PodBook):
    """Fails for one target."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def startup(self, target: TargetKey, fallback_seconds: float | None = None) -> Startup:
        if target.name == self._name:
            raise ZeroDivisionError("a bug")
        return super().startup(target, fallback_seconds)


@pytest.fixture
def raised() -> Rehearsal:
    """With a floor in force."""
    one = Rehearsal(lead={"type": "Fixed", "startupSeconds": 30}, guardrails=RAILS)
    one.demand = one.metrics.demand = 100.0
    one.forecasts.answer = an_answer(250, one.now)
    one.pass_time(15)
    assert is_raised(one)
    return one


def is_raised(one: Rehearsal) -> bool:
    hpa = one.hpa()
    return hpa is not None and hpa.is_raised


def test_its_floor_is_held_for_a_while_and_then_given_back(raised: Rehearsal) -> None:
    raised.stage.pods = Broken("agent")

    raised.pass_time(15)
    assert is_raised(raised)
    raised.pass_time(60)
    hpa = raised.hpa()
    assert hpa is not None
    assert (hpa.is_raised, hpa.min_replicas, hpa.record) == (False, 2, None)


def test_the_others_are_decided_all_the_same(raised: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = an_autoscaler("lone")
    manifest["metadata"] |= {"namespace": SHOP, "uid": "lone", "creationTimestamp": BEGIN.isoformat()}
    lone = Resource.from_manifest(manifest)
    both = (*raised.stage.resources(), lone)
    monkeypatch.setattr(raised.stage, "resources", lambda: both)
    raised.stage.pods = Broken("lone")

    for _ in range(4):
        raised.forecasts.answer = an_answer(250, raised.now)
        raised.pass_time(30)

    assert is_raised(raised)
    assert raised.workload.outcome is not None
    assert raised.workload.outcome.decision is not None
    assert raised.workload.outcome.decision.at == raised.now
