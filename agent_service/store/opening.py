"""Opens the stores that a URL names; what a store needs is imported only for that one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from agent_service.errors import SettingsError
from agent_service.store.ports import Checkpoints, EventLog, RunStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The three ports; `kind` is memory, sqlite or postgresql."""

    runs: RunStore
    events: EventLog
    checkpoints: Checkpoints
    kind: str
    waiting: Callable[[], int] = lambda: 0  # calls that wait for a connection now

    async def open(self) -> None:
        """Connect; raises SettingsError."""
        await self.runs.open()
        try:
            await self.checkpoints.open()
        except BaseException:
            await self.runs.close()
            raise

    async def close(self) -> None:
        """Give everything back, the one whatever becomes of the other."""
        try:
            await self.checkpoints.close()
        finally:
            await self.runs.close()


def open_stores(url: str) -> Stores:
    """Of memory://, sqlite:///relative.db, sqlite:////absolute.db or postgresql://...; not connected yet.

    Raises SettingsError, which does not repeat the URL: it may hold a password.
    """
    scheme = url.partition(":")[0]
    if scheme == "memory":
        from agent_service.store.checkpoints import MemoryCheckpoints
        from agent_service.store.memory import MemoryStore

        kept = MemoryStore()
        return Stores(kept, kept, MemoryCheckpoints(), "memory")
    if scheme == "sqlite":
        from agent_service.store.sqlite import SqliteStore
        from agent_service.store.sqlite_checkpoints import SqliteCheckpoints

        path = unquote(urlsplit(url).path).removeprefix("/")
        if not path:
            raise SettingsError("the store's URL names no file; give sqlite:///agent.db or sqlite:////var/lib/agent.db")
        store = SqliteStore(path)
        return Stores(store, store, SqliteCheckpoints(path), "sqlite")
    if scheme in ("postgresql", "postgres"):
        from agent_service.store.postgres import PostgresStore
        from agent_service.store.postgres_checkpoints import PostgresCheckpoints

        fleet, checkpoints = PostgresStore(url), PostgresCheckpoints(url)
        return Stores(fleet, fleet, checkpoints, "postgresql", lambda: fleet.waiting + checkpoints.waiting)
    raise SettingsError("the store's URL begins with none of memory:, sqlite:, postgresql:")
