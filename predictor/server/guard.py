"""What stands between the network and the routes: who may ask, how much, how often, and what every answer carries.

Plain ASGI middleware, since every request goes through it.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from fastapi import FastAPI
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictor.server.problems import install_problems, problem
from predictor.server.settings import ServerSettings
from predictor.server.tokens import Tokens, check_exposure

__all__ = ["Tokens", "check_exposure", "install"]

PROBES = frozenset({"/livez", "/readyz"})
_COMPRESSED_FROM_BYTES = 1000
_CSP = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


def install(app: FastAPI, settings: ServerSettings, tokens: Tokens) -> None:
    """Put the guards before the routes; the one added last is asked first."""
    install_problems(app)
    app.add_middleware(GZipMiddleware, minimum_size=_COMPRESSED_FROM_BYTES, compresslevel=5)
    app.add_middleware(Guard, settings=settings, tokens=tokens)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", "Retry-After"],
        )


class Guard:
    """Tokens, rate and size limits, and security headers."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, tokens: Tokens) -> None:
        self._app, self._tokens = app, tokens
        self._must_identify = len(tokens) > 0
        self._most_bytes = settings.max_body_bytes
        self._per_minute = settings.requests_per_minute
        self._rate = RateLimitItemPerMinute(settings.requests_per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        path: str = scope["path"]
        if path in PROBES:
            await self._app(scope, receive, with_headers)
            return
        headers = dict(scope["headers"])
        token = _bearer(headers.get(b"authorization"))
        refusal = self._refuse_rate(scope, token) or self._refuse_stranger(path, token)
        if refusal is None:
            refusal, receive = await self._refuse_size(headers, receive)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refuse_rate(self, scope: Scope, token: str | None) -> Any:
        client = scope.get("client")
        # A digest: tokens are not kept where they could be dumped.
        who = hashlib.sha256(token.encode()).hexdigest() if token else client[0] if client else ""
        if self._limiter.hit(self._rate, who):
            return None
        ends = self._limiter.get_window_stats(self._rate, who).reset_time
        wait = max(1, round(ends - time.time()))
        return problem(
            429,
            f"at most {self._per_minute} requests a minute; ask again in {wait} s",
            headers={"Retry-After": str(wait)},
        )

    def _refuse_stranger(self, path: str, token: str | None) -> Any:
        """The page's own files hold no data, so that it can ask for a token."""
        if not self._must_identify or path == "/" or path.startswith("/page/"):
            return None
        self._tokens.refresh()
        if token is not None and self._tokens.admits(token):
            return None
        detail = "the bearer token is not known here" if token else "give a bearer token: Authorization: Bearer TOKEN"
        return problem(401, detail, headers={"WWW-Authenticate": "Bearer"})

    async def _refuse_size(self, headers: dict[bytes, bytes], receive: Receive) -> tuple[Any, Receive]:
        """A stated length is refused at once; a body of no stated length is read here, and handed on whole."""
        length = headers.get(b"content-length")
        if length is not None and length.isdigit():
            return (self._too_large() if int(length) > self._most_bytes else None), receive
        if b"transfer-encoding" not in headers:
            return None, receive
        body, has_more = bytearray(), True
        while has_more:
            message = await receive()
            body += message.get("body", b"")
            has_more = message.get("more_body", False)
            if len(body) > self._most_bytes:
                return self._too_large(), receive
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        return None, replay

    def _too_large(self) -> Any:
        return problem(413, f"the body is larger than {self._most_bytes} bytes; ask for fewer workloads at once")


def _bearer(header: bytes | None) -> str | None:
    if header is None:
        return None
    scheme, _, token = header.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
