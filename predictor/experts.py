"""The simple forecasts in the form that the online layer mixes with the network, many workloads at once.  Pure.

They are `predictor.baselines`, computed only where they are needed; a test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictor.baselines import LEVEL_STEPS, RECENT_SECONDS, STALE_STEPS
from predictor.forecast import Float32Array
from predictor.series import FloatArray
from predictor.windows import AnyFloat, last_known, trailing_mean

EXPERTS = ("persistence", "mean_5min", "level_adjusted")  # after the network, in this order
_FARTHEST = np.float32(4.0)  # log units from the present level; beyond is a division by an outage


def expert_count() -> int:
    """The network and the simple experts."""
    return 1 + len(EXPERTS)


@dataclass(frozen=True, slots=True)
class ExpertSettings:
    """What the simple experts need to know of a model."""

    horizon: int
    step_seconds: int
    season_steps: tuple[int, ...]

    @property
    def period(self) -> int | None:
        """Of the level-adjusted expert."""
        return min(self.season_steps) if self.season_steps else None


def simple_experts(
    settings: ExpertSettings, values: AnyFloat, count: int, log_level: FloatArray, offset: FloatArray
) -> Float32Array:
    """Log-relative point forecasts of every simple expert at the last `count` samples; no opinion is NaN.

    values: (batch, time) demand.  log_level: (batch, count).  offset: (batch,).
    Returns (batch, count, expert, head, horizon): each is one value for all levels; the online layer spreads it.
    """
    horizon = settings.horizon
    last = last_observed(values, count)
    window = max(1, RECENT_SECONDS // settings.step_seconds)
    mean = last_observed(_recent_mean(values, count + STALE_STEPS, window), count)
    shaped = _level_adjusted(settings, values, count)
    rows = [np.broadcast_to(flat[..., None], (*flat.shape, horizon)) for flat in (last, mean)]
    points = np.stack([*rows, shaped], axis=2)  # (batch, count, expert, horizon)
    with np.errstate(invalid="ignore", divide="ignore"):
        path = np.log(points + offset[:, None, None, None]) - log_level[:, :, None, None]
    path = np.minimum(np.maximum(path.astype(np.float32), -_FARTHEST), _FARTHEST)
    return np.stack([path, np.maximum.accumulate(path, axis=-1)], axis=3)


def last_observed(values: AnyFloat, count: int) -> FloatArray:
    """The last observed value at each of the last `count` samples, NaN when it is too old: (batch, count)."""
    return last_known(values[:, -(count + STALE_STEPS) :], STALE_STEPS)[:, -count:]


def _level_adjusted(settings: ExpertSettings, values: AnyFloat, count: int) -> FloatArray:
    """Last period's shape at the present level: (batch, count, horizon)."""
    period, time = settings.period, values.shape[1]
    if period is None:
        return np.full((len(values), count, settings.horizon), np.nan)
    origins = np.arange(time - count, time)
    now = _recent_mean(values, count, LEVEL_STEPS)
    then = _recent_mean(values[:, : max(time - period, 0)], count, LEVEL_STEPS)
    base = np.where(then > 0, then, np.nan)
    steps = np.arange(1, settings.horizon + 1)
    index = origins[:, None] + steps - -(-steps // period) * period  # a season shorter than the horizon repeats
    shape = np.where(index >= 0, values[:, np.maximum(index, 0)], np.nan)
    adjusted: FloatArray = shape * (now / base)[..., None]
    return adjusted


def _recent_mean(values: AnyFloat, count: int, window: int) -> FloatArray:
    """The trailing mean of the last `count` samples, (batch, count); NaN before the first."""
    missing = max(count - values.shape[1], 0)
    padded = np.pad(values, ((0, 0), (missing, 0)), constant_values=np.nan) if missing else values
    return trailing_mean(padded[:, -(count + window - 1) :], window)[:, -count:]
