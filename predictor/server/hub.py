"""Word of new forecasts, from the engine's thread to all who listen.  A slow listener misses cycles, not bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from predictor.fleet.view import Snapshot

MAX_LISTENERS = 256


class HubFullError(Exception):
    """More listeners than the server serves."""


class Hub:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._latest: Snapshot | None = None
        self._is_closed = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on news is told in this loop."""
        self._loop = loop

    def tell(self, snapshot: Snapshot) -> None:
        """Called in the engine's thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._announce, snapshot)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._is_closed = True
        for event in self._waiting:
            event.set()

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._waiting)

    def _announce(self, snapshot: Snapshot) -> None:
        self._latest = snapshot
        for event in self._waiting:
            event.set()

    @asynccontextmanager
    async def subscribe(self, *, after: int) -> AsyncIterator[AsyncIterator[Snapshot]]:
        """Snapshots later than cycle `after`, the newest only; raises HubFullError."""
        if len(self._waiting) >= MAX_LISTENERS:
            raise HubFullError
        news = asyncio.Event()
        self._waiting.add(news)
        try:
            yield self._stream(news, after)
        finally:
            self._waiting.discard(news)

    async def _stream(self, news: asyncio.Event, after: int) -> AsyncIterator[Snapshot]:
        while not self._is_closed:
            latest = self._latest
            if latest is not None and latest.cycle > after:
                after = latest.cycle
                yield latest
                continue
            news.clear()
            await news.wait()
