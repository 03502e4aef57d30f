"""Holt-Winters forecasting as a baseline: level, damped trend and an additive season.  Pure and causal.

statsmodels fits one series once; a policy needs a forecast at every origin, so the recursion is rolled here, for all
candidate smoothing constants side by side.  The constants are those with the least error on the training span.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from predictor.forecast import IntArray
from predictor.series import FloatArray

ALPHAS = (0.05, 0.15, 0.4)  # level
BETAS = (0.0, 0.005, 0.03)  # trend
GAMMAS = (0.05, 0.2, 0.5)  # season
PHIS = (0.9, 0.98)  # damping
_FIT_SEASONS = 7  # the newest cycles of the training span are enough to choose among a few constants


def holt_winters(values: FloatArray, origins: IntArray, horizon: int, period: int, *, train_end: int) -> FloatArray:
    """Point forecasts (origin, horizon), NaN before the first full cycle.

    Smoothing constants are chosen on samples before `train_end` alone.  A missing sample leaves the state as predicted.
    """
    grid = np.array(list(product(ALPHAS, BETAS, GAMMAS, PHIS)))
    first = max(0, train_end - (_FIT_SEASONS + 2) * period)
    training = values[first:train_end]
    judged = np.arange(min(2 * period, len(training) - 1), max(len(training) - horizon, 1), max(1, horizon // 3))
    forecasts = _roll(training, judged, horizon, period, grid)  # (grid, origin, horizon)
    ahead = judged[:, None] + np.arange(1, horizon + 1)
    actual = np.where(ahead < len(training), training[np.minimum(ahead, len(training) - 1)], np.nan)
    with np.errstate(invalid="ignore"):
        error = np.nansum(np.abs(forecasts - actual), axis=(1, 2))
    best = grid[int(np.argmin(error))]
    forecast: FloatArray = np.maximum(_roll(values, origins, horizon, period, best[None])[0], 0.0)
    return forecast


def _roll(values: FloatArray, origins: IntArray, horizon: int, period: int, grid: FloatArray) -> FloatArray:
    """Forecasts of every candidate in `grid` (candidate, 4) at rising origins: (candidate, origin, horizon)."""
    alpha, beta, gamma, phi = grid.T
    damping = np.cumsum(phi[:, None] ** np.arange(1, horizon + 1), axis=1)
    out = np.full((len(grid), len(origins), horizon), np.nan)
    start = values[:period]
    if len(values) <= period or not np.isfinite(start).any():
        return out
    center = float(np.nanmean(start))
    season = np.tile(np.nan_to_num(start - center, nan=0.0), (len(grid), 1))  # (candidate, period)
    level, trend = np.full(len(grid), center), np.zeros(len(grid))
    steps = np.arange(1, horizon + 1)
    row = int(np.searchsorted(origins, period))
    for index in range(period, int(origins[-1]) + 1 if len(origins) else 0):
        value, phase = values[index], index % period
        expected = level + phi * trend
        if value == value:
            seasonal = season[:, phase]
            new = alpha * (value - seasonal) + (1 - alpha) * expected
            trend = beta * (new - level) + (1 - beta) * phi * trend
            season[:, phase] = gamma * (value - new) + (1 - gamma) * seasonal
            level = new
        else:
            level, trend = expected, phi * trend
        if row < len(origins) and origins[row] == index:
            out[:, row] = level[:, None] + damping * trend[:, None] + season[:, (index + steps) % period]
            row += 1
    return out
