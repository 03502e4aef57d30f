"""Langgraph's saver for SQLite, in a thread of its own.

Its sibling for asyncio goes to a thread and back for every cursor, every statement and every commit, a dozen times a
run, which costs more than what is done there.  Here each of langgraph's calls goes once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver as LanggraphSaver

from agent_service.store.serializer import a_serializer
from agent_service.store.sqlite_thread import SqliteThread


class SqliteSaver(LanggraphSaver):
    """For asyncio as well; its failures are StoreErrors, so that nobody takes them for a graph's own."""

    def __init__(self, connection: sqlite3.Connection, thread: SqliteThread) -> None:
        super().__init__(connection, serde=a_serializer())
        self._thread = thread

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """All of it or nothing: langgraph's own commits also what failed half-way."""
        with self.lock, closing(self.conn.cursor()) as cursor:
            try:
                yield cursor
                if transaction:
                    self.conn.commit()
            finally:
                if self.conn.in_transaction:
                    self.conn.rollback()

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See BaseCheckpointSaver."""
        return await self._thread.do(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - langgraph's word
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """See BaseCheckpointSaver."""

        def found() -> Sequence[CheckpointTuple]:
            return [*self.list(config, filter=filter, before=before, limit=limit)]

        for each in await self._thread.do(found):
            yield each

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """See BaseCheckpointSaver."""
        return await self._thread.do(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """See BaseCheckpointSaver."""
        await self._thread.do(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """See BaseCheckpointSaver."""
        await self._thread.do(self.delete_thread, thread_id)

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, Any]:
        """See BaseCheckpointSaver."""
        return await self._thread.do(self.get_delta_channel_history, config=config, channels=channels)
