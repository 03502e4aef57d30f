from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from controller.capacity import lead_steps, peak_demand, plan_capacity, replicas_for
from controller.spec import Event
from controller.vocabulary import Reason
from tests.controller.builders import LEVELS, NOON, a_forecast, a_rising_forecast, a_spec, an_observation


@pytest.mark.parametrize(
    ("demand", "replicas"), [(0.0, 0), (0.1, 1), (10.0, 1), (10.0 + 1e-12, 1), (10.1, 2), (99.9, 10)]
)
def test_replicas_are_the_fewest_that_carry_the_demand(demand: float, replicas: int) -> None:
    assert replicas_for(demand, 10.0) == replicas


def test_the_plan_is_the_quantile_of_the_coming_peak() -> None:
    plan = plan_capacity(a_spec(quantile=0.9), an_observation(forecast=a_forecast(95.0)))

    assert (plan.replicas, plan.reason, plan.demand) == (10, Reason.FORECAST_DEMAND, 95.0)


def test_the_lead_is_start_up_and_control_delay_after_the_forecasts_age() -> None:
    spec, seen = a_spec(startup_seconds=90.0, control_delay_seconds=30.0), an_observation()

    assert lead_steps(spec, seen, a_forecast(age_seconds=0)) == 2.0
    assert lead_steps(spec, seen, a_forecast(age_seconds=45)) == 2.75


def test_between_two_steps_the_peak_is_interpolated() -> None:
    forecast = a_rising_forecast(100.0, 10.0)

    assert peak_demand(forecast, 2.0, 0.9) == 110.0
    assert peak_demand(forecast, 2.75, 0.9) == pytest.approx(117.5)
    assert peak_demand(forecast, 15.0, 0.9) == 240.0


def test_between_two_levels_the_quantile_is_interpolated_and_beyond_the_last_it_stays() -> None:
    forecast = a_forecast(100.0)

    assert peak_demand(forecast, 1, 0.7) == pytest.approx(90.0)
    assert peak_demand(forecast, 1, 0.999) == pytest.approx(120.0)
    assert peak_demand(forecast, 1, 0.1) == pytest.approx(80.0)
    rising = [peak_demand(forecast, 1, level) for level in np.linspace(0.01, 0.999, 60)]
    assert rising == sorted(rising)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"forecast": None}, Reason.NO_FORECAST),
        ({"forecast": a_forecast(age_seconds=301)}, Reason.FORECAST_STALE),
        ({"forecast": a_forecast(age_seconds=-60)}, Reason.FORECAST_STALE),
        ({"is_trusted": False}, Reason.NOT_TRUSTED),
        ({"demand": 200.0}, Reason.OUTSIDE_EXPERIENCE),
        ({"recent_peak_demand": 200.0}, Reason.OUTSIDE_EXPERIENCE),
        ({"forecast": a_forecast(horizon=1)}, Reason.FORECAST_TOO_SHORT),
        ({"forecast": a_forecast(float("nan"))}, Reason.FORECAST_INVALID),
        ({"forecast": a_forecast(float("inf"))}, Reason.FORECAST_INVALID),
    ],
)
def test_a_forecast_that_cannot_be_followed_is_no_opinion_with_its_reason(
    changes: dict[str, object], reason: Reason
) -> None:
    plan = plan_capacity(a_spec(experience_demand=150.0), an_observation(**changes))

    assert (plan.replicas, plan.reason) == (None, reason)


def test_an_announced_event_multiplies_the_forecast_from_one_lead_before() -> None:
    launch = Event("launch", NOON + timedelta(seconds=100), NOON + timedelta(hours=1), demand_factor=3.0)

    before = plan_capacity(a_spec(overrides=(launch,)), an_observation(now=NOON - timedelta(minutes=5)))
    within = plan_capacity(a_spec(overrides=(launch,)), an_observation())

    assert (before.replicas, within.replicas) == (10, 30)


def test_a_cost_ratio_means_the_newsvendor_quantile() -> None:
    spec = a_spec(quantile=None, cost_ratio=9.0)

    assert spec.level == pytest.approx(0.9)
    assert LEVELS[1] == pytest.approx(spec.level)
