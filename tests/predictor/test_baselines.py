from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.baselines import (
    STALE_STEPS,
    baselines,
    level_adjusted_seasonal,
    persistence,
    recent_mean,
    seasonal_naive,
)
from predictor.series import FloatArray

MISSING = float("nan")
PERIOD = 40  # a "day" in these tests
WEEK = 7 * PERIOD


def at(*origins: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(origins, dtype=np.int64)


def test_persistence_repeats_the_last_observed_value() -> None:
    values = np.array([1.0, 2.0, MISSING, 4.0])

    assert persistence(values, at(1, 2, 3), 2).tolist() == [[2, 2], [2, 2], [4, 4]]


def test_a_last_value_that_is_too_old_is_no_forecast() -> None:
    values = np.full(STALE_STEPS + 3, MISSING)
    values[0] = 5.0

    forecast = persistence(values, at(STALE_STEPS, STALE_STEPS + 1), 1)[:, 0]

    assert forecast[0] == 5.0
    assert np.isnan(forecast[1])


def test_the_recent_mean_takes_what_was_observed_in_its_window() -> None:
    values = np.array([9.0, 1.0, MISSING, 3.0])

    assert recent_mean(values, at(3), 2, window=3).tolist() == [[2, 2]]


def test_the_five_minute_mean_is_five_minutes_at_every_step() -> None:
    values = np.arange(20.0)

    by_minute = baselines(60, ())["mean_5min"](values, at(19), 1)
    by_five = baselines(300, ())["mean_5min"](values, at(19), 1)
    by_ten = baselines(600, ())["mean_5min"](values, at(19), 1)

    assert (by_minute[0, 0], by_five[0, 0], by_ten[0, 0]) == (17.0, 19.0, 19.0)


def test_the_seasonal_forecast_is_demand_one_period_before_each_step() -> None:
    values = np.arange(100.0)

    assert seasonal_naive(values, at(60), 3, PERIOD).tolist() == [[21, 22, 23]]


def test_a_season_shorter_than_the_horizon_repeats_instead_of_seeing_the_future() -> None:
    values = np.arange(10.0)

    assert seasonal_naive(values, at(9), 5, period=2).tolist() == [[8, 9, 8, 9, 8]]


def test_before_the_first_period_there_is_no_seasonal_forecast() -> None:
    assert np.isnan(seasonal_naive(np.arange(50.0), at(10), 2, PERIOD)).all()


def test_level_adjustment_scales_yesterday_to_today() -> None:
    shape = 10 + np.arange(PERIOD) % 7
    values = np.concatenate([shape, 3 * shape]).astype(float)  # the same day at three times the level

    forecast = level_adjusted_seasonal(values, at(70), 4, PERIOD)

    assert forecast[0] == pytest.approx(values[71:75])


def test_an_idle_yesterday_gives_no_level_to_adjust() -> None:
    values = np.concatenate([np.zeros(PERIOD), np.full(PERIOD, 5.0)])

    assert np.isnan(level_adjusted_seasonal(values, at(60), 2, PERIOD)).all()


def test_one_table_lists_all_that_the_seasons_allow() -> None:
    assert list(baselines(60, ())) == ["persistence", "mean_5min"]
    assert list(baselines(60, (WEEK, PERIOD))) == [
        "persistence",
        "mean_5min",
        "seasonal_1d",
        "seasonal_7d",
        "level_adjusted",
    ]


@given(st.integers(0, 2**32 - 1), st.integers(0, 399), st.sampled_from([1, 15, 60]))
@settings(max_examples=40, deadline=None)
def test_the_future_changes_no_forecast(seed: int, origin: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.gamma(2.0, 10.0, size=400)
    values[rng.random(400) < 0.2] = MISSING
    other = values.copy()
    other[origin + 1 :] = 1e6

    for name, forecast in baselines(60, (PERIOD, WEEK)).items():
        known, changed = forecast(values, at(origin), horizon), forecast(other, at(origin), horizon)
        np.testing.assert_array_equal(known, changed, err_msg=name)


@pytest.mark.parametrize(
    ("trace", "published"),
    [
        ("ms_mongo_app01", (0.086, 0.092, 0.133, 0.064, 0.027)),
        ("worldcup98_may_to_21jun", (0.091, 0.093, 0.387, 0.640, 0.097)),
        ("nasa_http_jul1995", (0.400, 0.338, 0.488, 0.547, 0.479)),
        ("wsd_web_a", (0.049, 0.050, 0.066, 0.143, 0.032)),
    ],
)
def test_the_published_errors_of_real_traces_come_out(traces: Path, trace: str, published: tuple[float, ...]) -> None:
    values = read(traces / f"{trace}.csv.gz")
    # The last 30 % of the minutes, each forecast 15 minutes before, where all forecasts exist.
    origins = np.arange(int(0.7 * len(values)), len(values)) - 15
    actual = values[origins + 15]
    table = {key: f(values, origins, 15)[:, -1] for key, f in baselines(60, (1440, 10080)).items()}
    known = np.isfinite(np.stack([actual, *table.values()])).all(axis=0)

    for (key, forecast), expected in zip(table.items(), published, strict=True):
        wape = np.abs(actual - forecast)[known].sum() / actual[known].sum()
        # Half a unit in the third decimal: the published figures are rounded to it.
        assert wape == pytest.approx(expected, abs=0.00051), key


def read(path: Path) -> FloatArray:
    """The requests of a trace, NaN where the field is empty."""
    with gzip.open(path, "rt") as lines:
        next(lines)
        return np.array([float(field) if (field := line.rstrip().rsplit(",", 1)[1]) else MISSING for line in lines])
