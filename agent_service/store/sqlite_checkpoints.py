"""Checkpoints in a SQLite file of their own, so that writing state and accepting runs do not wait for each other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType

import aiosqlite
import orjson
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent_service.errors import SettingsError, StoreError
from agent_service.store.guarded_saver import GuardedSaver
from agent_service.store.serializer import a_serializer
from agent_service.store.undoing import DELTA_KEYS, INPUT, NULL_TASK, PAUSES

_PAUSES = ", ".join(f"'{channel}'" for channel in PAUSES)
_NEWEST = "SELECT checkpoint_ns, max(checkpoint_id) FROM checkpoints WHERE thread_id = ?1 GROUP BY checkpoint_ns"
_ON_NEWEST = f"thread_id = ?1 AND (checkpoint_ns, checkpoint_id) IN ({_NEWEST})"
_OURS = "thread_id = ?1 AND json_extract(metadata, '$.run_id') = ?2"
_HAS_INPUT = (
    f"SELECT 1 FROM checkpoints WHERE {_OURS} AND checkpoint_ns = '' AND json_extract(metadata, '$.source') = '{INPUT}'"  # noqa: S608
)
_ROLL_BACK = (
    f"""
    DELETE FROM writes WHERE thread_id = ?1 AND (checkpoint_ns, checkpoint_id) IN
      (SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE {_OURS})
    """,  # noqa: S608
    f"DELETE FROM checkpoints WHERE {_OURS}",  # noqa: S608
)
# See undoing.undone.
_PAUSED = f"SELECT {{}} FROM writes WHERE {_ON_NEWEST} AND channel IN ({_PAUSES})"  # noqa: S608
_UNDO = (
    f"DELETE FROM writes WHERE {_ON_NEWEST} AND channel NOT IN ({_PAUSES}) AND (task_id = '{NULL_TASK}' "  # noqa: S608
    f"OR (checkpoint_ns, task_id) IN ({_PAUSED.format('checkpoint_ns, task_id')}) "
    f"OR checkpoint_ns NOT IN ({_PAUSED.format('checkpoint_ns')}))"
)
_DELTAS = " OR ".join(f"json_type(metadata, '$.{key}') IS NOT NULL" for key in DELTA_KEYS)
_HAS_DELTAS = f"SELECT 1 FROM checkpoints WHERE thread_id = ?1 AND ({_DELTAS}) LIMIT 1"  # noqa: S608
_PRUNE = (
    f"DELETE FROM writes WHERE thread_id = ?1 AND (checkpoint_ns, checkpoint_id) NOT IN ({_NEWEST})",  # noqa: S608
    f"DELETE FROM checkpoints WHERE thread_id = ?1 AND (checkpoint_ns, checkpoint_id) NOT IN ({_NEWEST})",  # noqa: S608
    "UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = ?1",
)


class _Lock(asyncio.Lock):
    """The saver's, around each of its transactions: what fails half-way is taken back before the next one begins."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        super().__init__()
        self._connection = connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and self._connection.in_transaction:
                await self._connection.rollback()
        finally:
            self.release()


@contextmanager
def _as_store_errors() -> Iterator[None]:
    try:
        yield
    except aiosqlite.Error as error:
        raise StoreError(f"the checkpoints: {error}") from error


class SqliteSaver(GuardedSaver, AsyncSqliteSaver):
    """Langgraph's own, whose errors are ours."""

    guard = staticmethod(_as_store_errors)

    def __init__(self, connection: aiosqlite.Connection) -> None:
        super().__init__(connection, serde=a_serializer())
        self.lock = _Lock(connection)


class SqliteCheckpoints:
    """One connection, in aiosqlite's thread."""

    def __init__(self, path: str | Path) -> None:
        """path: of the store's file; ours lies beside it."""
        self.path = Path(f"{path}.checkpoints")
        self._saver: SqliteSaver | None = None

    @property
    def saver(self) -> SqliteSaver:
        """See Checkpoints."""
        if self._saver is None:
            raise StoreError("the checkpoints are not open")
        return self._saver

    async def open(self) -> None:
        """Raises SettingsError when the file cannot be used."""
        connection: aiosqlite.Connection | None = None
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = await aiosqlite.connect(self.path)
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
                await connection.execute(f"PRAGMA {pragma}")
            saver = SqliteSaver(connection)
            await saver.setup()
        except BaseException as error:
            if connection is not None:
                await connection.close()  # its thread would keep the process from ending
            if isinstance(error, OSError):
                raise SettingsError(f"{self.path}: {error.strerror}; give a folder that can be written") from error
            if isinstance(error, aiosqlite.Error):
                raise SettingsError(
                    f"{self.path}: not a database that can be used ({error}); restore or remove it"
                ) from error
            raise
        self._saver = saver

    async def close(self) -> None:
        """Give it back."""
        if self._saver is not None:
            await self._saver.conn.close()
            self._saver = None

    async def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """See Checkpoints."""
        if thread_ids:
            gone = orjson.dumps(list(thread_ids)).decode()
            async with self._transaction() as connection:
                for table in ("checkpoints", "writes"):
                    query = f"DELETE FROM {table} WHERE thread_id IN (SELECT value FROM json_each(?))"  # noqa: S608
                    await connection.execute(query, (gone,))

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints."""
        async with self._transaction() as connection:
            found = await connection.execute(_HAS_INPUT, (thread_id, run_id))
            has_input = await found.fetchone() is not None
            for statement in _ROLL_BACK:
                await connection.execute(statement, (thread_id, run_id))
            if not has_input:
                await connection.execute(_UNDO, (thread_id,))

    async def copy_thread(self, source: str, target: str) -> None:
        """See Checkpoints."""
        async with self._transaction() as connection:
            for table in ("checkpoints", "writes"):
                columns = [row[1] async for row in await connection.execute(f"PRAGMA table_info({table})")]
                others = ", ".join(column for column in columns if column != "thread_id")
                await connection.execute(
                    f"INSERT INTO {table} (thread_id, {others}) SELECT ?, {others} FROM {table} WHERE thread_id = ?",  # noqa: S608
                    (target, source),
                )

    async def prune(self, thread_id: str) -> None:
        """See Checkpoints."""
        async with self._transaction() as connection:
            if await (await connection.execute(_HAS_DELTAS, (thread_id,))).fetchone() is None:
                for statement in _PRUNE:
                    await connection.execute(statement, (thread_id,))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        saver = self.saver
        with _as_store_errors():
            async with saver.lock:
                yield saver.conn
                await saver.conn.commit()
