"""State, messages and snapshots as the JSON that clients know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import orjson
from langchain_core.messages import BaseMessage
from langgraph.types import Interrupt, PregelTask, Send, StateSnapshot
from pydantic import BaseModel

from agent_service.store.compact import compact

# Dataclasses come to us: some of langgraph's are told otherwise than field by field.  So do numpy's arrays: orjson's
# own option for them imports numpy, 20 MB of it, at the first object of any type that it does not know.
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


_DEEPEST = 200  # levels; orjson gives up at 254, and clients earlier
_NUL = b"\\u0000"


def encode(value: Any) -> bytes:
    """JSON of whatever a graph's state may hold; what JSON does not know becomes its text.  Never raises."""
    try:
        told = orjson.dumps(value, default=_plain, option=_OPTIONS)
    except Exception:  # such as half a character, a number of 100 digits, or whatever an object raises when asked
        return compact(orjson.dumps(_harmless(value, 0), option=orjson.OPT_NON_STR_KEYS))
    # No database keeps NUL characters as text.  (A backslash before the text u0000 looks like one, and survives.)
    return compact(told if _NUL not in told else orjson.dumps(_harmless(orjson.loads(told), 0)))


def _harmless(value: Any, depth: int) -> Any:
    """The same, slowly, with whatever cannot be told replaced by something that can."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(int(value))
    if isinstance(value, str):
        return _text(value)
    if depth >= _DEEPEST:
        return "(nested too deeply)"
    if isinstance(value, Mapping):
        return {_text(key): _harmless(each, depth + 1) for key, each in list(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        return [_harmless(each, depth + 1) for each in list(value)]
    try:
        return orjson.loads(orjson.dumps(value, option=_OPTIONS).replace(_NUL, b"\\ufffd"))
    except Exception:
        try:
            plain = _plain(value)
        except Exception:
            return f"({type(value).__name__} that cannot be told)"
        return _harmless(plain, depth + 1)


def _text(value: Any) -> str:
    """As text that UTF-8 and databases can hold."""
    try:
        text = value if type(value) is str else str(value)
    except Exception:
        return f"({type(value).__name__} that cannot be told)"
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def words_of(error: BaseException) -> tuple[str, str]:
    """Its type and what it says, whatever it raises when asked."""
    return type(error).__name__, _text(error)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Interrupt):
        return interrupt_json(value)
    if isinstance(value, Send):
        return {"node": value.node, "input": value.arg}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def interrupt_json(interrupt: Interrupt) -> dict[str, Any]:
    """What a client's own Interrupt can be made from: nothing more."""
    told: dict[str, Any] = {"value": interrupt.value, "id": interrupt.id}
    if interrupt.response_schema is not None:
        told["response_schema"] = interrupt.response_schema
    return told


def whole_message(message: BaseMessage) -> dict[str, Any]:
    """A message that was put together from chunks, as the message that it is."""
    told = message.model_dump()
    told["type"] = told["type"].removesuffix("MessageChunk").lower() or told["type"]
    for key in ("tool_call_chunks", "chunk_position"):
        told.pop(key, None)
    return told


def snapshot_json(snapshot: StateSnapshot) -> dict[str, Any]:
    """A thread's state at one checkpoint."""
    here, parent = _place(snapshot.config), _place(snapshot.parent_config)
    exists = snapshot.created_at is not None
    return {
        "values": snapshot.values,
        "next": list(snapshot.next),
        "tasks": [_task_json(task) for task in snapshot.tasks],
        "interrupts": [interrupt_json(each) for each in snapshot.interrupts],
        "metadata": _public(snapshot.metadata) if snapshot.metadata is not None else None,
        "created_at": snapshot.created_at,
        "checkpoint": here if exists else None,
        "parent_checkpoint": parent,
        "checkpoint_id": here["checkpoint_id"] if here is not None and exists else None,
        "parent_checkpoint_id": parent["checkpoint_id"] if parent is not None else None,
    }


def _task_json(task: PregelTask) -> dict[str, Any]:
    state, checkpoint = None, None
    if isinstance(task.state, StateSnapshot):
        state = snapshot_json(task.state)
        checkpoint = state["checkpoint"]
    elif task.state is not None:
        checkpoint = _place(task.state)
    return {
        "id": task.id,
        "name": task.name,
        "path": list(task.path),
        "error": None if task.error is None else str(task.error),
        "interrupts": [interrupt_json(each) for each in task.interrupts],
        "checkpoint": checkpoint,
        "state": state,
        "result": task.result,
    }


def _place(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    configurable = config.get("configurable") or {}
    return {
        "thread_id": configurable.get("thread_id"),
        "checkpoint_ns": configurable.get("checkpoint_ns", ""),
        "checkpoint_id": configurable.get("checkpoint_id"),
        "checkpoint_map": configurable.get("checkpoint_map"),
    }


def without_private(value: Any) -> Any:
    """Debug payloads carry configurations; what langgraph keeps in them for itself is nobody else's business."""
    if isinstance(value, dict):
        return {
            key: _public(each) if key in ("configurable", "metadata") else without_private(each)
            for key, each in value.items()
        }
    return [without_private(each) for each in value] if isinstance(value, list) else value


def _public(config: Any) -> Any:
    if not isinstance(config, Mapping):
        return config
    return {key: value for key, value in config.items() if not str(key).startswith("__") and key not in _OURS}


_OURS = frozenset({"langgraph_auth_user", "langgraph_auth_user_id", "run_began_at"})
