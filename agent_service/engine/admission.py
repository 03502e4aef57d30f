"""Whether another run may wait, and how long somebody who is refused should stay away."""

from __future__ import annotations

import math
from http import HTTPStatus

from agent_service.engine.settings import EngineSettings
from agent_service.errors import RefusedError

_MEMORY = 0.05  # weight of the newest duration in the mean
_LONGEST_WAIT = 60


class OverloadedError(RefusedError):
    """No room for another run now; `retry_after_seconds` says when there may be."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DrainingError(OverloadedError):
    """This replica shuts down, and no other shares its store."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Admission:
    """Knows how many wait: looked up every second, and counted in between."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.runnable = 0  # runs that only wait for a slot, in the whole fleet
        self._mean_seconds = 1.0
        self.is_draining = False

    def admit(self, *, has_free_slot: bool) -> None:
        """Raises OverloadedError when neither a slot nor a place in the queue is free."""
        if self.is_draining and not self._settings.accepts_while_draining:
            raise DrainingError("this replica is shutting down; try again", 1)
        if has_free_slot and self.runnable == 0:
            return
        if self.runnable >= self._settings.most_waiting:
            wait = self.retry_after_seconds()
            raise OverloadedError(f"{self.runnable} runs wait already; try again in {wait} s", wait)

    def retry_after_seconds(self) -> int:
        """When half of what waits should have begun."""
        seconds = 0.5 * self.runnable * self._mean_seconds / self._settings.slots
        return max(1, min(math.ceil(seconds), _LONGEST_WAIT))

    def took(self, seconds: float) -> None:
        """A run lasted so long."""
        self._mean_seconds += _MEMORY * (seconds - self._mean_seconds)

    def queued(self) -> None:
        """A run went into the queue."""
        self.runnable += 1

    def dequeued(self, count: int) -> None:
        """So many were taken out."""
        self.runnable = max(self.runnable - count, 0)
