"""Damped-trend exponential smoothing as a baseline: statsmodels fits it, a recursion rolls it over every origin."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from predictor.forecast import IntArray
from predictor.series import FloatArray

_FIT_STEPS = 2880  # the newest two days of a 60 s series are enough for three smoothing constants


def damped_trend(values: FloatArray, origins: IntArray, horizon: int, *, train_end: int) -> FloatArray:
    """Point forecasts (origin, horizon); smoothing constants come from the samples before `train_end` alone.

    Missing samples leave level and trend as predicted.
    """
    training = pd.Series(values[:train_end]).ffill().dropna().to_numpy()[-_FIT_STEPS:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a flat series makes the optimiser complain, and its answer is still fine
        model = ExponentialSmoothing(training, trend="add", damped_trend=True, initialization_method="heuristic")
        fitted = model.fit().params
    alpha = float(fitted["smoothing_level"])
    beta = float(np.nan_to_num(fitted["smoothing_trend"]))
    phi = float(np.nan_to_num(fitted["damping_trend"], nan=0.98))
    levels, trends = _states(values, alpha, beta, phi)
    damping = np.cumsum(phi ** np.arange(1, horizon + 1))
    return np.maximum(levels[origins][:, None] + trends[origins][:, None] * damping, 0.0)


def _states(values: FloatArray, alpha: float, beta: float, phi: float) -> tuple[FloatArray, FloatArray]:
    """Level and trend after every sample; NaN before the first observed one."""
    levels, trends = np.full(len(values), np.nan), np.full(len(values), np.nan)
    level, trend, started = 0.0, 0.0, False
    for index, value in enumerate(values.tolist()):
        if started:
            expected = level + phi * trend
            new = alpha * value + (1 - alpha) * expected if value == value else expected
            trend = beta * (new - level) + (1 - beta) * phi * trend if value == value else phi * trend
            level = new
        elif value == value:
            level, started = value, True
        if started:
            levels[index], trends[index] = level, trend
    return levels, trends
