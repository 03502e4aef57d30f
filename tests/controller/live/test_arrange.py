"""Who may act on what, and why others may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.actuators.min_replicas import raise_body
from controller.kube.api import Json
from controller.kube.hpas import RECORD, Hpa, reduce_hpa
from controller.live.arrange import arrange, orphans
from controller.resource.resource import Key, Resource
from controller.vocabulary import Reason
from tests.cluster.workloads import an_autoscaler, an_hpa

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AGENT = Key("shop", "agent")


def a_resource(name: str = "agent", *, namespace: str = "shop", age: int = 60, **spec: Any) -> Resource:
    """On the Deployment `agent`, so many seconds old."""
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "agent"}}
    manifest = an_autoscaler(name, **(target | spec))
    created = (NOON - timedelta(seconds=age)).isoformat()
    manifest["metadata"] |= {"namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": created}
    return Resource.from_manifest(manifest)


def an_hpa_of(
    target: str = "agent",
    *,
    name: str = "agent",
    namespace: str = "shop",
    record: str | None = None,
    keda: bool = False,
) -> Hpa:
    manifest: Json = an_hpa(name, lowest=2)
    manifest["spec"]["scaleTargetRef"]["name"] = target
    manifest["metadata"] |= {"namespace": namespace, "uid": "u", "resourceVersion": "1"}
    if keda:
        manifest["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": name}]
    if record is not None:
        manifest["metadata"]["annotations"] = {RECORD: record}
    return reduce_hpa(manifest)


def raised(**what: Any) -> Hpa:
    """Bears our record."""
    plain = an_hpa_of(**what)
    return an_hpa_of(record=raise_body(plain, 10, AGENT)["metadata"]["annotations"][RECORD], **what)


def reason(resource: Resource, *hpas: Hpa, has_scaler: bool = True) -> Reason | None:
    refusal = arrange([resource], hpas, has_scaler=has_scaler)[resource.key].refusal
    return None if refusal is None else refusal.reason


def test_a_resource_acts_on_the_one_hpa_of_its_target() -> None:
    mine, others = an_hpa_of(), (an_hpa_of("other", name="other"), an_hpa_of(namespace="other"))

    setup = arrange([a_resource()], [*others, mine])[AGENT]

    assert setup.can_act
    assert setup.hpa == mine


@pytest.mark.parametrize(
    ("actuator", "hpas", "expected"),
    [
        ("HPAMinReplicas", (), Reason.NO_HPA),
        ("HPAMinReplicas", (an_hpa_of(), an_hpa_of(name="second")), Reason.MANY_HPAS),
        ("HPAMinReplicas", (an_hpa_of(keda=True),), Reason.KEDA_OWNS_HPA),
        ("Scale", (), None),
        ("Scale", (an_hpa_of(),), Reason.HPA_EXISTS),
        ("Scale", (an_hpa_of(keda=True),), Reason.HPA_EXISTS),
        ("KEDA", (an_hpa_of(keda=True),), None),
        ("KEDA", (an_hpa_of(),), Reason.HPA_EXISTS),
        ("KEDA", (), Reason.NO_HPA),
        ("Metric", (), None),
        ("Metric", (an_hpa_of(),), None),
    ],
)
def test_an_actuator_needs_its_own_surroundings(actuator: str, hpas: tuple[Hpa, ...], expected: Reason | None) -> None:
    assert reason(a_resource(actuator=actuator, bounds={"maxReplicas": 9}), *hpas) is expected


def test_keda_that_nobody_answers_is_told() -> None:
    assert reason(a_resource(actuator="KEDA"), an_hpa_of(keda=True), has_scaler=False) is Reason.SCALER_OFF


@pytest.mark.parametrize("is_turned", [False, True])
def test_of_two_resources_on_one_target_the_older_has_it(is_turned: bool) -> None:
    both = [a_resource("older", age=90), a_resource("younger", age=30)]

    setups = arrange(reversed(both) if is_turned else both, [an_hpa_of()])

    assert setups[Key("shop", "older")].can_act
    refusal = setups[Key("shop", "younger")].refusal
    assert refusal is not None
    assert refusal.reason is Reason.TARGET_TAKEN
    assert "already scaled by PredictiveAutoscaler older" in refusal.message


def test_of_two_resources_of_one_second_the_same_one_always_has_it() -> None:
    both = [a_resource("b"), a_resource("a")]

    assert arrange(both, [an_hpa_of()])[Key("shop", "a")].can_act
    assert arrange(reversed(both), [an_hpa_of()])[Key("shop", "a")].can_act


def test_equal_names_in_two_namespaces_are_two_targets() -> None:
    setups = arrange([a_resource(), a_resource(namespace="other")], [an_hpa_of(), an_hpa_of(namespace="other")])

    assert all(setup.can_act for setup in setups.values())


def test_a_record_without_a_holder_is_an_orphan() -> None:
    hpa = raised()
    setups = arrange([a_resource()], [hpa])

    assert orphans(setups, [hpa], {AGENT: 10}) == []
    assert orphans(setups, [hpa], {AGENT: None}) == [hpa], "it has let go"
    assert orphans({}, [hpa], {}) == [hpa], "it was deleted"
    other = arrange([a_resource(actuator="Metric")], [hpa])
    assert orphans(other, [hpa], {AGENT: 10}) == [hpa], "it acts in another way now"
    refused = arrange([a_resource()], [hpa, an_hpa_of(name="second")])
    assert orphans(refused, [hpa], {AGENT: 10}) == [hpa], "it is refused"


def test_a_damaged_record_is_an_orphan_too_and_an_untouched_hpa_is_none() -> None:
    damaged = an_hpa_of(record="{")

    assert orphans({}, [damaged, an_hpa_of("other", name="other")], {}) == [damaged]
