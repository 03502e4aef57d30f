"""Answers that last as long as a run: its stream as server-sent events, or its result after patient white space.

Plain ASGI: both are on the path of every run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import orjson
from starlette.types import Receive, Scope, Send

from agent_service.engine.engine import Engine
from agent_service.engine.reading import LeftError, ended, follow
from agent_service.errors import NotFoundError
from agent_service.store.records import Event, Run, RunStatus

Gone = Callable[[], Awaitable[None]]
_HEARTBEAT = b": heartbeat\r\n\r\n"
_EVENT_STREAM = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))
_JSON = ((b"content-type", b"application/json"),)


class Following:
    """Sends pieces as they come.  A replica that shuts down breaks off, so that the client asks another one."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        headers: Mapping[str, str],
        kind: tuple[tuple[bytes, bytes], ...],
        on_disconnect: Gone | None = None,
    ) -> None:
        self._pieces, self._headers, self._kind, self._on_disconnect = pieces, headers, kind, on_disconnect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        told = [(name.lower().encode(), value.encode("latin-1")) for name, value in self._headers.items()]
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [*self._kind, (b"cache-control", b"no-store"), *told]})
        task = asyncio.current_task()
        watch = asyncio.create_task(_until_gone(receive))
        watch.add_done_callback(lambda done: task.cancel() if task is not None and not done.cancelled() else None)
        try:
            async for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except LeftError:
            return  # unfinished on purpose
        except asyncio.CancelledError:
            if not watch.done() or task is None:
                raise
            task.uncancel()
            if self._on_disconnect is not None:
                await self._on_disconnect()
            return
        finally:
            watch.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def run_path(run: Run) -> str:
    """Where a run is found."""
    return f"/threads/{run.thread_id}/runs/{run.run_id}"


def streamed(engine: Engine, run: Run, after: int, modes: frozenset[str], gone: Gone | None = None) -> Following:
    """The events of a run with a number above `after`; modes: only these (and what frames them), or all."""
    headers = {"Location": f"{run_path(run)}/stream", "Content-Location": run_path(run)}
    return Following(_frames(engine, run, after, modes), headers, _EVENT_STREAM, gone)


def awaited(engine: Engine, run: Run, gone: Gone | None = None) -> Following:
    """The last values of a run."""
    headers = {"Location": f"{run_path(run)}/join", "Content-Location": run_path(run)}
    return Following(_result(engine, run), headers, _JSON, gone)


async def _frames(engine: Engine, run: Run, after: int, modes: frozenset[str]) -> AsyncIterator[bytes]:
    spoke_at = time.monotonic()
    async for events in follow(engine, run, after):
        wanted = [event for event in events if not modes or _is_of(event, modes)]
        if wanted:
            yield b"".join(map(_frame, wanted))
        elif not events or time.monotonic() - spoke_at >= engine.settings.patience_seconds:
            yield _HEARTBEAT  # also while the run says only what was not asked for
        else:
            continue
        spoke_at = time.monotonic()


def _frame(event: Event) -> bytes:
    return b"event: %b\r\ndata: %b\r\nid: %d\r\n\r\n" % (event.name.encode(), event.data, event.seq)


_ALWAYS = frozenset({"metadata", "error", "end"})


def _is_of(event: Event, modes: frozenset[str]) -> bool:
    name = event.name.partition("|")[0].partition("/")[0]
    return name in modes or name in _ALWAYS or (name == "messages" and "messages-tuple" in modes)


async def _without_result(engine: Engine, run: Run) -> bytes:
    """Of a run that never had one, or whose result is not kept any more: what its thread holds, if that is the same."""
    newest = await engine.runs.list_runs(run.thread_id, run.tenant, limit=1)
    thread = await engine.runs.get_thread(run.thread_id, run.tenant)
    is_newest = bool(newest) and newest[0].run_id == run.run_id
    if run.status is RunStatus.INTERRUPTED or (run.status is RunStatus.SUCCESS and is_newest):
        return thread.values or b"{}"
    if run.status in (RunStatus.ERROR, RunStatus.TIMEOUT) and is_newest and thread.error is not None:
        return orjson.dumps({"__error__": thread.error})
    words = (
        f"the result of run {run.run_id} ({run.status.value}) is not kept any more; the thread's history may hold it"
    )
    return orjson.dumps({"__error__": {"error": "ResultGone", "message": words}})


async def _result(engine: Engine, run: Run) -> AsyncIterator[bytes]:
    try:
        async for found in ended(engine, run):
            if found is None:
                yield b"\n"  # white space before JSON is allowed, and keeps proxies from cutting a slow run
            else:
                yield found.result if found.result is not None else await _without_result(engine, found)
    except NotFoundError:
        gone = {"error": "RunGone", "message": f"run {run.run_id} was deleted or rolled back"}
        yield b"null" if run.stop is not None else orjson.dumps({"__error__": gone})
