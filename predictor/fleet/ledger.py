"""What was forecast and what came: enough to score many workloads over days, in bounded memory.  Changed in place.

Sums are kept in buckets of a twelfth of a cycle; what alarms and pictures need is kept step by step in rings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.forecast import MEDIAN, Float32Array, IntArray, at_levels, level_index
from predictor.online import Resolved
from predictor.series import FloatArray

BUCKETS_PER_CYCLE = 12
PLAN_LEVEL = 0.95  # of the highest demand within the horizon: the replicas that the page calls recommended
BAND_LEVELS = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Added up over the buckets of a window, for one workload."""

    pairs: FloatArray  # (horizon,) forecasts of which the outcome and persistence's forecast are known
    absolute: FloatArray  # (horizon,) sum |forecast - actual| of the median
    persistence: FloatArray  # (horizon,) the same of the last value
    signed: FloatArray  # (horizon,) sum (forecast - actual)
    actual: FloatArray  # (horizon,)
    covered_pairs: FloatArray  # (head,) outcomes at the longest horizon
    covered: FloatArray  # (head, level) of these, at or below the quantile
    origins: int
    live_origins: int
    first_step: int | None  # of the window, of what is known


@dataclass(frozen=True, slots=True)
class LedgerShape:
    """How much is kept."""

    levels: tuple[float, ...]
    horizon: int
    cycle_steps: int  # the shortest season: pictures reach back so far
    cycles: int  # scores and alarms reach back so many

    @property
    def bucket_steps(self) -> int:
        """Length of a bucket."""
        return max(1, self.cycle_steps // BUCKETS_PER_CYCLE)

    @property
    def kept_steps(self) -> int:
        """How far scores and alarms reach back."""
        return self.cycle_steps * self.cycles

    @property
    def buckets(self) -> int:
        """One more than the window, for the one being filled."""
        return -(-self.kept_steps // self.bucket_steps) + 1


class Ledger:
    """Of a batch of workloads that are at the same step."""

    def __init__(self, shape: LedgerShape, rows: int) -> None:
        self.shape = shape
        h, q = shape.horizon, len(shape.levels)
        self._fields = {
            "pairs": slice(0, h),
            "absolute": slice(h, 2 * h),
            "persistence": slice(2 * h, 3 * h),
            "signed": slice(3 * h, 4 * h),
            "actual": slice(4 * h, 5 * h),
            "covered_pairs": slice(5 * h, 5 * h + 2),
            "covered": slice(5 * h + 2, 5 * h + 2 + 2 * q),
            "origins": slice(5 * h + 2 + 2 * q, 5 * h + 3 + 2 * q),
            "live_origins": slice(5 * h + 3 + 2 * q, 5 * h + 4 + 2 * q),
        }
        single = np.float32
        self._sums = np.zeros((rows, shape.buckets, 5 * h + 4 + 2 * q), single)
        self._bucket = np.full(shape.buckets, -1, np.int64)  # number of the bucket that each slot holds
        self._asked = np.full((rows, shape.kept_steps), np.nan, single)
        self._bands = np.full((rows, shape.cycle_steps, len(BAND_LEVELS) + 1), np.nan, single)
        self._stay = np.full((rows, h), np.nan, single)
        self._available = np.zeros((rows, h), bool)
        self._median = level_index(shape.levels, MEDIAN)
        self.first_step: int | None = None
        self.step: int | None = None  # the last one recorded

    def __len__(self) -> int:
        return len(self._sums)

    def settle(self, step: int, resolved: Resolved, demand: FloatArray, offset: FloatArray) -> None:
        """Score the forecasts whose outcome became known at `step`.  demand, offset: (row,)."""
        ahead = (step - np.arange(1, self.shape.horizon + 1)) % self.shape.horizon
        stay, available = self._stay[:, ahead], self._available[:, ahead]
        off, level = offset[:, None], resolved.log_level
        with np.errstate(over="ignore"):
            median = np.maximum(np.exp(resolved.final[:, 0, :, self._median] + level) - off, 0.0)
        known = available & np.isfinite(demand)[:, None] & np.isfinite(median) & np.isfinite(stay)
        error = np.where(known, median - demand[:, None], 0.0)
        row = self._row(step)
        row[:, self._fields["pairs"]] += known
        row[:, self._fields["absolute"]] += np.abs(error)
        row[:, self._fields["signed"]] += error
        row[:, self._fields["persistence"]] += np.where(known, np.abs(stay - demand[:, None]), 0.0)
        row[:, self._fields["actual"]] += np.where(known, demand[:, None], 0.0)
        # At the longest horizon.  What is clipped at zero on its way out is clipped here as well.
        quantiles, actual = resolved.final[:, :, -1], resolved.actual[:, :, -1]  # (row, head, level), (row, head)
        floor = (np.log(offset)[:, None] - level[:, -1:])[..., None]
        counted = available[:, -1:] & np.isfinite(actual) & np.isfinite(quantiles[..., 0])
        with np.errstate(invalid="ignore"):
            covered = counted[..., None] & (actual[..., None] <= np.maximum(quantiles, floor))
        row[:, self._fields["covered_pairs"]] += counted
        row[:, self._fields["covered"]] += covered.reshape(len(self), -1)

    def issue(
        self,
        step: int,
        path: Float32Array,
        peak: Float32Array,
        alarm_levels: FloatArray,
        stay: FloatArray,
        available: npt.NDArray[np.bool_],
        *,
        is_live: bool,
    ) -> None:
        """Remember what is forecast at `step`.

        path, peak: (row, level) demand quantiles at the longest horizon.  stay: (row,) the last observed value.
        alarm_levels: (row,).  available: (row,) whether the forecast was given out, else it counts for nothing.
        """
        levels, shape = self.shape.levels, self.shape
        asked = np.empty(len(self), np.float32)
        for level in np.unique(alarm_levels):
            rows = alarm_levels == level
            asked[rows] = at_levels(peak[rows], levels, (float(level),))[:, 0]
        bands = np.concatenate([at_levels(path, levels, BAND_LEVELS), at_levels(peak, levels, (PLAN_LEVEL,))], axis=1)
        self._asked[:, step % shape.kept_steps] = np.where(available, asked, np.nan)
        self._bands[:, step % shape.cycle_steps] = np.where(available[:, None], bands, np.nan)
        self._stay[:, step % shape.horizon] = stay
        self._available[:, step % shape.horizon] = available
        row = self._row(step)
        row[:, self._fields["origins"]] += available[:, None]
        row[:, self._fields["live_origins"]] += available[:, None] & is_live
        self.first_step = step if self.first_step is None else self.first_step
        self.step = step

    def _row(self, step: int) -> Float32Array:
        number = step // self.shape.bucket_steps
        slot = number % self.shape.buckets
        if self._bucket[slot] != number:
            self._sums[:, slot], self._bucket[slot] = 0.0, number
        return self._sums[:, slot]

    def sums(self, row: int, window_steps: int) -> Sums:
        """Everything of the buckets that lie wholly or partly within the last `window_steps`."""
        if self.step is None or self.first_step is None:
            first = chosen = np.empty(0, np.int64)
        else:
            oldest = (self.step - window_steps) // self.shape.bucket_steps + 1
            chosen = np.flatnonzero((self._bucket >= oldest) & (self._bucket >= 0))
            first = self._bucket[chosen] * self.shape.bucket_steps
        total = self._sums[row, chosen].sum(axis=0, dtype=np.float64)
        part = {name: total[where] for name, where in self._fields.items()}
        return Sums(
            pairs=part["pairs"],
            absolute=part["absolute"],
            persistence=part["persistence"],
            signed=part["signed"],
            actual=part["actual"],
            covered_pairs=part["covered_pairs"],
            covered=part["covered"].reshape(2, -1),
            origins=int(part["origins"][0]),
            live_origins=int(part["live_origins"][0]),
            first_step=max(int(first.min()), self.first_step) if chosen.size and self.first_step is not None else None,
        )

    def asked(self, row: int, count: int) -> Float32Array:
        """Demand that the forecasts of the last `count` steps asked for, oldest first; NaN where there was none."""
        return self._recent(self._asked[row], count)

    def bands(self, row: int, count: int) -> Float32Array:
        """(count, 4): the path at the longest horizon at BAND_LEVELS and the upper peak, by step of origin."""
        return self._recent(self._bands[row], count)

    def _recent(self, ring: Float32Array, count: int) -> Float32Array:
        found = np.full((count, *ring.shape[1:]), np.nan, np.float32)
        if self.step is not None and self.first_step is not None:
            reach = min(count, len(ring), self.step - self.first_step + 1)
            steps = np.arange(self.step - reach + 1, self.step + 1)
            found[count - reach :] = ring[steps % len(ring)]
        return found

    def add_rows(self, count: int) -> None:
        """More workloads, of which nothing was forecast."""
        fresh = Ledger(self.shape, count)
        for name in ("_sums", "_asked", "_bands", "_stay", "_available"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(fresh, name)]))

    def keep_rows(self, rows: IntArray) -> None:
        """Drop all other workloads."""
        for name in ("_sums", "_asked", "_bands", "_stay", "_available"):
            setattr(self, name, getattr(self, name)[rows])
