"""Threads, runs and events in PostgreSQL: what a fleet of replicas shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson
import psycopg

from agent_service.errors import ConflictError, StoreError
from agent_service.store import checks, rules, words
from agent_service.store import postgres_reading as reading
from agent_service.store import postgres_rows as rows
from agent_service.store import postgres_work as work
from agent_service.store.ports import Listener
from agent_service.store.postgres_connections import Connection
from agent_service.store.postgres_pool import PostgresPool
from agent_service.store.postgres_rows import Changes
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
from agent_service.store.rows import run_of, thread_of

_T = TypeVar("_T")
_MOST_TRIES = 3  # of a submission that another replica makes in the same moment


class PostgresStore:
    """RunStore and EventLog."""

    def __init__(self, url: str) -> None:
        self._pool = PostgresPool(url)
        self._listeners: list[Listener] = []

    async def open(self) -> None:
        """See RunStore."""
        await self._pool.open(self._hear, self._look)

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
        checks.check_thread(thread)
        async with self._pool.transaction() as connection:
            if await rows.add_thread_unless_known(connection, thread):
                return thread
            known = await rows.one(
                connection, "SELECT * FROM agent_threads WHERE thread_id = %s", (thread.thread_id,)
            )  # fmt: skip
        if may_exist and known is not None and known["tenant"] == thread.tenant:
            return thread_of(known)
        raise ConflictError(words.thread_exists(thread.thread_id))

    async def get_thread(self, thread_id: str, tenant: str) -> Thread:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await rows.thread_with(connection, thread_id, tenant)

    async def update_thread(
        self, thread_id: str, tenant: str, *, metadata: Json, ttl_minutes: float | None, at: datetime
    ) -> Thread:
        """See RunStore."""
        checks.check_json(metadata=metadata)
        async with self._pool.transaction() as connection:
            thread = await rows.thread_with(connection, thread_id, tenant, locked=True)
            return await rows.set_thread(connection, rules.updated(thread, metadata, ttl_minutes, at))

    async def set_values(self, thread_id: str, tenant: str, values: bytes, interrupts: Json, at: datetime) -> None:
        """See RunStore."""
        checks.check_json(values=values, interrupts=interrupts)
        async with self._pool.transaction() as connection:
            thread = await rows.thread_with(connection, thread_id, tenant, locked=True)
            await rows.set_thread(connection, rules.with_values(thread, values, interrupts, at))

    async def delete_thread(self, thread_id: str, tenant: str) -> None:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> None:
            await rows.thread_with(connection, thread_id, tenant, locked=True)
            await work.drop_threads(connection, [thread_id], told)

        await self._do(act)

    async def search_threads(self, query: ThreadQuery) -> tuple[list[Thread], int]:
        """See RunStore."""
        query = checks.checked_query(query)
        async with self._pool.transaction() as connection:
            return await reading.search(connection, query)

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """See RunStore."""
        checks.check_run(run, new_thread)

        async def act(connection: Connection, told: Changes) -> Submission:
            return await work.submit(connection, run, new_thread, strategy, claim, told)

        for _ in range(_MOST_TRIES):
            try:
                return await self._do(act)
            except psycopg.errors.UniqueViolation:
                continue  # the same key, run or new thread came to another replica in this moment: it is there now
        raise StoreError(f"run {run.run_id} could not be accepted: others change its thread in every moment")

    async def find_by_key(self, tenant: str, key: str) -> Run | None:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await work.find_by_key(connection, tenant, key)

    async def claim(self, claim: Claim, limit: int, *, graphs: Collection[str] | None = None) -> list[Run]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await work.claim_runs(connection, claim, checks.within(limit), graphs)

    async def renew(self, claim: Claim, runs: Sequence[Run]) -> dict[str, Stop | None]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await work.renew(connection, claim, runs)

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> Finished:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> Finished:
            return await work.finish(connection, run, ending, events, told)

        return await self._do(act)

    async def hand_over(self, run: Run, events: Sequence[Event], at: datetime, *, is_crash: bool = False) -> bool:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> bool:
            return await work.hand_over(connection, run, events, at, is_crash, told)

        return await self._do(act)

    async def request_stop(self, run_id: str, tenant: str, stop: Stop, at: datetime) -> Run:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> Run:
            run = await rows.run_with(connection, run_id, tenant)
            known = await rows.locked_run(connection, run)  # it may have ended before we had the lock
            run = known or await rows.run_with(connection, run_id, tenant)
            if not run.status.is_active:
                raise ConflictError(words.has_ended(run))
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
            return await rows.run_with(connection, run_id, tenant, thread_id)

    async def list_runs(
        self, thread_id: str, tenant: str, *, status: RunStatus | None = None, limit: int = 10, offset: int = 0
    ) -> list[Run]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            await rows.thread_with(connection, thread_id, tenant)
            found = await rows.many(
                connection,
                "SELECT * FROM agent_runs WHERE thread_id = %s AND coalesce(%s, status) = status "
                "ORDER BY number DESC LIMIT %s OFFSET %s",
                (thread_id, status, checks.within(limit), checks.within(offset)),
            )
        return [run_of(row) for row in found]

    async def active_runs(self, tenant: str, status: RunStatus | None = None) -> list[Run]:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            found = await rows.many(
                connection,
                f"SELECT * FROM agent_runs WHERE {rows.ACTIVE} AND tenant = %s AND coalesce(%s, status) = status "  # noqa: S608
                "ORDER BY number",
                (tenant, status),
            )
        return [run_of(row) for row in found]

    async def delete_run(self, run_id: str, tenant: str, thread_id: str) -> None:
        """See RunStore."""

        async def act(connection: Connection, told: Changes) -> None:
            await rows.lock_thread(connection, thread_id)
            run = await rows.run_with(connection, run_id, tenant, thread_id)
            if run.status.is_active:
                raise ConflictError(words.still_active(run))
            # The run first, so that no event can be added to one that is gone.
            await connection.execute("DELETE FROM agent_runs WHERE run_id = %s", (run_id,))
            await connection.execute("DELETE FROM agent_events WHERE run_id = %s", (run_id,))
            told.append(Change(ChangeKind.FINISHED, run_id))

        await self._do(act)

    async def queue_depth(self, at: datetime, replica: str = "") -> QueueDepth:
        """See RunStore."""
        async with self._pool.transaction() as connection:
            return await reading.depth(connection, at, replica)

    async def sweep(self, at: datetime, *, finished_before: datetime, limit: int = 500) -> list[str]:
        """See RunStore.  Runs go in many transactions, so that none holds up others for long."""

        async def act(connection: Connection, told: Changes) -> list[str]:
            return await reading.sweep_threads(connection, at, finished_before, limit, told)

        gone = await self._do(act)
        while True:
            async with self._pool.transaction() as connection:
                if await reading.sweep_runs(connection, finished_before, limit) < limit:
                    return gone

    async def append(self, said: Mapping[str, Sequence[Event]]) -> None:
        """See EventLog."""

        async def act(connection: Connection, told: Changes) -> None:
            told += [Change(ChangeKind.EVENTS, run_id) for run_id in await rows.append(connection, said)]

        await self._do(act)

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """See EventLog."""
        async with self._pool.transaction() as connection:
            found = await rows.many(
                connection,
                "SELECT seq, name, data FROM agent_events WHERE run_id = %s AND seq > %s ORDER BY seq LIMIT %s",
                (run_id, checks.within(after), checks.within(limit)),
            )
        return [Event(row["seq"], row["name"], row["data"]) for row in found]

    async def _do(self, act: Callable[[Connection, Changes], Awaitable[_T]]) -> _T:
        """A transaction that changes something others wait for: they are told when it holds, here at once."""
        told: Changes = []
        async with self._pool.transaction() as connection:
            found = await act(connection, told)
            await rows.notify(connection, told)
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

    def _look(self) -> None:
        self._tell(Change(ChangeKind.WORK, ""))
        self._tell(Change(ChangeKind.LOOK, ""))

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)
