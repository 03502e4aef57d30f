"""Threads, runs and events in PostgreSQL: what a fleet of replicas shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import orjson
import psycopg

from agent_service.errors import ConflictError
from agent_service.store import postgres_work as work
from agent_service.store import rules
from agent_service.store.ports import Listener
from agent_service.store.postgres_pool import Connection, PostgresPool
from agent_service.store.postgres_work import Changes
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
)
from agent_service.store.rows import instant, micros, run_of, thread_of

_T = TypeVar("_T")
_DEPTH = """
SELECT is_runnable, count(*) AS runs, min(since) AS since FROM (
  SELECT greatest(r.created_at, r.not_before) AS since,
    t.running_run IS NULL AND NOT EXISTS (
      SELECT 1 FROM agent_runs earlier
      WHERE earlier.thread_id = r.thread_id AND earlier.status = 'pending' AND earlier.number < r.number
        AND earlier.not_before <= %(at)s) AS is_runnable
  FROM agent_runs r JOIN agent_threads t ON t.thread_id = r.thread_id
  WHERE r.status = 'pending' AND r.not_before <= %(at)s) AS waiting
GROUP BY is_runnable
"""


class PostgresStore:
    """RunStore and EventLog."""

    def __init__(self, url: str) -> None:
        self._pool = PostgresPool(url)
        self._listeners: list[Listener] = []

    async def open(self) -> None:
        """See RunStore."""
        await self._pool.open(self._hear)

    async def close(self) -> None:
        """See RunStore."""
        await self._pool.close()

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection now."""
        return self._pool.waiting

    async def ping(self) -> None:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            await connection.execute("SELECT 1")

    def listen(self, listener: Listener) -> None:
        """See RunStore."""
        self._listeners.append(listener)

    async def create_thread(self, thread: Thread, *, may_exist: bool = False) -> Thread:
        """See RunStore."""

        async def act(connection: Connection, _: Changes) -> Thread:
            row = await work.lock_thread(connection, thread.thread_id)
            if row is None:
                try:
                    return await work.put_thread(connection, thread)
                except psycopg.errors.UniqueViolation:  # another replica was faster
                    raise ConflictError(rules.thread_exists(thread.thread_id)) from None
            if may_exist and row["tenant"] == thread.tenant:
                return thread_of(row)
            raise ConflictError(rules.thread_exists(thread.thread_id))

        return await self._do(act)

    async def get_thread(self, thread_id: str, tenant: str) -> Thread:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await work.thread_with(connection, thread_id, tenant)

    async def update_thread(
        self, thread_id: str, tenant: str, *, metadata: Json, ttl_minutes: float | None, at: datetime
    ) -> Thread:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            thread = await work.thread_with(connection, thread_id, tenant, locked=True)
            thread = replace(thread, metadata={**thread.metadata, **metadata}, updated_at=at)
            if ttl_minutes is not None:
                thread = replace(thread, ttl_minutes=ttl_minutes, expires_at=at + timedelta(minutes=ttl_minutes))
            return await work.put_thread(connection, thread)

    async def set_values(self, thread_id: str, tenant: str, values: bytes, interrupts: Json, at: datetime) -> None:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            thread = await work.thread_with(connection, thread_id, tenant, locked=True)
            await work.put_thread(connection, rules.with_values(thread, values, interrupts, at))

    async def delete_thread(self, thread_id: str, tenant: str) -> None:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> None:
            await work.thread_with(connection, thread_id, tenant, locked=True)
            await work.drop_threads(connection, [thread_id], told)

        await self._do(act)

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await work.search(connection, query)

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> Submission:
            return await work.submit(connection, run, new_thread, strategy, claim, told)

        try:
            return await self._do(act)
        except psycopg.errors.UniqueViolation:
            # The same key, or the same new thread, came to another replica in the same moment: it is there now.
            return await self._do(act)

    async def claim(self, claim: Claim, limit: int) -> list[Run]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await work.claim_runs(connection, claim, limit)

    async def renew(self, claim: Claim, run_ids: Sequence[str]) -> dict[str, Stop | None]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            rows = await work.many(
                connection,
                "UPDATE agent_runs SET lease_until = %s WHERE run_id = ANY(%s) AND holder = %s AND status = 'running' "
                "RETURNING run_id, stop",
                (micros(claim.lease_until), list(run_ids), claim.holder),
            )
        return {row["run_id"]: None if row["stop"] is None else Stop(row["stop"]) for row in rows}

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> bool:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> bool:
            known = await work.held(connection, run)
            if known is None:
                return False
            await work.append(connection, run.run_id, events)
            await work.end_run(connection, known, ending, told)
            return True

        return await self._do(act)

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime) -> bool:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> bool:
            known = await work.held(connection, run)
            if known is None:
                return False
            await work.append(connection, run.run_id, events)
            await work.set_run(connection, rules.released(known, at))
            await work.occupy(connection, run.thread_id, None)
            told.append(Change(ChangeKind.WORK, run.run_id))
            return True

        return await self._do(act)

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> Run:
            run = await work.run_with(connection, run_id, tenant)
            await work.lock_thread(connection, run.thread_id)
            run = await work.run_with(connection, run_id, tenant)  # it may have ended before we had the lock
            if not run.status.is_active:
                raise ConflictError(rules.has_ended(run))
            return await work.stop_run(connection, run, stop, at, told)

        return await self._do(act)

    async def reap(self, at: datetime, *, most_crashes: int) -> list[Run]:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> list[Run]:
            return await work.reap(connection, at, most_crashes, told)

        return await self._do(act)

    async def get_run(self, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await work.run_with(connection, run_id, tenant, thread_id)

    async def list_runs(
        self, thread_id: str, tenant: str, *, status: RunStatus | None = None, limit: int = 10, offset: int = 0
    ) -> list[Run]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            await work.thread_with(connection, thread_id, tenant)
            rows = await work.many(
                connection,
                "SELECT * FROM agent_runs WHERE thread_id = %s AND coalesce(%s, status) = status "
                "ORDER BY number DESC LIMIT %s OFFSET %s",
                (thread_id, status, limit, offset),
            )
        return [run_of(row) for row in rows]

    async def active_runs(self, tenant: str, status: RunStatus | None = None) -> list[Run]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            rows = await work.many(
                connection,
                f"SELECT * FROM agent_runs WHERE {work.ACTIVE} AND tenant = %s AND coalesce(%s, status) = status "  # noqa: S608
                "ORDER BY number",
                (tenant, status),
            )
        return [run_of(row) for row in rows]

    async def delete_run(self, run_id: str, tenant: str, thread_id: str) -> None:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> None:
            await work.lock_thread(connection, thread_id)
            run = await work.run_with(connection, run_id, tenant, thread_id)
            if run.status.is_active:
                raise ConflictError(rules.still_active(run))
            await connection.execute("DELETE FROM agent_events WHERE run_id = %s", (run_id,))
            await connection.execute("DELETE FROM agent_runs WHERE run_id = %s", (run_id,))
            told.append(Change(ChangeKind.FINISHED, run_id))

        await self._do(act)

    async def queue_depth(self, at: datetime) -> QueueDepth:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            rows = await work.many(connection, _DEPTH, {"at": micros(at)})
        found = {row["is_runnable"]: row for row in rows}
        counts = [found[key]["runs"] if key in found else 0 for key in (True, False)]
        oldest = [instant(found[key]["since"]) if key in found else None for key in (True, False)]
        return QueueDepth(counts[0], counts[1], oldest[0], oldest[1])

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> list[str]:
            before = micros(finished_before)
            rows = await work.many(
                connection,
                "SELECT thread_id FROM agent_threads WHERE status <> 'busy' "
                "AND (expires_at <= %s OR (is_temporary AND updated_at < %s)) LIMIT %s FOR UPDATE SKIP LOCKED",
                (micros(at), before, limit),
            )
            gone = [str(row["thread_id"]) for row in rows]
            if gone:
                await work.drop_threads(connection, gone, told)
            stale = await work.many(
                connection,
                "UPDATE agent_runs SET result = NULL WHERE run_id IN (SELECT run_id FROM agent_runs "
                "WHERE result IS NOT NULL AND finished_at < %s LIMIT %s FOR UPDATE SKIP LOCKED) RETURNING run_id",
                (before, limit),
            )
            if stale:
                await connection.execute(
                    "DELETE FROM agent_events WHERE run_id = ANY(%s)", ([row["run_id"] for row in stale],)
                )
            return gone

        return await self._do(act)

    async def append(self, run_id: str, events: Sequence[Event]) -> None:
        """See EventLog."""

        async def act(connection: Connection, told: Changes) -> None:
            if await work.one(connection, "SELECT 1 FROM agent_runs WHERE run_id = %s", (run_id,)) is not None:
                await work.append(connection, run_id, events)
                told.append(Change(ChangeKind.EVENTS, run_id))

        await self._do(act)

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """See EventLog."""
        async with self._pool.transaction() as connection:
            rows = await work.many(
                connection,
                "SELECT seq, name, data FROM agent_events WHERE run_id = %s AND seq > %s ORDER BY seq LIMIT %s",
                (run_id, after, limit),
            )
        return [Event(row["seq"], row["name"], row["data"]) for row in rows]

    async def _do(self, act: Callable[[Connection, Changes], Awaitable[_T]]) -> _T:
        """A transaction that changes something others wait for: they are told when it holds, here at once."""
        told: Changes = []
        async with self._pool.transaction() as connection:
            found = await act(connection, told)
            await work.notify(connection, told)
        for change in told:
            self._tell(change)
        return found

    def _hear(self, payload: str) -> None:
        try:
            told: Any = orjson.loads(payload)
            change = Change(ChangeKind(told["k"]), str(told["r"]))
        except (ValueError, KeyError, TypeError):
            return  # somebody else's use of the channel
        self._tell(change)

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)
