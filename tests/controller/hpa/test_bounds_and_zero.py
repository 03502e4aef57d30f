"""Rules 1 to 3: the order of a step, bounds, and zero replicas."""

from __future__ import annotations

from controller.hpa import Condition, Conditions, Failed, HpaMemory
from tests.controller.hpa.builders import (
    ALL_AT_ONCE,
    CPU,
    EXACT,
    RATE,
    Stepped,
    a_spec,
    in_pods,
    reasons,
    rules,
    wants,
)

MADE_ZERO = HpaMemory(conditions=Conditions(scaled_to_zero=Condition(True, "ScaledToZero")))


def test_replicas_above_the_maximum_are_set_to_it_without_looking_at_metrics() -> None:
    outcome = Stepped(a_spec(bounds=(1, 20))).look(0, 50, Failed())

    assert (outcome.scaled_to, outcome.desired, outcome.error) == (20, 20, None)
    assert reasons(outcome) == {"AbleToScale": "SucceededRescale", "ScaledToZero": "NotScaledToZero"}


def test_replicas_below_the_minimum_are_set_to_it_without_looking_at_metrics() -> None:
    outcome = Stepped(a_spec(bounds=(3, 20))).look(0, 2, Failed())

    assert (outcome.scaled_to, outcome.desired, outcome.error) == (3, 3, None)


def test_replicas_at_a_bound_are_within_it() -> None:
    hpa = Stepped(a_spec(bounds=(3, 20)))

    assert hpa.look(0, 20, wants(20)).scaled_to is None
    assert reasons(hpa.look(15, 3, wants(20)))["ScalingActive"] == "ValidMetricFound"


def test_the_bounds_of_a_look_override_those_of_the_spec() -> None:
    hpa = Stepped(a_spec(bounds=(1, 100)))

    assert hpa.look(0, 10, wants(10), bounds=(12, 100)).scaled_to == 12
    assert hpa.look(15, 12, wants(12), bounds=(1, 7)).scaled_to == 7
    assert hpa.look(30, 7, wants(200), bounds=(1, 8)).scaled_to == 8


def test_out_of_bounds_the_conditions_on_scaling_keep_their_values() -> None:
    hpa = Stepped(a_spec(bounds=(1, 20)))
    hpa.look(0, 10, wants(500))

    outcome = hpa.look(15, 30, wants(10))

    assert reasons(outcome)["ScalingActive"] == "ValidMetricFound"
    assert reasons(outcome)["ScalingLimited"] == "TooManyReplicas"
    assert outcome.changed_conditions == {}


def test_out_of_bounds_nothing_is_recommended() -> None:
    hpa = Stepped(a_spec(bounds=(1, 20)))
    hpa.look(0, 10, wants(10))
    hpa.look(15, 50, wants(15))

    assert hpa.look(30, 20, wants(5)).scaled_to == 10  # the highest of 10 and 5: neither 15 nor 50 is known


def test_being_lifted_to_the_minimum_counts_as_a_scale_up() -> None:
    hpa = Stepped(a_spec(up=rules(in_pods(4))))
    hpa.look(0, 2, wants(2), bounds=(5, 100))

    assert hpa.look(15, 5, wants(50)).scaled_to == 6  # 2 + 4 within the minute


def test_being_cut_to_the_maximum_counts_as_a_scale_down() -> None:
    hpa = Stepped(a_spec(down=rules(in_pods(4))))
    hpa.look(0, 20, wants(20), bounds=(1, 17))

    assert hpa.look(15, 17, wants(1)).scaled_to == 16  # 20 - 4 within the minute


def test_zero_replicas_set_by_somebody_else_disable_scaling() -> None:
    hpa = Stepped(a_spec(bounds=(0, 20)))

    outcome = hpa.look(0, 0, wants(10))

    assert (outcome.scaled_to, outcome.desired, outcome.error) == (None, 0, None)
    assert reasons(outcome) == {"AbleToScale": "SucceededGetScale", "ScalingActive": "ScalingDisabled"}


def test_while_disabled_nothing_is_recommended_and_the_limit_keeps_its_reason() -> None:
    hpa = Stepped(a_spec(bounds=(1, 20)))
    hpa.look(0, 10, wants(500))
    disabled = hpa.look(15, 0, wants(400))

    assert reasons(disabled)["ScalingLimited"] == "TooManyReplicas"
    assert reasons(disabled)["AbleToScale"] == "SucceededGetScale"
    assert hpa.memory.recommendations.highs == ((0, 500),)


def test_an_hpa_wakes_what_it_put_to_sleep_itself() -> None:
    hpa = Stepped(a_spec(bounds=(0, 20), down=rules(ALL_AT_ONCE)))

    asleep = hpa.look(0, 3, wants(0))
    awake = hpa.look(15, 0, wants(2))

    assert (asleep.scaled_to, reasons(asleep)["ScaledToZero"]) == (0, "ScaledToZero")
    assert (awake.scaled_to, reasons(awake)["ScaledToZero"]) == (2, "NotScaledToZero")


def test_what_was_woken_and_then_set_to_zero_by_somebody_else_stays_there() -> None:
    hpa = Stepped(a_spec(bounds=(0, 20), down=rules(ALL_AT_ONCE)))
    hpa.look(0, 3, wants(0))
    hpa.look(15, 0, wants(2))

    assert reasons(hpa.look(30, 0, wants(2)))["ScalingActive"] == "ScalingDisabled"


def test_from_zero_a_minimum_raised_meanwhile_is_reached_at_once() -> None:
    hpa = Stepped(a_spec(bounds=(0, 20), up=rules(in_pods(1)), down=rules(ALL_AT_ONCE)))
    hpa.look(0, 3, wants(0))

    outcome = hpa.look(90, 0, wants(2), bounds=(4, 20))

    assert outcome.scaled_to == 4
    assert reasons(outcome)["ScalingLimited"] == "ScaleUpLimit"  # from before the lift


def test_without_a_metric_that_outlives_pods_zero_disables_scaling_even_if_the_hpa_set_it() -> None:
    outcome = Stepped(a_spec(CPU), EXACT, MADE_ZERO).look(0, 0, Failed(), bounds=(0, 20))

    assert reasons(outcome)["ScalingActive"] == "ScalingDisabled"


def test_with_a_minimum_above_zero_the_metrics_are_read_at_a_zero_that_the_hpa_set() -> None:
    outcome = Stepped(a_spec(CPU), EXACT, MADE_ZERO).look(0, 0, Failed(), bounds=(1, 20))

    assert reasons(outcome)["ScalingActive"] == "FailedGetResourceMetric"


def test_zero_is_owned_only_by_an_hpa_whose_minimum_is_zero_and_whose_metrics_outlive_pods() -> None:
    on_pods = Stepped(a_spec(RATE)).look(0, 3, Failed(), bounds=(0, 0))
    on_demand = Stepped(a_spec()).look(0, 3, wants(3), bounds=(0, 0))
    above_zero = Stepped(a_spec()).look(0, 3, wants(3), bounds=(2, 2))

    assert [reasons(each)["ScaledToZero"] for each in (on_pods, on_demand, above_zero)] == [
        "NotScaledToZero",
        "ScaledToZero",
        "NotScaledToZero",
    ]


def test_the_first_look_recommends_the_present_replicas() -> None:
    hpa = Stepped(a_spec())

    first, edge, later = (hpa.look(now, 10, wants(2)) for now in (0, 300, 301))

    assert (first.scaled_to, edge.scaled_to, later.scaled_to) == (None, None, 2)
    assert reasons(first)["AbleToScale"] == "ScaleDownStabilized"


def test_the_first_look_holds_back_a_scale_up_that_has_a_window() -> None:
    hpa = Stepped(a_spec(up=rules(in_pods(100), window_seconds=60)))

    first, later = hpa.look(0, 3, wants(10)), hpa.look(60, 3, wants(10))

    assert (first.scaled_to, reasons(first)["AbleToScale"]) == (None, "ScaleUpStabilized")
    assert later.scaled_to == 10


def test_a_first_look_whose_metrics_fail_records_the_present_replicas_too() -> None:
    hpa = Stepped(a_spec())
    hpa.look(0, 10, Failed())

    assert hpa.look(15, 8, wants(5)).scaled_to == 10  # somebody made it 8, but 10 is what is remembered


def test_a_first_look_out_of_bounds_records_the_present_replicas_too() -> None:
    hpa = Stepped(a_spec(bounds=(1, 20)))
    hpa.look(0, 50, wants(5))

    assert hpa.look(15, 20, wants(5)).scaled_to is None  # 50 is remembered, so 20 stays
