"""Windows that look back over demand with missing samples.  Pure; nothing here sees the future."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from predictor.series import FloatArray


def in_steps(seconds: int, step_seconds: int) -> int:
    """A duration in steps: rounded, half up, and at least one."""
    return max(1, (2 * seconds + step_seconds) // (2 * step_seconds))


def trailing_mean(values: FloatArray, steps: int) -> FloatArray:
    """Mean of what was observed in the `steps` samples up to and including each, (time,); NaN if none was."""
    seen = np.isfinite(values)
    # Summed window by window: differences of one long running sum would lose the last digits of late samples.
    total = _windows(np.where(seen, values, 0.0), steps, 0.0).sum(axis=-1)
    count = _windows(seen.astype(np.float64), steps, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)


def trailing_max(values: FloatArray, steps: int) -> FloatArray:
    """Highest observed of the `steps` samples up to and including each, (time,); NaN where none was."""
    highest = _windows(np.where(np.isfinite(values), values, -np.inf), steps, -np.inf).max(axis=-1)
    return np.where(np.isneginf(highest), np.nan, highest)


def carry_forward(values: FloatArray, steps: int) -> FloatArray:
    """The last observed value, (time,), if it is at most `steps` samples old; else NaN."""
    here = np.arange(values.size)
    last = last_known(np.isfinite(values))
    fresh = (last >= 0) & (here - last <= steps)
    return np.where(fresh, values[np.maximum(last, 0)], np.nan) if values.size else values.astype(np.float64)


def last_known(known: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Index of the last known sample up to and including each, (time,); -1 before the first."""
    return np.maximum.accumulate(np.where(known, np.arange(known.size), -1))


def _windows(values: FloatArray, steps: int, before: float) -> FloatArray:
    """Every sample's trailing window, (time, steps), as a view; `before` stands for what precedes it all."""
    if values.size == 0:
        return np.empty((0, steps))
    padded = np.concatenate([np.full(steps - 1, before), values])
    return np.lib.stride_tricks.sliding_window_view(padded, steps)
