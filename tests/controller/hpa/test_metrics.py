"""Rules 4, 8 and 9: several metrics, Object and External values, tolerance."""

from __future__ import annotations

import pytest

from controller.hpa import ControllerSettings, Failed, MetricSpec, Phase, PodValues, Source, TargetType, Values
from controller.hpa.spec import Tolerances
from predictor.errors import InputError
from tests.controller.hpa.builders import (
    ALL_AT_ONCE,
    DEMAND,
    NO_LIMIT,
    QUEUE,
    RATE,
    Stepped,
    a_pod,
    a_spec,
    reasons,
    rules,
    samples,
    some_pods,
    wants,
)

BOTH = a_spec(DEMAND, QUEUE, up=rules(NO_LIMIT))
TOTAL = MetricSpec(Source.EXTERNAL, TargetType.VALUE, 1000, "lag")
OBJECT_TOTAL = MetricSpec(Source.OBJECT, TargetType.VALUE, 1000, "length")


def test_the_highest_of_several_proposals_wins() -> None:
    assert Stepped(BOTH).look(0, 5, wants(3), wants(8)).scaled_to == 8
    assert Stepped(BOTH).look(0, 5, wants(8), wants(3)).scaled_to == 8


def test_when_all_metrics_fail_nothing_changes_and_the_first_one_is_the_reason() -> None:
    hpa = Stepped(BOTH)
    hpa.look(0, 5, wants(8), wants(3))

    outcome = hpa.look(15, 6, Failed(), Failed())  # somebody changed 8 to 6

    assert (outcome.scaled_to, outcome.desired, outcome.error) == (None, 8, "FailedGetExternalMetric")
    assert reasons(outcome)["AbleToScale"] == "SucceededGetScale"
    assert outcome.conditions.scaling_active == (False, "FailedGetExternalMetric")
    assert reasons(outcome)["ScalingLimited"] == "DesiredWithinRange"  # keeps its value


def test_what_was_desired_outlasts_any_number_of_failed_looks() -> None:
    hpa = Stepped(BOTH)
    hpa.look(0, 5, wants(8), wants(3))

    assert [hpa.look(now, 6, Failed(), Failed()).desired for now in (15, 30, 45)] == [8, 8, 8]


def test_a_failed_look_recommends_nothing() -> None:
    hpa = Stepped(BOTH)
    hpa.look(0, 5, wants(5), wants(5))
    before = hpa.memory.recommendations

    hpa.look(15, 5, wants(2), Failed())

    assert hpa.memory.recommendations == before


def test_when_some_metrics_fail_the_others_may_scale_up_but_the_error_is_told() -> None:
    outcome = Stepped(BOTH).look(0, 5, wants(8), Failed())

    assert (outcome.scaled_to, outcome.desired, outcome.error) == (8, 8, "FailedGetObjectMetric")
    assert reasons(outcome)["ScalingActive"] == "ValidMetricFound"


def test_when_some_metrics_fail_the_others_may_not_scale_down() -> None:
    outcome = Stepped(BOTH).look(0, 5, wants(4), Failed())

    assert (outcome.scaled_to, outcome.desired, outcome.error) == (None, 0, "FailedGetObjectMetric")
    assert reasons(outcome)["ScalingActive"] == "FailedGetObjectMetric"


def test_when_some_metrics_fail_and_the_others_agree_with_the_present_scaling_stays_active() -> None:
    outcome = Stepped(BOTH).look(0, 5, Failed(), wants(5))

    assert (outcome.scaled_to, outcome.desired, outcome.error) == (None, 5, "FailedGetExternalMetric")
    assert reasons(outcome)["ScalingActive"] == "ValidMetricFound"


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (DEMAND, "FailedGetExternalMetric"),
        (QUEUE, "FailedGetObjectMetric"),
        (RATE, "FailedGetPodsMetric"),
        (MetricSpec(Source.RESOURCE, TargetType.UTILIZATION, 50, "memory"), "FailedGetResourceMetric"),
    ],
)
def test_every_source_fails_with_its_own_reason(metric: MetricSpec, reason: str) -> None:
    assert Stepped(a_spec(metric)).look(0, 5, Failed()).error == reason


@pytest.mark.parametrize(("metric", "reading"), [(DEMAND, Values(())), (DEMAND, samples(5)), (RATE, wants(5))])
def test_an_empty_reading_or_one_of_another_kind_has_failed(metric: MetricSpec, reading: Values | PodValues) -> None:
    assert Stepped(a_spec(metric)).look(0, 1, reading, pods=some_pods(1)).error is not None


def test_a_metric_without_a_reading_is_refused() -> None:
    with pytest.raises(InputError, match="1 readings for 2 metrics"):
        Stepped(BOTH).look(0, 5, wants(5))


def test_the_series_of_an_external_metric_are_added_up() -> None:
    assert Stepped(a_spec()).look(0, 5, Values((2500, 0, 3600))).scaled_to == 7


def test_a_demand_below_zero_wants_no_replicas() -> None:
    hpa = Stepped(a_spec(bounds=(0, 20), down=rules(ALL_AT_ONCE)))

    outcome = hpa.look(0, 5, Values((-2500,)))

    assert (outcome.scaled_to, reasons(outcome)["ScalingLimited"]) == (0, "DesiredWithinRange")
    assert hpa.memory.recommendations.highs[-1] == (0, 0)


def test_a_negative_proposal_hides_one_of_zero_as_it_does_in_the_controller() -> None:
    spec = a_spec(DEMAND, QUEUE, RATE, bounds=(0, 20), down=rules(ALL_AT_ONCE))
    hpa = Stepped(spec)
    hpa.look(0, 1, wants(0), wants(0), samples(0), pods=some_pods(1))

    negative = hpa.look(15, 0, wants(0), wants(-3), Failed())
    zero = hpa.look(15, 0, wants(0), wants(0), Failed())

    assert (reasons(negative)["ScalingActive"], reasons(zero)["ScalingActive"]) == (
        "FailedGetPodsMetric",
        "ValidMetricFound",
    )


def test_an_average_is_taken_over_the_pods_that_exist_not_those_asked_for() -> None:
    hpa = Stepped(a_spec(up=rules(NO_LIMIT)), ControllerSettings(tolerance=0.1))

    assert hpa.look(0, 5, wants(8), status_replicas=8).scaled_to == 8
    assert hpa.look(15, 8, Values((8300,)), status_replicas=8).scaled_to is None  # within tolerance of 8
    assert hpa.look(30, 8, Values((8300,)), status_replicas=7).scaled_to == 9


@pytest.mark.parametrize("pods", [1, 7])
def test_an_average_within_tolerance_proposes_the_pods_that_exist(pods: int) -> None:
    hpa = Stepped(a_spec(down=rules(ALL_AT_ONCE)), ControllerSettings(tolerance=0.1))

    assert hpa.look(0, 5, Values((pods * 1050,)), status_replicas=pods).scaled_to == pods


@pytest.mark.parametrize(("usage_milli", "proposal"), [(0, 0), (1, 1), (2001, 3)])
def test_an_average_over_no_pods_is_never_within_tolerance(usage_milli: int, proposal: int) -> None:
    hpa = Stepped(a_spec(bounds=(0, 9), down=rules(ALL_AT_ONCE)), ControllerSettings(tolerance=0.9))

    assert hpa.look(0, 5, Values((usage_milli,)), status_replicas=0).desired == proposal


@pytest.mark.parametrize("metric", [TOTAL, OBJECT_TOTAL])
def test_a_value_multiplies_the_pods_that_run_and_are_ready(metric: MetricSpec) -> None:
    pods = (
        a_pod("p0"),
        a_pod("deleted", is_deleting=True),  # counts here
        a_pod("unready", is_ready=False),
        a_pod("new", is_ready=None),
        a_pod("failed", phase=Phase.FAILED),
    )

    assert Stepped(a_spec(metric, up=rules(NO_LIMIT))).look(0, 5, Values((3100,)), pods=pods).scaled_to == 7


def test_a_value_within_tolerance_keeps_the_replicas_asked_for() -> None:
    hpa = Stepped(a_spec(TOTAL), ControllerSettings(tolerance=0.1))

    assert hpa.look(0, 5, Values((1100,)), pods=some_pods(3)).desired == 5


def test_a_value_out_of_tolerance_fails_without_pods() -> None:
    assert Stepped(a_spec(TOTAL)).look(0, 5, Values((2000,))).error == "FailedGetExternalMetric"
    assert Stepped(a_spec(TOTAL)).look(0, 5, Values((1000,))).error is None


@pytest.mark.parametrize(("usage_milli", "proposal"), [(0, None), (50, 1), (1000, 1), (1050, 2), (3001, 4)])
def test_at_zero_replicas_a_value_is_the_ceiling_of_its_ratio(usage_milli: int, proposal: int | None) -> None:
    spec = a_spec(TOTAL, bounds=(0, 20), up=rules(NO_LIMIT), down=rules(ALL_AT_ONCE))
    hpa = Stepped(spec, ControllerSettings(tolerance=0.1))
    hpa.look(0, 1, Values((0,)), pods=some_pods(1))

    assert hpa.look(15, 0, Values((usage_milli,))).scaled_to == proposal


@pytest.mark.parametrize(("ratio", "allowed"), [(0.9, True), (0.899, False), (1.0, True), (1.1, True), (1.101, False)])
def test_tolerance_holds_at_both_ends(ratio: float, allowed: bool) -> None:
    assert Tolerances(0.1, 0.1).allow(ratio) is allowed


def test_a_tolerance_in_the_behavior_overrides_its_direction_alone() -> None:
    spec = a_spec(up=rules(NO_LIMIT, tolerance=0.5))

    assert spec.tolerances(ControllerSettings(tolerance=0.1)) == Tolerances(down_ratio=0.1, up_ratio=0.5)


def test_a_tolerance_of_zero_is_a_value() -> None:
    spec = a_spec(up=rules(NO_LIMIT, tolerance=0.0), down=rules(ALL_AT_ONCE, tolerance=0.0))
    hpa = Stepped(spec, ControllerSettings(tolerance=0.1))

    assert hpa.look(0, 100, Values((100_001,))).scaled_to == 101
    assert hpa.look(15, 101, Values((99_999,))).scaled_to == 100


def test_without_behavior_the_tolerance_is_the_controllers() -> None:
    hpa = Stepped(a_spec(), ControllerSettings(tolerance=0.1))

    assert hpa.look(0, 100, Values((110_000,))).scaled_to is None
    assert hpa.look(15, 100, Values((110_001,))).scaled_to == 111
