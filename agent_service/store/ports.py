"""The three ports.  One object may be more than one of them; the contract is in `tests/agent_service/store`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from langgraph.checkpoint.base import BaseCheckpointSaver

from agent_service.store.records import (
    Change,
    Claim,
    Ending,
    Event,
    Finished,
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

    Raises StoreError when the store cannot be reached or is broken, never the driver's own: whoever gets it does not
    know whether the transaction holds, and may ask again.  NotFoundError and ConflictError as said.  InvalidError for
    text with a NUL character in an id, in metadata, in a request or in values set by hand.  Limits and offsets that
    are too large or negative are taken for the largest and for 0.

    A run that ends here without an execution gets the events `error` (if it failed) and `end`, so that its events and
    its row tell the same.  Due is a run whose `not_before` has passed, or was not after its `created_at`.
    """

    async def open(self) -> None:
        """Connect, make the tables, begin to listen; raises SettingsError when that cannot be."""

    async def close(self) -> None:
        """Give everything back."""

    async def ping(self) -> None:
        """Raises StoreError when the store does not answer."""

    def listen(self, listener: Listener) -> None:
        """Tell this one of every change, those made here and, in a fleet, elsewhere; called in the event loop.

        After a time in which changes made elsewhere may have been missed: WORK and LOOK, without a run.
        """

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
        """With its runs and their events; of active ones STOP is told.  Raises NotFoundError."""

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """A page of them, and how many there are in all."""

    # runs

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """Accept a run, as pending; or as running, held by the claim, when it may begin at once.

        new_thread: made when the thread does not exist.  Raises NotFoundError without one, ConflictError when the
        strategy is to reject and the thread is busy.  Runs that the strategy stops are in the answer, see request_stop.
        Metadata of the thread gains graph_id and assistant_id.

        Asked again with the same run_id, it answers with what the first time made: is_new.  A run with an idempotency
        key that the tenant has used is not made either: not is_new, and InvalidError when it asks for something else
        (see rules.repeated).
        """

    async def find_by_key(self, tenant: str, key: str) -> Run | None:
        """The run that this idempotency key has made."""

    async def claim(self, claim: Claim, limit: int, *, graphs: Collection[str] | None = None) -> list[Run]:
        """Take due pending runs, oldest first, one per thread, none of a thread with a running one.

        graphs: only runs of these; one of another graph still holds up those that came after it on its thread.
        A run that is to be rolled back is claimed too, with `stop` set: to clean up after it.
        """

    async def renew(self, claim: Claim, runs: Sequence[Run]) -> dict[str, Stop | None]:
        """Extend leases of runs that the claim's holder has in `run.attempt`; by run id, whether to stop.

        A run that is missing in the answer is lost, or gone.
        """

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> Finished:
        """End a run that `run.holder` holds in `run.attempt`, with its last events.

        KEPT also when this very holder has ended it in this attempt before.  ROLLED_BACK, with nothing written, when
        the run is marked so and the ending does not say that it `is_rolled_back`.
        The thread: busy while another of its runs is active; else interrupted, error or idle, by the ending.
        """

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime, *, is_crash: bool = False) -> bool:
        """Back to pending, for another replica; False: it was not ours any more.

        is_crash: counts as one, since the next attempt may fail in the same way; whoever sees that
        `run.crashes + 1` is too much ends the run instead.
        """

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """Stop a run; it is given as it then is.  Raises NotFoundError, ConflictError when it has ended.

        A running one is marked.  A pending one ends here, as interrupted; but one that had begun (attempt > 0) and is
        to be rolled back stays pending, marked, until somebody claims it and cleans up.  A rollback takes the place of
        an interrupt, never the other way round.
        """

    async def reap(self, at: datetime, *, most_crashes: int) -> list[Run]:
        """Runs whose lease has run out: pending again, or ended with an error after so many crashes.

        One that was to be interrupted ends as that.  One that is to be rolled back is pending again, marked.
        PostgreSQL looks at its own clock for the leases.
        """

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

    async def queue_depth(self, at: datetime, replica: str = "") -> QueueDepth:
        """What waits, in the whole fleet; and what of it `replica` has accepted."""

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """Delete threads whose ttl has run out and ended temporary ones, at most `limit`; all runs that ended before
        then lose their events and results.  The ids of the deleted threads, whose checkpoints are to go too."""


class EventLog(Protocol):
    """What every run said, in order; keyed by (run_id, seq), so that writing twice is writing once."""

    async def append(self, said: Mapping[str, Sequence[Event]]) -> None:
        """Keep them, by run and all at once; events of a run that is gone are dropped."""

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """Those with a higher number, in order."""


class Checkpoints(Protocol):
    """Graph state by thread.  All of it, the saver included, raises StoreError when the store is away or broken."""

    @property
    def saver(self) -> BaseCheckpointSaver[Any]:
        """What graphs are compiled with; there once it is open."""

    async def open(self) -> None:
        """Connect and make the tables."""

    async def close(self) -> None:
        """Give everything back."""

    async def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """All of these threads'; those that are not there are gone already."""

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """Take away what a run wrote (metadata run_id), so that the thread is where it was before.

        Its checkpoints, and what it wrote onto the checkpoint that it went on from: the thread asks its question again.
        May be done twice.
        """

    async def copy_thread(self, source: str, target: str) -> None:
        """All of a thread's, for another."""

    async def prune(self, thread_id: str) -> None:
        """Keep the newest checkpoint of every namespace with what was written onto it: a paused thread can go on."""
