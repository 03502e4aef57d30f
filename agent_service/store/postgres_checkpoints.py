"""Checkpoints in PostgreSQL, on connections of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from agent_service.errors import SettingsError, StoreError
from agent_service.store.postgres_connections import (
    PATIENCE_SECONDS,
    Connection,
    Pool,
    a_connection,
    a_pool,
    as_store_errors,
)
from agent_service.store.postgres_saver import PostgresSaver
from agent_service.store.serializer import a_serializer
from agent_service.store.undoing import DELTA_KEYS, INPUT, NULL_TASK, PAUSES

SETUP_LOCK = 0x46534148  # any number that is not the other tables'
_NEXT_TRY = 0.1
_STATEMENT_SECONDS = 15.0  # a sweep deletes hundreds of threads in one
_TABLES = ("checkpoint_writes", "checkpoint_blobs", "checkpoints")
_NEWEST = "SELECT checkpoint_ns, max(checkpoint_id) AS newest FROM checkpoints WHERE thread_id = %(thread)s GROUP BY 1"
_OURS = "thread_id = %(thread)s AND metadata ->> 'run_id' = %(run)s"
_ROLL_BACK = f"""
WITH mine AS (
  DELETE FROM checkpoints WHERE {_OURS} RETURNING checkpoint_ns, checkpoint_id, metadata ->> 'source' AS came),
written AS (
  DELETE FROM checkpoint_writes w USING mine WHERE w.thread_id = %(thread)s
  AND w.checkpoint_ns = mine.checkpoint_ns AND w.checkpoint_id = mine.checkpoint_id)
SELECT coalesce(bool_or(checkpoint_ns = '' AND came = '{INPUT}'), false) AS has_input FROM mine
"""  # noqa: S608 - words of ours
# See undoing.undone.
_UNDO = f"""
WITH newest AS ({_NEWEST}),
paused AS (SELECT w.checkpoint_ns, w.task_id FROM checkpoint_writes w JOIN newest n USING (checkpoint_ns)
  WHERE w.thread_id = %(thread)s AND w.checkpoint_id = n.newest AND w.channel = ANY(%(pauses)s))
DELETE FROM checkpoint_writes w USING newest n
WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = n.checkpoint_ns AND w.checkpoint_id = n.newest
  AND w.channel <> ALL(%(pauses)s) AND (w.task_id = %(nobody)s
    OR (w.checkpoint_ns, w.task_id) IN (SELECT * FROM paused)
    OR w.checkpoint_ns NOT IN (SELECT checkpoint_ns FROM paused))
"""  # noqa: S608
_HAS_DELTAS = "SELECT 1 FROM checkpoints WHERE thread_id = %(thread)s AND metadata ?| %(deltas)s LIMIT 1"
# All of them see what the first one sees: a run may write meanwhile.
_PRUNE = (
    f"""
    DELETE FROM checkpoint_writes w USING ({_NEWEST}) n
    WHERE w.thread_id = %(thread)s AND w.checkpoint_ns = n.checkpoint_ns AND w.checkpoint_id < n.newest
    """,  # noqa: S608
    f"""
    DELETE FROM checkpoints c USING ({_NEWEST}) n
    WHERE c.thread_id = %(thread)s AND c.checkpoint_ns = n.checkpoint_ns AND c.checkpoint_id < n.newest
    """,  # noqa: S608
    """
    UPDATE checkpoints c SET parent_checkpoint_id = NULL
    WHERE thread_id = %(thread)s AND parent_checkpoint_id IS NOT NULL AND NOT EXISTS (
      SELECT 1 FROM checkpoints p WHERE p.thread_id = c.thread_id AND p.checkpoint_ns = c.checkpoint_ns
      AND p.checkpoint_id = c.parent_checkpoint_id)
    """,
    """
    DELETE FROM checkpoint_blobs b WHERE thread_id = %(thread)s AND NOT EXISTS (
      SELECT 1 FROM checkpoints c WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns
      AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version)
    """,
)


class PostgresCheckpoints:
    """One saver on a pool."""

    def __init__(self, url: str, *, most_connections: int = 8) -> None:
        self._url, self._most = url, most_connections
        self._pool: Pool | None = None
        self._saver: PostgresSaver | None = None

    @property
    def saver(self) -> PostgresSaver:
        """See Checkpoints."""
        if self._saver is None:
            raise StoreError("the checkpoints are not open")
        return self._saver

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection now."""
        return 0 if self._pool is None else self._pool.get_stats().get("requests_waiting", 0)

    async def open(self) -> None:
        """Raises SettingsError when the database cannot be used."""
        pool: Pool | None = None
        try:
            pool = a_pool(
                self._url, name="forescale-agent-checkpoints", most=self._most, statement_seconds=_STATEMENT_SECONDS,
                is_autocommit=True,
            )  # fmt: skip
            await pool.open(wait=True, timeout=2 * PATIENCE_SECONDS)
            await self._set_up()
        except psycopg.Error as error:
            if pool is not None:
                await pool.close()
            raise SettingsError(
                f"PostgreSQL cannot keep checkpoints ({type(error).__name__}); check its rights"
            ) from None
        except BaseException:
            if pool is not None:
                await pool.close()
            raise
        saver = PostgresSaver(pool, serde=a_serializer())
        # The saver holds one lock around all of its statements, on whatever connection: with a pool behind it the
        # whole process writes one checkpoint at a time, and a busy replica waits with an idle CPU.  Every call takes a
        # connection of its own, so that as many may go on as there are connections.
        lock: Any = asyncio.Semaphore(self._most)
        saver.lock = lock
        self._pool, self._saver = pool, saver

    async def close(self) -> None:
        """Give everything back."""
        if self._pool is not None:
            await self._pool.close()

    async def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """See Checkpoints."""
        if thread_ids:
            async with self._transaction() as connection:
                for table in _TABLES:
                    await connection.execute(f"DELETE FROM {table} WHERE thread_id = ANY(%s)", (list(thread_ids),))  # noqa: S608

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints.  Blobs stay: other checkpoints may share them, and they go with the thread."""
        given = {"thread": thread_id, "run": run_id, "pauses": list(PAUSES), "nobody": NULL_TASK}
        async with self._transaction() as connection:
            found = await (await connection.execute(_ROLL_BACK, given)).fetchone()
            if found is None or not found["has_input"]:
                await connection.execute(_UNDO, given)

    async def copy_thread(self, source: str, target: str) -> None:
        """See Checkpoints."""
        async with self._transaction() as connection:
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
        given = {"thread": thread_id, "deltas": list(DELTA_KEYS)}
        async with self._transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if await (await connection.execute(_HAS_DELTAS, given)).fetchone() is None:
                for statement in _PRUNE:
                    await connection.execute(statement, given)

    async def _set_up(self) -> None:
        """Make the tables, in whatever time that takes; of replicas that start at once, one after the other.

        Asked again and again: making indexes waits for every statement that goes on, also for one that waits for us.
        """
        async with await a_connection(self._url, name="forescale-agent-setup") as connection:
            while True:
                found = await (
                    await connection.execute("SELECT pg_try_advisory_lock(%s) AS ours", (SETUP_LOCK,))
                ).fetchone()
                if found is not None and found["ours"]:
                    break
                await asyncio.sleep(_NEXT_TRY)
            await AsyncPostgresSaver(connection).setup()  # the lock goes with the connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        if self._pool is None:
            raise StoreError("the checkpoints are not open")
        with as_store_errors():
            async with self._pool.connection() as connection, connection.transaction():
                yield connection
