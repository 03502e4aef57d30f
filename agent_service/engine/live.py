"""The stream of a run that executes here: what was said so far, and what of it the store has."""

from __future__ import annotations

from collections.abc import Callable

from agent_service.store.records import ATTEMPT_SPAN, Event, Run

_MOST_KEPT = 4096  # events in memory; a reader further behind reads the store


class LiveStream:
    """Appended to by one execution, read by any number of connections in the same event loop."""

    def __init__(self, run: Run, ring: Callable[[str], None]) -> None:
        self.run_id = run.run_id
        self._ring = ring
        self._seq = (run.attempt - 1) * ATTEMPT_SPAN
        self._first = self._seq + 1  # number of the first event in memory
        self.events: list[Event] = []
        self._flushed = self._seq

    def say(self, name: str, data: bytes) -> None:
        """One more event."""
        self._seq += 1
        self.events.append(Event(self._seq, name, data))
        self._ring(self.run_id)

    def after(self, seq: int) -> list[Event] | None:
        """Events with a higher number; None when some of them are only in the store."""
        if seq + 1 < self._first and (self._first > 1):
            return None
        return self.events[max(seq + 1 - self._first, 0) :]

    def unflushed(self) -> list[Event]:
        """What the store does not have yet."""
        return self.events[self._flushed + 1 - self._first :]

    def flushed(self, seq: int) -> None:
        """The store has everything up to this number; of that, memory keeps the newest."""
        self._flushed = seq
        surplus = min(len(self.events) - _MOST_KEPT, self._flushed + 1 - self._first)
        if surplus > 0:
            del self.events[:surplus]
            self._first += surplus
