"""The thread that a SQLite connection is used in."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from agent_service.errors import StoreError

_T = TypeVar("_T")
_P = ParamSpec("_P")


class SqliteThread:
    """Does one thing after the other: what was begun for a run that is cancelled ends before anything else begins."""

    def __init__(self, name: str, *, what: str, closed: str) -> None:
        """name: of the thread.  what: stands before the database's own words.  closed: said of whatever comes after."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._what, self._closed = what, closed
        self._is_closed = False

    async def do(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """There, while the loop goes on; raises StoreError for the database's errors, and whatever the work raises."""
        if self._is_closed:
            raise StoreError(self._closed)
        return await self._run(partial(work, *args, **kwargs))

    async def close(self, last: Callable[[], None]) -> None:
        """Do this when what is under way has ended, and nothing after it; once more is nothing."""
        if not self._is_closed:
            self._is_closed = True
            await self._run(last)
            self._executor.shutdown(wait=False)

    async def _run(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except sqlite3.Error as error:
            raise StoreError(f"{self._what}: {error}") from error
