"""Everything in this process: for tests, and where nothing has to outlive it.

One event loop uses it, and no method awaits anything: each is one transaction by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

import orjson

from agent_service.errors import ConflictError, NotFoundError
from agent_service.store import checks, rules, words
from agent_service.store.memory_tables import Tables
from agent_service.store.ports import Listener
from agent_service.store.records import (
    ChangeKind,
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
    ThreadStatus,
)


class MemoryStore:
    """RunStore and EventLog."""

    def __init__(self, *, most_event_bytes: int = 32 * 2**20) -> None:
        """most_event_bytes: beyond it, the oldest ended runs lose their events; streams of active ones are whole."""
        self._tables = Tables(most_event_bytes=most_event_bytes)

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to give back."""

    async def ping(self) -> None:
        """Always there."""

    def listen(self, listener: Listener) -> None:
        """See RunStore."""
        self._tables.listeners.append(listener)

    async def create_thread(self, thread: Thread, *, may_exist: bool = False) -> Thread:
        """See RunStore."""
        checks.check_thread(thread)
        known = self._tables.threads.get(thread.thread_id)
        if known is None:
            self._tables.threads[thread.thread_id] = thread
            return thread
        if may_exist and known.tenant == thread.tenant:
            return known
        raise ConflictError(words.thread_exists(thread.thread_id))

    async def get_thread(self, thread_id: str, tenant: str) -> Thread:
        """See RunStore."""
        return self._tables.thread(thread_id, tenant)

    async def update_thread(
        self, thread_id: str, tenant: str, *, metadata: Json, ttl_minutes: float | None, at: datetime
    ) -> Thread:
        """See RunStore."""
        checks.check_json(metadata=metadata)
        thread = rules.updated(self._tables.thread(thread_id, tenant), metadata, ttl_minutes, at)
        self._tables.threads[thread_id] = thread
        return thread

    async def set_values(self, thread_id: str, tenant: str, values: bytes, interrupts: Json, at: datetime) -> None:
        """See RunStore."""
        checks.check_json(values=values, interrupts=interrupts)
        thread = self._tables.thread(thread_id, tenant)
        self._tables.threads[thread_id] = rules.with_values(thread, values, interrupts, at)

    async def delete_thread(self, thread_id: str, tenant: str) -> None:
        """See RunStore."""
        self._tables.thread(thread_id, tenant)
        self._tables.drop_thread(thread_id)

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """See RunStore."""
        query = checks.checked_query(query)
        found = [thread for thread in self._tables.threads.values() if _matches(thread, query)]
        found.sort(key=lambda thread: rules.sort_value(thread, query.sort_by), reverse=query.is_descending)
        return found[query.offset : query.offset + query.limit], len(found)

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """See RunStore."""
        checks.check_run(run, new_thread)
        tables = self._tables
        known = tables.runs.get(run.run_id)
        if known is not None:
            if known.tenant != run.tenant:
                raise ConflictError(words.run_exists(run.run_id))
            of_thread = tables.runs_of(known.thread_id)
            return rules.accepted_before(known, of_thread[: of_thread.index(known)])
        if run.idempotency_key is not None:
            same = tables.keys.get((run.tenant, run.idempotency_key))
            if same is not None:
                return Submission(rules.repeated(tables.runs[same], run), is_new=False)
        thread = tables.threads.get(run.thread_id, new_thread)
        if thread is None or thread.tenant != run.tenant:
            raise NotFoundError(words.no_thread(run.thread_id))
        active = tables.active_of(run.thread_id)
        if active and strategy is Multitask.REJECT:
            raise ConflictError(words.busy(run.thread_id))
        to_stop: list[Run] = []
        if strategy in (Multitask.INTERRUPT, Multitask.ROLLBACK):
            to_stop = [tables.stop(each, Stop(strategy.value), run.created_at) for each in active]
        found = rules.accepted(run, claim, to_stop or active, to_stop)
        tables.add(found.run)
        tables.threads[run.thread_id] = rules.occupied(tables.threads.get(run.thread_id, thread), run)
        if found.run.status is RunStatus.PENDING:
            tables.tell(ChangeKind.WORK, run.run_id)
        return found

    async def find_by_key(self, tenant: str, key: str) -> Run | None:
        """See RunStore."""
        run_id = self._tables.keys.get((tenant, key))
        return None if run_id is None else self._tables.runs[run_id]

    async def claim(self, claim: Claim, limit: int, *, graphs: Collection[str] | None = None) -> list[Run]:
        """See RunStore."""
        taken = list(islice(self._tables.claimable(claim.at, graphs), checks.within(limit)))
        return [self._tables.put(rules.claimed(run, claim)) for run in taken]

    async def renew(self, claim: Claim, runs: Sequence[Run]) -> dict[str, Stop | None]:
        """See RunStore."""
        still: dict[str, Stop | None] = {}
        for run in runs:
            known = self._tables.held(replace(run, holder=claim.holder))
            if known is not None:
                still[run.run_id] = self._tables.put(replace(known, lease_until=claim.lease_until)).stop
        return still

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> Finished:
        """See RunStore."""
        known = self._tables.runs.get(run.run_id)
        if known is None:
            return Finished.LOST
        if rules.was_ended_by(known, run):
            return Finished.KEPT
        if not rules.is_held(known, run):
            return Finished.LOST
        if known.stop is Stop.ROLLBACK and not ending.is_rolled_back:
            return Finished.ROLLED_BACK
        self._tables.keep(run.run_id, events)
        self._tables.end(known, ending)
        return Finished.KEPT

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime, *, is_crash: bool = False) -> bool:
        """See RunStore."""
        known = self._tables.held(run)
        if known is None:
            return False
        self._tables.keep(run.run_id, events)
        self._tables.put(rules.released(known, at, is_crash=is_crash))
        self._tables.tell(ChangeKind.WORK, run.run_id)
        return True

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """See RunStore."""
        run = self._tables.run(run_id, tenant)
        if not run.status.is_active:
            raise ConflictError(words.has_ended(run))
        return self._tables.stop(run, stop, at)

    async def reap(self, at: datetime, *, most_crashes: int) -> list[Run]:
        """See RunStore."""
        reaped: list[Run] = []
        for run in self._tables.all_active():
            if run.status is not RunStatus.RUNNING or run.lease_until is None or run.lease_until > at:
                continue
            known, ending = rules.crashed(run, at, most_crashes)
            if ending is not None:
                reaped.append(self._tables.end_unexecuted(known, ending))
            else:
                reaped.append(self._tables.put(known))
                self._tables.tell(ChangeKind.WORK, run.run_id)
        return reaped

    async def get_run(self, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
        """See RunStore."""
        return self._tables.run(run_id, tenant, thread_id)

    async def list_runs(
        self, thread_id: str, tenant: str, *, status: RunStatus | None = None, limit: int = 10, offset: int = 0
    ) -> list[Run]:
        """See RunStore."""
        self._tables.thread(thread_id, tenant)
        first = checks.within(offset)
        runs = [run for run in reversed(self._tables.runs_of(thread_id)) if status in (None, run.status)]
        return runs[first : first + checks.within(limit)]

    async def active_runs(self, tenant: str, status: RunStatus | None = None) -> list[Run]:
        """See RunStore."""
        return [run for run in self._tables.all_active() if run.tenant == tenant and status in (None, run.status)]

    async def delete_run(self, run_id: str, tenant: str, thread_id: str) -> None:
        """See RunStore."""
        run = self._tables.run(run_id, tenant, thread_id)
        if run.status.is_active:
            raise ConflictError(words.still_active(run))
        self._tables.drop_run(run)

    async def queue_depth(self, at: datetime, replica: str = "") -> QueueDepth:
        """See RunStore."""
        pending = [run for run in self._tables.all_active() if run.status is RunStatus.PENDING]
        mine = {run.run_id for run in pending if run.accepted_by == replica}
        runnable = {run.run_id for run in self._tables.claimable(at)}
        since = {run.run_id: max(run.created_at, run.not_before) for run in pending if rules.is_due(run, at)}
        free = [instant for run_id, instant in since.items() if run_id in runnable]
        held = [instant for run_id, instant in since.items() if run_id not in runnable]
        return QueueDepth(
            len(free), len(held), min(free, default=None), min(held, default=None), len(mine), len(mine & runnable)
        )

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """See RunStore."""
        over = (
            thread.thread_id
            for thread in self._tables.threads.values()
            if thread.status is not ThreadStatus.BUSY
            and ((thread.expires_at is not None and thread.expires_at <= at)
                 or (thread.is_temporary and thread.updated_at < finished_before))
        )  # fmt: skip
        gone = list(islice(over, limit))
        for thread_id in gone:
            self._tables.drop_thread(thread_id)
        self._tables.sweep_runs(finished_before)
        return gone

    async def append(self, said: Mapping[str, Sequence[Event]]) -> None:
        """See EventLog."""
        for run_id, events in said.items():
            if run_id in self._tables.runs and self._tables.keep(run_id, events):
                self._tables.tell(ChangeKind.EVENTS, run_id)

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """See EventLog."""
        events = self._tables.events.get(run_id, [])
        first = bisect_right(events, after, key=lambda event: event.seq)
        return events[first : first + checks.within(limit)]


def _matches(thread: Thread, query: ThreadQuery) -> bool:
    if thread.is_temporary or query.tenant not in (None, thread.tenant) or query.status not in (None, thread.status):
        return False
    if query.ids is not None and thread.thread_id not in query.ids:
        return False
    if not checks.contains(thread.metadata, query.metadata):
        return False
    return not query.values or checks.contains(orjson.loads(thread.values or b"{}"), query.values)
