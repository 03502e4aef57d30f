"""A server of the page and of canned answers, which a test may change while a browser looks at them."""

from __future__ import annotations

import asyncio
import mimetypes
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel

import predictor.server
from predictor import messages as m
from tests.predictor.server.page.answers import (
    NOON,
    a_forecast,
    a_history,
    a_list,
    a_model,
    a_summary,
    an_accuracy,
    the_alarms,
)
from tests.servers.processes import free_port, wait_until

PAGE = Path(predictor.server.__path__[0]) / "page"
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_END = None


@dataclass(slots=True)
class World:
    """What the stub says, and what it has been asked."""

    url: str = ""
    now: datetime = NOON  # goes into the Date header, which the page goes by
    workloads: m.WorkloadList = field(default_factory=lambda: a_list(a_summary()))
    forecasts: dict[str, m.ForecastAnswer] = field(default_factory=lambda: {"checkout": a_forecast()})
    history: Callable[[datetime], m.History] = a_history  # from its start
    accuracy: Callable[[int], m.Accuracy] = an_accuracy
    alarms: Callable[[int], m.Alarms] = the_alarms
    models: list[m.ModelInfo] = field(default_factory=lambda: [a_model()])
    token: str | None = None
    problems: dict[str, m.Problem] = field(default_factory=dict)  # by the end of a path
    asked: list[str] = field(default_factory=list)
    last_event_ids: list[str | None] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)  # answers of the API wait for it
    _loop: asyncio.AbstractEventLoop | None = None
    _streams: dict[str, list[asyncio.Queue[str | None]]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def listeners(self) -> int:
        """Open event streams."""
        return sum(map(len, self._streams.values()))

    def asked_for(self, part: str) -> int:
        """How often a path with this part was asked for."""
        return sum(part in path for path in self.asked)

    def end_cycle(self, cycle: int) -> None:
        """Tell every listener that a cycle has ended, and those of a workload its forecast."""
        event = m.CycleEvent(cycle=cycle, at=self.now, workloads=len(self.workloads.workloads), available=1)
        for name in list(self._streams):
            if name in self.forecasts:
                self._send("forecast", self.forecasts[name], cycle, name)
            self._send("cycle", event, cycle, name)

    def hang_up(self) -> None:
        """End every event stream."""
        for queues in self._streams.values():
            for queue in list(queues):
                self._tell(queue, _END)

    def _send(self, event: str, told: BaseModel, cycle: int, name: str) -> None:
        for queue in list(self._streams[name]):
            self._tell(queue, f"event: {event}\nid: {cycle}\ndata: {told.model_dump_json()}\n\n")

    def _tell(self, queue: asyncio.Queue[str | None], text: str | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(queue.put_nowait, text)

    async def listen(self, name: str) -> AsyncIterator[str]:
        """One event stream."""
        self._loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._streams[name].append(queue)
        try:
            yield ": welcome\n\n"
            while (text := await queue.get()) is not _END:
                yield text
        finally:
            self._streams[name].remove(queue)


@contextmanager
def serving(world: World) -> Iterator[World]:
    """Serve the page and the world's answers on a free port of the loopback interface."""
    port = free_port()
    config = uvicorn.Config(
        create_app(world),
        port=port,
        log_level="warning",
        lifespan="off",
        ws="none",
        date_header=False,
        access_log=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started, "the stub listens")
    world.url = f"http://127.0.0.1:{port}/"
    try:
        yield world
    finally:
        world.gate.set()
        world.hang_up()
        server.should_exit = server.force_exit = True
        thread.join()


def create_app(world: World) -> FastAPI:
    """The same paths as the real server has."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def frame(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
        path = request.url.path
        is_api = path.startswith("/v1/")
        if is_api:
            world.asked.append(f"{path}?{request.url.query}")
            if not path.endswith("/events"):
                await asyncio.to_thread(world.gate.wait)
        response = _refusal(world, request) if is_api else None
        response = response or await proceed(request)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Date"] = format_datetime(world.now, usegmt=True)
        return response

    @app.get("/")
    def index() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/page/{path:path}")
    def part(path: str) -> Response:
        file = PAGE / path
        if not file.is_file():
            return Response(status_code=404)
        return FileResponse(file, media_type=_TYPES.get(file.suffix) or mimetypes.guess_type(path)[0])

    @app.get("/v1/workloads")
    def workloads() -> m.WorkloadList:
        return world.workloads

    @app.get("/v1/models")
    def models() -> m.Models:
        return m.Models(models=world.models)

    @app.get("/v1/events")
    def events(request: Request, workload: str = "") -> StreamingResponse:
        world.last_event_ids.append(request.headers.get("last-event-id"))
        return StreamingResponse(world.listen(workload), media_type="text/event-stream")

    @app.get("/v1/workloads/{name}/{what}", response_model=None)
    def about(name: str, what: str, start: datetime | None = None, window: int = 86_400) -> BaseModel | Response:
        if name not in world.forecasts:
            return _problem(m.Problem(title="Not Found", status=404, detail=f"no workload {name}"))
        if what == "forecast":
            return world.forecasts[name]
        if what == "history":
            return world.history(start or world.now - timedelta(days=1))
        return world.accuracy(window) if what == "accuracy" else world.alarms(window)

    return app


def _refusal(world: World, request: Request) -> Response | None:
    if world.token is not None and request.headers.get("authorization") != f"Bearer {world.token}":
        return _problem(m.Problem(title="Unauthorized", status=401, detail="give a bearer token"))
    for end, problem in world.problems.items():
        if request.url.path.endswith(end):
            return _problem(problem)
    return None


def _problem(problem: m.Problem) -> JSONResponse:
    return JSONResponse(problem.model_dump(), status_code=problem.status, media_type="application/problem+json")
