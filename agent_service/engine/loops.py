"""Work in the background: loops that nothing but our own end may stop, and tasks that somebody remembers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from agent_service.errors import StoreError

log = logging.getLogger("forescale.agent")

_AGAIN_SECONDS = 1.0  # after a loop has failed


class Tasks:
    """Of one event loop, which itself forgets tasks that nobody holds."""

    def __init__(self) -> None:
        self._loops: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Done some time."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._is_done)
        return task

    def _is_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StoreError):
            log.warning("%s", error)
        elif error is not None:
            log.error("what went on in the background failed", exc_info=error)

    def repeat(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Again whenever it fails, until the end."""
        self._loops.append(asyncio.create_task(_forever(loop), name=loop.__qualname__))

    async def end(self, *, patience_seconds: float) -> None:
        """Wait a moment for tasks; loops have none."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_seconds)
        going = set(self._loops)
        while going:
            # Told once is not enough: in Python 3.11 wait_for(), by which database drivers wait, forgets that it was
            # cancelled when what it waited for came at that moment.
            for loop in going:
                loop.cancel()
            _, going = await asyncio.wait(going, timeout=_AGAIN_SECONDS)


async def _forever(loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await loop()
        except StoreError as error:
            log.warning("%s: %s", loop.__qualname__, error)
        except Exception:
            log.exception("%s failed", loop.__qualname__)
        await asyncio.sleep(_AGAIN_SECONDS)
