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

from predictor.errors import ForescaleError, InputError
from predictor.messages import Problem

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
    """Every error of the application becomes a problem."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ForescaleError, _ours)
    app.add_exception_handler(Exception, _unforeseen)


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


async def _unforeseen(request: Request, error: Exception) -> Response:
    number = secrets.token_hex(6)
    log.error("request %s %s failed (%s)", request.method, request.url.path, number, exc_info=error)
    return problem(500, f"an error of ours; the server's log says more under {number}")
