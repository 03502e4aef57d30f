"""The routes behind their guards."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from agent_service.errors import RefusedError
from agent_service.server import assistants, runs, threads
from agent_service.server.answers import refusal, refused
from agent_service.server.guard import Guard, LastResort
from agent_service.server.keys import Keys
from agent_service.server.service import Service
from agent_service.server.settings import ServiceSettings

_SHOWN = ["Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next", "Retry-After"]


def build_app(service: Service, settings: ServiceSettings, keys: Keys) -> Starlette:
    """The application; the service is open, or will be before the first request."""
    guards = [
        Middleware(LastResort),
        Middleware(
            Guard,
            keys=keys,
            most_bytes=settings.most_body_bytes,
            on_refused=lambda reason: _refused_at_the_door(service, reason),
        ),
    ]
    if settings.cors_origins:
        guards.insert(
            0,
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.cors_origins),
                allow_methods=["GET", "POST", "PATCH", "DELETE", "PUT"],
                allow_headers=["*"],
                expose_headers=_SHOWN,
            ),
        )
    app = Starlette(
        routes=[*runs.ROUTES, *threads.ROUTES, *assistants.ROUTES],
        middleware=guards,
        exception_handlers={RefusedError: _refused, HTTPException: _unknown},
    )
    app.router.redirect_slashes = False  # the official client does not follow redirects
    app.state.service = service
    return app


def _refused_at_the_door(service: Service, reason: str) -> None:
    service.meters.arrived()
    service.meters.rejected(reason)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise TypeError(error)
    return refused(error)


async def _unknown(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError(error)
    words = {
        404: f"there is nothing at {request.url.path}; this server speaks the part of LangGraph Server's API that "
        "docs/agent.md lists",
        405: f"{request.url.path} does not take {request.method}",
    }
    return refusal(error.status_code, words.get(error.status_code, str(error.detail)), error.headers)
