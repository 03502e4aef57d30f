"""What stands between the network and the routes: who may ask, how much, how often, and what every answer carries.

Plain ASGI middleware, since every request goes through it.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictor.server.envelope import PROBES, Envelope
from predictor.server.problems import LastResort, install_problems, problem
from predictor.server.rates import Rates
from predictor.server.settings import ServerSettings
from predictor.server.tokens import Tokens, check_exposure

__all__ = ["Tokens", "check_exposure", "install"]

_COMPRESSED_FROM_BYTES = 1000


def install(app: FastAPI, settings: ServerSettings, tokens: Tokens, *, access_log: bool = False) -> None:
    """Put the guards before the routes; the one added last is asked first."""
    install_problems(app)
    app.add_middleware(GZipMiddleware, minimum_size=_COMPRESSED_FROM_BYTES, compresslevel=5)
    app.add_middleware(Guard, settings=settings, tokens=tokens)
    app.add_middleware(LastResort)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", "Retry-After"],
        )
    app.add_middleware(Envelope, access_log=access_log)


class Guard:
    """Tokens, and limits on rate and size."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, tokens: Tokens) -> None:
        self._app, self._tokens = app, tokens
        self._must_identify = len(tokens) > 0
        self._most_bytes = settings.max_body_bytes
        self._rates = Rates(settings.requests_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path in PROBES:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = _bearer(headers.get(b"authorization"))
        known = self._known(given)
        # The rate comes first: guesses are counted too.
        refusal = self._refuse_rate(scope, known) or self._refuse_stranger(path, given, known)
        if refusal is None:
            refusal, receive = await self._refuse_size(headers, receive)
        await (refusal or self._app)(scope, receive, send)

    def _known(self, token: str | None) -> str | None:
        if token is None or not self._must_identify:
            return None
        self._tokens.refresh()
        return token if self._tokens.admits(token) else None

    def _refuse_rate(self, scope: Scope, known: str | None) -> Any:
        wait = self._rates.wait_seconds(scope, known)
        if wait is None:
            return None
        return problem(
            429,
            f"at most {self._rates.per_minute} requests a minute; ask again in {wait} s",
            headers={"Retry-After": str(wait)},
        )

    def _refuse_stranger(self, path: str, given: str | None, known: str | None) -> Any:
        """The page's own files hold no data, so that it can ask for a token."""
        if not self._must_identify or known is not None or path == "/" or path.startswith("/page/"):
            return None
        detail = "the bearer token is not known here" if given else "give a bearer token: Authorization: Bearer TOKEN"
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
