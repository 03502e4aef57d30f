"""Another try where one may help, and an end to all of them: a call has one deadline for pauses, tries and answer."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from agent_service.models.errors import ModelError

_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5

_T = TypeVar("_T")


class RetryableError(Exception):
    """Something that a second try may mend."""

    def __init__(self, said: ModelError, retry_after_seconds: float | None = None) -> None:
        super().__init__(str(said))
        self.said, self.retry_after_seconds = said, retry_after_seconds


class Deadline:
    """Of one call; by the event loop's clock."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = self._loop.time() + seconds

    @property
    def left_seconds(self) -> float:
        """Negative when it is over."""
        return self._at - self._loop.time()

    def within(self, seconds: float = math.inf) -> asyncio.Timeout:
        """Around a single wait, never around what a stream's reader does: that would cancel the reader's own work."""
        return asyncio.timeout_at(min(self._at, self._loop.time() + seconds))


async def retried(
    attempt: Callable[[], Awaitable[_T]], deadline: Deadline, sleep: Callable[[float], Awaitable[Any]]
) -> _T:
    """What an attempt returns; raises what the last one said.

    A pause that would outlast the deadline is not begun: whoever waits hears at once that there is no answer.
    """
    pause = _FIRST_PAUSE_SECONDS
    for number in range(1, _ATTEMPTS + 1):
        try:
            async with deadline.within():
                return await attempt()
        except RetryableError as error:
            wait = max(pause * random.uniform(0.75, 1.25), error.retry_after_seconds or 0.0)  # noqa: S311 - no secret
            if number == _ATTEMPTS or wait >= deadline.left_seconds:
                raise error.said from error
        await sleep(wait)
        pause *= 2
    raise AssertionError("unreachable")


def retry_after_seconds(header: str | None, now: datetime) -> float | None:
    """Of a Retry-After, which holds seconds or a date; None without one that can be read."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
        except (ValueError, TypeError):  # no date; a date without its zone
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
