"""A cohort in service, or on its way there: which series feed which of its rows, and how its history is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from predictor.errors import ForescaleError
from predictor.fleet.cohort import Cohort, Depth, Member
from predictor.fleet.feed import Feed, Past, read_past
from predictor.fleet.line import Claim, Line
from predictor.fleet.table import DemandTable
from predictor.forecaster import Forecaster
from predictor.prometheus_answer import Labels
from predictor.series import Series

Key = tuple[int, Labels]  # which line (by identity), which series


@dataclass(slots=True, eq=False)
class Unit:
    """Lines that are read for one model, and the cohort of their workloads."""

    forecaster: Forecaster
    lines: list[Line]
    until: int  # the step up to which history is read
    recent: dict[int, Future[Past]] = field(default_factory=dict)  # line -> the newest part of its history
    older: dict[int, Future[Past]] = field(default_factory=dict)
    errors: dict[int, ForescaleError] = field(default_factory=dict)
    rows: dict[Key, int] = field(default_factory=dict)
    cohort: Cohort | None = None
    depth: int = 0  # steps of history read so far

    def read_recent(self, feed: Feed, readers: Executor) -> None:
        """Begin to read as much as the first forecast needs, which is a fraction of a second's work."""
        self.depth = Depth.of(self.forecaster).first
        first = self.until - self.depth + 1
        for line in self.lines:
            self.recent[id(line)] = readers.submit(read_past, feed, line.query, first, self.until, line.step_seconds)

    def read_older(self, feed: Feed, readers: Executor) -> None:
        """Begin to read what forecasts with seasons, and a replay, need beyond that."""
        first, last = self.until - Depth.of(self.forecaster).replay + 1, self.until - self.depth
        for line in self.lines:
            self.older[id(line)] = readers.submit(read_past, feed, line.query, first, last, line.step_seconds)

    def has_recent(self) -> bool:
        """Whether the newest part of every line is read, or has failed."""
        return all(future.done() for future in self.recent.values())

    def found(self, line: Line) -> Past | None:
        """The newest part of a line's history; None when it could not be read, with the error in `errors`."""
        try:
            return self.recent[id(line)].result()
        except ForescaleError as error:
            self.errors[id(line)] = error
            return None

    def build(self, claims: Mapping[int, Sequence[Claim]], alarm_level: Mapping[str, float]) -> None:
        """Make the cohort of all series that are claimed, and forget what was read for it."""
        members: list[Member] = []
        taken: list[tuple[Past, Labels]] = []
        for line in self.lines:
            past = self.recent[id(line)].result()
            for claim in claims[id(line)]:
                self.rows[(id(line), claim.labels)] = len(members)
                members.append(Member(claim.name, past.names[claim.labels], alarm_level[claim.name]))
                taken.append((past, claim.labels))
        table = DemandTable(len(members), Depth.of(self.forecaster).replay, self.until)
        for row, (past, labels) in enumerate(taken):
            table.write(row, past.first_step, past.values[labels])
        self.recent.clear()
        self.cohort = Cohort.of(self.forecaster, members, table)
        self.cohort.start()

    def deepen(self) -> bool:
        """Take in older history that has come; True when nothing is outstanding."""
        if self.cohort is None:
            return False
        for key in [key for key, future in self.older.items() if future.done()]:
            future = self.older.pop(key)
            try:
                past = future.result()
            except ForescaleError:
                continue  # the replay is shorter, and says so by the number of its origins
            for labels, values in past.values.items():
                row = self.rows.get((key, labels))
                if row is not None:
                    self.cohort.table.write(row, past.first_step, values)
        return not self.older

    def admit(
        self, line: Line, claims: Sequence[Claim], names: Mapping[Labels, str], level: Mapping[str, float]
    ) -> None:
        """Take in workloads whose series have just appeared."""
        if self.cohort is None or not claims:
            return
        first = len(self.cohort.members)
        self.cohort.table.add_rows(len(claims))
        members = [Member(claim.name, names[claim.labels], level[claim.name]) for claim in claims]
        self.cohort.add(members)
        for row, claim in enumerate(claims, start=first):
            self.rows[(id(line), claim.labels)] = row

    def write(self, line: Line, series: Sequence[Series]) -> None:
        """Take in what was read of a line."""
        if self.cohort is None:
            return
        for one in series:
            row = self.rows.get((id(line), tuple(sorted(one.labels.items()))))
            if row is not None:
                first = int(one.start.timestamp()) // line.step_seconds
                self.cohort.table.write(row, first, np.asarray(one.values))


def instant(step: int, step_seconds: int) -> datetime:
    """Of a step since the epoch."""
    return datetime.fromtimestamp(step * step_seconds, UTC)
