"""Routes of assistants, which are the graphs that are served; and what the server says of itself."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent_service.engine.encoding import encode
from agent_service.engine.graphs import Served
from agent_service.errors import InvalidError
from agent_service.server.answers import json_answer, selected
from agent_service.server.service import LARGEST, body_of, parsed, service_of, whole_number


class _Search(BaseModel):
    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=10, ge=1, le=1000)
    offset: int = Field(default=0, ge=0, le=LARGEST)
    graph_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    sort_by: str | None = None
    sort_order: str | None = None
    select: list[str] | None = None


async def search(request: Request) -> Response:
    """A page of those that match."""
    asked = parsed(_Search, await body_of(request))
    found = _matching(request, asked)
    page = found[asked.offset : asked.offset + asked.limit]
    headers = {"X-Pagination-Total": str(len(found))}
    if asked.offset + len(page) < len(found):
        headers["X-Pagination-Next"] = str(asked.offset + len(page))
    return json_answer([selected(served.as_json(), asked.select) for served in page], headers=headers)


async def count(request: Request) -> Response:
    """How many match."""
    return json_answer(len(_matching(request, parsed(_Search, await body_of(request)))))


async def get(request: Request) -> Response:
    """One, by id or by the graph's name."""
    return json_answer(_served(request).as_json())


async def get_graph(request: Request) -> Response:
    """Nodes and edges; xray: those of subgraphs too, so many levels deep."""
    xray = request.query_params.get("xray", "false").lower()
    depth: bool | int = xray == "true"
    if xray not in ("true", "false"):
        depth = whole_number(xray, 0, "xray")
    drawn = await run_in_threadpool(_served(request).kept.get_graph, xray=depth)
    return json_answer(encode(drawn.to_json()))


async def get_subgraphs(request: Request) -> Response:
    """Schemas of the graphs inside, by namespace."""
    recurse = request.query_params.get("recurse", "false").lower() == "true"
    namespace = request.path_params.get("namespace")
    graph = _served(request).kept
    found = [each async for each in graph.aget_subgraphs(namespace=namespace, recurse=recurse)]
    told = {name: {"input_schema": inner.get_input_jsonschema()} for name, inner in found}
    return json_answer(encode(told))


async def get_schemas(request: Request) -> Response:
    """What goes in and comes out."""
    return json_answer(encode(await run_in_threadpool(_served(request).schemas)))


async def ok(_: Request) -> Response:
    """For tools of the official client."""
    return json_answer({"ok": True})


async def info(request: Request) -> Response:
    """Versions, and who plans."""
    return json_answer(dict(service_of(request).info))


def _served(request: Request) -> Served:
    return service_of(request).graphs.get(request.path_params["assistant_id"])


def _matching(request: Request, asked: _Search) -> list[Served]:
    if asked.sort_by not in (None, "assistant_id", "graph_id", "name", "created_at", "updated_at"):
        raise InvalidError(f"sort_by {asked.sort_by!r} is no field of an assistant")
    found = [
        served
        for served in service_of(request).graphs.all
        if asked.graph_id in (None, served.name)
        and (asked.name is None or asked.name.lower() in served.name.lower())
        and (not asked.metadata or asked.metadata.items() <= served.as_json()["metadata"].items())
    ]
    by = asked.sort_by
    if by is not None:
        found.sort(key=lambda served: str(served.as_json()[by]), reverse=asked.sort_order == "desc")
    return found


ROUTES = [
    Route("/assistants/search", search, methods=["POST"]),
    Route("/assistants/count", count, methods=["POST"]),
    Route("/assistants/{assistant_id}", get, methods=["GET"]),
    Route("/assistants/{assistant_id}/graph", get_graph, methods=["GET"]),
    Route("/assistants/{assistant_id}/schemas", get_schemas, methods=["GET"]),
    Route("/assistants/{assistant_id}/subgraphs", get_subgraphs, methods=["GET"]),
    Route("/assistants/{assistant_id}/subgraphs/{namespace}", get_subgraphs, methods=["GET"]),
    Route("/ok", ok, methods=["GET"]),
    Route("/info", info, methods=["GET"]),
]
