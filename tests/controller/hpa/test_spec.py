"""Rule 14: defaults and manifests."""

from __future__ import annotations

from typing import Any

import pytest

from controller.hpa import (
    Behavior,
    ControllerSettings,
    HpaSpec,
    MetricSpec,
    PolicyType,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Source,
    TargetType,
)
from controller.hpa.spec import DEFAULT_SCALE_DOWN, DEFAULT_SCALE_UP
from predictor.errors import InputError
from tests.controller.hpa.builders import CPU, EXACT, Stepped, reasons, wants

EXTERNAL = {
    "type": "External",
    "external": {"metric": {"name": "demand"}, "target": {"type": "AverageValue", "averageValue": "75m"}},
}


def parsed(**fields: Any) -> HpaSpec:
    return HpaSpec.from_manifest({"maxReplicas": 10, "metrics": [EXTERNAL], **fields})


def behavior_of(**fields: Any) -> Behavior:
    behavior = parsed(behavior=fields).behavior
    assert behavior is not None
    return behavior


def metric_of(kind: str, target: dict[str, Any], **fields: Any) -> MetricSpec:
    body = {"metric": {"name": "m"}, "target": target, **fields}
    return parsed(metrics=[{"type": kind, kind.lower(): body}]).metrics[0]


def test_a_manifest_gets_the_api_servers_defaults() -> None:
    spec = HpaSpec.from_manifest({"maxReplicas": 10})

    assert (spec.min_replicas, spec.max_replicas, spec.behavior) == (1, 10, None)
    assert spec.metrics == (MetricSpec(Source.RESOURCE, TargetType.UTILIZATION, 80, "cpu"),)


def test_null_fields_count_as_left_out() -> None:
    spec = HpaSpec.from_manifest({"maxReplicas": 10, "minReplicas": None, "behavior": None, "metrics": None})

    assert spec == HpaSpec.from_manifest({"maxReplicas": 10})


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("Object", {"type": "Value", "value": "2k"}, MetricSpec(Source.OBJECT, TargetType.VALUE, 2_000_000, "m")),
        (
            "External",
            {"type": "AverageValue", "averageValue": 5},
            MetricSpec(Source.EXTERNAL, TargetType.AVERAGE_VALUE, 5000, "m"),
        ),
        (
            "Pods",
            {"type": "AverageValue", "averageValue": "1500m"},
            MetricSpec(Source.PODS, TargetType.AVERAGE_VALUE, 1500, "m"),
        ),
    ],
)
def test_each_kind_of_metric_is_read(kind: str, target: dict[str, Any], expected: MetricSpec) -> None:
    assert metric_of(kind, target) == expected


def test_a_resource_metric_is_named_by_its_resource() -> None:
    assert metric_of("Resource", {"type": "Utilization", "averageUtilization": 50}, name="cpu") == CPU


def test_without_behavior_there_is_none_but_an_empty_one_is_filled_in() -> None:
    assert parsed().behavior is None
    assert parsed(behavior={}).behavior == Behavior(DEFAULT_SCALE_UP, DEFAULT_SCALE_DOWN)


def test_the_default_behavior_is_that_of_the_api_server() -> None:
    four, double = ScalingPolicy(PolicyType.PODS, 4, 15), ScalingPolicy(PolicyType.PERCENT, 100, 15)

    assert ScalingRules((four, double), SelectPolicy.MAX, None, None) == DEFAULT_SCALE_UP
    assert ScalingRules((double,), SelectPolicy.MAX, None, None) == DEFAULT_SCALE_DOWN


def test_defaults_are_filled_in_field_by_field() -> None:
    behavior = behavior_of(scaleUp={"selectPolicy": "Min"}, scaleDown={"tolerance": "50m"})

    assert behavior.scale_up == ScalingRules(DEFAULT_SCALE_UP.policies, SelectPolicy.MIN)
    assert behavior.scale_down == ScalingRules(DEFAULT_SCALE_DOWN.policies, tolerance=0.05)


def test_given_policies_replace_the_default_list() -> None:
    policy = {"type": "Pods", "value": 2, "periodSeconds": 60}

    assert behavior_of(scaleUp={"policies": [policy]}).scale_up.policies == (ScalingPolicy(PolicyType.PODS, 2, 60),)


def test_windows_and_tolerances_of_zero_are_values() -> None:
    rules = behavior_of(scaleDown={"stabilizationWindowSeconds": 0, "tolerance": "0"}).scale_down

    assert (rules.stabilization_window_seconds, rules.tolerance) == (0, 0.0)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"maxReplicas": None}, r"spec\.maxReplicas is missing; give a whole number from 1"),
        ({"maxReplicas": 0}, r"spec\.maxReplicas is 0; give a whole number from 1"),
        ({"maxReplicas": "ten"}, r"spec\.maxReplicas is 'ten'; give a whole number"),
        ({"maxReplicas": True}, r"spec\.maxReplicas is True"),
        ({"maxReplicas": 2**31}, r"spec\.maxReplicas is 2147483648"),
        ({"minReplicas": 11}, r"spec\.minReplicas is 11; give a whole number from 0 to 10"),
        ({"minReplicas": -1}, r"spec\.minReplicas is -1"),
        ({"minReplicas": 0, "metrics": []}, r"minReplicas 0 and no Object or External metric.*; add one or set"),
        ({"metrics": "cpu"}, r"spec\.metrics is 'cpu'; give a list"),
        ({"metrics": ["cpu"]}, r"spec\.metrics\[0\] is 'cpu'; give a mapping of fields"),
        ({"metrics": [{}]}, r"spec\.metrics\[0\]\.type is missing; give Resource or Pods or Object or External"),
        ({"metrics": [{"type": "ContainerResource"}]}, r"spec\.metrics\[0\]\.type is 'ContainerResource'; give"),
        ({"metrics": [{"type": ["Pods"]}]}, r"spec\.metrics\[0\]\.type is \['Pods'\]; give"),
        ({"metrics": [{"type": "Pods"}]}, r"spec\.metrics\[0\]\.pods is missing; give it, such as"),
        ({"metrics": [{"type": "Pods", "pods": {}}]}, r"pods\.target is missing; give it, such as \{type: AverageV"),
        ({"behavior": []}, r"spec\.behavior is \[\]; give a mapping"),
        ({"behavior": {"scaleUp": {"policies": []}}}, r"spec\.behavior\.scaleUp\.policies is empty; give a policy"),
        ({"behavior": {"scaleUp": {"policies": [{}]}}}, r"scaleUp\.policies\[0\]\.type is missing; give Pods or Perc"),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 15}]}}},
            r"policies\[0\]\.value is 0; give a whole number from 1",
        ),
        (
            {"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}},
            r"policies\[0\]\.periodSeconds is 1801; give a whole number from 1 to 1800",
        ),
        (
            {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601}}},
            r"scaleDown\.stabilizationWindowSeconds is 3601; give a whole number from 0 to 3600",
        ),
        ({"behavior": {"scaleDown": {"selectPolicy": "max"}}}, r"selectPolicy is 'max'; give Max or Min or Disabled"),
        ({"behavior": {"scaleDown": {"tolerance": "-50m"}}}, r"scaleDown\.tolerance is negative; give 0 or more"),
        ({"behavior": {"scaleDown": {"tolerance": "5%"}}}, r"scaleDown\.tolerance is '5%', which is no quantity"),
    ],
)
def test_a_wrong_manifest_is_refused_with_what_where_and_what_to_do(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        parsed(**fields)


@pytest.mark.parametrize(
    ("kind", "target", "complaint"),
    [
        ("Pods", {"type": "Value", "value": "1"}, r"target\.type is Value, which Pods has not; give AverageValue"),
        ("External", {"type": "Utilization"}, r"Utilization, which External has not; give Value or AverageValue"),
        ("External", {"type": "Value"}, r"target\.value is None; Value needs it, above 0"),
        ("External", {"type": "Value", "value": "0"}, r"target\.value is 0; Value needs it, above 0"),
        ("External", {"type": "Value", "value": "-1"}, r"target\.value is -1000; Value needs it"),
        ("External", {"type": "Value", "averageValue": "1"}, r"type Value and a field averageValue; give value and n"),
        ("Resource", {"type": "Utilization", "averageUtilization": 0}, r"averageUtilization is 0; give a whole number"),
        ("External", {"averageValue": "1"}, r"external\.target\.type is missing; give Utilization or"),
        ("External", {"type": "Value", "value": "1 k"}, r"spec\.metrics\[0\]\.external\.target\.value is '1 k', which"),
    ],
)
def test_a_target_that_does_not_fit_its_metric_is_refused(kind: str, target: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        metric_of(kind, target)


@pytest.mark.parametrize("name", [5, ["demand"]])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(InputError, match=r"external\.metric\.name is .*; give a text"):
        metric_of("External", {"type": "Value", "value": "1"}, metric={"name": name})


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: HpaSpec.for_demand(1000, 5, 4), "HPA with 5 to 4 replicas; give 0 <= minReplicas"),
        (lambda: HpaSpec.for_demand(1000, 0, 0), "HPA with 0 to 0 replicas"),
        (lambda: HpaSpec.for_demand(0, 1, 4), "metric demand: the target is 0; give one above 0"),
        (lambda: HpaSpec.for_demand(1000, 1, 4, 3601), "stabilization window of 3601 s; give 0 to 3600"),
        (lambda: HpaSpec(1, 4, ()), "HPA without metrics"),
        (lambda: HpaSpec(0, 4, (CPU,)), "no Object or External metric"),
        (lambda: MetricSpec(Source.PODS, TargetType.VALUE, 1), "metric Pods: Pods metrics have no target type Value"),
        (lambda: ScalingRules(()), "scaling rules without policies"),
        (lambda: ScalingRules(DEFAULT_SCALE_UP.policies, tolerance=-0.1), "tolerance is -0.1; give a share"),
        (lambda: ScalingRules(DEFAULT_SCALE_UP.policies, tolerance=float("nan")), "tolerance is nan; give a share"),
        (lambda: ScalingPolicy(PolicyType.PODS, 0, 15), "scaling policy Pods: 0 in 15 s; give a value above 0"),
        (lambda: ScalingPolicy(PolicyType.PODS, 1, 0), "scaling policy Pods: 1 in 0 s"),
        (lambda: ScalingPolicy(PolicyType.PODS, 1, 1801), "a period of 1 to 1800 seconds"),
        (lambda: ControllerSettings(tolerance=-1), "tolerance is -1; give a share of 0 or more"),
        (lambda: ControllerSettings(sync_period_seconds=0), "sync_period_seconds is 0"),
        (lambda: ControllerSettings(initial_readiness_delay_seconds=-1), "initial_readiness_delay_seconds is -1"),
    ],
)
def test_what_is_built_in_python_is_checked_too(build: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        build()


def test_the_controllers_defaults_are_those_of_kube_controller_manager() -> None:
    settings = ControllerSettings()

    assert (settings.tolerance, settings.downscale_stabilization_seconds, settings.sync_period_seconds) == (
        0.1,
        300,
        15,
    )
    assert (settings.cpu_initialization_period_seconds, settings.initial_readiness_delay_seconds) == (300, 30)


def test_an_hpa_on_demand_has_no_behavior_unless_a_window_is_given() -> None:
    plain, windowed = HpaSpec.for_demand(35_000, 2, 40), HpaSpec.for_demand(35_000, 2, 40, 120)

    assert plain.metrics == (MetricSpec(Source.EXTERNAL, TargetType.AVERAGE_VALUE, 35_000, "demand"),)
    assert (plain.min_replicas, plain.max_replicas, plain.behavior) == (2, 40, None)
    assert windowed.behavior == Behavior(
        DEFAULT_SCALE_UP, ScalingRules(DEFAULT_SCALE_DOWN.policies, stabilization_window_seconds=120)
    )


def test_an_hpa_on_demand_may_wait_on_the_way_up_as_well() -> None:
    hpa = Stepped(HpaSpec.for_demand(1000, 1, 40, scale_up_stabilization_seconds=60), EXACT)
    hpa.look(0, 5, wants(5))

    assert reasons(hpa.look(59, 5, wants(7)))["AbleToScale"] == "ScaleUpStabilized"
    assert hpa.look(60, 5, wants(7)).scaled_to == 7


def test_the_default_behavior_adds_four_or_doubles_in_a_quarter_of_a_minute() -> None:
    hpa = Stepped(HpaSpec.for_demand(1000, 1, 1000, 300), EXACT)

    assert [hpa.look(15 * step, replicas, wants(999)).scaled_to for step, replicas in enumerate((2, 6, 12))] == [
        6,
        12,
        24,
    ]
