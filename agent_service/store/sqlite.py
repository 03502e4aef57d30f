"""Threads, runs and events in a SQLite file: the embedded default.  One process; every method one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from agent_service.errors import ConflictError
from agent_service.store import rules
from agent_service.store import sqlite_work as work
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
)
from agent_service.store.rows import micros, run_of
from agent_service.store.sqlite_file import SqliteFile

_T = TypeVar("_T")

Changes = list[Change]


class SqliteStore:
    """RunStore and EventLog."""

    def __init__(self, path: str | Path, *, most_crashes: int = 3) -> None:
        """most_crashes: of a run that was running when the last process ended without a word."""
        self._file = SqliteFile(path)
        self._listeners: list[Listener] = []
        self._most_crashes = most_crashes

    async def open(self) -> None:
        """See RunStore.  What was running belonged to a process that is gone: the file is ours alone."""
        await self._file.open()
        await self._do(partial(work.reap, everyone=True), datetime.now(UTC), self._most_crashes)

    async def close(self) -> None:
        """See RunStore."""
        await self._file.close()

    async def ping(self) -> None:
        """See RunStore."""
        await self._file.transact(lambda connection: connection.execute("SELECT 1").fetchone())

    def listen(self, listener: Listener) -> None:
        """See RunStore."""
        self._listeners.append(listener)

    async def create_thread(self, thread: Thread, *, may_exist: bool = False) -> Thread:
        """See RunStore."""
        return await self._do(work.create_thread, thread, may_exist)

    async def get_thread(self, thread_id: str, tenant: str) -> Thread:
        """See RunStore."""
        return await self._file.transact(work.thread_with, thread_id, tenant)

    async def update_thread(
        self, thread_id: str, tenant: str, *, metadata: Json, ttl_minutes: float | None, at: datetime
    ) -> Thread:
        """See RunStore."""

        def act(connection: sqlite3.Connection) -> Thread:
            thread = work.thread_with(connection, thread_id, tenant)
            thread = replace(thread, metadata={**thread.metadata, **metadata}, updated_at=at)
            if ttl_minutes is not None:
                thread = replace(thread, ttl_minutes=ttl_minutes, expires_at=at + timedelta(minutes=ttl_minutes))
            return work.put_thread(connection, thread)

        return await self._file.transact(act)

    async def set_values(self, thread_id: str, tenant: str, values: bytes, interrupts: Json, at: datetime) -> None:
        """See RunStore."""

        def act(connection: sqlite3.Connection) -> None:
            thread = work.thread_with(connection, thread_id, tenant)
            work.put_thread(connection, rules.with_values(thread, values, interrupts, at))

        await self._file.transact(act)

    async def delete_thread(self, thread_id: str, tenant: str) -> None:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> None:
            work.thread_with(connection, thread_id, tenant)
            work.drop_threads(connection, [thread_id], told)

        await self._do(act)

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """See RunStore."""
        return await self._file.transact(work.search, query)

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """See RunStore."""
        return await self._do(work.submit, run, new_thread, strategy, claim)

    async def claim(self, claim: Claim, limit: int) -> list[Run]:
        """See RunStore."""

        return await self._file.transact(work.claim_runs, claim, limit)

    async def renew(self, claim: Claim, run_ids: Sequence[str]) -> dict[str, Stop | None]:
        """See RunStore."""

        def act(connection: sqlite3.Connection) -> dict[str, Stop | None]:
            held: dict[str, Stop | None] = {}
            for run_id in run_ids:
                row = connection.execute(
                    "UPDATE agent_runs SET lease_until = ? WHERE run_id = ? AND holder = ? AND status = 'running' "
                    "RETURNING stop",
                    (micros(claim.lease_until), run_id, claim.holder),
                ).fetchone()
                if row is not None:
                    held[run_id] = None if row["stop"] is None else Stop(row["stop"])
            return held

        return await self._file.transact(act)

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> bool:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> bool:
            known = work.held(connection, run)
            if known is None:
                return False
            work.append(connection, run.run_id, events)
            work.end_run(connection, known, ending, told)
            return True

        return await self._do(act)

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime) -> bool:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> bool:
            known = work.held(connection, run)
            if known is None:
                return False
            work.append(connection, run.run_id, events)
            work.set_run(connection, rules.released(known, at))
            told.append(Change(ChangeKind.WORK, run.run_id))
            return True

        return await self._do(act)

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> Run:
            run = work.run_with(connection, run_id, tenant)
            if not run.status.is_active:
                raise ConflictError(rules.has_ended(run))
            return work.stop_run(connection, run, stop, at, told)

        return await self._do(act)

    async def reap(self, at: datetime, *, most_crashes: int) -> list[Run]:
        """See RunStore."""
        return await self._do(work.reap, at, most_crashes)

    async def get_run(self, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
        """See RunStore."""
        return await self._file.transact(work.run_with, run_id, tenant, thread_id)

    async def list_runs(
        self, thread_id: str, tenant: str, *, status: RunStatus | None = None, limit: int = 10, offset: int = 0
    ) -> list[Run]:
        """See RunStore."""

        def act(connection: sqlite3.Connection) -> list[Run]:
            work.thread_with(connection, thread_id, tenant)
            rows = connection.execute(
                "SELECT * FROM agent_runs WHERE thread_id = ? AND coalesce(?, status) = status "
                "ORDER BY number DESC LIMIT ? OFFSET ?",
                (thread_id, status, limit, offset),
            )
            return [run_of(row) for row in rows]

        return await self._file.transact(act)

    async def active_runs(self, tenant: str, status: RunStatus | None = None) -> list[Run]:
        """See RunStore."""

        def act(connection: sqlite3.Connection) -> list[Run]:
            rows = connection.execute(
                f"SELECT * FROM agent_runs WHERE {work.ACTIVE} AND tenant = ?1 AND coalesce(?2, status) = status "  # noqa: S608
                "ORDER BY number",
                (tenant, status),
            )
            return [run_of(row) for row in rows]

        return await self._file.transact(act)

    async def delete_run(self, run_id: str, tenant: str, thread_id: str) -> None:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> None:
            run = work.run_with(connection, run_id, tenant, thread_id)
            if run.status.is_active:
                raise ConflictError(rules.still_active(run))
            connection.execute("DELETE FROM agent_events WHERE run_id = ?", (run_id,))
            connection.execute("DELETE FROM agent_runs WHERE run_id = ?", (run_id,))
            told.append(Change(ChangeKind.FINISHED, run_id))

        await self._do(act)

    async def queue_depth(self, at: datetime) -> QueueDepth:
        """See RunStore."""
        return await self._file.transact(work.depth, micros(at))

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> list[str]:
            before = micros(finished_before)
            rows = connection.execute(
                "SELECT thread_id FROM agent_threads WHERE status != 'busy' "
                "AND ((expires_at IS NOT NULL AND expires_at <= ?) OR (is_temporary AND updated_at < ?)) LIMIT ?",
                (micros(at), before, limit),
            )
            gone = [row["thread_id"] for row in rows]
            work.drop_threads(connection, gone, told)
            stale = connection.execute(
                "SELECT run_id FROM agent_runs WHERE result IS NOT NULL AND finished_at < ? LIMIT ?", (before, limit)
            ).fetchall()
            ids = [(row["run_id"],) for row in stale]
            connection.executemany("DELETE FROM agent_events WHERE run_id = ?", ids)
            connection.executemany("UPDATE agent_runs SET result = NULL WHERE run_id = ?", ids)
            return gone

        return await self._do(act)

    async def append(self, run_id: str, events: Sequence[Event]) -> None:
        """See EventLog."""

        def act(connection: sqlite3.Connection, told: Changes) -> None:
            if connection.execute("SELECT 1 FROM agent_runs WHERE run_id = ?", (run_id,)).fetchone() is not None:
                work.append(connection, run_id, events)
                told.append(Change(ChangeKind.EVENTS, run_id))

        await self._do(act)

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """See EventLog."""

        def act(connection: sqlite3.Connection) -> list[Event]:
            rows = connection.execute(
                "SELECT seq, name, data FROM agent_events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                (run_id, after, limit),
            )
            return [Event(*row) for row in rows]

        return await self._file.transact(act)

    async def _do(self, act: Callable[..., _T], *args: Any) -> _T:
        """A transaction that changes something others wait for; they are told when it holds."""
        told: Changes = []
        found = await self._file.transact(lambda connection: act(connection, *args, told))
        for change in told:
            for listener in self._listeners:
                listener(change)
        return found
