"""Wakes whoever waits for a run.  A bell may ring for nothing; whoever hears it looks for himself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Bells:
    """One event loop's."""

    def __init__(self) -> None:
        self._hung: dict[str, list[asyncio.Event]] = {}

    @contextmanager
    def hang(self, run_id: str) -> Iterator[asyncio.Event]:
        """A bell that rings for this run until the block ends; clear it before you look."""
        bell = asyncio.Event()
        self._hung.setdefault(run_id, []).append(bell)
        try:
            yield bell
        finally:
            hung = self._hung[run_id]
            hung.remove(bell)
            if not hung:
                del self._hung[run_id]

    def ring(self, run_id: str) -> None:
        """Wake all that wait for this run."""
        for bell in self._hung.get(run_id, ()):
            bell.set()

    def ring_all(self) -> None:
        """Wake everybody, such as for a shutdown."""
        for hung in self._hung.values():
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
