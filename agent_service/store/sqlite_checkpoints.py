"""Checkpoints in a SQLite file of their own, so that writing state and accepting runs do not wait for each other."""

from __future__ import annotations

import os
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agent_service.errors import SettingsError
from agent_service.store.serializer import a_serializer


class SqliteCheckpoints:
    """One connection, in aiosqlite's thread."""

    def __init__(self, path: str | Path) -> None:
        """path: of the store's file; ours lies beside it."""
        self.path = Path(f"{path}.checkpoints")
        self._saver: AsyncSqliteSaver | None = None

    @property
    def saver(self) -> AsyncSqliteSaver:
        """See Checkpoints."""
        if self._saver is None:
            raise RuntimeError("the checkpoints are not open")
        return self._saver

    async def open(self) -> None:
        """Raises SettingsError when the file cannot be used."""
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = await aiosqlite.connect(self.path)
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
                await connection.execute(f"PRAGMA {pragma}")
            self._saver = AsyncSqliteSaver(connection, serde=a_serializer())
            await self._saver.setup()
        except OSError as error:
            raise SettingsError(f"{self.path}: {error.strerror}; give a folder that can be written") from error
        except aiosqlite.Error as error:
            raise SettingsError(
                f"{self.path}: not a database that can be used ({error}); restore or remove it"
            ) from error

    async def close(self) -> None:
        """Give it back."""
        if self._saver is not None:
            await self._saver.conn.close()
            self._saver = None

    async def delete_thread(self, thread_id: str) -> None:
        """See Checkpoints."""
        await self.saver.adelete_thread(thread_id)

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints."""
        async with self.saver.lock:
            connection, ours = self.saver.conn, (thread_id, run_id)
            await connection.execute(
                "DELETE FROM writes WHERE thread_id = ?1 AND (checkpoint_ns, checkpoint_id) IN "
                "(SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = ?1 "
                "AND json_extract(metadata, '$.run_id') = ?2)",
                ours,
            )
            await connection.execute(
                "DELETE FROM checkpoints WHERE thread_id = ?1 AND json_extract(metadata, '$.run_id') = ?2", ours
            )
            await connection.commit()

    async def copy_thread(self, source: str, target: str) -> None:
        """See Checkpoints."""
        async with self.saver.lock:
            connection = self.saver.conn
            for table in ("checkpoints", "writes"):
                columns = [row[1] async for row in await connection.execute(f"PRAGMA table_info({table})")]
                others = ", ".join(column for column in columns if column != "thread_id")
                await connection.execute(
                    f"INSERT INTO {table} (thread_id, {others}) SELECT ?, {others} FROM {table} WHERE thread_id = ?",  # noqa: S608
                    (target, source),
                )
            await connection.commit()

    async def prune(self, thread_id: str) -> None:
        """See Checkpoints."""
        newest = "SELECT checkpoint_ns, max(checkpoint_id) FROM checkpoints WHERE thread_id = ?1 GROUP BY checkpoint_ns"
        async with self.saver.lock:
            for table in ("writes", "checkpoints"):
                await self.saver.conn.execute(
                    f"DELETE FROM {table} WHERE thread_id = ?1 AND (checkpoint_ns, checkpoint_id) NOT IN ({newest})",  # noqa: S608
                    (thread_id,),
                )
            await self.saver.conn.commit()
