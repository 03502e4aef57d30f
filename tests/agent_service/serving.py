"""The service in a thread of the test's own process: real sockets, real uvicorn, stores of the test's choice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvicorn
from langgraph.checkpoint.memory import InMemorySaver

from agent_service.engine.engine import Engine
from agent_service.engine.graphs import Graphs, GraphSource
from agent_service.engine.meters import Meters
from agent_service.engine.settings import EngineSettings
from agent_service.server.app import build_app
from agent_service.server.keys import Keys
from agent_service.server.service import Service
from agent_service.server.settings import ServiceSettings
from agent_service.server.webhooks import Webhooks
from agent_service.store.ports import Checkpoints, EventLog, RunStore
from tests.agent_service.graphs import all_sources
from tests.servers.processes import wait_until

_T = TypeVar("_T")


@dataclass
class Served:
    """A running service."""

    url: str
    service: Service
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """In the service's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


@dataclass
class Parts:
    """What a service is made of."""

    runs: RunStore
    events: EventLog
    checkpoints: Checkpoints


@dataclass
class Options:
    """How it behaves; the defaults suit a test."""

    sources: tuple[GraphSource, ...] = field(default_factory=all_sources)
    engine: EngineSettings = field(default_factory=lambda: EngineSettings(patience_seconds=0.2, flush_seconds=0.02))
    settings: ServiceSettings = field(default_factory=lambda: ServiceSettings(store="memory://"))
    keys: Keys = field(default_factory=Keys)
    meters: Meters = field(default_factory=Meters)
    replica: str = "one"
    companion: Any = None
    webhook_wait_seconds: float = 0.01


@contextmanager
def serving(open_parts: Callable[[], Awaitable[Parts]], options: Options | None = None) -> Iterator[Served]:
    """While the block lasts.  open_parts: called in the service's loop."""
    options = options or Options()
    started, leave = threading.Event(), asyncio.Event()
    found: list[Served] = []
    failures: list[BaseException] = []

    async def live() -> None:
        parts = await open_parts()
        scratch = InMemorySaver(serde=parts.checkpoints.saver.serde)
        graphs = Graphs(options.sources, parts.checkpoints.saver, scratch)
        webhooks = Webhooks(
            options.settings.webhook_hosts, options.meters, first_wait_seconds=options.webhook_wait_seconds
        )
        engine = Engine(
            graphs, parts.runs, parts.events, parts.checkpoints, scratch, settings=options.engine,
            replica=options.replica, meters=options.meters, companion=options.companion, on_finished=webhooks.send,
        )  # fmt: skip
        service = Service(engine, options.meters, webhooks, {"version": "test"})
        app = build_app(service, options.settings, options.keys)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=0, log_config=None, access_log=False, timeout_graceful_shutdown=1,
            lifespan="off", ws="none",
        )  # fmt: skip
        server = uvicorn.Server(config)
        await engine.open()
        serve = asyncio.create_task(server.serve())
        await asyncio.to_thread(wait_until, lambda: server.started or serve.done(), "it listens")
        port = server.servers[0].sockets[0].getsockname()[1]
        found.append(Served(f"http://127.0.0.1:{port}", service, asyncio.get_running_loop()))
        started.set()
        await leave.wait()
        server.should_exit = True
        await serve
        await engine.close()
        await webhooks.close()
        await parts.checkpoints.close()
        await parts.runs.close()

    def main() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            failures.append(error)
            started.set()

    thread = threading.Thread(target=main)
    thread.start()
    wait_until(started.is_set, "the service serves")
    if failures:
        raise failures[0]
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(leave.set)
        thread.join()
    if failures:
        raise failures[0]
