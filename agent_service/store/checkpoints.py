"""Checkpoints in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver

from agent_service.store.serializer import a_serializer
from agent_service.store.undoing import DELTA_KEYS, INPUT, undone


class TidySaver(InMemorySaver):
    """Leaves nothing behind of threads that it was merely asked for."""

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See InMemorySaver."""
        found = super().get_tuple(config)
        if found is None:
            thread_id = config["configurable"]["thread_id"]
            namespaces = self.storage.get(thread_id, {})
            for namespace in [each for each, kept in namespaces.items() if not kept]:
                del namespaces[namespace]
            if not namespaces:
                self.storage.pop(thread_id, None)
        return found

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - langgraph's word
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """See InMemorySaver."""
        if config is None or config["configurable"]["thread_id"] in self.storage:
            yield from super().list(config, filter=filter, before=before, limit=limit)

    def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """All at once: whatever is kept is looked at one time."""
        gone = set(thread_ids)
        for thread_id in gone:
            self.storage.pop(thread_id, None)
        for written in [key for key in self.writes if key[0] in gone]:
            del self.writes[written]
        for blob in [key for key in self.blobs if key[0] in gone]:
            del self.blobs[blob]


class MemoryCheckpoints:
    """Gone with the process."""

    def __init__(self) -> None:
        self.saver = TidySaver(serde=a_serializer())

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to give back."""

    async def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """See Checkpoints."""
        if thread_ids:
            self.saver.delete_threads(thread_ids)

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints."""
        has_input = False
        for namespace, kept in self._namespaces(thread_id).items():
            for checkpoint_id in list(kept):
                metadata = self._metadata(kept[checkpoint_id])
                if metadata.get("run_id") == run_id:
                    has_input |= namespace == "" and metadata.get("source") == INPUT
                    self._drop(thread_id, namespace, checkpoint_id)
        if has_input:
            return
        for namespace, kept in self._namespaces(thread_id).items():
            written = self.saver.writes.get((thread_id, namespace, max(kept, default="")), {})
            gone = undone((task, channel) for task, channel, *_ in written.values())
            for key in [key for key, (task, channel, *_) in written.items() if (task, channel) in gone]:
                del written[key]

    async def copy_thread(self, source: str, target: str) -> None:
        """See Checkpoints."""
        storage, writes, blobs = self.saver.storage, self.saver.writes, self.saver.blobs
        for namespace, kept in self._namespaces(source).items():
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
        needed: set[tuple[str, str, Any]] = set()
        every = [entry for kept in self._namespaces(thread_id).values() for entry in kept.values()]
        if any(key in self._metadata(entry) for entry in every for key in DELTA_KEYS):
            return
        for namespace, kept in self._namespaces(thread_id).items():
            for checkpoint_id in sorted(kept)[:-1]:
                self._drop(thread_id, namespace, checkpoint_id)
            for checkpoint_id, (checkpoint, metadata, _) in list(kept.items()):
                kept[checkpoint_id] = (checkpoint, metadata, None)
                versions = self.saver.serde.loads_typed(checkpoint)["channel_versions"]
                needed |= {(namespace, channel, version) for channel, version in versions.items()}
        for key in [key for key in self.saver.blobs if key[0] == thread_id and key[1:] not in needed]:
            del self.saver.blobs[key]

    def _namespaces(self, thread_id: str) -> dict[str, Any]:
        return dict(self.saver.storage.get(thread_id, {}))

    def _metadata(self, entry: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.saver.serde.loads_typed(entry[1])
        return found

    def _drop(self, thread_id: str, namespace: str, checkpoint_id: str) -> None:
        del self.saver.storage[thread_id][namespace][checkpoint_id]
        self.saver.writes.pop((thread_id, namespace, checkpoint_id), None)
