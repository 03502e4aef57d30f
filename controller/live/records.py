"""Decision records: what a decision looked at, what every rule made of it, what was put in force.

Kept in memory, bounded, one per change and one per few minutes; the log has the same lines for longer.  Packed: as
objects, those of a thousand resources would need more memory than everything else together.
"""

from __future__ import annotations

import threading
import zlib
from collections import deque
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.live.inputs import InputBook
from controller.live.workload import Outcome
from controller.resource.base import Part
from controller.resource.resource import Key

_EVERY = timedelta(minutes=5)
_PAGE = 25  # records packed together: they are much alike
_PAGES = 16  # per resource; with the open page at least a day and a half when nothing changes


class StepRecord(Part):
    """One rule that changed the proposal."""

    rule: str
    before: int | None
    after: int | None
    reason: str


class DecisionRecord(Part):
    """One decision, with what it saw."""

    resource: str
    at: datetime
    reason: str
    floor: int | None  # in force, or that would be in Active mode; None: none of our own
    decided: int  # replicas that the decision core gives, the HPA's own answer included
    acts: bool
    has_opinion: bool
    is_trusted: bool
    demand: float | None
    recent_peak_demand: float | None
    hpa_alone_replicas: int | None
    replicas: int | None
    forecast_issued_at: datetime | None
    model: str | None
    lead_seconds: float
    level: float
    planned_demand: float | None
    target_per_replica: float
    steps: list[StepRecord]


class _Page(NamedTuple):
    """Packed records, one JSON document a line."""

    oldest: datetime
    packed: bytes


class _Book:
    """The records of one resource."""

    def __init__(self) -> None:
        self._pages: deque[_Page] = deque(maxlen=_PAGES)
        self._open: list[tuple[datetime, bytes]] = []
        self._last: tuple[datetime, int | None, str] | None = None

    def is_due(self, floor: int | None, reason: str, at: datetime) -> bool:
        if self._last is None:
            return True
        last_at, last_floor, last_reason = self._last
        return last_floor != floor or last_reason != reason or at - last_at >= _EVERY

    def add(self, record: DecisionRecord) -> None:
        self._last = (record.at, record.floor, record.reason)
        self._open.append((record.at, record.model_dump_json().encode()))
        if len(self._open) >= _PAGE:
            oldest = min(at for at, _ in self._open)
            self._pages.append(_Page(oldest, zlib.compress(b"\n".join(line for _, line in self._open))))
            self._open.clear()

    def at(self, instant: datetime | None) -> DecisionRecord | None:
        for at, line in reversed(self._open):
            if instant is None or at <= instant:
                return DecisionRecord.model_validate_json(line)
        for page in reversed(self._pages):
            if instant is not None and page.oldest > instant:
                continue
            for line in reversed(zlib.decompress(page.packed).split(b"\n")):
                record = DecisionRecord.model_validate_json(line)
                if instant is None or record.at <= instant:
                    return record
        return None

    def between(self, start: datetime, end: datetime, limit: int) -> tuple[list[DecisionRecord], bool, datetime | None]:
        lines = [line for page in self._pages for line in zlib.decompress(page.packed).split(b"\n")]
        lines += [line for _, line in self._open]
        found: list[DecisionRecord] = []
        for line in lines:
            record = DecisionRecord.model_validate_json(line)
            if start <= record.at <= end:
                if len(found) == limit:
                    return found, True, self._oldest()
                found.append(record)
        return found, False, self._oldest()

    def _oldest(self) -> datetime | None:
        if self._pages:
            return self._pages[0].oldest
        return min((at for at, _ in self._open), default=None)


class DecisionBook:
    """The last records of every resource, and what the last hours' decisions saw.  Any thread may look."""

    def __init__(self) -> None:
        self.inputs = InputBook()
        self._lock = threading.Lock()
        self._books: dict[Key, _Book] = {}

    def is_due(self, key: Key, floor: int | None, reason: str, at: datetime) -> bool:
        """Whether this decision differs from the last one kept, or that one is old."""
        with self._lock:
            book = self._books.get(key)
            return book is None or book.is_due(floor, reason, at)

    def add(self, key: Key, record: DecisionRecord) -> None:
        """Keep one."""
        with self._lock:
            self._books.setdefault(key, _Book()).add(record)

    def at(self, key: Key, instant: datetime | None = None) -> DecisionRecord | None:
        """The record in force at an instant, or the newest; None when there is none that old."""
        with self._lock:
            book = self._books.get(key)
            return None if book is None else book.at(instant)

    def between(
        self, key: Key, start: datetime, end: datetime, limit: int
    ) -> tuple[list[DecisionRecord], bool, datetime | None]:
        """The first records of a span, in order; whether there are more; and the oldest kept, None without any."""
        with self._lock:
            book = self._books.get(key)
            return ([], False, None) if book is None else book.between(start, end, limit)

    def newest(self) -> dict[Key, DecisionRecord]:
        """The last record of every resource."""
        with self._lock:
            found = {key: book.at(None) for key, book in self._books.items()}
        return {key: record for key, record in found.items() if record is not None}

    def forget(self, keys: set[Key]) -> None:
        """Drop resources that are gone."""
        with self._lock:
            for key in keys & self._books.keys():
                del self._books[key]
        self.inputs.forget(keys)


def record_of(key: Key, outcome: Outcome) -> DecisionRecord:
    """Of an outcome that came to a decision."""
    spec, seen, decision, reason = outcome.spec, outcome.seen, outcome.decision, outcome.reason
    assert spec is not None and seen is not None and decision is not None and reason is not None  # noqa: S101, PT018
    return DecisionRecord(
        resource=str(key),
        at=decision.at,
        reason=reason.value,
        floor=outcome.floor,
        decided=decision.floor,
        acts=decision.acts,
        has_opinion=decision.has_opinion,
        is_trusted=seen.is_trusted,
        demand=seen.demand,
        recent_peak_demand=seen.recent_peak_demand,
        hpa_alone_replicas=seen.hpa_alone_replicas,
        replicas=seen.replicas,
        forecast_issued_at=None if seen.forecast is None else seen.forecast.issued_at,
        model=None if seen.forecast is None else seen.forecast.model,
        lead_seconds=spec.lead_seconds,
        level=spec.level,
        planned_demand=decision.planned_demand,
        target_per_replica=spec.target_per_replica,
        steps=[
            StepRecord(rule=step.rule, before=step.before, after=step.after, reason=step.reason.value)
            for step in decision.steps
        ],
    )
