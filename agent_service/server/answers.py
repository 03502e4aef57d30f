"""What is answered: JSON, refusals in words, and the protocol's objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from agent_service.engine.admission import OverloadedError
from agent_service.errors import RefusedError
from agent_service.store.records import Run, Thread

_OURS = frozenset({"is_temporary", "is_stateless"})  # of a request, noted by us
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An object, or JSON as it is kept."""
    content = body if isinstance(body, bytes) else orjson.dumps(body, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, status, {**_SAFE, **(headers or {})}, "application/json")


def nothing(status: int = HTTPStatus.NO_CONTENT) -> Response:
    """Done."""
    return Response(None, status, _SAFE)


def refusal(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The shape that the official client can show: one string."""
    return Response(json.dumps({"detail": detail}), status, {**_SAFE, **(headers or {})}, "application/json")


def refused(error: RefusedError) -> Response:
    """Of an error that was raised on purpose."""
    headers = {"Retry-After": str(error.retry_after_seconds)} if isinstance(error, OverloadedError) else None
    return refusal(error.status, str(error), headers)


def thread_json(thread: Thread) -> dict[str, Any]:
    """A thread of the protocol."""
    told = {
        "thread_id": thread.thread_id,
        "created_at": _instant(thread.created_at),
        "updated_at": _instant(thread.updated_at),
        "state_updated_at": _instant(thread.state_updated_at or thread.updated_at),
        "metadata": thread.metadata,
        "status": thread.status.value,
        "config": thread.config,
        "values": None if thread.values is None else orjson.Fragment(thread.values),
        "interrupts": {task: asked for task, asked in thread.interrupts.items() if asked},
    }
    if thread.error is not None:
        told["error"] = thread.error
    if thread.ttl_minutes is not None:
        told["ttl"] = {
            "strategy": "delete",
            "ttl_minutes": thread.ttl_minutes,
            "expires_at": None if thread.expires_at is None else _instant(thread.expires_at),
        }
    return told


def run_json(run: Run) -> dict[str, Any]:
    """A run of the protocol."""
    told = {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "created_at": _instant(run.created_at),
        "updated_at": _instant(run.updated_at),
        "status": run.status.value,
        "metadata": run.metadata,
        "kwargs": {key: value for key, value in run.request.items() if key not in _OURS},
        "multitask_strategy": run.multitask.value,
    }
    if run.stop is not None:
        told["cancel_reason"] = run.stop.value
    return told


def selected(told: dict[str, Any], select: list[str] | None) -> dict[str, Any]:
    """Only the fields that were asked for."""
    return told if not select else {key: value for key, value in told.items() if key in select}


def _instant(at: datetime) -> str:
    return at.isoformat()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
