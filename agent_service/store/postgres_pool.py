"""The connections of the store in PostgreSQL: a pool for transactions, and one that hears what others change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg

from agent_service.errors import SettingsError, StoreError
from agent_service.store.postgres_connections import (
    PATIENCE_SECONDS,
    Connection,
    Pool,
    a_connection,
    a_pool,
    as_store_errors,
    first_line,
)
from agent_service.store.postgres_schema import make_tables

log = logging.getLogger("forescale.agent")

CHANNEL = "agent_changes"
_STATEMENT_SECONDS = 5.0
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 5.0


class PostgresPool:
    """Opened once."""

    def __init__(self, url: str, *, most_connections: int = 8) -> None:
        self._url = url
        self._most = most_connections
        self._pool: Pool | None = None
        self._hearing: asyncio.Task[None] | None = None

    async def open(self, hear: Callable[[str], None], look: Callable[[], None]) -> None:
        """Raises SettingsError when the database cannot be reached, or was written by a newer version.

        hear: told what others tell; look: called when something of that may have been missed.
        """
        try:
            pool = a_pool(self._url, name="forescale-agent", most=self._most, statement_seconds=_STATEMENT_SECONDS)
        except psycopg.Error:  # whose words hold pieces of the URL
            raise SettingsError("the store's URL cannot be read; give postgresql://user:password@host/name") from None
        try:
            await pool.open(wait=True, timeout=2 * PATIENCE_SECONDS)
            self._pool = pool
            async with self.transaction() as connection:
                await make_tables(connection)
        except (psycopg.Error, StoreError) as error:
            await pool.close()
            raise SettingsError(
                f"PostgreSQL cannot be used ({type(error).__name__}: {first_line(error)}); check the store's URL, "
                "that the server runs, and that the user may create tables"
            ) from None  # the driver's own words may hold the URL
        except BaseException:
            await pool.close()
            raise
        self._hearing = asyncio.create_task(self._hear(hear, look))

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
        with as_store_errors():
            async with self._pool.connection() as connection:
                yield connection

    async def _hear(self, hear: Callable[[str], None], look: Callable[[], None]) -> None:
        """What other replicas tell; after a break nobody knows what they told meanwhile."""
        pause, has_broken = _FIRST_PAUSE, False
        while True:
            try:
                async with await a_connection(self._url, name="forescale-agent-listener") as listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    pause = _FIRST_PAUSE
                    if has_broken:
                        look()
                    async for told in listening.notifies():
                        hear(told.payload)
            except (psycopg.Error, OSError) as error:
                log.warning("PostgreSQL's notifications broke off (%s); again in %g s", type(error).__name__, pause)
            has_broken = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)
