"""The connections to PostgreSQL: a pool for transactions, and one that hears what other replicas change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from agent_service.errors import SettingsError, StoreError

log = logging.getLogger("forescale.agent")

Connection = AsyncConnection[DictRow]

CHANNEL = "agent_changes"
SCHEMA_VERSION = 1
_SCHEMA_LOCK = 0x46534147  # any number; that two replicas that start at once do not both make the tables
_SCHEMA = """
CREATE TABLE agent_threads (
    thread_id text PRIMARY KEY, tenant text NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL,
    metadata bytea NOT NULL, status text NOT NULL, config bytea NOT NULL, state_values bytea, interrupts bytea NOT NULL,
    error bytea, state_updated_at bigint, is_temporary boolean NOT NULL, ttl_minutes double precision,
    expires_at bigint, running_run text
);
CREATE INDEX agent_threads_expiring ON agent_threads (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX agent_threads_temporary ON agent_threads (updated_at) WHERE is_temporary;
CREATE TABLE agent_runs (
    number bigserial PRIMARY KEY, run_id text NOT NULL UNIQUE, thread_id text NOT NULL, tenant text NOT NULL,
    assistant_id text NOT NULL, graph_id text NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL,
    not_before bigint NOT NULL, request bytea NOT NULL, metadata bytea NOT NULL, status text NOT NULL,
    multitask text NOT NULL, attempt integer NOT NULL, crashes integer NOT NULL, holder text, lease_until bigint,
    stop text, idempotency_key text, traceparent text, started_at bigint, finished_at bigint, result bytea
);
CREATE INDEX agent_runs_of_thread ON agent_runs (thread_id, number);
CREATE INDEX agent_runs_pending ON agent_runs (number) WHERE status = 'pending';
CREATE INDEX agent_runs_running ON agent_runs (lease_until) WHERE status = 'running';
CREATE UNIQUE INDEX agent_runs_one_each ON agent_runs (thread_id) WHERE status = 'running';
CREATE UNIQUE INDEX agent_runs_idempotent ON agent_runs (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX agent_runs_finished ON agent_runs (finished_at) WHERE result IS NOT NULL;
CREATE TABLE agent_events (
    run_id text NOT NULL, seq bigint NOT NULL, name text NOT NULL, data bytea NOT NULL, PRIMARY KEY (run_id, seq)
);
"""
_PATIENCE_SECONDS = 5.0  # for a connection, and for a statement
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 5.0


class PostgresPool:
    """Opened once."""

    def __init__(self, url: str, *, most_connections: int = 8) -> None:
        self._url = url
        self._most = most_connections
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._hearing: asyncio.Task[None] | None = None

    async def open(self, hear: Callable[[str], None]) -> None:
        """Raises SettingsError when the database cannot be reached, or was written by a newer version."""
        self._pool = AsyncConnectionPool(
            self._url,
            min_size=1,
            max_size=self._most,
            max_idle=60,
            max_lifetime=1800,
            timeout=_PATIENCE_SECONDS,
            open=False,
            kwargs={
                "row_factory": dict_row,
                "options": f"-c statement_timeout={int(_PATIENCE_SECONDS * 1000)}",
                "application_name": "forescale-agent",
                "connect_timeout": int(_PATIENCE_SECONDS),
            },
        )
        try:
            await self._pool.open(wait=True, timeout=2 * _PATIENCE_SECONDS)
            async with self.transaction() as connection:
                await _make_tables(connection)
        except (PoolTimeout, psycopg.Error, StoreError) as error:
            await self._pool.close()
            raise SettingsError(
                f"PostgreSQL cannot be used ({type(error).__name__}: {_first_line(error)}); check the store's URL, "
                "that the server runs, and that the user may create tables"
            ) from None  # the driver's own words may hold the URL
        self._hearing = asyncio.create_task(self._hear(hear))

    async def close(self) -> None:
        """Give everything back."""
        if self._hearing is not None:
            self._hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._hearing
        if self._pool is not None:
            await self._pool.close()

    @property
    def waiting(self) -> int:
        """Calls that wait for a connection now."""
        return 0 if self._pool is None else self._pool.get_stats().get("requests_waiting", 0)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """All of it or nothing; raises StoreError when the database does not answer."""
        if self._pool is None:
            raise StoreError("PostgreSQL is not open")
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise StoreError(f"PostgreSQL: {type(error).__name__}: {_first_line(error)}") from error

    async def _hear(self, hear: Callable[[str], None]) -> None:
        """What other replicas tell; after a break everybody looks by himself."""
        pause = _FIRST_PAUSE
        while True:
            try:
                listening: AsyncConnection[Any] = await AsyncConnection.connect(
                    self._url, autocommit=True, application_name="forescale-agent-listener",
                    connect_timeout=int(_PATIENCE_SECONDS),
                )  # fmt: skip
                async with listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    pause = _FIRST_PAUSE
                    async for told in listening.notifies():
                        hear(told.payload)
            except psycopg.Error as error:
                log.warning("PostgreSQL's notifications broke off (%s); again in %g s", type(error).__name__, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)


async def _make_tables(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
    await connection.execute("CREATE TABLE IF NOT EXISTS agent_schema (version integer NOT NULL)")
    row = await (await connection.execute("SELECT max(version) AS version FROM agent_schema")).fetchone()
    version = 0 if row is None or row["version"] is None else int(row["version"])
    if version > SCHEMA_VERSION:
        raise StoreError("its tables were written by a newer version of Forescale")
    if version == 0:
        await connection.execute(_SCHEMA)
        await connection.execute("INSERT INTO agent_schema VALUES (%s)", (SCHEMA_VERSION,))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
