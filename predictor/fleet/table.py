"""Demand of many workloads on one grid, the newest step in the last column.  Pure; changed in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from predictor.forecast import Float32Array, IntArray

_SLACK_RATIO = 1 / 64  # columns kept free, so that the table is moved to the left only now and then


class DemandTable:
    """The last `keep` steps of every workload; steps are numbered since the epoch.  NaN is "not observed".

    Single precision: demand is known to seven digits, and memory is what limits the number of workloads.
    """

    def __init__(self, rows: int, keep: int, step: int) -> None:
        """An empty table whose newest column is `step`."""
        self.keep = keep
        self._slack = max(int(keep * _SLACK_RATIO), 64)
        self._values = np.full((rows, keep + self._slack), np.nan, dtype=np.float32)
        self._end = keep  # columns in use end here
        self.step = step
        self.first_seen = np.full(rows, np.iinfo(np.int64).max, dtype=np.int64)  # (row,) step of its first sample
        self.last_seen = np.full(rows, -1, dtype=np.int64)  # (row,) step of its last observed sample

    def __len__(self) -> int:
        return len(self._values)

    @property
    def values(self) -> Float32Array:
        """(row, keep), a view that is good until the table changes."""
        return self._values[:, self._end - self.keep : self._end]

    def until(self, step: int, length: int) -> Float32Array:
        """The `length` columns up to `step`, a view; fewer where the table begins later."""
        end = self._end - (self.step - step)
        return self._values[:, max(end - length, self._end - self.keep) : end]

    def move_to(self, step: int) -> None:
        """Make `step` the newest column; new columns are not observed."""
        ahead = step - self.step
        if ahead <= 0:
            return
        if ahead >= self.keep:
            self._values[:], self._end = np.nan, self.keep
        else:
            if self._end + ahead > self._values.shape[1]:
                kept = self.keep - ahead
                self._values[:, :kept] = self._values[:, self._end - kept : self._end].copy()  # the two may overlap
                self._end = kept
            self._values[:, self._end : self._end + ahead] = np.nan
            self._end += ahead
        self.step = step

    def write(self, row: int, first_step: int, values: npt.NDArray[np.floating]) -> None:
        """Take in consecutive samples of one row; what is older than kept, or newer than the table, is left out.

        A sample that was not observed does not undo one that was.
        """
        begin = self._end - 1 - (self.step - first_step)  # column of the first sample
        low, high = max(begin, self._end - self.keep), min(begin + len(values), self._end)
        if high <= low:
            return
        fresh = values[low - begin : high - begin]
        seen = np.flatnonzero(np.isfinite(fresh))
        if seen.size == 0:
            return
        self._values[row, low + seen] = fresh[seen]
        offset = self.step - (self._end - 1)  # step number of column 0
        self.first_seen[row] = min(self.first_seen[row], low + int(seen[0]) + offset)
        self.last_seen[row] = max(self.last_seen[row], low + int(seen[-1]) + offset)

    def known_steps(self, step: int) -> IntArray:
        """How long each row's history is at `step`: (row,)."""
        return np.maximum(step + 1 - self.first_seen, 0)

    def add_rows(self, count: int) -> None:
        """More workloads, of which nothing has been observed."""
        self._values = np.concatenate([self._values, np.full((count, self._values.shape[1]), np.nan, np.float32)])
        self.first_seen = np.concatenate([self.first_seen, np.full(count, np.iinfo(np.int64).max, np.int64)])
        self.last_seen = np.concatenate([self.last_seen, np.full(count, -1, np.int64)])

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Drop all other workloads."""
        chosen = np.asarray(rows, dtype=np.int64)
        self._values, self.first_seen, self.last_seen = (
            self._values[chosen],
            self.first_seen[chosen],
            self.last_seen[chosen],
        )

    def shorten(self, keep: int) -> None:
        """Keep fewer steps from now on, and give the memory back."""
        if keep >= self.keep:
            return
        slack = max(int(keep * _SLACK_RATIO), 64)
        fresh = np.full((len(self), keep + slack), np.nan, dtype=np.float32)
        fresh[:, :keep] = self._values[:, self._end - keep : self._end]
        self._values, self._end, self._slack, self.keep = fresh, keep, slack, keep
