"""Which requests cover a range, and how their answers become series.  Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from predictor.errors import InputError, SourceError
from predictor.quality import IntArray, Reading, refuse_impossible_samples
from predictor.series import FloatArray, Series

MAX_POINTS = 11_000  # of one series in one answer; Prometheus gives no more
_PLAIN = re.compile(r"[\w.:/*@ -]+")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants `first + i * step_seconds` (unix seconds): multiples of the step, whatever range was asked for.

    Two reads of overlapping ranges therefore agree on every instant that they share, and VictoriaMetrics, which
    moves a range onto the step by itself, moves nothing.
    """

    first: int
    length: int
    step_seconds: int

    @classmethod
    def covering(cls, start: datetime, end: datetime, step_seconds: int) -> Grid:
        """Every multiple of the step within [start, end]; raises InputError when there is none."""
        first = -int(-start.timestamp() // step_seconds) * step_seconds
        length = int(end.timestamp() // step_seconds) - first // step_seconds + 1
        if length < 1:
            raise InputError(
                f"from {start.isoformat()} to {end.isoformat()} there is no full step of {step_seconds} s; "
                "read more --days or choose a smaller --step"
            )
        return cls(first, length, step_seconds)

    def requests(self) -> Iterator[tuple[datetime, datetime]]:
        """First and last instant of each request; both are asked for, so the next one begins a step later."""
        for begin in range(0, self.length, MAX_POINTS):
            yield self.instant(begin), self.instant(min(begin + MAX_POINTS, self.length) - 1)

    def instant(self, index: int) -> datetime:
        """Instant number `index`."""
        return datetime.fromtimestamp(self.first + index * self.step_seconds, UTC)

    def index(self, instants: FloatArray, source: str) -> IntArray:
        """Position of each instant (unix seconds); raises SourceError for one that was not asked for."""
        exact = (instants - self.first) / self.step_seconds
        index = np.rint(exact).astype(np.int64)
        is_ours = (np.abs(exact - index) * self.step_seconds < 0.001) & (index >= 0) & (index < self.length)
        if not is_ours.all() or (np.diff(index) <= 0).any():
            raise SourceError(
                f"{source}: answers for other instants than it was asked for; does a proxy or cache before it move "
                "queries to a step of its own?"
            )
        return index


class Collector:
    """Puts the answers of several requests together, one column of the grid per label set."""

    def __init__(self, grid: Grid, query: str, source: str) -> None:
        self._grid, self._query, self._source = grid, query, source
        self._columns: dict[Labels, FloatArray] = {}
        self._undefined: dict[Labels, int] = {}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """One answer: a list of {"metric": labels, "values": [[unix seconds, "value"], ...]}."""
        try:
            for row in rows:
                self._add_row(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(
                f"{self._source}: answers, but not as the Prometheus API does; is the path in the URL right?"
            ) from error

    def _add_row(self, row: Mapping[str, Any]) -> None:
        if "histograms" in row:
            raise InputError(
                f"{self._query}: gives native histograms, which are not a demand; "
                "wrap it: histogram_count(sum(rate(metric[5m])))"
            )
        samples = np.array([(float(at), float(value)) for at, value in row["values"]]).reshape(-1, 2)
        labels = tuple(sorted(row["metric"].items()))
        column = self._columns.setdefault(labels, np.full(self._grid.length, np.nan))
        column[self._grid.index(samples[:, 0], self._source)] = samples[:, 1]
        undefined = int(np.isnan(samples[:, 1]).sum())
        self._undefined[labels] = self._undefined.get(labels, 0) + undefined

    def readings(self) -> tuple[Reading, ...]:
        """One per label set, in the order of their labels; absent instants are NaN."""
        return tuple(self._reading(labels) for labels in sorted(self._columns))

    def _reading(self, labels: Labels) -> Reading:
        name, values, grid = name_of(labels, self._query), self._columns[labels], self._grid
        instants = grid.first + grid.step_seconds * np.arange(grid.length, dtype=np.int64)
        refuse_impossible_samples(name, instants, values, lambda index: f"step {index} of the range")
        undefined = self._undefined[labels]
        notes = (f"{undefined} samples are NaN at the server, a division of 0 by 0?; taken as missing",)
        return Reading(
            Series(name, grid.instant(0), grid.step_seconds, values, dict(labels)), notes=notes if undefined else ()
        )


def name_of(labels: Labels, query: str) -> str:
    """A stable, readable name: the labels, or the query when it leaves none."""
    if not labels:
        return query
    metric = dict(labels).get("__name__", "")
    pairs = ",".join(
        f"{key}={value if _PLAIN.fullmatch(value) else json.dumps(value)}" for key, value in labels if key != "__name__"
    )
    return f"{metric}{{{pairs}}}" if metric and pairs else metric or pairs
