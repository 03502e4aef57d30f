"""Errors as problem details (RFC 9457): what is wrong in words, never a path, a secret or a traceback."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictor.errors import ForescaleError, InputError
from predictor.messages import Problem
from predictor.server.envelope import path_in_log

log = logging.getLogger("forescale.api")

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that says so."""
    told = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    return Response(
        told.model_dump_json(exclude_none=True),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def install_problems(app: FastAPI) -> None:
    """Every error that a route raises on purpose becomes a problem; `LastResort` has the others."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ForescaleError, _ours)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else _WORDS.get(error.status_code)
    return problem(error.status_code, detail or str(error.detail), headers=error.headers)


_WORDS = {
    404: "there is nothing here; /openapi.json lists the paths",
    405: "this path does not take that method; /openapi.json lists what it takes",
}


async def _invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError(error)
    # What was sent is not repeated: it may be anything.
    found = [{"field": ".".join(map(str, one["loc"])), "message": str(one["msg"])} for one in error.errors()]
    words = "; ".join(f"{one['field']}: {one['message']}" for one in found[:3])
    return problem(422, f"the request cannot be used: {words}", errors=found)


async def _ours(_: Request, error: Exception) -> Response:
    status = 422 if isinstance(error, InputError) else 503
    return problem(status, str(error))


class LastResort:
    """Whatever nobody foresaw is answered with a number, under which the log says the rest."""

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
        except Exception:
            if scope["type"] != "http" or has_begun:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            number = secrets.token_hex(6)
            log.exception("request %s %s failed (%s)", scope["method"], path_in_log(scope), number)
            refusal = problem(500, f"an error of ours; the server's log says more under {number}")
            await refusal(scope, receive, send)
