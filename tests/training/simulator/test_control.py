from __future__ import annotations

import numpy as np
import pytest

from controller.vocabulary import Reason
from predictor.errors import InputError
from predictor.series import FloatArray
from tests.builders import DAY, daily_demand
from tests.training.simulator.worlds import a_world, some_forecasts
from training.simulator.control import ForecastFeed, Stage, steer
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs
from training.simulator.run import figures, simulate

LOOSE = Knobs(HpaKnobs(1.0, 0, 1), FloorKnobs(0.9, 0.9, 60))


def ramp() -> FloatArray:
    """Quiet, then three times as much within ten minutes from sample 100 on."""
    return np.interp(np.arange(DAY), [0, 100, 110, DAY], [50.0, 50.0, 150.0, 150.0])


def test_a_floor_is_up_before_the_load_and_the_hpa_alone_comes_late() -> None:
    values = ramp()
    world = a_world(values)
    feed = ForecastFeed(some_forecasts(values, noise=0.0), 0, np.ones(len(world), dtype=np.int32))

    alone, ahead = steer(world, [Stage(0, Knobs(HpaKnobs(0.9)))]), steer(world, [Stage(0, LOOSE)], feed)

    middle = 105 * world.steps_per_sample
    assert alone.asked[middle - 8] < 10 <= ahead.asked[middle - 8]
    assert figures(simulate(world, ahead), slice(None)).late == 0
    assert figures(simulate(world, alone), slice(None)).late > 0


def test_the_same_world_and_policy_give_the_same_run() -> None:
    values = daily_demand(DAY)
    world = a_world(values)
    feed = ForecastFeed(some_forecasts(values), 0, np.ones(len(world), dtype=np.int32))

    one, other = (steer(world, [Stage(0, LOOSE)], feed) for _ in range(2))

    np.testing.assert_array_equal(one.asked, other.asked)
    assert one.reasons == other.reasons


def test_where_demand_leaves_all_experience_the_hpa_governs() -> None:
    values = ramp()
    world = a_world(values)
    alone = steer(world, [Stage(0, Knobs(HpaKnobs(0.5, 300, 1)))]).asked
    feed = ForecastFeed(some_forecasts(values, noise=0.0), 0, alone)

    steering = steer(world, [Stage(0, LOOSE, experience_demand=100.0)], feed)

    late = slice(120 * world.steps_per_sample, None)
    assert not steering.has_opinion[late].any()
    assert (steering.asked[late] >= alone[late]).all()
    assert steering.reasons[Reason.HPA_GOVERNS] > 0


def test_no_forecast_at_the_start_is_no_opinion_and_what_comes_late_is_used_late() -> None:
    values = daily_demand(DAY)
    world = a_world(values)
    feed = ForecastFeed(some_forecasts(values, first=60), 0, np.ones(len(world), dtype=np.int32))

    steering = steer(world, [Stage(0, LOOSE)], feed)

    known = 61 * world.steps_per_sample + world.lag_steps  # sample 60 is known when it is over, and a lag later
    assert not steering.has_opinion[:known].any()
    assert steering.has_opinion[known]


def test_knobs_may_change_on_the_way() -> None:
    world = a_world(daily_demand(DAY))
    middle = len(world) // 2

    steering = steer(world, [Stage(0, Knobs(HpaKnobs(0.9, 0, 1))), Stage(middle, Knobs(HpaKnobs(0.9, 0, 40)))])

    assert steering.asked[middle - 1] < 40
    assert (steering.asked[middle:] >= 40).all()


def test_a_policy_without_knobs_for_its_first_step_is_refused() -> None:
    with pytest.raises(InputError, match="first step"):
        steer(a_world(), [Stage(5, Knobs())])
