"""The simple forecasts that a model has to beat, for many origins at once.  Pure and causal.

Every function maps demand (time,) and origins (origin,) to (origin, horizon) point forecasts; what cannot be known is
NaN.  An origin is the index of the last known sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from predictor.forecast import IntArray
from predictor.series import FloatArray
from predictor.windows import last_known, trailing_mean

STALE_STEPS = 60  # a last value older than this says nothing about now
RECENT_SECONDS = 300
LEVEL_STEPS = 15  # window of the level in the level-adjusted seasonal forecast

Baseline = Callable[[FloatArray, IntArray, int], FloatArray]


def persistence(values: FloatArray, origins: IntArray, horizon: int) -> FloatArray:
    """The last observed value, for every step ahead."""
    last = last_known(values, STALE_STEPS)
    return np.repeat(last[origins][:, None], horizon, axis=1)


def recent_mean(values: FloatArray, origins: IntArray, horizon: int, window: int) -> FloatArray:
    """Mean of what was observed in the last `window` steps, for every step ahead."""
    mean = last_known(trailing_mean(values, window), STALE_STEPS)
    return np.repeat(mean[origins][:, None], horizon, axis=1)


def seasonal_naive(values: FloatArray, origins: IntArray, horizon: int, period: int) -> FloatArray:
    """Demand one period before each step ahead; the latest cycle that is already known when the period is short."""
    steps = np.arange(1, horizon + 1)
    cycles = -(-steps // period)  # a season shorter than the horizon repeats
    index = origins[:, None] + steps - cycles * period
    return np.where(index >= 0, values[np.maximum(index, 0)], np.nan)


def level_adjusted_seasonal(values: FloatArray, origins: IntArray, horizon: int, period: int) -> FloatArray:
    """Last period's shape at the present level: its demand times level now / level then."""
    level = trailing_mean(values, LEVEL_STEPS)
    then = origins - period
    base = np.where(then >= 0, level[np.maximum(then, 0)], np.nan)
    ratio = np.where(base > 0, level[origins] / np.where(base > 0, base, 1.0), np.nan)
    return seasonal_naive(values, origins, horizon, period) * ratio[:, None]


def baselines(step_seconds: int, season_steps: tuple[int, ...]) -> Mapping[str, Baseline]:
    """All baselines that this step and these seasonal periods allow, by their key in the score card."""
    window = max(1, RECENT_SECONDS // step_seconds)
    table: dict[str, Baseline] = {
        "persistence": persistence,
        "mean_5min": lambda values, origins, horizon: recent_mean(values, origins, horizon, window),
    }
    names = ("seasonal_1d", "seasonal_7d")
    for name, period in zip(names, sorted(season_steps), strict=False):
        table[name] = _with_period(seasonal_naive, period)
    if season_steps:
        table["level_adjusted"] = _with_period(level_adjusted_seasonal, min(season_steps))
    return table


def _with_period(function: Callable[[FloatArray, IntArray, int, int], FloatArray], period: int) -> Baseline:
    return lambda values, origins, horizon: function(values, origins, horizon, period)
