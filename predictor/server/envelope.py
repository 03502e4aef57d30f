"""What every answer carries, whoever gives it; and a line in the log for it, where that is wanted."""

from __future__ import annotations

import json
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("forescale.requests")

PROBES = frozenset({"/livez", "/readyz"})
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


class Envelope:
    """Asked first and heard last: refusals, preflights and failures pass through it too."""

    def __init__(self, app: ASGIApp, access_log: bool) -> None:
        self._app, self._is_logged = app, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            if self._is_logged and scope["path"] not in PROBES:
                _note(scope, status, time.perf_counter() - begun)


def path_in_log(scope: Scope) -> str:
    """As it was sent, without the query, which may hold secrets; escaped, so that it stays one line."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return json.dumps(raw.decode("latin-1"))


def _note(scope: Scope, status: int, seconds: float) -> None:
    client = scope.get("client")
    log.info(
        "method=%s path=%s status=%d seconds=%.4f client=%s",
        scope["method"], path_in_log(scope), status, seconds, client[0] if client else "-",
    )  # fmt: skip
