"""The CustomResourceDefinition on the real API server: what it refuses, fills in and shows."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from controller.commands.crd import as_yaml
from controller.resource.crd import definition
from controller.resource.resource import Resource
from controller.resource.spec import AutoscalerSpec
from controller.resource.status import AutoscalerStatus, Condition, ConditionType, ScoreStatus, Verdict
from tests.cluster.admin import Json
from tests.cluster.fixtures import a_namespace
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import autoscalers
from tests.controller.builders import NOON
from tests.servers.processes import ROOT, wait_until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DATED = {"name": "sale", "start": "2026-11-27T08:00:00+01:00", "end": "2026-11-27T20:00:00+01:00", "minReplicas": 9}
REPEATED = {"name": "morning", "cron": "30 8 * * 1-5", "durationSeconds": 3600, "demandFactor": 1.5}


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[str]:
    """A namespace of a cluster that knows the definition."""
    crd = definition()
    cluster.admin.apply(f"{DEFINITIONS}/{crd['metadata']['name']}", crd)
    wait_until(lambda: cluster.admin.status_of("GET", "/apis/forescale.io/v1alpha1/predictiveautoscalers") == 200, "")
    with a_namespace(cluster) as name:
        yield name


def minimal(**more: Any) -> Json:
    """All that a user must write."""
    spec = {
        "scaleTargetRef": {"kind": "Deployment", "name": "agent"},
        "demand": {"query": "sum(rate(http_requests_total[1m]))"},
        "targetPerReplica": 12.5,
    }
    name = f"pas-{secrets.token_hex(4)}"
    meta = {"name": name}
    return {
        "apiVersion": "forescale.io/v1alpha1", "kind": "PredictiveAutoscaler", "metadata": meta, "spec": spec | more,
    }  # fmt: skip


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bounds upside down": (
        {"bounds": {"minReplicas": 5, "maxReplicas": 4}}, "minReplicas must not be above maxReplicas",
    ),
    "fixed lead without time": ({"lead": {"type": "Fixed"}}, "a Fixed lead needs startupSeconds"),
    "quantile and slo": (
        {"quantile": 0.9, "slo": {"violationTarget": 0.01}}, "give one of quantile, slo and costRatio",
    ),
    "quantile and cost": ({"quantile": 0.9, "costRatio": 20}, "give one of quantile, slo and costRatio"),
    "scale without maximum": ({"actuator": "Scale"}, "actuator Scale has no HPA to set a maximum"),
    "scale with a minimum only": (
        {"actuator": "Scale", "bounds": {"minReplicas": 2}}, "actuator Scale has no HPA to set a maximum",
    ),
    "cron without duration": (
        {"events": [{"name": "a", "cron": "0 8 * * *", "minReplicas": 2}]},
        "give start and end, or cron and durationSeconds",
    ),
    "neither cron nor dates": (
        {"events": [{"name": "a", "minReplicas": 2}]}, "give start and end, or cron and durationSeconds",
    ),
    "start without end": (
        {"events": [{"name": "a", "start": DATED["start"], "minReplicas": 2}]},
        "give start and end, or cron and durationSeconds",
    ),
    "cron and dates": ({"events": [DATED | REPEATED]}, "give start and end, or cron and durationSeconds"),
    "end before start": (
        {"events": [DATED | {"start": DATED["end"], "end": DATED["start"]}]}, "start must be before end",
    ),
    "event that asks for nothing": (
        {"events": [{key: DATED[key] for key in ("name", "start", "end")}]}, "give minReplicas above 0 or demandFactor",
    ),
    "event that lowers": ({"events": [REPEATED | {"demandFactor": 0.5}]}, "greater than or equal to 1"),
    "two events of one name": ({"events": [DATED, DATED]}, "Duplicate value"),
    "quantile of one": ({"quantile": 1}, "less than 1"),
    "no demand per replica": ({"targetPerReplica": 0}, "greater than 0"),
    "unknown mode": ({"mode": "Aggressive"}, "Unsupported value"),
    "unknown actuator": ({"actuator": "VPA"}, "Unsupported value"),
    "no query": ({"demand": {"query": ""}}, "at least 1 char"),
    "workload with a slash": ({"demand": {"query": "q", "workload": "a/b"}}, "should match"),
    "too many labels": ({"demand": {"query": "q", "series": {f"l{at}": "x" for at in range(33)}}}, "at most 32"),
    "date without a zone": ({"events": [DATED | {"start": "2026-11-27T08:00:00"}]}, "date-time"),
    "a million replicas too many": ({"bounds": {"maxReplicas": 2**31}}, "2147483647"),
}  # fmt: skip


def test_the_manifest_that_is_shipped_is_the_one_that_is_generated() -> None:
    shipped = (ROOT / "manifests" / "crd" / "predictiveautoscalers.yaml").read_text(encoding="utf-8")

    assert shipped == as_yaml(), "forescale controller crd > manifests/crd/predictiveautoscalers.yaml"


@pytest.mark.parametrize("case", REFUSED)
def test_a_spec_that_makes_no_sense_is_refused_in_words(case: str, cluster: Cluster, shop: str) -> None:
    wrong, words = REFUSED[case]

    with pytest.raises(httpx.HTTPStatusError) as refused:
        cluster.admin.create(autoscalers(shop), minimal(**wrong))

    assert refused.value.response.status_code == 422
    assert words in str(refused.value)


def test_every_rule_of_the_schema_is_among_the_refusals() -> None:
    rules = {each["message"] for each in rules_of(definition())} - {"scaleTargetRef is immutable; make a new resource"}

    assert {rule for rule in rules if not any(words in rule for _, words in REFUSED.values())} == set()


def rules_of(node: Any) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for each in node.values():
            yield from rules_of(each)
    elif isinstance(node, list):
        for each in node:
            yield from rules_of(each)


def test_the_target_cannot_be_changed(cluster: Cluster, shop: str) -> None:
    made = cluster.admin.create(autoscalers(shop), minimal())

    with pytest.raises(httpx.HTTPStatusError, match="scaleTargetRef is immutable; make a new resource"):
        cluster.admin.merge(
            autoscalers(shop, made["metadata"]["name"]), {"spec": {"scaleTargetRef": {"name": "other"}}}
        )


def test_a_minimal_spec_means_the_defaults_of_the_types(cluster: Cluster, shop: str) -> None:
    written = minimal()

    found = Resource.from_manifest(cluster.admin.create(autoscalers(shop), written))

    assert found.spec == AutoscalerSpec.model_validate(written["spec"])


def test_the_defaults_that_the_server_fills_in_are_those_of_the_types(cluster: Cluster, shop: str) -> None:
    written = minimal(lead={}, guardrails={}, trust={}, bounds={}, slo={"violationTarget": 0.01})

    found = cluster.admin.create(autoscalers(shop), written)["spec"]

    expected = AutoscalerSpec.model_validate(written["spec"])
    filled = json.loads(expected.model_dump_json(by_alias=True, exclude_none=True))
    assert without_empty(found) == without_empty(filled)


def without_empty(node: Any) -> Any:
    """An empty list or object and none at all mean the same."""
    if not isinstance(node, dict):
        return node
    kept = {key: without_empty(each) for key, each in node.items()}
    return {key: each for key, each in kept.items() if each not in ({}, [])}


def test_every_field_comes_back_as_it_was_written(cluster: Cluster, shop: str) -> None:
    written = minimal(
        demand={"query": "q", "series": {"app": "agent"}, "stepSeconds": 15, "workload": "shop.agent"},
        reactiveTargetPerReplica=20, mode="Active", actuator="KEDA", bounds={"minReplicas": 2, "maxReplicas": 50},
        lead={"type": "Fixed", "startupSeconds": 90, "metricDelaySeconds": 15}, costRatio=20, paused=True,
        guardrails={"staleAfterSeconds": 120, "scaleUpRatio": 2.5, "experienceDemand": 1e6},
        events=[DATED, REPEATED], trust={"minSkill": 0.1, "minSurgeRecall": 0.5, "trustsUnproven": True},
    )  # fmt: skip

    found = Resource.from_manifest(cluster.admin.create(autoscalers(shop), written))

    assert found.spec == AutoscalerSpec.model_validate(written["spec"])
    assert found.generation == 1


def test_a_field_that_is_not_known_is_dropped(cluster: Cluster, shop: str) -> None:
    found = cluster.admin.create(autoscalers(shop), minimal(colour="green"))

    assert "colour" not in found["spec"]


def a_status() -> AutoscalerStatus:
    ready = Condition(
        type=ConditionType.READY, status=Verdict.TRUE, reason="Configured", message="m", last_transition_time=NOON
    )
    trusted = ready.model_copy(update={"type": ConditionType.TRUSTED, "status": Verdict.UNKNOWN})
    score = ScoreStatus(since=NOON, scored_minutes=3)
    return AutoscalerStatus(
        conditions=[ready, trusted], floor=12, hpa_alone_replicas=7, demand=88.5, reason="ForecastDemand",
        last_decision_time=NOON, startup_seconds=14.5, score=score,
    )  # fmt: skip


def test_a_status_is_written_beside_the_spec_and_shown_in_columns(cluster: Cluster, shop: str) -> None:
    made = cluster.admin.create(autoscalers(shop), minimal())
    name = made["metadata"]["name"]
    status = a_status().model_dump(mode="json", by_alias=True, exclude_none=True)
    body = {key: made[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": name}, "status": status}

    cluster.admin.apply(f"{autoscalers(shop, name)}/status", body | {"spec": {"paused": True}}, manager="status")

    found = Resource.from_manifest(cluster.admin.get(autoscalers(shop, name)))
    assert found.status == a_status()
    assert (found.generation, found.spec.paused) == (1, False), "a status changes no spec"
    table = as_table(cluster, autoscalers(shop, name))
    assert table == {
        "Name": name, "Mode": "Observe", "Trusted": "Unknown", "Floor": 12, "HPA": 7, "Reason": "ForecastDemand",
        "Ready": "True",
    }  # fmt: skip


def as_table(cluster: Cluster, path: str) -> Json:
    """As `kubectl get` shows it, without the age."""
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io", "Authorization": f"Bearer {cluster.token}"}
    found = httpx.get(f"{cluster.url}{path}", headers=headers, verify=False).json()  # noqa: S501 - loopback
    shown = [each["name"] for each in found["columnDefinitions"] if not each["priority"]]
    cells = dict(zip([each["name"] for each in found["columnDefinitions"]], found["rows"][0]["cells"], strict=True))
    return {name: cells[name] for name in shown if name != "Age"}


def test_a_user_cannot_write_the_status_with_the_spec(cluster: Cluster, shop: str) -> None:
    found = cluster.admin.create(autoscalers(shop), minimal() | {"status": {"floor": 99}})

    assert "status" not in found


def test_every_field_is_described() -> None:
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

    assert list(undescribed(schema, "")) == []


def undescribed(node: Json, path: str) -> Iterator[str]:
    for name, each in (node.get("properties") or {}).items():
        if not each.get("description") and name != "metadata":
            yield f"{path}.{name}"
        yield from undescribed(each, f"{path}.{name}")
        yield from undescribed(each.get("items") or {}, f"{path}.{name}[]")
