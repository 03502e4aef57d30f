"""Routes of threads: create, find, change, delete; their state, its history, and changes by hand."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from langgraph.types import StateUpdate
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent_service.engine import states
from agent_service.engine.encoding import encode, snapshot_json
from agent_service.errors import InvalidError, RefusedError
from agent_service.server.answers import json_answer, nothing, selected, thread_json
from agent_service.server.service import (
    LARGEST,
    Service,
    as_uuid,
    body_of,
    id_of,
    parsed,
    refuse_writing,
    service_of,
    tenant_of,
)
from agent_service.store.records import SORT_KEYS, Thread, ThreadQuery, ThreadStatus

_MOST_FOUND = 1000
_LONGEST_TTL = 525_600 * 10  # minutes, ten years


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


def _minutes(value: object) -> object:
    """A number of minutes, or {"ttl": minutes, "strategy": "delete"}."""
    return value.get("ttl") if isinstance(value, dict) else value


Minutes = Annotated[Annotated[float, Field(gt=0, le=_LONGEST_TTL)] | None, BeforeValidator(_minutes)]
Json = Annotated[dict[str, Any], BeforeValidator(lambda given: given or {})]


class _Checkpoint(_Body):
    checkpoint_id: str | None = None
    checkpoint_ns: Annotated[str, BeforeValidator(lambda given: given or "")] = ""


def _checkpoint_id(value: object) -> object:
    """Of an id, a checkpoint, or a configuration that holds one."""
    if not isinstance(value, dict):
        return value
    inside = value.get("configurable", value)
    return inside.get("checkpoint_id") if isinstance(inside, dict) else value


Checkpoint = Annotated[_Checkpoint, BeforeValidator(lambda given: given or {})]


class _Update(_Body):
    values: Any = None  # what a node would return
    as_node: str | None = None


class _Superstep(_Body):
    updates: list[_Update] = Field(min_length=1)


class _Creation(_Body):
    thread_id: uuid.UUID | None = None
    metadata: Json = Field(default_factory=dict)
    if_exists: Literal["raise", "do_nothing"] | None = None
    ttl: Minutes = None
    graph_id: str | None = None
    supersteps: list[_Superstep] | None = None


class _Change(_Body):
    metadata: Json = Field(default_factory=dict)
    ttl: Minutes = None


class _Search(_Body):
    limit: int = Field(default=10, ge=1, le=_MOST_FOUND)
    offset: int = Field(default=0, ge=0, le=LARGEST)
    status: ThreadStatus | None = None
    metadata: Json = Field(default_factory=dict)
    values: Json = Field(default_factory=dict)
    ids: list[uuid.UUID] | None = None
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[str] | None = None


class _StateChange(_Update):
    checkpoint: Checkpoint = Field(default_factory=_Checkpoint)
    checkpoint_id: str | None = None


class _Past(_Body):
    limit: int = Field(default=10, ge=1, le=_MOST_FOUND)
    before: Annotated[str | None, BeforeValidator(_checkpoint_id)] = None
    metadata: dict[str, Any] | None = None
    checkpoint: Checkpoint = Field(default_factory=_Checkpoint)


class _AtCheckpoint(_Body):
    checkpoint: Checkpoint = Field(default_factory=_Checkpoint)
    subgraphs: bool = False


async def create(request: Request) -> Response:
    """A new one; or, asked so, the one that is there."""
    service, asked = service_of(request), parsed(_Creation, await body_of(request))
    now = service.engine.now()
    metadata = asked.metadata if asked.graph_id is None else {**asked.metadata, "graph_id": asked.graph_id}
    thread = Thread(
        str(asked.thread_id or uuid.uuid4()),
        tenant_of(request),
        now,
        now,
        metadata=metadata,
        ttl_minutes=asked.ttl,
        expires_at=None if asked.ttl is None else now + timedelta(minutes=asked.ttl),
    )
    if asked.supersteps:
        refuse_writing(states.graph_of(service.engine, thread))
    thread = service.engine.settings.with_ttl(thread, now)
    thread = await service.runs.create_thread(thread, may_exist=asked.if_exists == "do_nothing")
    if asked.supersteps:
        steps = [[StateUpdate(each.values, each.as_node) for each in step.updates] for step in asked.supersteps]
        try:
            await states.update(service.engine, thread, {}, steps)
        except RefusedError:
            if thread.created_at == now:  # made a moment ago, and not as it was asked for: not made at all
                await service.runs.delete_thread(thread.thread_id, thread.tenant)
            raise
        thread = await service.runs.get_thread(thread.thread_id, thread.tenant)
    return json_answer(thread_json(thread))


async def get(request: Request) -> Response:
    """One."""
    return json_answer(thread_json(await _known(request)))


async def change(request: Request) -> Response:
    """Merge metadata, set a time to live."""
    service, asked = service_of(request), parsed(_Change, await body_of(request))
    thread = await service.runs.update_thread(
        id_of(request, "thread_id"),
        tenant_of(request),
        metadata=asked.metadata,
        ttl_minutes=asked.ttl,
        at=service.engine.now(),
    )
    if request.headers.get("prefer") == "return=minimal":
        return nothing()
    return json_answer(thread_json(thread))


async def delete(request: Request) -> Response:
    """With its runs, their events and its state."""
    service, thread_id = service_of(request), id_of(request, "thread_id")
    await service.runs.delete_thread(thread_id, tenant_of(request))
    await service.checkpoints.delete_threads([thread_id])
    return nothing()


async def copy(request: Request) -> Response:
    """A new thread with the same state and history."""
    service, source = service_of(request), await _known(request)
    now = service.engine.now()
    target = Thread(
        str(uuid.uuid4()),
        source.tenant,
        now,
        now,
        metadata=source.metadata,
        status=ThreadStatus.INTERRUPTED if source.interrupts else ThreadStatus.IDLE,
        values=source.values,
        interrupts=source.interrupts,
        state_updated_at=source.state_updated_at,
    )
    target = await service.runs.create_thread(service.engine.settings.with_ttl(target, now))
    await service.checkpoints.copy_thread(source.thread_id, target.thread_id)
    return json_answer(thread_json(target))


async def search(request: Request) -> Response:
    """A page of those that match."""
    asked = parsed(_Search, await body_of(request))
    found, total = await service_of(request).runs.search_threads(_query(asked, tenant_of(request)))
    headers = {"X-Pagination-Total": str(total)}
    if asked.offset + len(found) < total:
        headers["X-Pagination-Next"] = str(asked.offset + len(found))
    return json_answer([selected(thread_json(thread), asked.select) for thread in found], headers=headers)


async def count(request: Request) -> Response:
    """How many match."""
    asked = parsed(_Search, await body_of(request))
    _, total = await service_of(request).runs.search_threads(_query(asked, tenant_of(request)))
    return json_answer(total)


async def get_state(request: Request) -> Response:
    """Now, or at the checkpoint in the path."""
    checkpoint_id = request.path_params.get("checkpoint_id")
    if checkpoint_id is not None and "\0" in checkpoint_id:
        raise InvalidError("that is no checkpoint's id")
    place = {} if checkpoint_id is None else {"checkpoint_id": checkpoint_id}
    subgraphs = request.query_params.get("subgraphs", "").lower() == "true"
    return await _state(request, place, subgraphs, request.query_params.getlist("select"))


async def get_state_at(request: Request) -> Response:
    """At the checkpoint in the body."""
    asked = parsed(_AtCheckpoint, await body_of(request))
    return await _state(request, asked.checkpoint.model_dump(), asked.subgraphs, [])


async def update_state(request: Request) -> Response:
    """As if a node had written it."""
    service, thread, asked = service_of(request), await _known(request), parsed(_StateChange, await body_of(request))
    refuse_writing(states.graph_of(service.engine, thread))
    place = asked.checkpoint.model_dump()
    if asked.checkpoint_id is not None:
        place["checkpoint_id"] = asked.checkpoint_id
    written = await states.update(service.engine, thread, place, [[StateUpdate(asked.values, asked.as_node)]])
    checkpoint = {key: written.get(key) for key in ("thread_id", "checkpoint_ns", "checkpoint_id")}
    return json_answer(
        {"checkpoint": checkpoint, "configurable": checkpoint, "checkpoint_id": written["checkpoint_id"]}
    )


async def get_history(request: Request) -> Response:
    """Newest first."""
    if request.method == "GET":
        asked = parsed(
            _Past, {key: request.query_params[key] for key in request.query_params if key in ("limit", "before")}
        )
    else:
        asked = parsed(_Past, await body_of(request))
    found = await states.history(
        service_of(request).engine,
        await _known(request),
        asked.checkpoint.model_dump(),
        limit=asked.limit,
        before=asked.before,
        metadata=_searchable(asked.metadata),
    )
    return json_answer(encode([snapshot_json(each) for each in found]))


def _searchable(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Checkpoints are searched by plain names: anything else a database would take for something it is not."""
    odd = [key for key in metadata or {} if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", key)]
    if odd:
        raise InvalidError(f"metadata {odd[0][:40]!r} is no name to search by; use letters, digits, and _ . -")
    return metadata


async def _state(request: Request, place: dict[str, Any], subgraphs: bool, select: Sequence[str]) -> Response:
    thread = await _known(request)
    found = await states.snapshot(service_of(request).engine, thread, place, subgraphs=subgraphs)
    told = _EMPTY | {"checkpoint": None} if found is None else snapshot_json(found)
    return json_answer(encode(selected(told, list(select))))


_EMPTY: dict[str, Any] = {
    "values": {},
    "next": [],
    "tasks": [],
    "interrupts": [],
    "metadata": None,
    "created_at": None,
    "parent_checkpoint": None,
    "checkpoint_id": None,
    "parent_checkpoint_id": None,
}


async def _known(request: Request) -> Thread:
    service: Service = service_of(request)
    return await service.runs.get_thread(as_uuid(request.path_params["thread_id"], "thread_id"), tenant_of(request))


def _query(asked: _Search, tenant: str) -> ThreadQuery:
    assert asked.sort_by is None or asked.sort_by in SORT_KEYS  # noqa: S101 - the same list, once as a type
    return ThreadQuery(
        tenant,
        asked.status,
        asked.metadata,
        asked.values,
        None if asked.ids is None else tuple(map(str, asked.ids)),
        asked.limit,
        asked.offset,
        asked.sort_by or "created_at",
        is_descending=asked.sort_order != "asc",
    )


ROUTES = [
    Route("/threads", create, methods=["POST"]),
    Route("/threads/search", search, methods=["POST"]),
    Route("/threads/count", count, methods=["POST"]),
    Route("/threads/{thread_id}", get, methods=["GET"]),
    Route("/threads/{thread_id}", change, methods=["PATCH"]),
    Route("/threads/{thread_id}", delete, methods=["DELETE"]),
    Route("/threads/{thread_id}/copy", copy, methods=["POST"]),
    Route("/threads/{thread_id}/state", get_state, methods=["GET"]),
    Route("/threads/{thread_id}/state", update_state, methods=["POST"]),
    Route("/threads/{thread_id}/state/checkpoint", get_state_at, methods=["POST"]),
    Route("/threads/{thread_id}/state/{checkpoint_id}", get_state, methods=["GET"]),
    Route("/threads/{thread_id}/history", get_history, methods=["GET", "POST"]),
]
