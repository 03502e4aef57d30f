"""Puts the server together: engine, routes, metrics, page and what guards them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictor import messages as m
from predictor.fleet.fleet import Fleet
from predictor.fleet.tally import Tally
from predictor.server import examples, routes
from predictor.server.context import Context, context_of
from predictor.server.engine import Engine
from predictor.server.guard import Tokens, install
from predictor.server.hub import Hub
from predictor.server.metrics import ServerMetrics
from predictor.server.page_files import page_router
from predictor.server.settings import Settings

_DEAD_AFTER_FAILURES = 5
_DESCRIPTION = """\
What Forescale expects of each workload, how sure it is, how right it has been, and what it did about it.

Forecasts are quantiles of demand, in the unit of the workload's query. `null` means "not known", never zero, and no
forecast is an answer too: HTTP 200 with `status: "unavailable"` and a `reason`. Errors are problem details (RFC 9457).
"""
_TAGS = [
    {"name": "forecasts", "description": "What is expected."},
    {"name": "workloads", "description": "What there is, and what came."},
    {"name": "scores", "description": "How right it was, with the counts behind every ratio."},
    {"name": "models", "description": "Which bundles are in service."},
    {"name": "operation", "description": "Probes and metrics."},
]


def create_app(settings: Settings, fleet: Fleet, tokens: Tokens) -> FastAPI:
    """The application; its engine starts and stops with it."""
    hub, engine = Hub(), Engine(fleet)
    metrics = ServerMetrics(lambda: fleet.snapshot, lambda name: _tally(fleet, name), installed_version())
    engine.listen(hub.tell)
    engine.on_cycle.append(metrics.cycle_seconds.observe)
    engine.on_failure.append(metrics.cycle_failures.inc)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        hub.attach(asyncio.get_running_loop())
        engine.start()
        yield
        hub.close()
        await asyncio.to_thread(engine.stop)

    app = FastAPI(
        title="Forescale",
        version=installed_version(),
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere; /openapi.json is all that tools need
        redoc_url=None,
        generate_unique_id_function=_operation,
    )
    app.state.context = Context(engine, hub, settings)
    app.include_router(routes.kept_router)
    app.include_router(routes.router)
    _add_operation(app, engine, metrics)
    app.include_router(page_router())
    app.add_middleware(Measured, metrics=metrics)
    install(app, settings.server, tokens, access_log=settings.server.access_log)
    return app


class Measured:
    """Counts and times requests by route, so that the number of series does not grow with the number of paths."""

    def __init__(self, app: ASGIApp, metrics: ServerMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = scope.get("route")
            path = route.path if isinstance(route, APIRoute) else "other"
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
            self._metrics.requests.labels(method, path, str(status)).inc()
            if path != "/v1/events":  # a stream lasts as long as its listener
                self._metrics.request_seconds.labels(method, path).observe(time.perf_counter() - begun)


def _add_operation(app: FastAPI, engine: Engine, metrics: ServerMetrics) -> None:
    @app.get("/livez", tags=["operation"], response_model=m.Probe, responses={503: {"model": m.Probe}})
    async def livez(response: Response) -> m.Probe:
        """Whether the process works at all: restart it if not.  A metric server that is away is no reason."""
        is_alive = engine.is_alive and engine.failures < _DEAD_AFTER_FAILURES
        response.status_code = 200 if is_alive else 503
        return m.Probe(ok=is_alive, detail=None if is_alive else "forecasting has stopped; see the log")

    @app.get("/readyz", tags=["operation"], response_model=m.Probe, responses={503: {"model": m.Probe}})
    async def readyz(request: Request, response: Response) -> m.Probe:
        """Whether every query has been read and forecast once; data that is missing later is told per workload."""
        snapshot = context_of(request).snapshot
        response.status_code = 200 if snapshot.is_ready else 503
        return m.Probe(ok=snapshot.is_ready, detail=None if snapshot.is_ready else snapshot.waiting_for)

    @app.get(
        "/metrics",
        tags=["operation"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Prometheus text format"}, **examples.PROBLEMS},
    )
    def get_metrics() -> Response:
        """Forecasts, scores and the server's own health, for a metrics server (docs/serving.md)."""
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _operation(route: APIRoute) -> str:
    return route.name


def _tally(fleet: Fleet, name: str) -> Tally | None:
    workload = fleet.workloads.get(name)
    return None if workload is None else workload.tally


def installed_version() -> str:
    """Of Forescale; a source tree on the path has none."""
    try:
        return version("forescale")
    except PackageNotFoundError:
        return "0"
