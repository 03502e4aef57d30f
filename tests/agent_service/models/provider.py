"""An endpoint that speaks OpenAI's protocol, and says what a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agent_service.models.observer import ModelObserver
from tests.servers.apps import listening


@dataclass
class Script:
    """One answer: a status and a body, or pieces of a stream with pauses between them."""

    status: int = 200
    body: Any = None
    pieces: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    pause_seconds: float = 0.0
    breaks_off: bool = False
    kind: str = "text/event-stream"


@dataclass
class Provider:
    """Answers with one script after the other, with the last again and again."""

    scripts: list[Script]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if script.pieces:
            return StreamingResponse(self._pieces(script), script.status, script.headers, script.kind)
        if isinstance(script.body, str):
            return Response(script.body, script.status, script.headers)
        await asyncio.sleep(script.pause_seconds)
        return JSONResponse(script.body, script.status, script.headers)

    async def _pieces(self, script: Script) -> AsyncIterator[bytes]:
        for piece in script.pieces:
            await asyncio.sleep(script.pause_seconds)
            yield piece
        if script.breaks_off:
            raise ConnectionError("the test cuts the stream")


@contextmanager
def providing(*scripts: Script) -> Iterator[Provider]:
    """While the block lasts."""
    provider = Provider(list(scripts))
    app = Starlette(routes=[Route("/v1/chat/completions", provider.answer, methods=["POST"])])
    with listening(app) as url:
        provider.url = f"{url}/v1"
        yield provider


def whole(content: Any, calls: Any = None, finish_reason: Any = "stop", **usage: Any) -> Script:
    """An answer at once."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        message["tool_calls"] = calls
    body: dict[str, Any] = {"model": "m", "choices": [{"message": message, "finish_reason": finish_reason}]}
    if usage:
        body["usage"] = usage
    return Script(body=body)


def event(told: Any) -> bytes:
    """Of a stream."""
    return b"data: " + json.dumps(told).encode() + b"\n\n"


def delta(finish_reason: str | None = None, usage: Any = None, **told: Any) -> bytes:
    """What one event of a stream adds."""
    choice = {"index": 0, "delta": told, "finish_reason": finish_reason}
    return event({"choices": [choice], **({} if usage is None else {"usage": usage})})


DONE = b"data: [DONE]\n\n"


@dataclass
class Told(ModelObserver):
    """What a model told."""

    outcomes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    estimates: dict[str, int] = field(default_factory=dict)
    throttles: int = 0
    firsts: int = 0
    circuits: list[bool] = field(default_factory=list)

    def finished(self, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)

    def first_token(self, seconds: float) -> None:
        self.firsts += 1

    def tokens(self, direction: str, count: int, *, is_estimated: bool = False) -> None:
        for told in (self.counts, self.estimates)[: 1 + is_estimated]:
            told[direction] = told.get(direction, 0) + count

    def throttled(self) -> None:
        self.throttles += 1

    def circuit(self, is_open: bool) -> None:
        self.circuits.append(is_open)
