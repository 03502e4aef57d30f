"""How long each node of a run takes, told by langgraph's own callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

Tell = Callable[[str, float], None]


class NodeTimer(BaseCallbackHandler):
    """Of one execution.  The callbacks run inline: in a thread each would cost more than many a node."""

    run_inline = True

    def __init__(self, tell: Tell) -> None:
        """tell: called with each node's name and seconds when it ends, well or not."""
        self._tell = tell
        self._began: dict[UUID, tuple[str, float]] = {}
        self.total_seconds: dict[str, float] = {}

    @property
    def ignore_llm(self) -> bool:
        """Not of interest; spares the calls."""
        return True

    ignore_chat_model = ignore_retriever = ignore_agent = ignore_custom_event = ignore_retry = ignore_llm

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, metadata: Mapping[str, Any] | None = None, **told: Any
    ) -> None:
        """A node, if it carries the node's own name; what a node calls inside carries another."""
        node = (metadata or {}).get("langgraph_node")
        if node is not None and told.get("name") == node:
            self._began[run_id] = (node, time.perf_counter())

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """See on_chain_start."""
        self._end(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """See on_chain_start."""
        self._end(run_id)

    def _end(self, run_id: UUID) -> None:
        begun = self._began.pop(run_id, None)
        if begun is not None:
            name, at = begun
            seconds = time.perf_counter() - at
            self.total_seconds[name] = self.total_seconds.get(name, 0.0) + seconds
            self._tell(name, seconds)
