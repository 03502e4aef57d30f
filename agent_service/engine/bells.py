"""Wakes whoever waits for a run.  A bell may ring for nothing; whoever hears it looks for himself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bell:
    """What one coroutine waits at.  Far cheaper than an event with a timeout around it: every token rings one."""

    def __init__(self) -> None:
        self._has_rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Once more is nothing."""
        self._has_rung = True
        self._wake()

    def clear(self) -> None:
        """Before you look."""
        self._has_rung = False

    async def heard(self, seconds: float) -> bool:
        """Wait for it; False when it stayed silent."""
        if not self._has_rung:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            patience = loop.call_later(seconds, self._wake)
            try:
                await self._waiter
            finally:
                patience.cancel()
                self._waiter = None
        return self._has_rung

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


_Hung = dict[str, list[Bell]]


class Bells:
    """One event loop's."""

    def __init__(self) -> None:
        self._for_news: _Hung = {}
        self._for_ends: _Hung = {}

    @contextmanager
    def hang(self, run_id: str, *, for_end: bool = False) -> Iterator[Bell]:
        """A bell that rings for this run until the block ends; clear it before you look.

        for_end: not for each of its events, of which most runs have many, and most callers want none.
        """
        bell, everyone = Bell(), self._for_ends if for_end else self._for_news
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
            bell.ring()

    def ring_end(self, run_id: str) -> None:
        """Wake all that wait for this run: it has ended, or goes on elsewhere."""
        self.ring(run_id)
        for bell in self._for_ends.get(run_id, ()):
            bell.ring()

    def ring_all(self) -> None:
        """Wake everybody, such as for a shutdown."""
        for hung in (*self._for_news.values(), *self._for_ends.values()):
            for bell in hung:
                bell.ring()
