"""What can go wrong, in words for whoever has to mend it."""

from __future__ import annotations

from http import HTTPStatus


class AgentServiceError(Exception):
    """Anything that this package raises on purpose.  `exit_code`: of a command that it ends."""

    exit_code: int = 1


class SettingsError(AgentServiceError):
    """Options, environment or files that cannot be used."""

    exit_code = 2


class UnreachableError(AgentServiceError):
    """A server that was asked for does not answer."""

    exit_code = 3


class RefusedError(AgentServiceError):
    """A request that cannot be fulfilled; `status` is its HTTP status."""

    status: HTTPStatus = HTTPStatus.BAD_REQUEST


class ForbiddenError(RefusedError):
    """Nobody may do this here, whatever key he has."""

    status = HTTPStatus.FORBIDDEN


class NotFoundError(RefusedError):
    """There is no such thing, or it is somebody else's."""

    status = HTTPStatus.NOT_FOUND


class ConflictError(RefusedError):
    """It cannot be done as things stand."""

    status = HTTPStatus.CONFLICT


class InvalidError(RefusedError):
    """The request does not say what it must."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class StoreError(AgentServiceError):
    """The store cannot be reached, or is broken."""
