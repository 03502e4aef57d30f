"""Messages as OpenAI's protocol writes them, and its answers as messages.  Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCallChunk,
    ToolMessage,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk

from agent_service.models.errors import AnswerCutError, ModelError

_ROLES: dict[type[BaseMessage], str] = {SystemMessage: "system", HumanMessage: "user", AIMessage: "assistant"}
_THOUGHTS = ("reasoning_content", "reasoning")
_ERROR_TEXT = b'{"error": "'
_CUT = {
    "length": "the model's answer was cut: it was as long as the endpoint allows; ask for less, or let it say more",
    "content_filter": "the endpoint's filter held the model's answer back",
}


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


@dataclass(frozen=True, slots=True)
class Piece:
    """Of an answer: all of it, or what one event of a stream adds."""

    text: str = ""
    calls: tuple[ToolCallChunk, ...] = ()
    usage: UsageMetadata | None = None  # of all that came so far
    finish_reason: str | None = None
    model: str = ""
    thought: str = ""  # which the endpoint tells apart from the answer

    @property
    def says_something(self) -> bool:
        """To whoever asked."""
        return bool(self.text or self.calls)

    @property
    def written(self) -> str:
        """All that a model had to write for it."""
        return self.thought + self.text + "".join(f"{call['name'] or ''}{call['args'] or ''}" for call in self.calls)

    @property
    def chunk(self) -> AIMessageChunk:
        """As part of a message."""
        return AIMessageChunk(content=self.text, tool_call_chunks=list(self.calls))

    @property
    def message(self) -> AIMessage:
        """As a message of its own."""
        good, bad = [], []
        for call in self.calls:
            name, args = call["name"] or "", call["args"] or "{}"
            read = _arguments(args)
            if read is None:
                bad.append(invalid_tool_call(name=name, args=args, id=call["id"], error="no JSON object"))
            else:
                good.append(tool_call(name=name, args=read, id=call["id"]))
        return AIMessage(content=self.text, tool_calls=good, invalid_tool_calls=bad)


def read(data: bytes, what: str) -> Any:
    """JSON; raises ModelError."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{what} is no JSON") from error


def read_event(data: bytes) -> Any:
    """An event of a stream; raises ModelError when it is no JSON.

    Some endpoints put the words of an error between quotes as they are, line breaks and quotes included.
    """
    try:
        return read(data, "a piece of the endpoint's stream")
    except ModelError:
        if not data.startswith(_ERROR_TEXT):
            raise
        return {"error": data.removeprefix(_ERROR_TEXT).decode("utf-8", "replace").rstrip('"}')}


def error_in(answer: Any) -> str:
    """What an endpoint says went wrong where it should have answered; empty when it says nothing."""
    error = answer.get("error") if isinstance(answer, Mapping) else None
    said = error.get("message") or error if isinstance(error, Mapping) else error
    return _in_one_line(said if isinstance(said, str) else json.dumps(said)) if said else ""


def refusal_in(body: bytes) -> str:
    """What an endpoint says with a status that is no success, in one line: its words, or else all of its body."""
    text = body.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    more = answer if isinstance(answer, Mapping) else {}
    said = (error_in(answer), *(more.get(name) for name in ("message", "detail")))
    return _in_one_line(next((words for words in said if isinstance(words, str) and words), text))


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def read_message(answer: Any) -> Piece:
    """A whole answer; raises ModelError when it is none."""
    choice = _first(answer, "the endpoint's answer holds no message")
    if choice is None or not isinstance(choice.get("message"), Mapping):
        raise ModelError("the endpoint's answer holds no message")
    found = _piece(answer, choice, choice["message"])
    if any(call["name"] is None for call in found.calls):
        raise ModelError("the endpoint's answer holds a tool call without a name")
    return found


def read_chunk(piece: Any) -> Piece:
    """A piece of a streamed answer; raises ModelError when it is none."""
    choice = _first(piece, "a piece of the endpoint's answer cannot be read")
    delta = {} if choice is None else choice.get("delta") or {}
    if not isinstance(delta, Mapping):
        raise ModelError("a piece of the endpoint's answer cannot be read: its delta is no object")
    return _piece(piece, choice or {}, delta)


def refuse_cut(finish_reason: str | None) -> None:
    """Half an answer may say the opposite of the whole one: raises AnswerCutError."""
    if finish_reason in _CUT:
        raise AnswerCutError(_CUT[finish_reason])


def _first(answer: Any, words: str) -> Mapping[str, Any] | None:
    choices = answer.get("choices") or [] if isinstance(answer, Mapping) else None
    if not isinstance(choices, list) or not all(isinstance(choice, Mapping) for choice in choices):
        raise ModelError(words)
    return choices[0] if choices else None


def _piece(answer: Mapping[str, Any], choice: Mapping[str, Any], said: Mapping[str, Any]) -> Piece:
    calls = said.get("tool_calls") or []
    if not isinstance(calls, list):
        raise ModelError("the endpoint's answer cannot be read: tool_calls is no list")
    return Piece(
        text=_joined(said.get("content")),
        calls=tuple(_call(call, number) for number, call in enumerate(calls)),
        usage=usage_in(answer),
        finish_reason=_text(choice.get("finish_reason"), "finish_reason"),
        model=_text(answer.get("model"), "model") or "",
        thought=next((said[name] for name in _THOUGHTS if isinstance(said.get(name), str)), ""),
    )


def _joined(content: Any) -> str:
    """Text, or a list of parts of which the texts are the answer; what a model thinks aloud is not."""
    if not isinstance(content, list):
        return _text(content, "content") or ""
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    if not all(isinstance(part, Mapping) for part in parts):
        raise ModelError("the endpoint's answer cannot be read: a part of its content is no object")
    return "".join(_text(part.get("text"), "text") or "" for part in parts if part.get("type") == "text")


def _call(call: Any, number: int) -> ToolCallChunk:
    told = call.get("function") or {} if isinstance(call, Mapping) else None
    if not isinstance(told, Mapping):
        raise ModelError("the endpoint's answer cannot be read: a tool call is no object")
    args, index = told.get("arguments"), call.get("index", number)
    if isinstance(args, Mapping):  # some endpoints do not write them as text
        args = json.dumps(args)
    if not isinstance(index, int):
        raise ModelError("the endpoint's answer cannot be read: a tool call's index is no number")
    return tool_call_chunk(
        name=_text(told.get("name"), "a tool call's name"),
        args=_text(args, "a tool call's arguments"),
        id=_text(call.get("id"), "a tool call's id"),
        index=index,
    )


def _text(value: Any, what: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ModelError(f"the endpoint's answer cannot be read: {what} is no text")
    return value


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def usage_in(answer: Mapping[str, Any]) -> UsageMetadata | None:
    """Tokens, when the endpoint counted them; raises ModelError for what is no count."""
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return None
    sent, got = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    total = max(_count(usage, "total_tokens"), sent + got)
    return UsageMetadata(input_tokens=sent, output_tokens=got, total_tokens=total) if total else None


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name) or 0
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < 2**53 or value != int(value):  # a negative one would lengthen a budget
        raise ModelError(f"the endpoint's answer cannot be read: {name} of its usage is no count")
    return int(value)


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
