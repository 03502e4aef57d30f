from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from predictor.series import FloatArray
from training import holt_winters as module
from training.holt_winters import holt_winters

PERIOD = 24


def wave(steps: int, *, growth: float = 0.0, noise: float = 0.0) -> FloatArray:
    rng = np.random.default_rng(0)
    time = np.arange(steps)
    values: FloatArray = (
        100 + growth * time + 30 * np.sin(2 * np.pi * time / PERIOD) + noise * rng.standard_normal(steps)
    )
    return values


def test_a_wave_is_forecast_well_after_two_cycles() -> None:
    values = wave(20 * PERIOD, growth=0.05, noise=1.0)
    origins = np.arange(15 * PERIOD, 19 * PERIOD)

    forecast = holt_winters(values, origins, 6, PERIOD, train_end=15 * PERIOD)

    error = np.abs(forecast - values[origins[:, None] + np.arange(1, 7)]).mean()
    assert error < 2.5


def test_nothing_is_known_before_the_first_cycle() -> None:
    forecast = holt_winters(wave(10 * PERIOD), np.arange(0, 2 * PERIOD), 3, PERIOD, train_end=9 * PERIOD)

    assert np.isnan(forecast[:PERIOD]).all()
    assert np.isfinite(forecast[PERIOD:]).all()


def test_no_forecast_looks_ahead() -> None:
    values, origins = wave(20 * PERIOD, noise=3.0), np.arange(12 * PERIOD, 14 * PERIOD)
    changed = values.copy()
    changed[14 * PERIOD :] = 1e6

    np.testing.assert_array_equal(
        holt_winters(values, origins, 4, PERIOD, train_end=10 * PERIOD),
        holt_winters(changed, origins, 4, PERIOD, train_end=10 * PERIOD),
    )


def test_a_gap_leaves_the_state_as_predicted() -> None:
    values = wave(20 * PERIOD)
    values[10 * PERIOD : 10 * PERIOD + 5] = np.nan

    forecast = holt_winters(values, np.array([10 * PERIOD + 4]), 3, PERIOD, train_end=9 * PERIOD)

    expected = wave(20 * PERIOD)[10 * PERIOD + 5 : 10 * PERIOD + 8]
    assert np.abs(forecast[0] - expected).max() < 5


def test_the_recursion_is_that_of_statsmodels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ALPHAS", 0.4), ("BETAS", 0.005), ("GAMMAS", 0.2), ("PHIS", 0.98)):
        monkeypatch.setattr(module, name, (value,))
    values = wave(8 * PERIOD, noise=2.0)
    start = values[:PERIOD]

    mine = holt_winters(values, np.array([len(values) - 1]), 5, PERIOD, train_end=len(values))

    model = ExponentialSmoothing(
        values[PERIOD:], trend="add", damped_trend=True, seasonal="add", seasonal_periods=PERIOD,
        initialization_method="known", initial_level=start.mean(), initial_trend=0.0,
        initial_seasonal=start - start.mean(),
    )  # fmt: skip
    fitted = model.fit(
        smoothing_level=0.4, smoothing_trend=0.005, smoothing_seasonal=0.2, damping_trend=0.98, optimized=False
    )
    np.testing.assert_allclose(mine[0], fitted.forecast(5), rtol=0.02)
