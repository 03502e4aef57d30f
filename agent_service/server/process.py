"""One process: binds its port, loads the rest while probes answer, and leaves without losing a run.

Imports nothing heavy before the port is bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import uvicorn

from agent_service.errors import SettingsError
from agent_service.server.front import Front
from agent_service.server.keys import Keys
from agent_service.server.settings import ServiceSettings

log = logging.getLogger("forescale.agent")

_KEEP_ALIVE_SECONDS = 75  # longer than load balancers keep a connection: whoever closes first must be them
_YOUNG = 10_000  # objects made before garbage is looked for among them; Python's 700 cost 7 % of a streamed run's CPU
_FAREWELL_SECONDS = 5  # for connections, when every run has been ended or handed over


class _Server(uvicorn.Server):
    """Drains at the first signal, and leaves at once at the second."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_signal = on_signal
        self._signals = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn, which would stop listening first."""
        self._signals += 1
        if self._signals > 1:
            self.should_exit = self.force_exit = True
        else:
            self._on_signal()

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port


def run_service(settings: ServiceSettings, keys: Keys, *, announce: Callable[[str], None]) -> int:
    """Serve until a signal; the exit code.  announce: called with the URL once everything is ready.

    Raises SettingsError for what cannot be used; nothing has been served then but probes.
    """
    keys.check_exposure(settings.host, allow_anonymous=settings.allow_anonymous)
    began_at = time.monotonic()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_live(settings, keys, announce, began_at))


async def _live(settings: ServiceSettings, keys: Keys, announce: Callable[[str], None], began_at: float) -> int:
    front, leave = Front(), asyncio.Event()
    front.began_at = began_at
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(
        front,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_FAREWELL_SECONDS,
        server_header=False,
        date_header=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    server = _Server(config, lambda: loop.call_soon_threadsafe(leave.set))
    serving = asyncio.create_task(_serve(server, settings))
    await _until_bound(server, serving)
    front.took("bind", began_at)
    assembly: Any = None
    try:
        assembly = await _unless_told_to_leave(_assembled(settings, keys, front), leave)
        if assembly is None:
            return 0  # nothing was accepted yet
        announce(f"http://{settings.host if ':' not in settings.host else f'[{settings.host}]'}:{server.port}")
        waiting = asyncio.create_task(leave.wait())
        await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await assembly.drain()
    finally:
        front.leave()
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        if assembly is not None:
            await assembly.close()
    return 0


async def _unless_told_to_leave(work: Coroutine[Any, Any, Any], leave: asyncio.Event) -> Any:
    """What the work gives; None when a signal comes first, such as while a store does not answer."""
    task, told = asyncio.create_task(work), asyncio.create_task(leave.wait())
    await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if task.done():
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):  # how it breaks off is nobody's concern now
        await task
    return None


async def _serve(server: _Server, settings: ServiceSettings) -> None:
    try:
        await server._serve()
    except SystemExit:  # uvicorn's way of saying that it cannot bind, which it has logged
        raise SettingsError(
            f"{settings.host}:{settings.port}: cannot listen there; is another process on it? Choose another --port"
        ) from None


async def _until_bound(server: _Server, serving: asyncio.Task[None]) -> None:
    if threading.current_thread() is threading.main_thread():
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, server.handle_exit)
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.005)


async def _assembled(settings: ServiceSettings, keys: Keys, front: Front) -> Any:
    """Imports in a thread, so that probes are answered meanwhile."""
    since = time.monotonic()
    gc.disable()  # nothing that is being loaded is garbage, and looking for some takes a fifth of the time
    assembly = await asyncio.to_thread(importlib.import_module, "agent_service.server.assembly")
    since = front.took("import", since)
    made = assembly.Assembly(settings, keys, front)
    try:
        await made.open(since)
        gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
        gc.enable()
    except BaseException:
        await made.close()
        raise
    return made


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32" or os.environ.get("AGENT_EVENT_LOOP") == "asyncio":
        return None
    uvloop = importlib.import_module("uvloop")
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
