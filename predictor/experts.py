"""The simple forecasts in the form that the online layer mixes with the network, many workloads at once.  Pure.

They are `predictor.baselines`, computed only where they are needed; a test holds the two equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.baselines import LEVEL_STEPS, RECENT_SECONDS, STALE_STEPS
from predictor.forecast import Float32Array
from predictor.series import FloatArray

EXPERTS = ("persistence", "mean_5min", "level_adjusted")  # after the network, in this order
_FARTHEST = np.float32(4.0)  # log units from the present level; beyond is a division by an outage

AnyFloat = npt.NDArray[np.floating]


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
    mean = last_observed(_trailing_mean(values, count + STALE_STEPS, window), count)
    shaped = _level_adjusted(settings, values, count)
    rows = [np.broadcast_to(flat[..., None], (*flat.shape, horizon)) for flat in (last, mean)]
    points = np.stack([*rows, shaped], axis=2)  # (batch, count, expert, horizon)
    with np.errstate(invalid="ignore", divide="ignore"):
        path = np.log(points + offset[:, None, None, None]) - log_level[:, :, None, None]
    path = np.minimum(np.maximum(path.astype(np.float32), -_FARTHEST), _FARTHEST)
    return np.stack([path, np.maximum.accumulate(path, axis=-1)], axis=3)


def last_observed(values: AnyFloat, count: int) -> FloatArray:
    """The last observed value at each of the last `count` samples, NaN when it is too old: (batch, count)."""
    tail = _tail(values, count + STALE_STEPS)
    position = np.where(np.isfinite(tail), np.arange(tail.shape[1]), -1)
    np.maximum.accumulate(position, axis=1, out=position)
    position = position[:, -count:]
    age = np.arange(tail.shape[1] - count, tail.shape[1]) - position
    found = np.take_along_axis(tail, np.maximum(position, 0), axis=1)
    return np.where((position >= 0) & (age <= STALE_STEPS), found, np.nan)


def _level_adjusted(settings: ExpertSettings, values: AnyFloat, count: int) -> FloatArray:
    """Last period's shape at the present level: (batch, count, horizon)."""
    period, time = settings.period, values.shape[1]
    if period is None:
        return np.full((len(values), count, settings.horizon), np.nan)
    origins = np.arange(time - count, time)
    now = _trailing_mean(values, count, LEVEL_STEPS)
    then = _trailing_mean(values[:, : max(time - period, 0)], count, LEVEL_STEPS)
    base = np.where(then > 0, then, np.nan)
    steps = np.arange(1, settings.horizon + 1)
    index = origins[:, None] + steps - -(-steps // period) * period  # a season shorter than the horizon repeats
    shape = np.where(index >= 0, values[:, np.maximum(index, 0)], np.nan)
    adjusted: FloatArray = shape * (now / base)[..., None]
    return adjusted


def _trailing_mean(values: AnyFloat, count: int, window: int) -> FloatArray:
    """Mean of what was observed in the `window` samples up to each of the last `count`, NaN when none was."""
    tail = _tail(values, count + window - 1)
    seen = np.isfinite(tail)
    total = _window_sum(np.where(seen, tail, 0.0), window)
    number = _window_sum(seen, window)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _window_sum(values: npt.NDArray[np.generic], window: int) -> FloatArray:
    # Not a difference of running sums: these lose the small values that follow large ones.
    views = np.lib.stride_tricks.sliding_window_view(values, window, axis=1)
    total: FloatArray = views.sum(axis=-1, dtype=np.float64)
    return total


def _tail(values: AnyFloat, length: int) -> FloatArray:
    """The last `length` columns, with NaN before the first."""
    missing = max(length - values.shape[1], 0)
    tail = values[:, max(values.shape[1] - length, 0) :]
    return np.pad(tail, ((0, 0), (missing, 0)), constant_values=np.nan) if missing else tail  # type: ignore[return-value]
