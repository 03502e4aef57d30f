"""What the stores have in common: how records change, and the words for what cannot be.  Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from agent_service.store.records import Claim, Ending, Json, Run, RunStatus, Thread, ThreadStatus

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def claimed(run: Run, claim: Claim) -> Run:
    """The run in the hands of whoever claimed it."""
    return replace(
        run,
        status=RunStatus.RUNNING,
        attempt=run.attempt + 1,
        holder=claim.holder,
        lease_until=claim.lease_until,
        started_at=claim.at,
        updated_at=claim.at,
    )


def released(run: Run, at: datetime) -> Run:
    """The run waiting again, for whoever claims it next."""
    return replace(run, status=RunStatus.PENDING, holder=None, lease_until=None, updated_at=at)


def ended(run: Run, ending: Ending) -> Run:
    """The run after its ending."""
    return replace(
        run,
        status=ending.status,
        holder=None,
        lease_until=None,
        updated_at=ending.at,
        finished_at=ending.at,
        result=ending.result,
    )


def settled(thread: Thread, ending: Ending, *, is_busy: bool) -> Thread:
    """The thread after one of its runs ended; a run that was stopped before it began changes nothing but the status."""
    thread = replace(thread, status=status_after(thread, ending, is_busy=is_busy), updated_at=ending.at)
    if ending.values is None and ending.error is None and ending.status is not RunStatus.SUCCESS:
        return thread
    thread = replace(thread, interrupts=ending.interrupts, error=ending.error)
    return thread if ending.values is None else replace(thread, values=ending.values, state_updated_at=ending.at)


def occupied(thread: Thread, run: Run) -> Thread:
    """The thread with a new run."""
    return replace(
        thread,
        status=ThreadStatus.BUSY,
        updated_at=run.created_at,
        metadata={**thread.metadata, "graph_id": run.graph_id, "assistant_id": run.assistant_id},
    )


def with_values(thread: Thread, values: bytes, interrupts: Json, at: datetime) -> Thread:
    """The thread after its state was changed by hand."""
    status = thread.status
    if status is not ThreadStatus.BUSY:
        status = ThreadStatus.INTERRUPTED if interrupts else ThreadStatus.IDLE
    return replace(thread, values=values, interrupts=interrupts, status=status, updated_at=at, state_updated_at=at)


def status_after(thread: Thread, ending: Ending, *, is_busy: bool) -> ThreadStatus:
    """Of the thread."""
    if is_busy:
        return ThreadStatus.BUSY
    if ending.status in (RunStatus.ERROR, RunStatus.TIMEOUT):
        return ThreadStatus.ERROR
    changes = ending.values is not None or ending.status is RunStatus.SUCCESS
    waiting = ending.interrupts if changes else thread.interrupts
    return ThreadStatus.INTERRUPTED if waiting else ThreadStatus.IDLE


def stopped(at: datetime) -> Ending:
    """Of a run that a user stopped, and that nobody executes."""
    return Ending(RunStatus.INTERRUPTED, at)


def given_up(run: Run, at: datetime) -> Ending:
    """Of a run whose replicas went silent too often."""
    error = {"error": "RunLost", "message": f"{run.crashes} replicas stopped answering while they executed this run"}
    return Ending(RunStatus.ERROR, at, result=orjson.dumps({"__error__": error}), error=error)


def sort_value(thread: Thread, key: str) -> Any:
    """What a search sorts by; a state that never changed is the oldest."""
    value = getattr(thread, key)
    return (_LONG_AGO if value is None else value, thread.thread_id)


def no_thread(thread_id: str) -> str:
    """In words."""
    return f"there is no thread {thread_id}; create it first, or send if_not_exists: create"


def thread_exists(thread_id: str) -> str:
    """In words."""
    return f"thread {thread_id} exists already; send if_exists: do_nothing to take it as it is"


def busy(thread_id: str) -> str:
    """In words."""
    return f"thread {thread_id} has a run that has not ended, and multitask_strategy is reject"


def no_run(run_id: str) -> str:
    """In words."""
    return f"there is no run {run_id}"


def has_ended(run: Run) -> str:
    """In words."""
    return f"run {run.run_id} has ended already ({run.status}); there is nothing to cancel"


def still_active(run: Run) -> str:
    """In words."""
    return f"run {run.run_id} is {run.status}; cancel it before it is deleted"
