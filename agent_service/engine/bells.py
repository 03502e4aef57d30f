"""Wakes whoever waits for a run.  A bell may ring for nothing; whoever hears it looks for himself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_Hung = dict[str, list[asyncio.Event]]


class Bells:
    """One event loop's."""

    def __init__(self) -> None:
        self._for_news: _Hung = {}
        self._for_ends: _Hung = {}

    @contextmanager
    def hang(self, run_id: str, *, for_end: bool = False) -> Iterator[asyncio.Event]:
        """A bell that rings for this run until the block ends; clear it before you look.

        for_end: not for each of its events, of which most runs have many, and most callers want none.
        """
        bell, everyone = asyncio.Event(), self._for_ends if for_end else self._for_news
        everyone.setdefault(run_id, []).append(bell)
        try:
            yield bell
        finally:
            hung = everyone[run_id]
            hung.remove(bell)
            if not hung:
                del everyone[run_id]

    def ring(self, run_id: str) -> None:
        """Wake all that want to hear every event of this run."""
        for bell in self._for_news.get(run_id, ()):
            bell.set()

    def ring_end(self, run_id: str) -> None:
        """Wake all that wait for this run: it has ended, or goes on elsewhere."""
        self.ring(run_id)
        for bell in self._for_ends.get(run_id, ()):
            bell.set()

    def ring_all(self) -> None:
        """Wake everybody, such as for a shutdown."""
        for hung in (*self._for_news.values(), *self._for_ends.values()):
            for bell in hung:
                bell.set()


async def heard(bell: asyncio.Event, seconds: float) -> bool:
    """Wait for the bell; False when it stayed silent."""
    if bell.is_set():
        return True
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return False
    return True
