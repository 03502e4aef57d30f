"""Everything that answers requests, put together: stores, graphs, engine.  What routes find in their request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from agent_service.engine.engine import Engine
from agent_service.engine.graphs import Graphs, Served
from agent_service.engine.meters import Meters
from agent_service.errors import ForbiddenError, InvalidError
from agent_service.server.tracing import Traces
from agent_service.server.webhooks import Webhooks
from agent_service.store.ports import Checkpoints, RunStore

_T = TypeVar("_T", bound=BaseModel)

_MOST_LEVELS = 64
LARGEST = 2**31 - 1  # of a number of things that a database is asked for or told to skip


@dataclass(slots=True)
class Service:
    """One process."""

    engine: Engine
    meters: Meters
    webhooks: Webhooks
    info: Mapping[str, Any] = field(default_factory=dict)
    traces: Traces = field(default_factory=Traces)

    @property
    def graphs(self) -> Graphs:
        """What is served."""
        return self.engine.graphs

    @property
    def runs(self) -> RunStore:
        """Threads and runs."""
        return self.engine.runs

    @property
    def checkpoints(self) -> Checkpoints:
        """Graph state."""
        return self.engine.checkpoints


def service_of(request: Request) -> Service:
    """The one that answers this request."""
    found: Service = request.app.state.service
    return found


def tenant_of(request: Request) -> str:
    """Whose key was shown; "" where none is asked for."""
    return str(request.scope.get("tenant", ""))


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent, {} when nothing was; raises InvalidError."""
    raw = await request.body()
    if not raw:
        return {}
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidError(f"the body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidError("the body must be a JSON object")
    _check_text_and_depth(raw, found)
    return found


def _check_text_and_depth(raw: bytes, found: Any) -> None:
    """What a store or a serializer could not give back is refused here, before it is kept."""
    may_hold_nul = b"\\u0000" in raw
    if not may_hold_nul and raw.count(b"{") + raw.count(b"[") <= _MOST_LEVELS:
        return
    level: list[Any] = [found]
    for _ in range(_MOST_LEVELS):
        inside: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inside += each.keys()
                inside += each.values()
            elif isinstance(each, list):
                inside += each
            elif isinstance(each, str) and "\0" in each:
                raise InvalidError("the body holds a NUL character, which a database cannot keep; leave it out")
        if not inside:
            return
        level = inside
    raise InvalidError(f"the body is nested more than {_MOST_LEVELS} levels deep")


def refuse_writing(served: Served | None) -> None:
    """Raises ForbiddenError for a graph whose state only its own nodes may write."""
    if served is not None and served.is_guarded:
        raise ForbiddenError(
            f"{served.name} takes messages, and decisions on what it proposes; its state cannot be written, nor its "
            "nodes be called"
        )


def parsed(kind: type[_T], body: Any) -> _T:
    """The body as checked; raises InvalidError that names the fields, and does not repeat what they hold."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()[:3]]
        raise InvalidError("the request cannot be used: " + "; ".join(found)) from error


def whole_number(text: str | None, default: int, name: str) -> int:
    """Of a query; raises InvalidError."""
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 11 and int(text) <= LARGEST):
        raise InvalidError(f"{name} must be a whole number from 0 to {LARGEST}")
    return int(text)


def id_of(request: Request, name: str) -> str:
    """A UUID of the path, in its usual spelling; raises InvalidError."""
    return as_uuid(request.path_params[name], name)


def as_uuid(text: object, name: str) -> str:
    """In its usual spelling; raises InvalidError."""
    try:
        return str(UUID(str(text)))
    except ValueError:
        raise InvalidError(f"{name} must be a UUID, such as 8f7b5d1e-52c6-4b7e-9a5a-3f0e6a6f2d10") from None
