from __future__ import annotations

import numpy as np

from predictor.baselines import persistence
from predictor.online import OnlineSettings
from predictor.scores import actual_paths
from tests.builders import DAY, daily_demand
from training.simulator.forecasters import calibrate_points

SETTINGS = OnlineSettings(levels=(0.1, 0.5, 0.9), horizon=4, memory_steps=DAY)


def test_point_forecasts_become_quantiles_that_hold() -> None:
    values = daily_demand(12 * DAY)
    origins = np.arange(len(values) - 4)

    issued = calibrate_points(SETTINGS, values, origins, persistence(values, origins, 4)[None], 1.0)

    path, peak = actual_paths(values, origins, 4)
    judged = slice(6 * DAY, None)
    for head, actual in enumerate((path, peak)):
        for column, level in enumerate(SETTINGS.levels):
            kept = (actual[judged, 3] <= issued[0, judged, head, 3, column]).mean()
            assert abs(kept - level) < 0.04


def test_nothing_is_learnt_before_it_is_known() -> None:
    values = daily_demand(3 * DAY)
    origins = np.arange(2 * DAY)
    changed = values.copy()
    changed[2 * DAY :] = 1e6
    points = persistence(values, origins, 4)[None]

    one = calibrate_points(SETTINGS, values, origins, points, 1.0)
    other = calibrate_points(SETTINGS, changed, origins, points, 1.0)

    np.testing.assert_array_equal(one, other)


def test_what_was_not_forecast_stays_unknown_and_a_gap_does_no_harm() -> None:
    values = daily_demand(2 * DAY)
    values[100:130] = np.nan
    origins = np.arange(2 * DAY)
    points = persistence(values, origins, 4)
    points[:50] = np.nan

    issued = calibrate_points(SETTINGS, values, origins, points[None], 1.0)

    assert np.isnan(issued[0, :50]).all()
    assert np.isfinite(issued[0, 50:]).all()
