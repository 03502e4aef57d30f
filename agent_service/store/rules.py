"""What the stores have in common: how records change, and who may change them.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from agent_service.errors import InvalidError
from agent_service.store import words
from agent_service.store.compact import compact
from agent_service.store.records import (
    ATTEMPT_SPAN,
    Claim,
    Ending,
    Event,
    Json,
    Run,
    RunStatus,
    Stop,
    Submission,
    Thread,
    ThreadStatus,
)

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_CANONICAL = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS


# runs


def is_due(run: Run, at: datetime) -> bool:
    """Whether it may begin; one that was never to wait is due for every replica, whatever its clock says."""
    return run.not_before <= run.created_at or run.not_before <= at


def may_begin(run: Run, others: Iterable[Run]) -> bool:
    """Whether nothing of its thread comes first."""
    at = run.created_at
    return is_due(run, at) and not any(
        each.status is RunStatus.RUNNING or (each.status is RunStatus.PENDING and is_due(each, at)) for each in others
    )


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


def released(run: Run, at: datetime, *, is_crash: bool = False) -> Run:
    """The run waiting again, for whoever claims it next."""
    crashes = run.crashes + is_crash
    return replace(run, status=RunStatus.PENDING, holder=None, lease_until=None, crashes=crashes, updated_at=at)


def crashed(run: Run, at: datetime, most_crashes: int) -> tuple[Run, Ending | None]:
    """A run whose holder went silent: released, or how it ends.

    To be rolled back, it needs somebody who cleans up; but not for ever.
    """
    run = released(run, at, is_crash=True)
    if run.stop is Stop.INTERRUPT:
        return run, stopped(at)
    return run, given_up(run, at) if run.crashes >= most_crashes else None


def marked(run: Run, stop: Stop, at: datetime) -> Run:
    """The run that is to stop; what a rollback takes away an interrupt cannot bring back."""
    return replace(run, stop=Stop.ROLLBACK if run.stop is Stop.ROLLBACK else stop, updated_at=at)


def ends_at_once(marked_run: Run) -> bool:
    """Whether a run that is to stop needs no execution for that: it has left nothing that must be cleaned up."""
    is_clean = marked_run.attempt == 0 or marked_run.stop is Stop.INTERRUPT
    return marked_run.status is RunStatus.PENDING and is_clean


def ended(run: Run, ending: Ending) -> Run:
    """The run after its ending; whoever held it is still to be seen, since he may ask whether it was kept."""
    return replace(
        run,
        status=ending.status,
        lease_until=None,
        updated_at=ending.at,
        finished_at=ending.at,
        result=ending.result,
    )


def was_ended_by(known: Run, run: Run) -> bool:
    """Whether the ending that is known is that of this very holder and attempt."""
    return not known.status.is_active and (known.holder, known.attempt) == (run.holder, run.attempt)


def is_held(known: Run, run: Run) -> bool:
    """Whether it is still in the hands in which `run` was."""
    return known.status is RunStatus.RUNNING and (known.holder, known.attempt) == (run.holder, run.attempt)


def last_words(run: Run, ending: Ending, last_seq: int) -> list[Event]:
    """Events of a run that ended without an execution.

    They are numbered like those of the next attempt would be: a replica that died may have shown more events than it
    stored, and a reader who has seen those asks for what comes after them.
    """
    told = [] if ending.error is None else [("error", compact(orjson.dumps(ending.error)))]
    told.append(("end", compact(orjson.dumps({"run_id": run.run_id, "status": ending.status.value}))))
    first = max(last_seq, run.attempt * ATTEMPT_SPAN) + 1
    return [Event(first + number, name, data) for number, (name, data) in enumerate(told)]


def stopped(at: datetime) -> Ending:
    """Of a run that a user stopped, and that nobody executes."""
    return Ending(RunStatus.INTERRUPTED, at)


def given_up(run: Run, at: datetime) -> Ending:
    """Of a run whose replicas went silent too often."""
    error = {"error": "RunLost", "message": f"{run.crashes} replicas stopped answering while they executed this run"}
    return Ending(RunStatus.ERROR, at, result=compact(orjson.dumps({"__error__": error})), error=error)


# submissions


def accepted(run: Run, claim: Claim | None, others: Sequence[Run], to_stop: Sequence[Run]) -> Submission:
    """A new run beside the active ones of its thread: begun by the claim, or waiting."""
    may = may_begin(run, others)
    if claim is not None and may:
        run = claimed(run, claim)
    return Submission(run, to_stop=tuple(to_stop), is_runnable=may and run.status is RunStatus.PENDING)


def accepted_before(known: Run, earlier: Sequence[Run]) -> Submission:
    """The same answer once more, for whoever did not get it.  earlier: runs of the thread that came before it."""
    to_stop = tuple(each for each in earlier if each.stop is not None and each.updated_at == known.created_at)
    return Submission(
        known, to_stop=to_stop, is_runnable=known.status is RunStatus.PENDING and may_begin(known, earlier)
    )


def repeated(known: Run, run: Run) -> Run:
    """The run that an idempotency key has made; raises InvalidError when this one asks for something else.

    Whose thread was not named by the caller has another one each time.
    """
    is_nameless = bool(run.request.get("is_temporary") or run.request.get("is_stateless"))
    same_thread = is_nameless or known.thread_id == run.thread_id
    if known.graph_id != run.graph_id or not same_thread or _canonical(known.request) != _canonical(run.request):
        raise InvalidError(words.other_request(known))
    return known


def _canonical(value: Json) -> bytes:
    return orjson.dumps(value, option=_CANONICAL)


# threads


def settled(thread: Thread, ending: Ending, *, is_busy: bool) -> Thread:
    """The thread after one of its runs ended; a run that was stopped before it began changes nothing but the status."""
    thread = replace(thread, status=status_after(thread, ending, is_busy=is_busy), updated_at=ending.at)
    if ending.values is None and ending.error is None and ending.status is not RunStatus.SUCCESS:
        return thread
    thread = replace(thread, interrupts=ending.interrupts, error=ending.error)
    return thread if ending.values is None else replace(thread, values=ending.values, state_updated_at=ending.at)


def updated(thread: Thread, metadata: Json, ttl_minutes: float | None, at: datetime) -> Thread:
    """The thread with more metadata, and a time to live that counts from now.  Raises InvalidError."""
    thread = replace(thread, metadata={**thread.metadata, **metadata}, updated_at=at)
    if ttl_minutes is None:
        return thread
    try:
        expires_at = at + timedelta(minutes=ttl_minutes)
    except (OverflowError, ValueError) as error:
        raise InvalidError(f"a ttl of {ttl_minutes:g} minutes ends after the end of all time; give less") from error
    return replace(thread, ttl_minutes=ttl_minutes, expires_at=expires_at)


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


def sort_value(thread: Thread, key: str) -> Any:
    """What a search sorts by; a state that never changed is the oldest."""
    value = getattr(thread, key)
    return (_LONG_AGO if value is None else value, thread.thread_id)
