"""What one replica is made of: shared by the parts of its engine, each of which does one thing with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from langgraph.checkpoint.memory import InMemorySaver

from agent_service.engine.admission import Admission
from agent_service.engine.bells import Bells
from agent_service.engine.graphs import Graphs
from agent_service.engine.loops import Tasks
from agent_service.engine.meters import Account, Meters
from agent_service.engine.settings import EngineSettings
from agent_service.engine.slots import Slots
from agent_service.store.ports import Checkpoints, EventLog, RunStore
from agent_service.store.records import Claim, Run


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Companion(Protocol):
    """Goes along with every execution: traces, budgets."""

    def begin(self, run: Run) -> tuple[tuple[Any, ...], Account]:
        """Callbacks for the graph, and the account with the trace's ids filled in; called in the execution's task."""

    def end(self, account: Account) -> None:
        """It is over."""

    def unexecuted(self, run: Run) -> None:
        """A run that ended, and that nobody executed to that end."""


@dataclass(frozen=True, slots=True)
class Replica:
    """Its stores, graphs and clocks, and what goes on here."""

    name: str  # that no other process has, nor had
    graphs: Graphs
    runs: RunStore
    events: EventLog
    checkpoints: Checkpoints
    scratch: InMemorySaver
    settings: EngineSettings
    admission: Admission
    slots: Slots
    meters: Meters = field(default_factory=Meters)
    companion: Companion | None = None
    on_finished: Callable[[Run], None] | None = None
    now: Callable[[], datetime] = utc_now
    clock: Callable[[], float] = time.monotonic  # for leases: nobody sets it back
    bells: Bells = field(default_factory=Bells)
    tasks: Tasks = field(default_factory=Tasks)

    def claim(self) -> tuple[Claim, float]:
        """A claim from now on, and the moment on our clock from which on we must not rely on it any more."""
        read_at, at = self.clock(), self.now()
        seconds = self.settings.lease_seconds
        safe_until = read_at + seconds - self.settings.lease_margin_seconds
        return Claim(self.name, at, at + timedelta(seconds=seconds)), safe_until
