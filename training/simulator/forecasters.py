"""Who may forecast in a simulated policy, each calibrated the same way, as it would have been issued then.

A fair comparison of forecasters changes the forecaster and nothing else: the simple ones give one value per step, and
the same online layer that calibrates the network spreads it into the same quantile levels, learning from each outcome
when it becomes known.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np

from predictor.baselines import level_adjusted_seasonal, persistence
from predictor.forecast import Float32Array, IntArray, IssuedForecasts
from predictor.forecaster import Forecaster, History
from predictor.online import OnlineSettings, initial_state, issue, learn
from predictor.series import FloatArray
from training.holt_winters import holt_winters


class Source(StrEnum):
    """Where a predictive policy's forecast comes from."""

    LSTM = "lstm"
    LEVEL_ADJUSTED = "level_adjusted"
    HOLT_WINTERS = "holt_winters"
    PERSISTENCE = "persistence"


SIMPLE = (Source.PERSISTENCE, Source.LEVEL_ADJUSTED, Source.HOLT_WINTERS)


def issue_forecasts(
    forecaster: Forecaster,
    history: History,
    first: int,
    last: int,
    *,
    train_end: int,
    on_stage: Callable[[str], None] = lambda _: None,
) -> dict[Source, IssuedForecasts]:
    """Every source's forecasts at origins first..last-1; seasonal ones only where the model has a season.

    Constants are fitted on samples before `train_end`; the online layers start empty at `first`.
    """
    on_stage(f"forecasting with the LSTM at {last - first:,} origins")
    issued = {Source.LSTM: forecaster.replay(history, first, last).calibrated}
    values, horizon = np.asarray(history.series.values), forecaster.horizon
    origins = np.arange(first, last)
    points = {Source.PERSISTENCE: persistence(values, origins, horizon)}
    if forecaster.schema.season_steps:
        period = forecaster.schema.season_steps[0]
        on_stage("forecasting with level-adjusted seasonal and Holt-Winters")
        points[Source.LEVEL_ADJUSTED] = level_adjusted_seasonal(values, origins, horizon, period)
        points[Source.HOLT_WINTERS] = holt_winters(values, origins, horizon, period, train_end=train_end)
    on_stage("calibrating the simple forecasts")
    simple = calibrate_points(
        forecaster.settings,
        values,
        origins,
        np.stack(list(points.values())),
        forecaster.offset(history.series),
        forecaster.kinds(history.series, origins),
    )
    for row, source in enumerate(points):
        path, peak = simple[row, :, 0], simple[row, :, 1]
        issued[source] = IssuedForecasts(history.series.name, origins, forecaster.levels, path, peak)
    return issued


def calibrate_points(
    settings: OnlineSettings,
    values: FloatArray,
    origins: IntArray,
    points: FloatArray,
    offset: float,
    kinds: IntArray | None = None,
) -> Float32Array:
    """Spread point forecasts (forecaster, origin, horizon) into quantiles by the online layer.

    Returns demand (forecaster, origin, head, horizon, level) as float32, NaN where there is no point forecast.
    """
    count = len(points)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_points = np.log(np.maximum(points, 0.0) + offset)  # (forecaster, origin, horizon)
        log_demand = np.log(values[origins] + offset)
    both = np.stack([log_points, np.maximum.accumulate(log_points, axis=-1)], axis=2)
    state = initial_state(settings, 1, count, kinds=1 if kinds is None else 2)
    out = np.empty((count, len(origins), 2, settings.horizon, len(settings.levels)), dtype=np.float32)
    level = np.zeros(count)  # quantiles are tracked in log demand itself
    for row in range(len(origins)):
        learn(settings, state, np.repeat(log_demand[row], count))
        quantiles = np.repeat(both[:, row, None, :, :, None], len(settings.levels), axis=-1)
        kind = None if kinds is None else np.repeat(kinds[row : row + 1], count, axis=0)
        final = issue(settings, state, quantiles, level, kind)
        out[:, row] = np.maximum(np.exp(final) - offset, 0.0)
    return out
