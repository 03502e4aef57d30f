"""What listens first: probes at once, everything else as soon as it is loaded.

langgraph takes most of a second to import; a pod whose port is bound, and that says when it is ready, starts sooner and
more honestly than one whose port is closed.  Nothing heavy is imported here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
Scrape = Callable[[str], tuple[bytes, str]]
Check = Callable[[], Awaitable[None]]


class Phase(StrEnum):
    """Where in its life the process is."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Front:
    """ASGI application; `open` it when the rest is there."""

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.began_at = time.monotonic()
        self.seconds: dict[str, float] = {}  # what each step of starting took
        self._inner: App | None = None
        self._scrape: Scrape | None = None
        self._check: Check | None = None

    def took(self, step: str, since: float) -> float:
        """Note how long a step took; the time now."""
        now = time.monotonic()
        self.seconds[step] = now - since
        return now

    def open(self, inner: App, scrape: Scrape, check: Check) -> None:
        """Ready: inner answers, scrape gives metrics, check raises when the store is gone."""
        self._inner, self._scrape, self._check = inner, scrape, check
        self.phase = Phase.READY

    def leave(self) -> None:
        """Not ready any more."""
        self.phase = Phase.DRAINING

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await _live_through(receive, send)
            return
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == "/livez":
            await _answer(send, 200, {"ok": True})
        elif path == "/startupz":
            is_up = self.phase is not Phase.STARTING
            await _answer(send, 200 if is_up else 503, {"ok": is_up, "seconds": self.seconds})
        elif path == "/readyz":
            await self._answer_ready(send)
        elif path == "/metrics" and self._scrape is not None:
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            wanted = "application/json" if b"format=json" in scope.get("query_string", b"") else accept
            body, kind = self._scrape(wanted)
            await _answer(send, 200, body, {"content-type": kind})
        elif self._inner is None:
            await _answer(send, 503, {"detail": "starting; try again in a second"}, {"retry-after": "1"})
        else:
            await self._inner(scope, receive, send)

    async def _answer_ready(self, send: Send) -> None:
        detail = ""
        if self.phase is Phase.READY and self._check is not None:
            try:
                await self._check()
            except Exception as error:  # whatever the store's driver raises: not ready is the answer
                detail = f"the store does not answer ({type(error).__name__})"
        is_ready = self.phase is Phase.READY and not detail
        await _answer(send, 200 if is_ready else 503, {"ok": is_ready, "phase": self.phase.value, "detail": detail})


async def _live_through(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {"content-type": "application/json", "cache-control": "no-store", **(headers or {})}
    lines = [(name.encode(), value.encode()) for name, value in told.items()]
    lines.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": content})
