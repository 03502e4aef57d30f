"""The page's files, read once: a handful of small ones that never change while the server runs."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, HTTPException, Request, Response

from predictor.server.conditional import answer

_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, ready to be sent."""

    body: bytes
    media_type: str
    etag: str


def page_router() -> APIRouter:
    """`/` is the page, `/page/...` what it loads.  Not part of the API, so not in its schema."""
    known = dict(_read(files("predictor.server").joinpath("page")))
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def get_page(request: Request) -> Response:
        return _send(request, known.get(_INDEX))

    @router.api_route("/page/{path:path}", methods=["GET", "HEAD"])
    async def get_page_file(request: Request, path: str) -> Response:
        return _send(request, known.get(path))

    return router


def _send(request: Request, found: PageFile | None) -> Response:
    if found is None:
        raise HTTPException(404, "no such page")
    return answer(request, found.body, etag=found.etag, media_type=found.media_type)


def _read(folder: Traversable, prefix: str = "") -> list[tuple[str, PageFile]]:
    found = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found += _read(entry, name + "/")
        elif not entry.name.startswith("."):
            body = entry.read_bytes()
            media_type = mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
            if media_type.startswith("text/") or media_type.endswith("javascript"):
                media_type += "; charset=utf-8"
            found.append((name, PageFile(body, media_type, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')))
    return found
