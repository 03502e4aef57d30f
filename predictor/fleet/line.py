"""One query of the configuration: what has been read of it, and which workloads its series are.  Changes in place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import datetime

from predictor.errors import ForescaleError, SeriesError, SourceError
from predictor.fleet.feed import Feed
from predictor.messages import Unavailable
from predictor.prometheus_answer import Labels
from predictor.series import Series
from predictor.server.settings import WORKLOAD_NAME, WorkloadSettings

OVERLAP_STEPS = 3  # read again each time: a sample may have come late
_SHOWN = 3


@dataclass(slots=True, eq=False)
class Line:
    """A query, read once a cycle however many workloads it serves."""

    query: str
    step_seconds: int
    users: list[WorkloadSettings] = field(default_factory=list)
    until: int | None = None  # the last step that was read
    pending: Future[tuple[Series, ...]] | None = None
    asked: int = 0  # last step of the pending read
    error: ForescaleError | None = None  # of the last read
    last_read_at: datetime | None = None

    def ask(self, feed: Feed, readers: Executor, step: int) -> None:
        """Begin to read what is new up to `step`, unless a read is under way or nothing is."""
        if self.pending is not None or self.until is None or step <= self.until:
            return
        first = max(self.until + 1 - OVERLAP_STEPS, 0)
        self.asked = step
        self.pending = readers.submit(feed.read, self.query, first, step, self.step_seconds)

    def take(self, now: datetime) -> tuple[Series, ...] | None:
        """The answer, if one has come; remembers its failure."""
        if self.pending is None or not self.pending.done():
            return None
        pending, self.pending = self.pending, None
        try:
            found = pending.result()
        except ForescaleError as error:
            self.error = error
            return None
        self.until, self.error, self.last_read_at = self.asked, None, now
        return found


def reason_of(error: ForescaleError) -> Unavailable:
    """Whether the source or the data is at fault."""
    if isinstance(error, SeriesError):
        return Unavailable.BAD_DATA
    return Unavailable.SOURCE_FAILED if isinstance(error, SourceError) else Unavailable.NO_SERIES


@dataclass(frozen=True, slots=True)
class Claim:
    """A series that belongs to a workload."""

    name: str
    user: WorkloadSettings
    labels: Labels


@dataclass(frozen=True, slots=True)
class Claims:
    """Which series are which workloads, and which workloads have none."""

    found: tuple[Claim, ...]
    missing: Mapping[str, str]  # name of a configured workload -> why it has no series
    notes: tuple[str, ...]  # series that cannot become workloads


def assign(line: Line, labels: Iterable[Labels]) -> Claims:
    """Give every series of a line to the workloads that claim it."""
    known = [(key, dict(key)) for key in sorted(labels)]
    found: dict[str, Claim] = {}
    missing, notes = {}, []
    for user in line.users:
        mine = [(key, values) for key, values in known if all(values.get(k) == v for k, v in user.select.items())]
        if not user.placeholders:
            if len(mine) == 1:
                found[user.name] = Claim(user.name, user, mine[0][0])
            elif not mine:
                missing[user.name] = f"the query {line.query!r} gives no series for it; check the metric and its labels"
            else:
                names = "; ".join(str(values) for _, values in mine[:_SHOWN])
                missing[user.name] = (
                    f"the query {line.query!r} gives {len(mine)} series for it, among them {names}; choose one with "
                    "`select`, or add them up with sum(...)"
                )
            continue
        for key, values in mine:
            name = user.named(values)
            if not re.fullmatch(WORKLOAD_NAME, name):
                notes.append(f"{values}: gives the name {name!r}, which cannot be one; see `name` in the configuration")
            elif name in found:
                notes.append(f"{values}: gives the name {name!r}, which another series has; use more labels in `name`")
            else:
                found[name] = Claim(name, user, key)
    return Claims(tuple(found.values()), missing, tuple(notes))
