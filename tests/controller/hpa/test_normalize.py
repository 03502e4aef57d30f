"""Rules 10 to 13: stabilization windows, rate limits and bounds."""

from __future__ import annotations

import pytest

from controller.hpa import ControllerSettings, SelectPolicy
from controller.hpa.normalize import ScaleEvents, remember_event, scale_down_limit, scale_up_limit
from controller.hpa.spec import Behavior
from tests.controller.hpa.builders import (
    ALL_AT_ONCE,
    NO_LIMIT,
    Stepped,
    a_spec,
    in_percent,
    in_pods,
    reasons,
    rules,
    wants,
)

NONE = ScaleEvents()


def test_without_behavior_replicas_fall_to_the_highest_recommendation_of_the_window() -> None:
    hpa = Stepped(a_spec())
    for now, replicas in ((0, 10), (15, 7), (30, 8)):
        hpa.look(now, 10, wants(replicas))

    looks = [hpa.look(now, 10, wants(2)) for now in (300, 301, 315, 316, 331)]

    assert [each.desired for each in looks] == [10, 8, 8, 8, 2]
    assert [reasons(each)["AbleToScale"] for each in looks[1:]] == ["SucceededRescale"] * 4


def test_without_behavior_a_recommendation_at_the_edge_of_the_window_still_counts() -> None:
    hpa = Stepped(a_spec(), ControllerSettings(tolerance=0.0, downscale_stabilization_seconds=60))
    hpa.look(0, 10, wants(10))

    assert hpa.look(60, 10, wants(3)).desired == 10
    assert hpa.look(60.5, 10, wants(3)).desired == 3


def test_recommendations_are_remembered_raw() -> None:
    hpa = Stepped(a_spec(bounds=(1, 12)))
    hpa.look(0, 10, wants(50))  # limited to 12

    assert hpa.memory.recommendations.highs[-1] == (0, 50)
    assert reasons(hpa.look(15, 12, wants(3)))["ScalingLimited"] == "TooManyReplicas"  # 50 again


@pytest.mark.parametrize(("current", "limit"), [(1, 4), (2, 4), (3, 6), (10, 20)])
def test_without_behavior_replicas_at_most_double_or_go_to_four(current: int, limit: int) -> None:
    outcome = Stepped(a_spec()).look(0, current, wants(1000))

    assert (outcome.desired, reasons(outcome)["ScalingLimited"]) == (limit, "ScaleUpLimit")


def test_without_behavior_the_bounds_are_named_when_they_limit() -> None:
    assert reasons(Stepped(a_spec(bounds=(1, 20))).look(0, 10, wants(30)))["ScalingLimited"] == "TooManyReplicas"
    assert reasons(Stepped(a_spec(bounds=(3, 20))).look(0, 3, wants(1)))["ScalingLimited"] == "DesiredWithinRange"
    hpa = Stepped(a_spec(bounds=(3, 20)))
    hpa.look(0, 3, wants(1))
    assert hpa.look(301, 6, wants(1)).desired == 3
    assert hpa.look(302, 3, wants(1)).conditions.scaling_limited == (True, "TooFewReplicas")


def test_the_limits_reason_is_the_lower_one() -> None:
    def limited(highest: int, *, plain: bool) -> str:
        spec = a_spec(bounds=(1, highest)) if plain else a_spec(bounds=(1, highest), up=rules(in_pods(10)))
        return reasons(Stepped(spec).look(0, 10, wants(500)))["ScalingLimited"]

    for plain in (True, False):
        assert limited(19, plain=plain) == "TooManyReplicas"
        assert limited(20, plain=plain) == "TooManyReplicas"
        assert limited(21, plain=plain) == "ScaleUpLimit"


def test_with_behavior_a_recommendation_at_the_edge_of_the_window_no_longer_counts() -> None:
    hpa = Stepped(a_spec(down=rules(ALL_AT_ONCE, window_seconds=60)))
    hpa.look(0, 10, wants(10))

    assert hpa.look(59, 10, wants(3)).desired == 10
    assert hpa.look(60, 10, wants(3)).desired == 3


def test_with_behavior_the_scale_up_window_too_is_open_at_its_edge() -> None:
    hpa = Stepped(a_spec(up=rules(NO_LIMIT, window_seconds=60)))
    hpa.look(0, 5, wants(5))

    assert hpa.look(59, 5, wants(9)).desired == 5
    assert hpa.look(60, 5, wants(9)).desired == 9


def test_replicas_stay_between_the_lowest_of_the_up_window_and_the_highest_of_the_down_window() -> None:
    hpa = Stepped(a_spec(up=rules(NO_LIMIT, window_seconds=100), down=rules(ALL_AT_ONCE, window_seconds=100)))
    for now, replicas in ((0, 10), (20, 6), (40, 14), (60, 10)):
        hpa.look(now, 10, wants(replicas))

    assert hpa.look(80, 10, wants(30)).desired == 10
    assert hpa.look(80, 4, wants(30)).desired == 6
    assert hpa.look(80, 50, wants(1)).desired == 30
    assert hpa.look(119, 9, wants(20)).desired == 9


def test_with_behavior_a_held_back_move_says_in_which_direction_it_was_meant() -> None:
    hpa = Stepped(a_spec(up=rules(NO_LIMIT, window_seconds=60), down=rules(ALL_AT_ONCE, window_seconds=60)))

    assert reasons(hpa.look(0, 10, wants(12)))["AbleToScale"] == "ScaleUpStabilized"
    assert reasons(hpa.look(1, 10, wants(8)))["AbleToScale"] == "ScaleDownStabilized"
    assert reasons(hpa.look(200, 8, wants(8)))["AbleToScale"] == "ReadyForNewScale"


def test_without_a_window_of_its_own_a_scale_down_waits_as_long_as_the_controller_says() -> None:
    spec = a_spec(up=rules(NO_LIMIT), down=rules(ALL_AT_ONCE, window_seconds=None))
    hpa = Stepped(spec, ControllerSettings(tolerance=0.0, downscale_stabilization_seconds=90))
    hpa.look(0, 10, wants(10))

    assert hpa.look(89, 10, wants(3)).desired == 10
    assert hpa.look(90, 10, wants(3)).desired == 3


def test_without_a_window_of_its_own_a_scale_up_does_not_wait() -> None:
    hpa = Stepped(a_spec(up=rules(NO_LIMIT, window_seconds=None)))
    hpa.look(0, 5, wants(5))

    assert hpa.look(0, 5, wants(9)).desired == 9


def test_the_smallest_and_greatest_allowed_change_are_selected_in_both_directions() -> None:
    policies = (in_pods(3), in_percent(50))

    up = [scale_up_limit(rules(*policies, select=each), NONE, 0, 10) for each in SelectPolicy]
    down = [scale_down_limit(rules(*policies, select=each), NONE, 0, 10) for each in SelectPolicy]

    assert dict(zip(SelectPolicy, zip(up, down, strict=True), strict=True)) == {
        SelectPolicy.MAX: (15, 5),
        SelectPolicy.MIN: (13, 7),
        SelectPolicy.DISABLED: (10, 10),
    }


def test_a_percentage_rounds_up_on_the_way_up_and_down_on_the_way_down() -> None:
    assert scale_up_limit(rules(in_percent(10)), NONE, 0, 1) == 2
    assert scale_down_limit(rules(in_percent(10)), NONE, 0, 1) == 0
    assert scale_up_limit(rules(in_percent(10)), NONE, 0, 100) == 111  # 100 * 1.1 is above 110 in float64
    assert scale_down_limit(rules(in_percent(90)), NONE, 0, 10) == 0  # and 10 * (1 - 0.9) below 1


def test_a_percentage_alone_never_gets_away_from_zero() -> None:
    assert scale_up_limit(rules(in_percent(900)), NONE, 0, 0) == 0


def test_a_limit_below_zero_truncates_towards_zero() -> None:
    assert scale_down_limit(rules(in_percent(50)), ScaleEvents(ups=((0, 4),)), 1, 1) == -1


def test_changes_of_both_directions_enter_both_limits() -> None:
    events = ScaleEvents(ups=((0, 5),), downs=((0, 2),))

    assert scale_up_limit(rules(in_pods(4)), events, 30, 10) == 10 - 5 + 2 + 4
    assert scale_down_limit(rules(in_pods(4)), events, 30, 10) == 10 - 5 + 2 - 4


def test_a_change_counts_over_each_policys_own_period_and_no_longer_at_its_edge() -> None:
    events = ScaleEvents(ups=((0, 5),))
    short_and_long = rules(in_pods(4, 15), in_pods(4, 60), select=SelectPolicy.MIN)

    assert scale_up_limit(rules(in_pods(4, 15)), events, 14.5, 10) == 9
    assert scale_up_limit(rules(in_pods(4, 15)), events, 15, 10) == 14
    assert scale_down_limit(rules(in_pods(4, 15)), ScaleEvents(downs=((0, 5),)), 15, 10) == 6
    assert scale_up_limit(short_and_long, events, 15, 10) == 9
    assert scale_up_limit(short_and_long, events, 60, 10) == 14


def test_a_policy_without_end_overflows_as_it_does_in_the_controller() -> None:
    hpa = Stepped(a_spec(up=rules(in_pods(2**31 - 1))))

    assert hpa.look(0, 5, wants(9)).desired == 5


def test_used_up_limits_hold_the_present_replicas() -> None:
    up = Stepped(a_spec(up=rules(in_pods(4))))
    down = Stepped(a_spec(down=rules(in_pods(4))))
    up.look(0, 10, wants(50), bounds=(20, 100))
    down.look(0, 30, wants(1), bounds=(1, 20))

    assert (up.look(15, 20, wants(50)).desired, down.look(15, 20, wants(1)).desired) == (20, 20)
    # 10 were added or removed, 4 may be: but nothing is taken back.


def test_with_behavior_each_limit_names_its_reason() -> None:
    def limited(current: int, wanted: int) -> str:
        spec = a_spec(bounds=(5, 20), up=rules(in_pods(4)), down=rules(in_pods(4)))
        return reasons(Stepped(spec).look(0, current, wants(wanted)))["ScalingLimited"]

    assert limited(10, 30) == "ScaleUpLimit"
    assert limited(17, 30) == "TooManyReplicas"
    assert limited(10, 1) == "ScaleDownLimit"
    assert limited(9, 1) == "TooFewReplicas"
    assert limited(8, 1) == "TooFewReplicas"
    assert limited(10, 12) == "DesiredWithinRange"


def test_a_disabled_direction_is_a_limit() -> None:
    spec = a_spec(down=rules(ALL_AT_ONCE, select=SelectPolicy.DISABLED))

    outcome = Stepped(spec).look(0, 10, wants(1))

    assert (outcome.scaled_to, reasons(outcome)["ScalingLimited"]) == (None, "ScaleDownLimit")


def test_without_behavior_no_change_is_remembered() -> None:
    assert remember_event(None, NONE, 0, 5, 9) == NONE


def test_a_change_is_remembered_in_its_direction() -> None:
    behavior = Behavior(rules(in_pods(1)), rules(in_pods(1)))

    assert remember_event(behavior, NONE, 0, 5, 9) == ScaleEvents(ups=((0, 4),))
    assert remember_event(behavior, NONE, 0, 9, 5) == ScaleEvents(downs=((0, 4),))


def test_a_new_change_takes_the_last_slot_that_its_own_direction_no_longer_counts() -> None:
    behavior = Behavior(rules(in_pods(1, 15), in_pods(1, 60)), rules(in_pods(1, 600)))
    events = ScaleEvents(ups=((0, 1), (10, 2), (50, 3)))

    assert remember_event(behavior, events, 71, 5, 9).ups == ((0, 1), (71, 4), (50, 3))
    assert remember_event(behavior, events, 60, 5, 9).ups == ((0, 1), (10, 2), (50, 3), (60, 4))  # 0 is at the edge
    assert remember_event(behavior, events, 60.5, 5, 9).ups == ((60.5, 4), (10, 2), (50, 3))


def test_a_scale_down_takes_slots_by_its_own_longest_period() -> None:
    behavior = Behavior(rules(in_pods(1, 600)), rules(in_pods(1, 60)))

    assert remember_event(behavior, ScaleEvents(downs=((0, 1),)), 61, 9, 5).downs == ((61, 4),)


def test_a_change_overwritten_early_is_missing_from_the_other_directions_limit() -> None:
    hpa = Stepped(a_spec(up=rules(in_pods(100, 15)), down=rules(in_pods(2, 600))))
    hpa.look(0, 10, wants(20))
    hpa.look(30, 20, wants(21))  # takes the slot of the first, which the scale-down policy still would count

    assert hpa.look(45, 21, wants(1)).desired == 18  # 21 - 1 - 2; with both changes counted it could be 8


def test_only_what_can_still_be_an_extreme_is_kept() -> None:
    hpa = Stepped(a_spec(up=rules(NO_LIMIT, window_seconds=600), down=rules(ALL_AT_ONCE, window_seconds=600)))
    for now, replicas in ((0, 9), (15, 7), (30, 8), (45, 8)):
        hpa.look(now, 9, wants(replicas))

    assert hpa.memory.recommendations == (((0, 9), (45, 8)), ((15, 7), (45, 8)))
