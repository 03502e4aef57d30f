"""Demand on a regular grid, the one type every reader produces and every model takes.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from predictor.errors import SeriesError

FloatArray = npt.NDArray[np.float64]

MIN_STEP_SECONDS = 1
MAX_STEP_SECONDS = 3600


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Demand per step, oldest first, with missing samples explicit.

    `values[i]` belongs to the instant `start + i * step_seconds`; NaN means "not observed", never zero.
    The unit is the source's own: requests per second for a `rate()` query, requests per step for a file.
    """

    name: str
    start: datetime  # UTC
    step_seconds: int
    values: FloatArray  # (time,), finite and >= 0, or NaN
    labels: Mapping[str, str] = field(default_factory=dict)
    is_synthetic: bool = False

    def __post_init__(self) -> None:
        if not MIN_STEP_SECONDS <= self.step_seconds <= MAX_STEP_SECONDS:
            raise SeriesError(
                f"{self.name}: a step of {self.step_seconds} s is outside {MIN_STEP_SECONDS} s to "
                f"{MAX_STEP_SECONDS} s; choose --step within it"
            )
        if self.start.tzinfo is None:
            raise SeriesError(f"{self.name}: the start {self.start.isoformat()} has no time zone; give it in UTC")
        values = np.array(self.values, dtype=np.float64)  # a copy: the series is frozen, its samples too
        if values.ndim != 1:
            raise SeriesError(f"{self.name}: values must have one dimension, not {values.ndim}")
        refuse_impossible(self.name, values)
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "labels", dict(self.labels))

    def __len__(self) -> int:
        return int(self.values.size)

    @property
    def end(self) -> datetime:
        """Instant of the last sample (of `start` minus one step when empty)."""
        return self.instant(len(self) - 1)

    @property
    def missing(self) -> int:
        """How many samples were not observed."""
        return int(np.isnan(self.values).sum())

    @property
    def missing_ratio(self) -> float:
        """Share of samples not observed, 0 for an empty series."""
        return self.missing / len(self) if len(self) else 0.0

    def instant(self, index: int) -> datetime:
        """Instant of sample `index`; negative and future indices extrapolate the grid."""
        return self.start + timedelta(seconds=index * self.step_seconds)

    def timestamps(self) -> npt.NDArray[np.int64]:
        """Unix seconds of every sample, (time,)."""
        first = int(self.start.timestamp())
        return first + self.step_seconds * np.arange(len(self), dtype=np.int64)

    def index_of(self, instant: datetime) -> int:
        """Index of the last sample at or before `instant`; -1 or less when all are later."""
        return int((instant - self.start).total_seconds() // self.step_seconds)

    def between(self, first: int, last: int) -> Series:
        """Samples `first` to `last - 1` as a series of their own (indices as in a slice, both >= 0)."""
        return replace(self, start=self.instant(first), values=self.values[first:last])


def refuse_impossible(name: str, values: FloatArray) -> None:
    """Raise when a sample is infinite or negative: demand is a count or a rate."""
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise SeriesError(
            f"{name}: {infinite.size} infinite samples, the first at index {infinite[0]}; "
            "a ratio with a zero denominator gives these: filter them in the query"
        )
    negative = np.flatnonzero(values < 0)
    if negative.size:
        raise SeriesError(
            f"{name}: {negative.size} negative samples, the first is {values[negative[0]]:g} at index {negative[0]}; "
            "demand cannot be negative: use rate() on counters, not deriv() or delta()"
        )
