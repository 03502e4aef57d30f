"""Messages as OpenAI's protocol writes them, and its answers as messages.  Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk

from agent_service.models.errors import ModelError

_ROLES: dict[type[BaseMessage], str] = {SystemMessage: "system", HumanMessage: "user", AIMessage: "assistant"}


def written(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """What is sent."""
    return [_written(message) for message in messages]


def _written(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, ToolMessage):
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": str(message.text)}
    role = next((role for kind, role in _ROLES.items() if isinstance(message, kind)), None)
    if role is None:
        raise ModelError(f"a message of type {message.type} cannot be sent to a model")
    told: dict[str, Any] = {"role": role, "content": str(message.text)}
    if isinstance(message, AIMessage) and message.tool_calls:
        told["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["args"])},
            }
            for call in message.tool_calls
        ]
        told["content"] = told["content"] or None
    return told


def read_message(answer: Any) -> AIMessage:
    """A whole answer; raises ModelError when it is none."""
    try:
        said = answer["choices"][0]["message"]
        content = said.get("content") or ""
        calls = said.get("tool_calls") or []
        good, bad = [], []
        for call in calls:
            name, args = call["function"]["name"], call["function"].get("arguments") or "{}"
            read = _arguments(args)
            if read is None:
                bad.append(invalid_tool_call(name=name, args=args, id=call.get("id"), error="no JSON object"))
            else:
                good.append(tool_call(name=name, args=read, id=call.get("id")))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError("the endpoint's answer holds no message") from error
    return AIMessage(
        content=str(content),
        tool_calls=good,
        invalid_tool_calls=bad,
        usage_metadata=usage_in(answer),
        response_metadata={"model_name": str(answer.get("model", ""))},
    )


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        read = json.loads(text)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def read_chunk(piece: Any) -> AIMessageChunk | None:
    """A piece of a streamed answer, None for one that says nothing; raises ModelError when it is none."""
    try:
        if piece.get("error"):
            raise ModelError(f"the endpoint broke off: {str(piece['error'])[:200]}")
        usage, choices = usage_in(piece), piece.get("choices") or []
        if not choices:
            return None if usage is None else AIMessageChunk(content="", usage_metadata=usage)
        delta = choices[0].get("delta") or {}
        calls = [
            tool_call_chunk(
                name=(call.get("function") or {}).get("name"),
                args=(call.get("function") or {}).get("arguments"),
                id=call.get("id"),
                index=call.get("index", 0),
            )
            for call in delta.get("tool_calls") or []
        ]
        content = delta.get("content") or ""
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError("a piece of the endpoint's answer cannot be read") from error
    if not content and not calls and usage is None:
        return None
    return AIMessageChunk(content=str(content), tool_call_chunks=calls, usage_metadata=usage)


def usage_in(answer: Mapping[str, Any]) -> UsageMetadata | None:
    """Tokens, when the endpoint counted them."""
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return None
    sent, got = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    total = int(usage.get("total_tokens") or sent + got)
    return UsageMetadata(input_tokens=sent, output_tokens=got, total_tokens=total)


class EventLines:
    """Server-sent events from bytes that break anywhere; yields the data of each."""

    def __init__(self, most_bytes: int) -> None:
        self._rest, self._most, self._data = b"", most_bytes, list[bytes]()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """More of the stream; raises ModelError for an event without end."""
        self._rest += piece
        if len(self._rest) > self._most:
            raise ModelError("the endpoint sends an event without end")
        *lines, self._rest = self._rest.replace(b"\r\n", b"\n").split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")  # noqa: PLW2901 - the same line
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data.clear()
