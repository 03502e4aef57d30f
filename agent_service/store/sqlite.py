"""Threads, runs and events in a SQLite file: the embedded default.  One process; every method one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from agent_service.errors import ConflictError
from agent_service.store import checks, rules, words
from agent_service.store import sqlite_reading as reading
from agent_service.store import sqlite_rows as rows
from agent_service.store import sqlite_work as work
from agent_service.store.ports import Listener
from agent_service.store.records import (
    Change,
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
)
from agent_service.store.rows import run_of
from agent_service.store.sqlite_file import SqliteFile
from agent_service.store.sqlite_rows import Changes

_T = TypeVar("_T")


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
        try:
            await self._do(partial(work.reap, everyone=True), datetime.now(UTC), self._most_crashes)
        except BaseException:
            await self._file.close()
            raise

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
        checks.check_thread(thread)
        return await self._file.transact(work.create_thread, thread, may_exist)

    async def get_thread(self, thread_id: str, tenant: str) -> Thread:
        """See RunStore."""
        return await self._file.transact(rows.thread_with, thread_id, tenant)

    async def update_thread(
        self, thread_id: str, tenant: str, *, metadata: Json, ttl_minutes: float | None, at: datetime
    ) -> Thread:
        """See RunStore."""
        checks.check_json(metadata=metadata)

        def act(connection: sqlite3.Connection) -> Thread:
            thread = rows.thread_with(connection, thread_id, tenant)
            return rows.put_thread(connection, rules.updated(thread, metadata, ttl_minutes, at))

        return await self._file.transact(act)

    async def set_values(self, thread_id: str, tenant: str, values: bytes, interrupts: Json, at: datetime) -> None:
        """See RunStore."""
        checks.check_json(values=values, interrupts=interrupts)

        def act(connection: sqlite3.Connection) -> None:
            thread = rows.thread_with(connection, thread_id, tenant)
            rows.put_thread(connection, rules.with_values(thread, values, interrupts, at))

        await self._file.transact(act)

    async def delete_thread(self, thread_id: str, tenant: str) -> None:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> None:
            rows.thread_with(connection, thread_id, tenant)
            rows.drop_threads(connection, [thread_id], told)

        await self._do(act)

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """See RunStore."""
        return await self._file.transact(reading.search, checks.checked_query(query))

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """See RunStore."""
        checks.check_run(run, new_thread)
        return await self._do(work.submit, run, new_thread, strategy, claim)

    async def find_by_key(self, tenant: str, key: str) -> Run | None:
        """See RunStore."""
        return await self._file.transact(work.find_by_key, tenant, key)

    async def claim(self, claim: Claim, limit: int, *, graphs: Collection[str] | None = None) -> list[Run]:
        """See RunStore."""
        return await self._file.transact(work.claim_runs, claim, checks.within(limit), graphs)

    async def renew(self, claim: Claim, runs: Sequence[Run]) -> dict[str, Stop | None]:
        """See RunStore."""
        return await self._file.transact(work.renew, claim, runs)

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> Finished:
        """See RunStore."""
        return await self._do(work.finish, run, ending, events)

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime, *, is_crash: bool = False) -> bool:
        """See RunStore."""
        return await self._do(work.hand_over, run, events, at, is_crash)

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """See RunStore."""
        return await self._do(work.request_stop, run_id, tenant, stop, at)

    async def reap(self, at: datetime, *, most_crashes: int) -> list[Run]:
        """See RunStore."""
        return await self._do(work.reap, at, most_crashes)

    async def get_run(self, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
        """See RunStore."""
        return await self._file.transact(rows.run_with, run_id, tenant, thread_id)

    async def list_runs(
        self, thread_id: str, tenant: str, *, status: RunStatus | None = None, limit: int = 10, offset: int = 0
    ) -> list[Run]:
        """See RunStore."""

        def act(connection: sqlite3.Connection) -> list[Run]:
            rows.thread_with(connection, thread_id, tenant)
            found = connection.execute(
                "SELECT * FROM agent_runs WHERE thread_id = ? AND coalesce(?, status) = status "
                "ORDER BY number DESC LIMIT ? OFFSET ?",
                (thread_id, status, checks.within(limit), checks.within(offset)),
            )
            return [run_of(row) for row in found]

        return await self._file.transact(act)

    async def active_runs(self, tenant: str, status: RunStatus | None = None) -> list[Run]:
        """See RunStore."""

        def act(connection: sqlite3.Connection) -> list[Run]:
            found = connection.execute(
                f"SELECT * FROM agent_runs WHERE {rows.ACTIVE} AND tenant = ?1 AND coalesce(?2, status) = status "  # noqa: S608
                "ORDER BY number",
                (tenant, status),
            )
            return [run_of(row) for row in found]

        return await self._file.transact(act)

    async def delete_run(self, run_id: str, tenant: str, thread_id: str) -> None:
        """See RunStore."""

        def act(connection: sqlite3.Connection, told: Changes) -> None:
            run = rows.run_with(connection, run_id, tenant, thread_id)
            if run.status.is_active:
                raise ConflictError(words.still_active(run))
            connection.execute("DELETE FROM agent_events WHERE run_id = ?", (run_id,))
            connection.execute("DELETE FROM agent_runs WHERE run_id = ?", (run_id,))
            told.append(Change(ChangeKind.FINISHED, run_id))

        await self._do(act)

    async def queue_depth(self, at: datetime, replica: str = "") -> QueueDepth:
        """See RunStore."""
        return await self._file.transact(reading.depth, at, replica)

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """See RunStore.  Runs go in many transactions, so that none holds up others for long."""
        gone = await self._do(reading.sweep_threads, at, finished_before, limit)
        while await self._file.transact(reading.sweep_runs, finished_before, limit) == limit:
            pass
        return gone

    async def append(self, said: Mapping[str, Sequence[Event]]) -> None:
        """See EventLog."""

        def act(connection: sqlite3.Connection, told: Changes) -> None:
            for run_id, events in said.items():
                if rows.find_run(connection, run_id) is not None and rows.append(connection, run_id, events):
                    told.append(Change(ChangeKind.EVENTS, run_id))

        await self._do(act)

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """See EventLog."""

        def act(connection: sqlite3.Connection) -> list[Event]:
            found = connection.execute(
                "SELECT seq, name, data FROM agent_events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                (run_id, checks.within(after), checks.within(limit)),
            )
            return [Event(*row) for row in found]

        return await self._file.transact(act)

    async def _do(self, act: Callable[..., _T], *args: Any) -> _T:
        """A transaction that changes something others wait for; they are told when it holds."""
        told: Changes = []
        found = await self._file.transact(lambda connection: act(connection, *args, told))
        for change in told:
            for listener in self._listeners:
                listener(change)
        return found
