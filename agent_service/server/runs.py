"""Routes of runs: create, wait, stream, join, list, cancel, delete."""

from __future__ import annotations

import uuid
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agent_service.engine.admission import DrainingError, OverloadedError
from agent_service.engine.requests import Order
from agent_service.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from agent_service.server.answers import json_answer, nothing, run_json, selected
from agent_service.server.following import Gone, awaited, run_path, streamed
from agent_service.server.service import Service, as_uuid, body_of, id_of, parsed, service_of, tenant_of
from agent_service.store.records import Run, RunStatus, Stop, Thread


async def create(request: Request) -> Response:
    """Begin in the background."""
    run, _ = await _accepted(request, await body_of(request))
    return json_answer(run_json(run), headers={"Content-Location": run_path(run)})


async def wait(request: Request) -> ASGIApp:
    """Begin, and answer with the last values."""
    run, order = await _accepted(request, await body_of(request))
    service = service_of(request)
    return awaited(service.engine, run, _canceller(service, run, wanted=order.on_disconnect == "cancel"))


async def stream(request: Request) -> ASGIApp:
    """Begin, and answer with events."""
    run, order = await _accepted(request, await body_of(request))
    service = service_of(request)
    gone = _canceller(service, run, wanted=order.on_disconnect == "cancel")
    return streamed(service.engine, run, 0, frozenset(), gone)


async def list_runs(request: Request) -> Response:
    """Newest first."""
    asked = request.query_params
    status = _status(asked.get("status"))
    limit, offset = _number(asked.get("limit"), 10, "limit"), _number(asked.get("offset"), 0, "offset")
    found = await service_of(request).runs.list_runs(
        id_of(request, "thread_id"), tenant_of(request), status=status, limit=min(limit, 1000), offset=offset
    )
    select = asked.getlist("select")
    return json_answer([selected(run_json(run), select) for run in found])


async def get(request: Request) -> Response:
    """One run."""
    return json_answer(run_json(await _known(request)))


async def join(request: Request) -> ASGIApp:
    """Wait for a run that was begun elsewhere."""
    service, run = service_of(request), await _known(request)
    return awaited(service.engine, run, _canceller(service, run, wanted=_flag(request, "cancel_on_disconnect")))


async def join_stream(request: Request) -> ASGIApp:
    """The events of a run: from the beginning, or after the last one that the client has seen."""
    service, run = service_of(request), await _known(request)
    modes = frozenset(mode for mode in request.query_params.getlist("stream_mode") if mode)
    gone = _canceller(service, run, wanted=_flag(request, "cancel_on_disconnect"))
    return streamed(service.engine, run, _last_seen(request), modes, gone)


async def cancel(request: Request) -> ASGIApp:
    """Stop a run; with wait=1 the answer comes when it has ended."""
    service, run = service_of(request), await _known(request)
    run = await _stop(service, run, _action(request))
    if not _flag(request, "wait"):
        return nothing(HTTPStatus.ACCEPTED)
    return awaited(service.engine, run)


async def cancel_many(request: Request) -> Response:
    """Stop all of a status, or some of a thread."""
    service, tenant, body = service_of(request), tenant_of(request), await body_of(request)
    stop = _action(request)
    wanted = body.get("status")
    if wanted is not None:
        status = None if wanted == "all" else _status(wanted)
        found = await service.runs.active_runs(tenant, status)
    else:
        thread_id = as_uuid(body.get("thread_id"), "thread_id")
        ids = {as_uuid(each, "run_ids") for each in body.get("run_ids") or ()}
        found = [run for run in await service.runs.active_runs(tenant) if run.thread_id == thread_id]
        found = [run for run in found if run.run_id in ids]
    if not found:
        raise NotFoundError("no run of those is pending or running; there is nothing to cancel")
    for run in found:
        try:
            await _stop(service, run, stop)
        except RefusedError:
            continue  # it ended in the meantime
    return nothing()


async def delete(request: Request) -> Response:
    """A run that has ended, with its events."""
    run_id, thread_id = id_of(request, "run_id"), id_of(request, "thread_id")
    await service_of(request).runs.delete_run(run_id, tenant_of(request), thread_id)
    return nothing()


async def _accepted(request: Request, body: dict[str, Any]) -> tuple[Run, Order]:
    """Raises RefusedError.  Counted before anything else is looked at: what is refused was demand too."""
    service = service_of(request)
    service.meters.arrived()
    try:
        return await _submitted(request, service, body)
    except DrainingError:
        service.meters.rejected("draining")
        raise
    except OverloadedError:
        service.meters.rejected("queue_full")
        raise
    except RefusedError:
        service.meters.rejected("invalid")
        raise


async def _submitted(request: Request, service: Service, body: dict[str, Any]) -> tuple[Run, Order]:
    order = parsed(Order, body)
    served = service.graphs.for_run(order.assistant_id)
    service.webhooks.check(order.webhook)
    tenant, now = tenant_of(request), service.engine.now()
    given = request.path_params.get("thread_id")
    thread_id = str(uuid.uuid4()) if given is None else as_uuid(given, "thread_id")
    is_temporary = given is None and order.on_completion == "delete"
    new_thread = None
    if given is None or order.if_not_exists == "create":
        new_thread = Thread(thread_id, tenant, now, now, is_temporary=is_temporary)
    run = Run(
        run_id=str(uuid.uuid4()),
        thread_id=thread_id,
        tenant=tenant,
        assistant_id=served.assistant_id,
        graph_id=served.name,
        created_at=now,
        updated_at=now,
        not_before=now + timedelta(seconds=order.after_seconds),
        request={**order.kept(), "is_temporary": is_temporary},
        metadata={**order.metadata, "planner": served.planner},
        multitask=order.multitask_strategy,
        idempotency_key=_idempotency_key(request),
        traceparent=request.headers.get("traceparent"),
    )
    found = await service.engine.submit(run, new_thread=new_thread, strategy=order.multitask_strategy)
    return found.run, order


def _canceller(service: Service, run: Run, *, wanted: bool) -> Gone | None:
    """What happens when the client goes away."""
    if not wanted:
        return None

    async def gone() -> None:
        try:
            await service.engine.stop(run.run_id, run.tenant, Stop.INTERRUPT)
        except RefusedError:
            return  # it ended by itself

    return gone


async def _stop(service: Service, run: Run, stop: Stop) -> Run:
    """Raises NotFoundError when there is nothing to cancel, as the reference server answers."""
    try:
        return await service.engine.stop(run.run_id, run.tenant, stop)
    except ConflictError as error:
        raise NotFoundError(str(error)) from error


async def _known(request: Request) -> Run:
    run_id, thread_id = id_of(request, "run_id"), id_of(request, "thread_id")
    return await service_of(request).runs.get_run(run_id, tenant_of(request), thread_id)


def _last_seen(request: Request) -> int:
    text = request.headers.get("last-event-id", "0")
    try:
        return max(int(text), 0)  # -1 asks for everything
    except ValueError:
        raise InvalidError(f"Last-Event-ID {text[:40]!r} is not a number that a stream of ours has shown") from None


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 255:
        raise InvalidError("Idempotency-Key must have 1 to 255 characters")
    return key


def _action(request: Request) -> Stop:
    action = request.query_params.get("action") or Stop.INTERRUPT.value
    try:
        return Stop(action)
    except ValueError:
        raise InvalidError(f"action {action!r} is neither interrupt nor rollback") from None


def _status(text: Any) -> RunStatus | None:
    if not text:
        return None
    try:
        return RunStatus(text)
    except ValueError:
        raise InvalidError(f"status {text!r} is none of {', '.join(RunStatus)}") from None


def _number(text: str | None, default: int, name: str) -> int:
    if not text:
        return default
    if not text.isdigit():
        raise InvalidError(f"{name} must be a whole number, 0 or more")
    return int(text)


def _flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("1", "true")


ROUTES = [
    Route("/threads/{thread_id}/runs", create, methods=["POST"]),
    Route("/threads/{thread_id}/runs", list_runs, methods=["GET"]),
    Route("/threads/{thread_id}/runs/wait", wait, methods=["POST"]),
    Route("/threads/{thread_id}/runs/stream", stream, methods=["POST"]),
    Route("/threads/{thread_id}/runs/{run_id}", get, methods=["GET"]),
    Route("/threads/{thread_id}/runs/{run_id}", delete, methods=["DELETE"]),
    Route("/threads/{thread_id}/runs/{run_id}/join", join, methods=["GET"]),
    Route("/threads/{thread_id}/runs/{run_id}/stream", join_stream, methods=["GET"]),
    Route("/threads/{thread_id}/runs/{run_id}/cancel", cancel, methods=["POST"]),
    Route("/runs", create, methods=["POST"]),
    Route("/runs/wait", wait, methods=["POST"]),
    Route("/runs/stream", stream, methods=["POST"]),
    Route("/runs/cancel", cancel_many, methods=["POST"]),
]
