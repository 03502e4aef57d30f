"""Trailing windows over samples of which some are missing: along the last axis, many series at once.  Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from predictor.series import FloatArray

AnyFloat = npt.NDArray[np.floating]


def trailing_mean(values: AnyFloat, window: int) -> FloatArray:
    """Mean of what was observed in the last `window` samples, NaN when none was."""
    seen = np.isfinite(values)
    total = _views(np.where(seen, values, 0.0), window, 0.0).sum(axis=-1, dtype=np.float64)
    count = _views(seen.astype(np.int64), window, 0).sum(axis=-1)
    # Not a difference of running sums: these lose the small values that follow large ones.
    mean: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def trailing_max(values: AnyFloat, window: int) -> FloatArray:
    """Highest of what was observed in the last `window` samples, NaN when none was."""
    highest: FloatArray = np.where(np.isfinite(values), values, -np.inf).astype(np.float64)
    reach = 1  # doubles: a maximum may look at a sample twice
    while reach < window:
        shift = min(reach, window - reach)
        highest[..., shift:] = np.maximum(highest[..., shift:], highest[..., :-shift])
        reach += shift
    return np.where(np.isneginf(highest), np.nan, highest)


def trailing_count(flags: npt.NDArray[np.bool_], window: int) -> npt.NDArray[np.int64]:
    """How many of the last `window` are true."""
    count: npt.NDArray[np.int64] = np.cumsum(flags, axis=-1, dtype=np.int64)
    count[..., window:] -= count[..., :-window].copy()
    return count


def last_known(values: AnyFloat, limit: int) -> FloatArray:
    """Carry the last observed value over at most `limit` missing samples; NaN beyond."""
    index = np.arange(values.shape[-1])
    position = np.where(np.isfinite(values), index, -1)
    np.maximum.accumulate(position, axis=-1, out=position)
    found = np.take_along_axis(values, np.maximum(position, 0), axis=-1)
    return np.where((position >= 0) & (index - position <= limit), found, np.nan)


def _views(values: npt.NDArray[np.generic], window: int, before: float) -> npt.NDArray[np.generic]:
    """(..., time, window), filled up with `before` where the window sticks out."""
    padding = [(0, 0)] * (values.ndim - 1) + [(window - 1, 0)]
    if not values.shape[-1]:
        return np.empty((*values.shape, window), values.dtype)
    padded = np.pad(values, padding, constant_values=before)
    views: npt.NDArray[np.generic] = np.lib.stride_tricks.sliding_window_view(padded, window, axis=-1)
    return views
