"""What a forecaster says: demand quantiles ahead, at each step and for the highest demand so far.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.series import FloatArray

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

DEFAULT_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.998)
DEFAULT_HORIZON = 15
MAX_HORIZON = 60
MEDIAN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Demand quantiles of one series, in its own unit; the first value is one step after `issued_at`.

    `path[h-1, q]` is the quantile of demand h steps ahead; `peak[h-1, q]` that of the highest demand of the next
    h steps, which is what capacity has to carry when new pods need h steps to start.
    """

    series: str
    issued_at: datetime  # UTC instant of the last known sample
    step_seconds: int
    levels: tuple[float, ...]
    path: FloatArray  # (horizon, level)
    peak: FloatArray  # (horizon, level)
    model: str  # short content hash of the bundle
    is_synthetic: bool = False

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        return int(self.path.shape[0])

    def instants(self) -> list[datetime]:
        """Instant of every step ahead, (horizon,)."""
        return [self.issued_at + timedelta(seconds=self.step_seconds * h) for h in range(1, self.horizon + 1)]


@dataclass(frozen=True, slots=True, eq=False)
class IssuedForecasts:
    """The forecasts of one forecaster at many origins of one series, as they would have been issued then."""

    series: str
    origins: IntArray  # (origin,), index of the last known sample
    levels: tuple[float, ...]
    path: Float32Array  # (origin, horizon, level)
    peak: Float32Array  # (origin, horizon, level)

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        return int(self.path.shape[1])

    def median(self) -> Float32Array:
        """The median path, (origin, horizon)."""
        return self.path[:, :, level_index(self.levels, MEDIAN)]


def level_index(levels: tuple[float, ...], level: float) -> int:
    """Position of a quantile level that must be among `levels`."""
    for position, candidate in enumerate(levels):
        if abs(candidate - level) < 1e-9:
            return position
    raise InputError(f"quantile level {level} is not among {', '.join(f'{q:g}' for q in levels)}; choose one of these")


def at_levels(quantiles: npt.NDArray[np.floating], levels: tuple[float, ...], wanted: tuple[float, ...]) -> FloatArray:
    """Quantiles (..., level) interpolated to other levels, (..., wanted); beyond the outermost, these themselves."""
    known, columns = np.asarray(levels), []
    for level in wanted:
        right = int(np.clip(np.searchsorted(known, level), 1, len(known) - 1))
        share = np.clip((level - known[right - 1]) / (known[right] - known[right - 1]), 0.0, 1.0)
        columns.append((1 - share) * quantiles[..., right - 1] + share * quantiles[..., right])
    return np.stack(columns, axis=-1).astype(np.float64)
