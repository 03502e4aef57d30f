"""Highest demand of the last hour, from samples as they come.  Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

WINDOW = timedelta(hours=1)


class RecentPeak:
    """Only samples that can still be the highest are kept: later ones hide earlier that are not higher."""

    def __init__(self) -> None:
        self._samples: deque[tuple[datetime, float]] = deque()

    def add(self, at: datetime, demand: float) -> None:
        """One sample, not older than the last."""
        while self._samples and self._samples[-1][1] <= demand:
            self._samples.pop()
        self._samples.append((at, demand))

    def of(self, now: datetime) -> float | None:
        """The highest within the last hour; None without a sample."""
        while self._samples and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        return self._samples[0][1] if self._samples else None
