"""Evidence and conversation as a model is shown them.  Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from agent_service.assistant.state import Evidence

_MOST_MESSAGES = 50  # of a conversation that a model is shown
_MOST_EVIDENCE = 20_000  # characters
_ENTRIES = (100, 30, 10, 3, 0)  # of every list, until it fits


def recent(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The end of the conversation, from a question on."""
    found = list(messages[-_MOST_MESSAGES:])
    while len(found) > 1 and not isinstance(found[0], HumanMessage):
        found.pop(0)
    return found


def shown(evidence: Sequence[Evidence], most: int = _MOST_EVIDENCE) -> str:
    """As JSON that stays JSON: lists are shortened by whole entries, and say how many were left out."""
    room = most // max(len(evidence), 1)
    return "Evidence, as JSON:\n[" + ",\n".join(_fitting(each, room) for each in evidence) + "]"


def _fitting(each: Evidence, room: int) -> str:
    text = json.dumps(each, default=str)
    for entries in _ENTRIES:
        if len(text) <= room:
            return text
        text = json.dumps({**each, "value": _shortened(each.get("value"), entries)}, default=str)
    if len(text) <= room:
        return text
    kept = {key: str(each.get(key, ""))[:500] for key in ("id", "tool", "source", "query")}
    return json.dumps({**kept, "left_out": "the value is too long to be shown; ask for less"})


def _shortened(value: Any, entries: int) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(each, entries) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    kept = [_shortened(each, entries) for each in value[:entries]]
    return kept if len(kept) == len(value) else [*kept, f"(more were left out: {len(value) - len(kept)})"]
