"""The stream of a run that executes here: what was said so far, and what of it the store has."""

from __future__ import annotations

from collections.abc import Callable

from agent_service.store.records import ATTEMPT_SPAN, Event, Run

_MOST_KEPT = 4096  # events in memory once the store has them; a reader further behind reads the store
_MOST_KEPT_BYTES = 2**20
_RESERVED = 8  # numbers of an attempt that are left for the last events


class StreamTooLarge(Exception):  # noqa: N818 - clients are told its name
    """A run that streams more than is kept of one."""


class LiveStream:
    """Appended to by one execution, read by any number of connections in the same event loop."""

    def __init__(self, run: Run, ring: Callable[[str], None], *, most_bytes: int) -> None:
        """ring: called with the run's id whenever there is more.  most_bytes: that may be said."""
        self.run_id = run.run_id
        self._ring = ring
        self._before = self._seq = (run.attempt - 1) * ATTEMPT_SPAN
        self._first = self._seq + 1  # number of the first event in memory
        self.events: list[Event] = []
        self._kept_bytes = 0  # in memory
        self._said_bytes, self._most_bytes = 0, most_bytes
        self._last: list[Event] = []  # error and end, until the store knows of them
        self._flushed = self._seq
        self.is_whole = False  # it ended here, and all of it may be heard

    def say(self, name: str, data: bytes) -> None:
        """One more event; raises StreamTooLarge."""
        size = len(data)
        if self._said_bytes + size > self._most_bytes:
            raise StreamTooLarge(
                f"the run streamed more than {self._most_bytes} bytes; ask for stream_mode updates instead of values"
            )
        if self._seq - self._before >= ATTEMPT_SPAN - _RESERVED:
            raise StreamTooLarge(
                f"the run streamed {ATTEMPT_SPAN - _RESERVED} events; ask for stream_mode updates instead of values"
            )
        self._seq += 1
        self._said_bytes += size
        self._kept_bytes += size
        self.events.append(Event(self._seq, name, data))
        self._ring(self.run_id)

    def say_last(self, name: str, data: bytes) -> None:
        """How it ends: nobody hears of it before `end_is_kept`, since whoever has heard it counts on what it means."""
        self._last.append(Event(self._seq + len(self._last) + 1, name, data))

    def take_back_last(self) -> None:
        """It ends otherwise."""
        self._last.clear()

    def end_is_kept(self) -> None:
        """Now everybody may hear it."""
        self.is_whole = True
        self.events += self._last
        self._seq += len(self._last)
        self._last = []
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
        return [*self.unflushed(), *self._last]

    def flushed(self, seq: int) -> None:
        """The store has everything up to this number; of that, memory keeps the newest."""
        self._flushed = max(seq, self._flushed)
        may_go = self._flushed + 1 - self._first
        surplus = min(len(self.events) - _MOST_KEPT, may_go)
        freed = sum(len(event.data) for event in self.events[: max(surplus, 0)])
        surplus = max(surplus, 0)
        while surplus < may_go and self._kept_bytes - freed > _MOST_KEPT_BYTES:
            freed += len(self.events[surplus].data)
            surplus += 1
        if surplus > 0:
            del self.events[:surplus]
            self._first += surplus
            self._kept_bytes -= freed
