"""How the engine behaves.  Frozen, validated, without I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from agent_service.errors import SettingsError
from agent_service.store.records import Thread

_QUEUE_PER_SLOT = 4
_BLOCKED_PER_WAITING = 10


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Of one process, which is one replica."""

    slots: int = 32  # runs that execute at once; one core carries about this many that mostly wait for a model
    queue_limit: int | None = None  # runs that may wait before new ones are refused; None: four for every slot
    lease_seconds: float = 30.0  # after so long without a sign of life another replica takes a run over
    run_seconds: float = 600.0  # deadline of a run, from its first start, over all of its attempts
    # Deadline of every node that sets none itself; None: only the run's.  Not for nodes that are plain functions: those
    # run in threads, which nobody can stop.  A graph inside a graph is one node.
    node_seconds: float | None = None
    grace_seconds: float = 5.0  # what a cancelled node gets to clean up, before its run ends without it
    drain_seconds: float = 45.0  # what a run in progress gets to reach the end of its step when we shut down
    most_crashes: int = 3  # replicas that a run may take down with it
    flush_seconds: float = 0.05  # events reach the store after so long at the latest
    most_event_bytes: int = 64 * 2**20  # that one attempt of a run may stream; beyond it the run ends with an error
    keep_seconds: float = 3600.0  # streams and results of ended runs, and temporary threads
    # "latest": when a run ends well, its thread loses all checkpoints but the newest.  Without it a thread of n steps
    # keeps n states, which grows with the square of a conversation's length; with it there is no history to go back to.
    keep_checkpoints: Literal["all", "latest"] = "all"
    thread_ttl_minutes: float | None = None  # of threads made without a time to live; None: they stay for ever
    patience_seconds: float = 5.0  # a silent stream says after so long that it is alive
    gather_seconds: float = 0.02  # after a token, the next ones are gathered so long before a connection is told
    look_seconds: float = 1.0  # how often to look for what others did, should their news be lost
    sweep_seconds: float = 10.0  # how often what nobody needs any more is deleted
    most_steps: int = 100  # recursion limit that a caller may ask for
    accepts_while_draining: bool = False  # whether others will execute what is accepted then

    def __post_init__(self) -> None:
        for name in ("slots", "most_crashes", "most_steps", "most_event_bytes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; give 1 or more")
        positive = (
            "lease_seconds",
            "run_seconds",
            "flush_seconds",
            "patience_seconds",
            "look_seconds",
            "sweep_seconds",
        )
        optional = [name for name in ("node_seconds", "thread_ttl_minutes") if getattr(self, name) is not None]
        for name in (*positive, *optional):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise SettingsError(f"{name} is {getattr(self, name)}; give a number above 0")
        for name in ("drain_seconds", "keep_seconds", "grace_seconds", "gather_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise SettingsError(f"{name} is {getattr(self, name)}; give 0 or more seconds")
        if self.queue_limit is not None and self.queue_limit < 0:
            raise SettingsError(f"queue_limit is {self.queue_limit}; give 0 or more")
        if self.keep_checkpoints not in ("all", "latest"):
            raise SettingsError(f"keep_checkpoints is {self.keep_checkpoints!r}; give all or latest")

    @property
    def most_waiting(self) -> int:
        """Runs accepted here that may wait for nothing but a slot."""
        return _QUEUE_PER_SLOT * self.slots if self.queue_limit is None else self.queue_limit

    @property
    def most_pending(self) -> int:
        """Runs accepted here that may wait for whatever: a slot, their own thread, their time."""
        return _BLOCKED_PER_WAITING * max(self.most_waiting, 1)

    @property
    def lease_margin_seconds(self) -> float:
        """So long before a lease ends we stop what we may not be able to stop in time later."""
        return self.lease_seconds / 10

    def with_ttl(self, thread: Thread, at: datetime) -> Thread:
        """A new thread with the time to live that threads have here, if it has none of its own."""
        if self.thread_ttl_minutes is None or thread.ttl_minutes is not None or thread.is_temporary:
            return thread
        ends = at + timedelta(minutes=self.thread_ttl_minutes)
        return replace(thread, ttl_minutes=self.thread_ttl_minutes, expires_at=ends)
