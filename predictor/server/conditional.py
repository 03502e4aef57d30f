"""Answers that need not be sent twice: entity tags, and 304 for who has the answer already."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response


def answer(request: Request, body: bytes, *, etag: str | None = None, media_type: str = "application/json") -> Response:
    """`body`, or 304 Not Modified when the request names its tag (RFC 9110, weak comparison)."""
    tag = _weak(etag or tag_of(body))
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = request.headers.getlist("if-none-match")
    if known and request.method in ("GET", "HEAD") and _is_named(tag, ",".join(known)):
        # Compression says so itself where there is a body.
        return Response(status_code=304, headers={**headers, "Vary": "Accept-Encoding"})
    return Response(body, headers=headers, media_type=media_type)


def tag_of(body: bytes) -> str:
    """The tag of these bytes, and of nothing else."""
    return _weak(f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


def _weak(tag: str) -> str:
    """A compressed answer has other bytes and says the same, so no tag of ours may claim to be strong."""
    return tag if tag.startswith("W/") else f"W/{tag}"


def _is_named(tag: str, known: str) -> bool:
    bare = tag.removeprefix("W/")
    return known.strip() == "*" or bare in (part.strip().removeprefix("W/") for part in known.split(","))
