from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.decision import decide
from controller.guardrails import GUARDRAILS, LAST_WORDS, MOVES, WISHES, stay_within_bounds
from controller.spec import Event, Schedule
from controller.vocabulary import Memory, Reason
from tests.controller.builders import NOON, a_forecast, a_memory, a_spec, an_observation


def test_bounds_have_the_last_word() -> None:
    assert (*WISHES, *MOVES, *LAST_WORDS) == GUARDRAILS
    assert GUARDRAILS[-1] is stay_within_bounds


def test_without_a_forecast_the_floor_is_held_for_a_while_and_then_released() -> None:
    spec = a_spec(hold_seconds=600, scale_down_window_seconds=0, release_ratio_per_minute=1.0)
    seen = an_observation(forecast=None, demand=10.0)

    held, _ = decide(spec, seen, a_memory(8, seconds_ago=600))
    released, _ = decide(spec, seen, a_memory(8, seconds_ago=601))

    assert (held.floor, held.reason, held.has_opinion) == (8, Reason.HELD, False)
    assert (released.floor, released.trail[:2]) == (1, (Reason.NO_FORECAST, Reason.HPA_GOVERNS))


def test_without_any_data_the_floor_is_held_for_good() -> None:
    seen = an_observation(forecast=None, demand=None)

    decision, _ = decide(a_spec(), seen, a_memory(8, seconds_ago=86400))

    assert (decision.floor, decision.reason) == (8, Reason.HELD)


def test_a_forecast_may_not_ask_for_arbitrarily_more_than_present_demand_needs() -> None:
    spec = a_spec(scale_up_ratio=4.0, scale_up_replicas=10)

    far, _ = decide(spec, an_observation(demand=50.0, forecast=a_forecast(9000.0)), Memory())
    small, _ = decide(spec, an_observation(demand=10.0, forecast=a_forecast(9000.0)), Memory())

    assert (far.floor, far.reason) == (20, Reason.SCALE_UP_LIMITED)
    assert small.floor == 11


def test_without_present_demand_the_floor_may_stay_but_not_rise() -> None:
    decision, _ = decide(a_spec(), an_observation(demand=None, forecast=a_forecast(200.0)), a_memory(8))

    assert decision.floor == 8


def test_scale_down_waits_for_the_stabilization_window() -> None:
    spec = a_spec(scale_down_window_seconds=300, release_ratio_per_minute=1.0)
    seen = an_observation(demand=40.0, forecast=a_forecast(40.0))

    within, _ = decide(spec, seen, a_memory(8, seconds_ago=299))
    after, _ = decide(spec, seen, a_memory(8, seconds_ago=300))

    assert (within.floor, within.reason) == (8, Reason.SCALE_DOWN_STABILIZED)
    assert after.floor == 4


def test_the_floor_stays_through_a_collapse_of_demand() -> None:
    spec = a_spec(scale_down_window_seconds=0, release_ratio_per_minute=1.0, collapse_ratio=0.5)
    after = a_memory(8, seconds_ago=60)

    outage, _ = decide(spec, an_observation(demand=10.0, recent_peak_demand=80.0, forecast=a_forecast(10.0)), after)
    evening, _ = decide(spec, an_observation(demand=45.0, recent_peak_demand=80.0, forecast=a_forecast(45.0)), after)

    assert (outage.floor, outage.reason) == (8, Reason.DEMAND_COLLAPSED)
    assert evening.floor == 5


def test_without_an_opinion_a_collapse_of_demand_does_not_keep_the_floor() -> None:
    spec = a_spec(scale_down_window_seconds=0, release_ratio_per_minute=1.0, collapse_ratio=0.5, hold_seconds=30)

    seen = an_observation(demand=10.0, recent_peak_demand=80.0, forecast=None)

    lost, _ = decide(spec, seen, a_memory(8, seconds_ago=60))

    assert lost.floor < 8


def test_a_slightly_lower_floor_is_not_worth_a_change_and_a_slightly_higher_one_is() -> None:
    spec = a_spec(small_change_ratio=0.1, scale_down_window_seconds=0)
    after = a_memory(20, seconds_ago=60)

    lower, _ = decide(spec, an_observation(demand=190.0, forecast=a_forecast(185.0)), after)
    higher, _ = decide(spec, an_observation(demand=190.0, forecast=a_forecast(205.0)), after)

    assert (lower.floor, lower.reason) == (20, Reason.SMALL_CHANGE)
    assert higher.floor == 21


def test_the_floor_is_released_step_by_step() -> None:
    spec = a_spec(release_ratio_per_minute=0.5, scale_down_window_seconds=0)
    seen = an_observation(demand=10.0, forecast=a_forecast(10.0))

    minute, _ = decide(spec, seen, a_memory(20, seconds_ago=60))
    cycle, _ = decide(spec, seen, a_memory(20, seconds_ago=15))

    assert (minute.floor, minute.reason) == (10, Reason.RELEASE_LIMITED)
    assert cycle.floor == 17


def test_the_floor_is_never_below_what_present_demand_needs() -> None:
    decision, _ = decide(a_spec(), an_observation(demand=240.0, forecast=a_forecast(10.0)), Memory())

    assert (decision.floor, decision.reason, decision.reactive_replicas) == (20, Reason.REACTIVE_DEMAND, 20)


def test_without_an_opinion_the_users_hpa_governs() -> None:
    spec = a_spec(experience_demand=40.0)

    decision, _ = decide(spec, an_observation(demand=50.0, hpa_alone_replicas=9), Memory())

    assert (decision.floor, decision.reason, decision.trail[0]) == (9, Reason.HPA_GOVERNS, Reason.OUTSIDE_EXPERIENCE)


def test_with_an_opinion_the_users_hpa_alone_does_not_count() -> None:
    decision, _ = decide(a_spec(), an_observation(hpa_alone_replicas=30), Memory())

    assert decision.floor == 10


@pytest.mark.parametrize(
    ("bounds", "floor", "reason"), [((12, 40), 12, Reason.AT_MINIMUM), ((1, 6), 6, Reason.AT_MAXIMUM)]
)
def test_the_floor_stays_within_the_users_bounds(bounds: tuple[int, int], floor: int, reason: Reason) -> None:
    decision, _ = decide(a_spec(min_replicas=bounds[0], max_replicas=bounds[1]), an_observation(), Memory())

    assert (decision.floor, decision.reason) == (floor, reason)


def test_an_event_raises_the_floor_one_lead_before_it_begins_until_it_ends() -> None:
    launch = Event("launch", NOON, NOON + timedelta(hours=1), min_replicas=25)
    spec = a_spec(overrides=(launch,))

    def floor(minutes: float) -> int:
        now = NOON + timedelta(minutes=minutes)
        return decide(spec, an_observation(now=now, forecast=a_forecast(now=now)), Memory())[0].floor

    assert [floor(-3), floor(-2), floor(0), floor(59.9), floor(60)] == [10, 25, 25, 25, 10]


@pytest.mark.parametrize("day", [datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2026, 7, 1)])  # noqa: DTZ001
def test_a_schedule_follows_the_wall_clock_also_on_the_days_on_which_clocks_change(day: datetime) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    opening = Schedule("opening", time(8), time(9), "Europe/Berlin", min_replicas=25)
    spec = a_spec(overrides=(opening,))

    def floor(hour: int, minute: int) -> int:
        now = day.replace(hour=hour, minute=minute, tzinfo=berlin)
        return decide(spec, an_observation(now=now, forecast=a_forecast(now=now)), Memory())[0].floor

    assert [floor(7, 57), floor(7, 58), floor(8, 30), floor(8, 59), floor(9, 0)] == [10, 25, 25, 25, 10]


def test_a_schedule_may_run_past_midnight_from_the_days_it_names() -> None:
    night = Schedule("batch", time(23), time(1), weekdays=frozenset({0}), min_replicas=25)  # NOON is a Monday

    monday = datetime(2026, 3, 2, 23, 30, tzinfo=NOON.tzinfo)
    assert night.concerns(monday, monday)
    assert night.concerns(monday + timedelta(hours=1), monday + timedelta(hours=1))
    assert not night.concerns(monday + timedelta(days=1), monday + timedelta(days=1))
