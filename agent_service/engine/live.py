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
        self._last: Event | None = None  # the end, until the store knows of it
        self._flushed = self._seq

    def say(self, name: str, data: bytes) -> None:
        """One more event."""
        self._seq += 1
        self.events.append(Event(self._seq, name, data))
        self._ring(self.run_id)

    def say_last(self, name: str, data: bytes) -> None:
        """The end: nobody hears of it before `end_is_kept`, since whoever has heard it counts on what it means."""
        self._seq += 1
        self._last = Event(self._seq, name, data)

    def end_is_kept(self) -> None:
        """Now everybody may hear it."""
        if self._last is not None:
            self.events.append(self._last)
            self._last = None
        self._flushed = self._seq
        self._ring(self.run_id)

    def after(self, seq: int) -> list[Event] | None:
        """Events with a higher number; None when some of them are only in the store."""
        if seq + 1 < self._first and (self._first > 1):
            return None
        return self.events[max(seq + 1 - self._first, 0) :]

    def unflushed(self) -> list[Event]:
        """What the store does not have yet."""
        return self.events[self._flushed + 1 - self._first :]

    def rest(self) -> list[Event]:
        """What the store does not have yet, the end included."""
        return self.unflushed() if self._last is None else [*self.unflushed(), self._last]

    def flushed(self, seq: int) -> None:
        """The store has everything up to this number; of that, memory keeps the newest."""
        self._flushed = seq
        surplus = min(len(self.events) - _MOST_KEPT, self._flushed + 1 - self._first)
        if surplus > 0:
            del self.events[:surplus]
            self._first += surplus
