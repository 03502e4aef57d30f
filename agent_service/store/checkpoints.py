"""Checkpoints in memory, and what all kinds of checkpoints have in common."""

from __future__ import annotations

from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from agent_service.store.serializer import a_serializer


class MemoryCheckpoints:
    """Gone with the process."""

    def __init__(self) -> None:
        self.saver = InMemorySaver(serde=a_serializer())

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to give back."""

    async def delete_thread(self, thread_id: str) -> None:
        """See Checkpoints."""
        self.saver.delete_thread(thread_id)

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints."""
        for namespace, kept in self.saver.storage.get(thread_id, {}).items():
            for checkpoint_id, (_, metadata, _parent) in list(kept.items()):
                if self.saver.serde.loads_typed(metadata).get("run_id") == run_id:
                    del kept[checkpoint_id]
                    self.saver.writes.pop((thread_id, namespace, checkpoint_id), None)

    async def copy_thread(self, source: str, target: str) -> None:
        """See Checkpoints."""
        storage, writes, blobs = self.saver.storage, self.saver.writes, self.saver.blobs
        for namespace, kept in list(storage.get(source, {}).items()):
            storage[target][namespace] = dict(kept)
        for (thread_id, namespace, checkpoint_id), written in list(writes.items()):
            if thread_id == source:
                writes[(target, namespace, checkpoint_id)] = dict(written)
        for (thread_id, *rest), blob in list(blobs.items()):
            if thread_id == source:
                key: Any = (target, *rest)
                blobs[key] = blob

    async def prune(self, thread_id: str) -> None:
        """See Checkpoints."""
        for namespace, kept in self.saver.storage.get(thread_id, {}).items():
            for checkpoint_id in sorted(kept)[:-1]:
                del kept[checkpoint_id]
                self.saver.writes.pop((thread_id, namespace, checkpoint_id), None)
