"""What the engine tells whoever counts.  All seconds; no names of runs, threads or users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent_service.store.records import Ending, QueueDepth, Run


@dataclass(slots=True)
class Account:
    """What one execution took, for its log line."""

    run: Run
    ending: Ending | None = None  # None: handed over, or lost to another replica
    waited_seconds: float = 0.0  # in the queue
    took_seconds: float = 0.0
    node_seconds: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None  # the type of it
    trace_id: str = ""
    span_id: str = ""
    trace_flags: str = "00"


class Meters:
    """Counts nothing; the server's counts for Prometheus."""

    def arrived(self) -> None:
        """Somebody asked for a run, whether or not it was accepted."""

    def rejected(self, reason: str) -> None:
        """It was not."""

    def in_flight(self, count: int) -> None:
        """So many runs execute here now."""

    def began(self, waited_seconds: float, *, attempt: int) -> None:
        """A run was taken up."""

    def finished(self, account: Account) -> None:
        """An execution is over: ended, handed over or lost."""

    def unexecuted(self, run: Run) -> None:
        """A run ended without being executed here: cancelled while it waited, or given up after it."""

    def node(self, name: str, seconds: float) -> None:
        """A node of a graph ended."""

    def drained(self) -> None:
        """A run stopped between two steps for a shutdown, and waits for another replica."""

    def draining(self, is_draining: bool) -> None:
        """Whether this replica shuts down."""

    def waiting(self, depth: QueueDepth, *, runnable_seconds: float, blocked_seconds: float) -> None:
        """What the queue holds, and how old the oldest are."""

    def lag(self, seconds: float) -> None:
        """How much later than asked the event loop woke up."""

    def webhook(self, outcome: str) -> None:
        """A webhook was delivered, refused or given up."""
