"""Routes of runs: create, wait, stream, join, list, cancel, delete."""

from __future__ import annotations

import uuid
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from agent_service.engine import states
from agent_service.engine.admission import DrainingError, OverloadedError
from agent_service.engine.requests import Order
from agent_service.errors import ConflictError, InvalidError, NotFoundError, RefusedError
from agent_service.server.answers import json_answer, nothing, run_json, selected
from agent_service.server.following import Gone, awaited, run_path, streamed
from agent_service.server.guard import TooLargeError
from agent_service.server.service import (
    Service,
    as_uuid,
    body_of,
    id_of,
    parsed,
    refuse_writing,
    service_of,
    tenant_of,
    whole_number,
)
from agent_service.store.records import Run, RunStatus, Stop, Thread


class _Many(BaseModel):
    model_config = ConfigDict(extra="ignore")

    status: Literal["pending", "running", "all"] | None = None
    thread_id: uuid.UUID | None = None
    run_ids: list[uuid.UUID] | None = None


async def create(request: Request) -> Response:
    """Begin in the background."""
    run, _ = await _accepted(request)
    return json_answer(run_json(run), headers={"Content-Location": run_path(run)})


async def wait(request: Request) -> ASGIApp:
    """Begin, and answer with the last values."""
    run, order = await _accepted(request)
    service = service_of(request)
    return awaited(service.engine, run, _canceller(service, run, wanted=order.on_disconnect == "cancel"))


async def stream(request: Request) -> ASGIApp:
    """Begin, and answer with events."""
    run, order = await _accepted(request)
    service = service_of(request)
    gone = _canceller(service, run, wanted=order.on_disconnect == "cancel")
    return streamed(service.engine, run, 0, frozenset(), gone)


async def list_runs(request: Request) -> Response:
    """Newest first."""
    asked = request.query_params
    status = _status(asked.get("status"))
    limit, offset = whole_number(asked.get("limit"), 10, "limit"), whole_number(asked.get("offset"), 0, "offset")
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
    service, tenant = service_of(request), tenant_of(request)
    asked, stop = parsed(_Many, await body_of(request)), _action(request)
    if asked.status is not None:
        found = await service.runs.active_runs(tenant, None if asked.status == "all" else RunStatus(asked.status))
    elif asked.thread_id is not None and asked.run_ids:
        thread_id, ids = str(asked.thread_id), set(map(str, asked.run_ids))
        found = [run for run in await service.runs.active_runs(tenant) if run.thread_id == thread_id]
        found = [run for run in found if run.run_id in ids]
    else:
        raise InvalidError("say which runs: status (pending, running, all), or thread_id with run_ids")
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


async def _accepted(request: Request) -> tuple[Run, Order]:
    """Raises RefusedError.  Counted before anything else is looked at: what is refused was demand too."""
    service = service_of(request)
    service.meters.arrived()
    try:
        return await _submitted(request, service, await body_of(request))
    except DrainingError:
        service.meters.rejected("draining")
        raise
    except OverloadedError:
        service.meters.rejected("queue_full")
        raise
    except TooLargeError:
        service.meters.rejected("too_large")
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
    if order.command is not None and (order.command.get("goto") or order.command.get("update")):
        refuse_writing(served)
    key = _idempotency_key(request)
    await service.engine.admit(tenant, key)  # before anything is read: refusing must cost nothing
    if given is not None:
        await _check_resume(service, thread_id, tenant, order, served.name)
    await _check_checkpoint(service, thread_id if given is not None else None, tenant, order)
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
        request={**order.kept(), "is_temporary": is_temporary, "is_stateless": given is None},
        metadata={
            **order.metadata,
            "planner": served.planner,
            "graph_id": served.name,
            "assistant_id": served.assistant_id,
        },
        multitask=order.multitask_strategy,
        idempotency_key=key,
        traceparent=service.traces.accept(served.name, request.headers.get("traceparent")),
    )
    found = await service.engine.submit(run, new_thread=new_thread, strategy=order.multitask_strategy)
    return found.run, order


async def _check_resume(service: Service, thread_id: str, tenant: str, order: Order, graph_id: str) -> None:
    """An answer that goes to another graph than asked is lost, and with it the question."""
    if order.command is None or order.command.get("resume") is None:
        return
    try:
        thread = await service.runs.get_thread(thread_id, tenant)
    except NotFoundError:
        return  # said where it is looked for anyhow
    asked_by = thread.metadata.get("graph_id")
    if isinstance(asked_by, str) and asked_by != graph_id and thread.interrupts:
        raise ConflictError(f"thread {thread_id} waits for an answer to {asked_by}, not to {graph_id}")


async def _check_checkpoint(service: Service, thread_id: str | None, tenant: str, order: Order) -> None:
    """A run from a checkpoint that is not there would begin from nothing, and put that in the thread's place."""
    place, configurable = order.checkpoint or {}, order.config.get("configurable")
    checkpoint_id = order.checkpoint_id or place.get("checkpoint_id")
    if checkpoint_id is None and isinstance(configurable, dict):
        checkpoint_id = configurable.get("checkpoint_id")
    if checkpoint_id is None:
        return
    if thread_id is None:
        raise InvalidError("checkpoint_id: a run without a thread has no checkpoints to begin from")
    thread = await service.runs.get_thread(thread_id, tenant)
    at = {"checkpoint_id": str(checkpoint_id), "checkpoint_ns": str(place.get("checkpoint_ns") or "")}
    if await states.snapshot(service.engine, thread, at) is None:
        raise NotFoundError(f"thread {thread_id} has no checkpoint {checkpoint_id}")


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
    text = request.headers.get("last-event-id", "0").strip()
    if text == "-1":  # asks for everything
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) < 17):
        raise InvalidError(f"Last-Event-ID {text[:40]!r} is not a number that a stream of ours has shown")
    return int(text)


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
