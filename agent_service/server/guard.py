"""What stands between the network and the routes: who asks, how large a request may be, what every answer carries.

Plain ASGI, since every request passes through.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_service.errors import RefusedError, StoreError
from agent_service.server.answers import refusal, refused
from agent_service.server.keys import Keys

log = logging.getLogger("forescale.agent")

_OPEN = frozenset({"/ok", "/livez", "/readyz", "/startupz", "/metrics"})


class Guard:
    """API keys and body sizes."""

    def __init__(self, app: ASGIApp, keys: Keys, most_bytes: int, on_refused: Callable[[str], None]) -> None:
        """on_refused: called with auth or too_large when somebody asked for a run; it is demand all the same."""
        self._app, self._keys, self._most_bytes, self._on_refused = app, keys, most_bytes, on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["path"] in _OPEN or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._keys.are_asked_for:
            owner = self._keys.owner_of(_key_in(headers))
            if owner is None:
                if _asks_for_a_run(scope):
                    self._on_refused("auth")
                words = "show an API key that is known here: x-api-key: KEY"
                await refusal(401, words, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
                return
            scope["tenant"] = owner
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._most_bytes:
            if _asks_for_a_run(scope):
                self._on_refused("too_large")
            await self._too_large()(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        """A body of no stated length is counted as it comes."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._most_bytes:
                raise TooLargeError(f"the body is larger than {self._most_bytes} bytes")
            return message

        return counted

    def _too_large(self) -> ASGIApp:
        return refusal(413, f"the body is larger than {self._most_bytes} bytes")


def _asks_for_a_run(scope: Scope) -> bool:
    return scope["method"] == "POST" and str(scope["path"]).endswith(("/runs", "/runs/wait", "/runs/stream"))


class TooLargeError(RefusedError):
    """More than anybody may send."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _key_in(headers: Mapping[bytes, bytes]) -> str:
    key = headers.get(b"x-api-key")
    if key is None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        key = token.strip() if scheme.lower() == b"bearer" else b""
    return key.decode("utf-8", "surrogateescape")


class LastResort:
    """Answers errors raised on purpose in words, whatever nobody foresaw with a number that the log knows."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        has_begun = False

        async def note(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except RefusedError as error:
            if has_begun or scope["type"] != "http":
                raise
            await refused(error)(scope, receive, send)
        except StoreError as error:
            if has_begun or scope["type"] != "http":
                raise
            log.warning("%s %s: %s", scope["method"], scope["path"], error)
            await refusal(503, f"the store does not answer: {error}", {"Retry-After": "1"})(scope, receive, send)
        except Exception:
            if has_begun or scope["type"] != "http":
                raise  # the connection is cut, so that half an answer is not taken for a whole one
            number = secrets.token_hex(6)
            log.exception("request %s %s failed (%s)", scope["method"], scope["path"], number)
            await refusal(500, f"an error of ours; the server's log says more under {number}")(scope, receive, send)
