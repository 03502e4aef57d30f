"""What the Kubernetes API may answer, as types that callers tell apart."""

from __future__ import annotations

from predictor.errors import ForescaleError, SourceError


class KubeError(SourceError):
    """The API server refuses, fails or cannot be reached.  `status` is the HTTP status, None without an answer."""

    def __init__(self, message: str, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class UnreachableError(KubeError):
    """No answer, or the server is overloaded or going down: the same request may pass later."""


class ForbiddenError(KubeError):
    """401 or 403."""


class NotFoundError(KubeError):
    """404: the object, or its whole kind, is not there."""


class ConflictError(KubeError):
    """409: the object has changed, or another manager owns the field."""


class GoneError(KubeError):
    """410: the version to go on from has been compacted away."""


class NotLeadingError(ForescaleError):
    """Another process leads, or may lead by now: nothing may be written."""


def error_for(status: int, reason: str, message: str, asked: str) -> KubeError:
    """The error of an HTTP status, with advice."""
    said = f"{asked}: {message} (HTTP {status})"
    match status:
        case 401:
            return ForbiddenError(f"{said}; the token is missing or has expired", status, reason)
        case 403:
            return ForbiddenError(
                f"{said}; give this account the rights in manifests/controller/rbac.yaml", status, reason
            )
        case 404:
            return NotFoundError(said, status, reason)
        case 409:
            return ConflictError(said, status, reason)
        case 410:
            return GoneError(said, status, reason)
        case 429 | 500 | 502 | 503 | 504:
            return UnreachableError(said, status, reason)
        case _:
            return KubeError(said, status, reason)
