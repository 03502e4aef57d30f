"""Checkpoints in a SQLite file of their own, so that writing state and accepting runs do not wait for each other."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from agent_service.errors import SettingsError, StoreError
from agent_service.store.sqlite_saver import SqliteSaver
from agent_service.store.sqlite_thread import SqliteThread
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


class SqliteCheckpoints:
    """One connection, in a thread of its own."""

    def __init__(self, path: str | Path) -> None:
        """path: of the store's file; ours lies beside it."""
        self.path = Path(f"{path}.checkpoints")
        self._thread = SqliteThread("agent-checkpoints", what="the checkpoints", closed="the checkpoints are closed")
        self._saver: SqliteSaver | None = None

    @property
    def saver(self) -> SqliteSaver:
        """See Checkpoints."""
        if self._saver is None:
            raise StoreError("the checkpoints are not open")
        return self._saver

    async def open(self) -> None:
        """Raises SettingsError when the file cannot be used."""
        self._saver = await self._thread.do(self._open)

    async def close(self) -> None:
        """Give it back."""
        await self._thread.close(self._close)

    async def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """See Checkpoints."""
        if thread_ids:
            gone = orjson.dumps(list(thread_ids)).decode()
            await self._transact(lambda cursor: _delete(cursor, gone))

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints."""
        await self._transact(lambda cursor: _roll_back(cursor, thread_id, run_id))

    async def copy_thread(self, source: str, target: str) -> None:
        """See Checkpoints."""
        await self._transact(lambda cursor: _copy(cursor, source, target))

    async def prune(self, thread_id: str) -> None:
        """See Checkpoints."""
        await self._transact(lambda cursor: _prune(cursor, thread_id))

    def _open(self) -> SqliteSaver:
        connection: sqlite3.Connection | None = None
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(self.path, check_same_thread=False)
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
                connection.execute(f"PRAGMA {pragma}")
            saver = SqliteSaver(connection, self._thread)
            saver.setup()
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, OSError):
                raise SettingsError(f"{self.path}: {error.strerror}; give a folder that can be written") from error
            if isinstance(error, sqlite3.Error):
                raise SettingsError(
                    f"{self.path}: not a database that can be used ({error}); restore or remove it"
                ) from error
            raise
        return saver

    def _close(self) -> None:
        if self._saver is not None:
            self._saver.conn.close()
            self._saver = None

    async def _transact(self, work: Callable[[sqlite3.Cursor], None]) -> None:
        saver = self.saver

        def transaction() -> None:
            with saver.cursor() as cursor:
                work(cursor)

        await self._thread.do(transaction)


def _delete(cursor: sqlite3.Cursor, thread_ids: str) -> None:
    for table in ("checkpoints", "writes"):
        cursor.execute(f"DELETE FROM {table} WHERE thread_id IN (SELECT value FROM json_each(?))", (thread_ids,))  # noqa: S608


def _roll_back(cursor: sqlite3.Cursor, thread_id: str, run_id: str) -> None:
    has_input = cursor.execute(_HAS_INPUT, (thread_id, run_id)).fetchone() is not None
    for statement in _ROLL_BACK:
        cursor.execute(statement, (thread_id, run_id))
    if not has_input:
        cursor.execute(_UNDO, (thread_id,))


def _copy(cursor: sqlite3.Cursor, source: str, target: str) -> None:
    for table in ("checkpoints", "writes"):
        columns = [row[1] for row in cursor.execute(f"PRAGMA table_info({table})")]
        others = ", ".join(column for column in columns if column != "thread_id")
        cursor.execute(
            f"INSERT INTO {table} (thread_id, {others}) SELECT ?, {others} FROM {table} WHERE thread_id = ?",  # noqa: S608
            (target, source),
        )


def _prune(cursor: sqlite3.Cursor, thread_id: str) -> None:
    if cursor.execute(_HAS_DELTAS, (thread_id,)).fetchone() is None:
        for statement in _PRUNE:
            cursor.execute(statement, (thread_id,))
