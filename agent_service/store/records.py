"""What is kept: threads, runs, events.  Frozen; instants are UTC; JSON is kept as text in bytes, as it will be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]

ATTEMPT_SPAN = 1_000_000
"""Events of the second attempt are numbered from this on, of the third from twice this: a replica that died may have
shown events that were never stored, and nobody may be given the same number twice."""


class RunStatus(StrEnum):
    """As the protocol names them."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"  # cancelled; a run that waits for a person has ended with success

    @property
    def is_active(self) -> bool:
        """Whether it still has to end."""
        return self in ACTIVE


ACTIVE = frozenset({RunStatus.PENDING, RunStatus.RUNNING})


class ThreadStatus(StrEnum):
    """As the protocol names them."""

    IDLE = "idle"
    BUSY = "busy"
    INTERRUPTED = "interrupted"  # waits for a person
    ERROR = "error"


class Stop(StrEnum):
    """Why a user stops a run."""

    INTERRUPT = "interrupt"  # what it has done stays
    ROLLBACK = "rollback"  # as if it had never been


class Multitask(StrEnum):
    """What a new run does to those of its thread that have not ended."""

    REJECT = "reject"
    ENQUEUE = "enqueue"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation: what runs one after the other."""

    thread_id: str
    tenant: str  # whose API key made it; "" where no keys are asked for
    created_at: datetime
    updated_at: datetime
    metadata: Json = field(default_factory=dict)
    status: ThreadStatus = ThreadStatus.IDLE
    config: Json = field(default_factory=dict)
    values: bytes | None = None  # JSON of the state after the last run
    interrupts: Json = field(default_factory=dict)  # task -> what it asks of a person
    error: Json | None = None
    state_updated_at: datetime | None = None
    is_temporary: bool = False  # of a stateless run: goes with it
    ttl_minutes: float | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a graph on a thread.

    `attempt` counts claims, and fences: what an earlier holder still writes is not taken.  `crashes` counts holders
    that went silent, or found the store broken; one that hands its run over to leave does not count.
    """

    run_id: str
    thread_id: str
    tenant: str
    assistant_id: str
    graph_id: str
    created_at: datetime
    updated_at: datetime
    not_before: datetime
    request: Json = field(default_factory=dict)  # input, command, config, context, stream_mode, durability, ...
    metadata: Json = field(default_factory=dict)
    status: RunStatus = RunStatus.PENDING
    multitask: Multitask = Multitask.ENQUEUE
    attempt: int = 0
    crashes: int = 0
    holder: str | None = None  # who executes it, or has written its ending
    accepted_by: str = ""  # the replica that took it in: whose queue it is in
    lease_until: datetime | None = None  # by the store's clock
    stop: Stop | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: bytes | None = None  # JSON of the last values, with __interrupt__ or __error__ as they are sent


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a run's stream; `data` is JSON."""

    seq: int
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and what its thread is then."""

    status: RunStatus
    at: datetime
    result: bytes | None = None
    values: bytes | None = None  # of the thread; None leaves those it has
    interrupts: Json = field(default_factory=dict)
    error: Json | None = None  # {"error": type, "message": words}
    is_rolled_back: bool = False  # what it had written to the checkpoints is gone already


class Finished(StrEnum):
    """What became of an ending."""

    KEPT = "kept"
    LOST = "lost"  # the run is in other hands, or gone
    ROLLED_BACK = "rolled_back"  # nothing was written: a rollback was asked for, and its checkpoints are still there


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants to execute, and until when nobody else may."""

    holder: str
    at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a new run."""

    run: Run
    is_new: bool = True  # False: this idempotency key has been seen, and `run` is the run it made
    to_stop: tuple[Run, ...] = ()  # runs of the thread that were told to stop for it
    is_runnable: bool = False  # it is pending, and waits for nothing but a slot


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What waits.  Blocked: another run of the same thread comes first, and more replicas would not help."""

    runnable: int = 0
    blocked: int = 0
    oldest_runnable_at: datetime | None = None  # since when it could have begun
    oldest_blocked_at: datetime | None = None
    mine: int = 0  # pending runs that one replica accepted, those whose time has not come included
    mine_runnable: int = 0


@dataclass(frozen=True, slots=True)
class ThreadQuery:
    """Which threads; `metadata` and `values` must be contained at their top level."""

    tenant: str | None = None  # None: everybody's
    status: ThreadStatus | None = None
    metadata: Json = field(default_factory=dict)
    values: Json = field(default_factory=dict)
    ids: tuple[str, ...] | None = None
    limit: int = 10
    offset: int = 0
    sort_by: str = "created_at"  # or thread_id, status, updated_at, state_updated_at
    is_descending: bool = True


SORT_KEYS = ("thread_id", "status", "created_at", "updated_at", "state_updated_at")


class ChangeKind(StrEnum):
    """What others may wait for."""

    WORK = "work"  # a run can be claimed
    STOP = "stop"  # a run has been told to stop
    EVENTS = "events"  # a run has more events
    FINISHED = "finished"  # a run has ended, or is gone
    LOOK = "look"  # news may have been missed: whoever waits for anything looks for himself; run_id is empty


@dataclass(frozen=True, slots=True)
class Change:
    """Told to every replica; may be lost or told twice, so that those who wait also look by themselves."""

    kind: ChangeKind
    run_id: str
