"""The three ports.  One object may be more than one of them; the contract is in `tests/agent_service/store`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver

from agent_service.store.records import (
    Change,
    Claim,
    Ending,
    Event,
    Json,
    Multitask,
    QueueDepth,
    Run,
    RunStatus,
    Stop,
    Submission,
    Thread,
    ThreadQuery,
)

Listener = Callable[[Change], None]


class RunStore(Protocol):
    """Threads and runs.  Every method is one transaction that moves a run and its thread together.

    Raises StoreError when the store cannot be reached or is broken; NotFoundError and ConflictError as said.
    """

    async def open(self) -> None:
        """Connect, make the tables, begin to listen; raises SettingsError when that cannot be."""

    async def close(self) -> None:
        """Give everything back."""

    async def ping(self) -> None:
        """Raises StoreError when the store does not answer."""

    def listen(self, listener: Listener) -> None:
        """Tell this one of every change, those made here and, in a fleet, elsewhere; called in the event loop."""

    # threads

    async def create_thread(self, thread: Thread, *, may_exist: bool = False) -> Thread:
        """The thread as kept.  Raises ConflictError when the id is taken (by another tenant, even if it may exist)."""

    async def get_thread(self, thread_id: str, tenant: str) -> Thread:
        """Raises NotFoundError, also for another tenant's."""

    async def update_thread(
        self, thread_id: str, tenant: str, *, metadata: Json, ttl_minutes: float | None, at: datetime
    ) -> Thread:
        """Merge metadata; a ttl counts from `at`, None leaves it.  Raises NotFoundError."""

    async def set_values(self, thread_id: str, tenant: str, values: bytes, interrupts: Json, at: datetime) -> None:
        """After a state update by hand; the thread becomes interrupted or idle, unless a run is active."""

    async def delete_thread(self, thread_id: str, tenant: str) -> None:
        """With its runs and their events; active runs lose their row, which stops them.  Raises NotFoundError."""

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """A page of them, and how many there are in all."""

    # runs

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """Accept a run, as pending; or as running, held by the claim, when it may begin at once.

        new_thread: made when the thread does not exist.  Raises NotFoundError without one, ConflictError when the
        strategy is to reject and the thread is busy.  Runs that the strategy stops: pending ones end here, running
        ones get `stop` set; all are in the answer.  Metadata of the thread gains graph_id and assistant_id.
        """

    async def claim(self, claim: Claim, limit: int) -> list[Run]:
        """Take pending runs whose time has come, oldest first, one per thread, none of a thread with a running one."""

    async def renew(self, claim: Claim, run_ids: Sequence[str]) -> dict[str, Stop | None]:
        """Extend leases; of those still held, whether to stop.  A run that is missing in the answer is lost."""

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> bool:
        """End a run that `run.holder` holds in `run.attempt`, with its last events.  False: it was not ours any more.

        The thread: busy while another of its runs is active; else interrupted, error or idle, by the ending.
        """

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime) -> bool:
        """Back to pending, for another replica; False: it was not ours any more."""

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """A pending run ends here, as interrupted; a running one is marked.  The run as it then is.

        Raises NotFoundError when there is no such run, ConflictError when it has ended.
        """

    async def reap(self, at: datetime, *, most_crashes: int) -> list[Run]:
        """Runs whose lease has run out: pending again, or ended with an error after so many crashes."""

    async def get_run(self, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
        """Raises NotFoundError, also for another tenant's or another thread's."""

    async def list_runs(
        self, thread_id: str, tenant: str, *, status: RunStatus | None = None, limit: int = 10, offset: int = 0
    ) -> list[Run]:
        """Newest first."""

    async def active_runs(self, tenant: str, status: RunStatus | None = None) -> list[Run]:
        """Of all threads."""

    async def delete_run(self, run_id: str, tenant: str, thread_id: str) -> None:
        """With its events.  Raises NotFoundError, ConflictError while it is active."""

    async def queue_depth(self, at: datetime) -> QueueDepth:
        """What waits, in the whole fleet."""

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """Delete threads whose ttl has run out and ended temporary ones; runs that ended before then lose their events
        and results.  The ids of the deleted threads, whose checkpoints are to go too."""


class EventLog(Protocol):
    """What every run said, in order; keyed by (run_id, seq), so that writing twice is writing once."""

    async def append(self, run_id: str, events: Sequence[Event]) -> None:
        """Keep them; events of a run that is gone are dropped."""

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """Those with a higher number, in order."""


class Checkpoints(Protocol):
    """Graph state by thread."""

    @property
    def saver(self) -> BaseCheckpointSaver[Any]:
        """What graphs are compiled with; there once it is open."""

    async def open(self) -> None:
        """Connect and make the tables."""

    async def close(self) -> None:
        """Give everything back."""

    async def delete_thread(self, thread_id: str) -> None:
        """All of a thread's."""

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """Those that a run wrote (metadata run_id), with their writes."""

    async def copy_thread(self, source: str, target: str) -> None:
        """All of a thread's, for another."""

    async def prune(self, thread_id: str) -> None:
        """All but the newest of every namespace."""
