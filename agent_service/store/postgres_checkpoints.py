"""Checkpoints in PostgreSQL, on connections of their own."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from agent_service.errors import SettingsError
from agent_service.store.serializer import a_serializer

_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


class PostgresCheckpoints:
    """One saver on a pool."""

    def __init__(self, url: str, *, most_connections: int = 8) -> None:
        self._url, self._most = url, most_connections
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] | None = None
        self._saver: AsyncPostgresSaver | None = None

    @property
    def saver(self) -> AsyncPostgresSaver:
        """See Checkpoints."""
        if self._saver is None:
            raise RuntimeError("the checkpoints are not open")
        return self._saver

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection now."""
        return 0 if self._pool is None else self._pool.get_stats().get("requests_waiting", 0)

    async def open(self) -> None:
        """Raises SettingsError when the database cannot be used."""
        pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            self._url,
            min_size=1,
            max_size=self._most,
            max_idle=60,
            max_lifetime=1800,
            timeout=5,
            open=False,
            # What the saver asks for; statements are prepared at their second use.
            kwargs={"row_factory": dict_row, "autocommit": True, "prepare_threshold": 1, "connect_timeout": 5},
        )
        try:
            await pool.open(wait=True, timeout=10)
            self._saver = AsyncPostgresSaver(pool, serde=a_serializer())
            # The saver holds one lock around all of its statements, on whatever connection: with a pool behind it the
            # whole process writes one checkpoint at a time, and a busy replica waits with an idle CPU.  Every call
            # takes a connection of its own, so that as many may go on as there are connections.
            lock: Any = asyncio.Semaphore(self._most)
            self._saver.lock = lock
            await self._set_up()
        except (PoolTimeout, psycopg.Error) as error:
            await pool.close()
            raise SettingsError(
                f"PostgreSQL cannot keep checkpoints ({type(error).__name__}); check its rights"
            ) from None
        self._pool = pool

    async def close(self) -> None:
        """Give everything back."""
        if self._pool is not None:
            await self._pool.close()

    async def delete_thread(self, thread_id: str) -> None:
        """See Checkpoints."""
        await self.saver.adelete_thread(thread_id)

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints.  Blobs stay: other checkpoints may share them, and they go with the thread."""
        mine = {"thread": thread_id, "run": run_id}
        async with self._connections().connection() as connection, connection.transaction():
            await connection.execute(
                "DELETE FROM checkpoint_writes WHERE thread_id = %(thread)s AND (checkpoint_ns, checkpoint_id) IN "
                "(SELECT checkpoint_ns, checkpoint_id FROM checkpoints "
                "WHERE thread_id = %(thread)s AND metadata ->> 'run_id' = %(run)s)",
                mine,
            )
            await connection.execute(
                "DELETE FROM checkpoints WHERE thread_id = %(thread)s AND metadata ->> 'run_id' = %(run)s", mine
            )

    async def copy_thread(self, source: str, target: str) -> None:
        """See Checkpoints."""
        async with self._connections().connection() as connection, connection.transaction():
            for table in _TABLES:
                found = await connection.execute(
                    "SELECT column_name FROM information_schema.columns "
                    "WHERE table_name = %s AND table_schema = current_schema() AND column_name <> 'thread_id'",
                    (table,),
                )
                others = ", ".join([row["column_name"] async for row in found])
                await connection.execute(
                    f"INSERT INTO {table} (thread_id, {others}) SELECT %s, {others} FROM {table} WHERE thread_id = %s",  # noqa: S608
                    (target, source),
                )

    async def prune(self, thread_id: str) -> None:
        """See Checkpoints."""
        await self.saver.aprune([thread_id], strategy="keep_latest")

    async def _set_up(self) -> None:
        """Two replicas may start at once: the second finds the tables that the first has made in the meantime."""
        for attempt in range(5):
            try:
                await self.saver.setup()
            except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable, psycopg.errors.DuplicateColumn):
                if attempt == 4:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    def _connections(self) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
        if self._pool is None:
            raise RuntimeError("the checkpoints are not open")
        return self._pool
