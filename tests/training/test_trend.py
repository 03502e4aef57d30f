from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from predictor.series import FloatArray
from training.trend import damped_trend

MISSING = float("nan")


def wandering(length: int = 600, *, seed: int = 3) -> FloatArray:
    """Demand whose level wanders and whose samples are noisy."""
    rng = np.random.default_rng(seed)
    level = 500 + np.cumsum(rng.normal(0, 3, length))
    return np.asarray(level + rng.normal(0, 5, length), dtype=np.float64)


def every(values: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(len(values), dtype=np.int64)


def test_the_rolled_forecasts_are_those_of_statsmodels() -> None:
    values = wandering()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ExponentialSmoothing(values, trend="add", damped_trend=True, initialization_method="heuristic")
        theirs = model.fit().forecast(15)

    ours = damped_trend(values, np.array([len(values) - 1]), 15, train_end=len(values))[0]

    # Both start differently, which 600 samples later no longer shows.
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_later_demand_changes_no_forecast() -> None:
    values, other = wandering(), wandering()
    other[450:] *= 5

    ours = damped_trend(values, every(values)[:450], 15, train_end=400)
    changed = damped_trend(other, every(values)[:450], 15, train_end=400)

    np.testing.assert_array_equal(ours, changed)


def test_a_rise_is_carried_on_and_damped() -> None:
    values = np.concatenate([wandering(400), 500 + 20.0 * np.arange(60)])

    path = damped_trend(values, np.array([459]), 15, train_end=460)[0]
    steps = np.diff(path)

    assert (steps > 0).all()
    assert (np.diff(steps) <= 1e-9).all()


def test_demand_never_falls_below_zero() -> None:
    values = np.concatenate([wandering(300), np.linspace(500, 5, 50)])

    assert damped_trend(values, every(values), 60, train_end=350).min() >= 0


def test_missing_samples_leave_the_forecast_standing() -> None:
    values = wandering()
    values[500:505] = MISSING

    forecast = damped_trend(values, np.array([499, 504]), 10, train_end=400)

    # After five unseen steps, the next forecast is what had been forecast for then.
    assert forecast[1, :5] == pytest.approx(forecast[0, 5:])


def test_before_the_first_observed_sample_there_is_no_forecast() -> None:
    values = wandering()
    values[:50] = MISSING

    forecast = damped_trend(values, np.array([49, 50]), 3, train_end=400)

    assert np.isnan(forecast[0]).all()
    assert np.isfinite(forecast[1]).all()


def test_constant_demand_is_forecast_as_it_is() -> None:
    values = np.full(300, 42.0)

    assert damped_trend(values, np.array([299]), 15, train_end=300)[0] == pytest.approx(np.full(15, 42.0))


def test_a_long_trace_takes_seconds() -> None:
    values = np.maximum(wandering(110_000), 0.0)

    before = time.process_time()
    forecast = damped_trend(values, every(values), 15, train_end=77_000)

    assert forecast.shape == (110_000, 15)
    assert time.process_time() - before < 10
