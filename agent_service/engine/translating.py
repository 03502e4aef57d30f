"""What a graph streams, as the events that the official client reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import BaseMessage, BaseMessageChunk

from agent_service.engine.encoding import encode, whole_message, without_private

STREAM_MODES = frozenset({"values", "updates", "messages", "messages-tuple", "custom", "tasks", "checkpoints", "debug"})
_TOLD_OF_A_MESSAGE = ("langgraph_node", "langgraph_step", "run_id", "thread_id", "graph_id", "tags", "ls_model_name")

Part = tuple[str, bytes]


class Translator:
    """Of one execution; remembers the messages that are still being written."""

    def __init__(self, modes: tuple[str, ...]) -> None:
        """modes: as the caller asked, in the protocol's names."""
        self.modes = frozenset(modes)
        self._written: dict[str, BaseMessage] = {}

    def graph_modes(self) -> list[str]:
        """What to ask the graph for; always its values, of which the last are the result."""
        asked = {"messages" if mode == "messages-tuple" else mode for mode in self.modes}
        return sorted(asked | {"values"})

    def parts(self, namespace: tuple[str, ...], mode: str, payload: Any) -> Iterator[Part]:
        """The events that this piece becomes; none when nobody asked for its mode."""
        suffix = "".join(f"|{each}" for each in namespace)
        if mode == "messages":
            yield from self._message_parts(payload, suffix)
        elif mode in self.modes:
            if mode in ("debug", "checkpoints", "tasks"):
                payload = without_private(payload)
            yield mode + suffix, encode(payload)

    def _message_parts(self, payload: tuple[BaseMessage, dict[str, Any]], suffix: str) -> Iterator[Part]:
        message, metadata = payload
        # Every token carries it: sending all that langgraph puts there would cost more than the token.
        told = {key: metadata[key] for key in _TOLD_OF_A_MESSAGE if key in metadata}
        if "messages-tuple" in self.modes:
            yield "messages" + suffix, encode([message, told])
        if "messages" not in self.modes:
            return
        key = message.id or ""
        known = self._written.get(key)
        if known is None:
            yield "messages/metadata" + suffix, encode({key: {"metadata": told}})
        if not isinstance(message, BaseMessageChunk):
            self._written[key] = message
            yield "messages/complete" + suffix, encode([message])
            return
        written = known + message if isinstance(known, BaseMessageChunk) else message
        assert isinstance(written, BaseMessage)  # noqa: S101 - chunks add up to a chunk
        self._written[key] = written
        yield "messages/partial" + suffix, encode([whole_message(written)])
