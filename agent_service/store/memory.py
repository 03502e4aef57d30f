"""Everything in this process: for tests, and where nothing has to outlive it.

One event loop uses it, and no method awaits anything: each is one transaction by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from agent_service.errors import ConflictError, NotFoundError
from agent_service.store import rules
from agent_service.store.ports import Listener
from agent_service.store.records import (
    Change,
    ChangeKind,
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
    ThreadStatus,
)


class MemoryStore:
    """RunStore and EventLog."""

    def __init__(self, *, most_event_bytes: int = 32 * 2**20) -> None:
        """most_event_bytes: beyond it, the oldest ended runs lose their events; streams of active ones are whole."""
        self._threads: dict[str, Thread] = {}
        self._runs: dict[str, Run] = {}
        self._of_thread: dict[str, dict[str, None]] = {}  # run ids in the order in which they came
        self._active: dict[str, None] = {}
        self._keys: dict[tuple[str, str], str] = {}  # tenant, idempotency key -> run id
        self._events: dict[str, list[Event]] = {}
        self._event_bytes = 0
        self._most_event_bytes = most_event_bytes
        self._listeners: list[Listener] = []

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to give back."""

    async def ping(self) -> None:
        """Always there."""

    def listen(self, listener: Listener) -> None:
        """See RunStore."""
        self._listeners.append(listener)

    async def create_thread(self, thread: Thread, *, may_exist: bool = False) -> Thread:
        """See RunStore."""
        known = self._threads.get(thread.thread_id)
        if known is None:
            self._threads[thread.thread_id] = thread
            return thread
        if may_exist and known.tenant == thread.tenant:
            return known
        raise ConflictError(rules.thread_exists(thread.thread_id))

    async def get_thread(self, thread_id: str, tenant: str) -> Thread:
        """See RunStore."""
        return self._thread(thread_id, tenant)

    async def update_thread(
        self, thread_id: str, tenant: str, *, metadata: Json, ttl_minutes: float | None, at: datetime
    ) -> Thread:
        """See RunStore."""
        thread = self._thread(thread_id, tenant)
        thread = replace(thread, metadata={**thread.metadata, **metadata}, updated_at=at)
        if ttl_minutes is not None:
            thread = replace(thread, ttl_minutes=ttl_minutes, expires_at=at + timedelta(minutes=ttl_minutes))
        self._threads[thread_id] = thread
        return thread

    async def set_values(self, thread_id: str, tenant: str, values: bytes, interrupts: Json, at: datetime) -> None:
        """See RunStore."""
        thread = self._thread(thread_id, tenant)
        self._threads[thread_id] = rules.with_values(thread, values, interrupts, at)

    async def delete_thread(self, thread_id: str, tenant: str) -> None:
        """See RunStore."""
        self._thread(thread_id, tenant)
        self._drop_thread(thread_id)

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """See RunStore."""
        found = [thread for thread in self._threads.values() if _matches(thread, query)]
        found.sort(key=lambda thread: rules.sort_value(thread, query.sort_by), reverse=query.is_descending)
        return found[query.offset : query.offset + query.limit], len(found)

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """See RunStore."""
        if run.idempotency_key is not None:
            known = self._keys.get((run.tenant, run.idempotency_key))
            if known is not None:
                return Submission(self._runs[known], is_new=False)
        thread = self._threads.get(run.thread_id)
        if thread is None and new_thread is not None:
            thread = new_thread
        if thread is None or thread.tenant != run.tenant:
            raise NotFoundError(rules.no_thread(run.thread_id))
        active = [self._runs[run_id] for run_id in self._of_thread.get(run.thread_id, ()) if run_id in self._active]
        if active and strategy is Multitask.REJECT:
            raise ConflictError(rules.busy(run.thread_id))
        stopped = self._stop_all(active, strategy, run.created_at)
        may_begin = run.not_before <= run.created_at and all(not each.status.is_active for each in stopped or active)
        if claim is not None and may_begin:
            run = rules.claimed(run, claim)
        self._runs[run.run_id] = run
        self._of_thread.setdefault(run.thread_id, {})[run.run_id] = None
        self._active[run.run_id] = None
        if run.idempotency_key is not None:
            self._keys[(run.tenant, run.idempotency_key)] = run.run_id
        self._threads[run.thread_id] = rules.occupied(thread, run)
        if run.status is RunStatus.PENDING:
            self._tell(ChangeKind.WORK, run.run_id)
        return Submission(run, to_stop=tuple(stopped))

    async def claim(self, claim: Claim, limit: int) -> list[Run]:
        """See RunStore."""
        taken: list[Run] = []
        for run in self._claimable(claim.at):
            if len(taken) == limit:
                break
            taken.append(self._put(rules.claimed(run, claim)))
        return taken

    async def renew(self, claim: Claim, run_ids: Sequence[str]) -> dict[str, Stop | None]:
        """See RunStore."""
        held: dict[str, Stop | None] = {}
        for run_id in run_ids:
            run = self._runs.get(run_id)
            if run is not None and run.status is RunStatus.RUNNING and run.holder == claim.holder:
                held[run_id] = self._put(replace(run, lease_until=claim.lease_until)).stop
        return held

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> bool:
        """See RunStore."""
        known = self._held(run)
        if known is None:
            return False
        self._keep(run.run_id, events)
        self._end(known, ending)
        return True

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime) -> bool:
        """See RunStore."""
        known = self._held(run)
        if known is None:
            return False
        self._keep(run.run_id, events)
        self._put(rules.released(known, at))
        self._tell(ChangeKind.WORK, run.run_id)
        return True

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """See RunStore."""
        run = await self.get_run(run_id, tenant)
        if not run.status.is_active:
            raise ConflictError(rules.has_ended(run))
        return self._stop_one(run, stop, at)

    async def reap(self, at: datetime, *, most_crashes: int) -> list[Run]:
        """See RunStore."""
        reaped: list[Run] = []
        for run in [self._runs[run_id] for run_id in self._active]:
            if run.status is not RunStatus.RUNNING or run.lease_until is None or run.lease_until > at:
                continue
            crashed = replace(run, crashes=run.crashes + 1)
            if run.stop is not None:
                reaped.append(self._end(crashed, rules.stopped(at)))
            elif crashed.crashes >= most_crashes:
                reaped.append(self._end(crashed, rules.given_up(crashed, at)))
            else:
                reaped.append(self._put(rules.released(crashed, at)))
                self._tell(ChangeKind.WORK, run.run_id)
        return reaped

    async def get_run(self, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
        """See RunStore."""
        run = self._runs.get(run_id)
        if run is None or run.tenant != tenant or thread_id not in (None, run.thread_id):
            raise NotFoundError(rules.no_run(run_id))
        return run

    async def list_runs(
        self, thread_id: str, tenant: str, *, status: RunStatus | None = None, limit: int = 10, offset: int = 0
    ) -> list[Run]:
        """See RunStore."""
        self._thread(thread_id, tenant)
        runs = [self._runs[run_id] for run_id in reversed(self._of_thread.get(thread_id, {}))]
        return [run for run in runs if status in (None, run.status)][offset : offset + limit]

    async def active_runs(self, tenant: str, status: RunStatus | None = None) -> list[Run]:
        """See RunStore."""
        runs = (self._runs[run_id] for run_id in self._active)
        return [run for run in runs if run.tenant == tenant and status in (None, run.status)]

    async def delete_run(self, run_id: str, tenant: str, thread_id: str) -> None:
        """See RunStore."""
        run = await self.get_run(run_id, tenant, thread_id)
        if run.status.is_active:
            raise ConflictError(rules.still_active(run))
        self._drop_run(run)

    async def queue_depth(self, at: datetime) -> QueueDepth:
        """See RunStore."""
        waiting = [run for run in self._pending() if run.not_before <= at]
        runnable = {run.run_id for run in self._claimable(at)}
        free = [max(run.created_at, run.not_before) for run in waiting if run.run_id in runnable]
        held = [max(run.created_at, run.not_before) for run in waiting if run.run_id not in runnable]
        return QueueDepth(len(free), len(held), min(free, default=None), min(held, default=None))

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """See RunStore."""
        gone = [
            thread.thread_id
            for thread in self._threads.values()
            if thread.status is not ThreadStatus.BUSY
            and ((thread.expires_at is not None and thread.expires_at <= at)
                 or (thread.is_temporary and thread.updated_at < finished_before))
        ][:limit]  # fmt: skip
        for thread_id in gone:
            self._drop_thread(thread_id)
        for run in list(self._runs.values()):
            if run.finished_at is not None and run.finished_at < finished_before and run.run_id in self._events:
                self._forget_events(run.run_id)
                self._runs[run.run_id] = replace(run, result=None)
        return gone

    async def append(self, run_id: str, events: Sequence[Event]) -> None:
        """See EventLog."""
        if run_id in self._runs:
            self._keep(run_id, events)
            self._tell(ChangeKind.EVENTS, run_id)

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """See EventLog."""
        return [event for event in self._events.get(run_id, ()) if event.seq > after][:limit]

    # what the methods above share

    def _thread(self, thread_id: str, tenant: str) -> Thread:
        thread = self._threads.get(thread_id)
        if thread is None or thread.tenant != tenant:
            raise NotFoundError(rules.no_thread(thread_id))
        return thread

    def _put(self, run: Run) -> Run:
        self._runs[run.run_id] = run
        return run

    def _held(self, run: Run) -> Run | None:
        """The run as known, if it is still in the hands in which `run` was."""
        known = self._runs.get(run.run_id)
        if known is None or known.status is not RunStatus.RUNNING:
            return None
        return known if (known.holder, known.attempt) == (run.holder, run.attempt) else None

    def _pending(self) -> Iterator[Run]:
        runs = (self._runs[run_id] for run_id in self._active)
        return (run for run in runs if run.status is RunStatus.PENDING)

    def _claimable(self, at: datetime) -> list[Run]:
        """The oldest due pending run of every thread that has no running one."""
        taken = {
            self._runs[run_id].thread_id for run_id in self._active if self._runs[run_id].status is RunStatus.RUNNING
        }
        free: list[Run] = []
        for run in self._pending():
            if run.not_before <= at and run.thread_id not in taken:
                taken.add(run.thread_id)
                free.append(run)
        return free

    def _stop_all(self, active: list[Run], strategy: Multitask, at: datetime) -> list[Run]:
        if strategy not in (Multitask.INTERRUPT, Multitask.ROLLBACK):
            return []
        return [self._stop_one(run, Stop(strategy.value), at) for run in active]

    def _stop_one(self, run: Run, stop: Stop, at: datetime) -> Run:
        if run.status is RunStatus.PENDING:
            return self._end(replace(run, stop=stop), rules.stopped(at))
        marked = self._put(replace(run, stop=stop, updated_at=at))
        self._tell(ChangeKind.STOP, run.run_id)
        return marked

    def _end(self, run: Run, ending: Ending) -> Run:
        ended = self._put(rules.ended(run, ending))
        self._active.pop(run.run_id, None)
        thread = self._threads[run.thread_id]
        is_busy = any(run_id in self._active for run_id in self._of_thread[run.thread_id])
        self._threads[run.thread_id] = rules.settled(thread, ending, is_busy=is_busy)
        self._tell(ChangeKind.FINISHED, run.run_id)
        if is_busy:
            self._tell(ChangeKind.WORK, run.run_id)
        return ended

    def _keep(self, run_id: str, events: Sequence[Event]) -> None:
        kept = self._events.setdefault(run_id, [])
        last = kept[-1].seq if kept else 0
        fresh = [event for event in events if event.seq > last]
        kept.extend(fresh)
        self._event_bytes += sum(len(event.data) for event in fresh)
        while self._event_bytes > self._most_event_bytes:
            oldest = next((each for each in self._events if each not in self._active and each != run_id), None)
            if oldest is None:
                break
            self._forget_events(oldest)

    def _forget_events(self, run_id: str) -> None:
        self._event_bytes -= sum(len(event.data) for event in self._events.pop(run_id, ()))

    def _drop_run(self, run: Run) -> None:
        self._runs.pop(run.run_id)
        self._active.pop(run.run_id, None)
        self._of_thread.get(run.thread_id, {}).pop(run.run_id, None)
        self._forget_events(run.run_id)
        if run.idempotency_key is not None:
            self._keys.pop((run.tenant, run.idempotency_key), None)
        self._tell(ChangeKind.FINISHED, run.run_id)

    def _drop_thread(self, thread_id: str) -> None:
        for run_id in list(self._of_thread.get(thread_id, ())):
            self._drop_run(self._runs[run_id])
        self._of_thread.pop(thread_id, None)
        self._threads.pop(thread_id)

    def _tell(self, kind: ChangeKind, run_id: str) -> None:
        for listener in self._listeners:
            listener(Change(kind, run_id))


def _matches(thread: Thread, query: ThreadQuery) -> bool:
    if thread.is_temporary or query.tenant not in (None, thread.tenant) or query.status not in (None, thread.status):
        return False
    if query.ids is not None and thread.thread_id not in query.ids:
        return False
    if not _contains(thread.metadata, query.metadata):
        return False
    return not query.values or _contains(orjson.loads(thread.values or b"{}"), query.values)


def _contains(whole: Any, part: Mapping[str, Any]) -> bool:
    return isinstance(whole, Mapping) and all(key in whole and whole[key] == value for key, value in part.items())
