"""Whether another run may wait, and how long somebody who is refused should stay away."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from agent_service.engine.settings import EngineSettings
from agent_service.errors import RefusedError
from agent_service.store.records import QueueDepth

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
    """Knows how many wait: looked up every second, and counted in between.

    What others accepted is theirs to refuse: each replica limits what it has accepted itself, so that the limit of a
    fleet grows with the fleet.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.runnable = 0  # runs that only wait for a slot, in the whole fleet: a new one comes after them
        self.mine_runnable = 0  # of those, accepted here
        self.mine = 0  # accepted here and waiting for whatever
        self._entering = 0  # about to be kept in the store: they have a place, though nobody has counted them yet
        self._mean_seconds = 1.0
        self.is_draining = False

    def admit(self, *, has_free_slot: bool) -> None:
        """Raises OverloadedError when neither a slot nor a place in the queue is free."""
        settings = self._settings
        if self.is_draining and not settings.accepts_while_draining:
            raise DrainingError("this replica is shutting down; try again", 1)
        if has_free_slot and self.runnable == 0 and self.mine < settings.most_pending:
            return
        wait = self.retry_after_seconds()
        if self.mine_runnable + self._entering >= settings.most_waiting:
            raise OverloadedError(f"{self.mine_runnable} runs wait already; try again in {wait} s", wait)
        if self.mine + self._entering >= settings.most_pending:
            raise OverloadedError(
                f"{self.mine} runs wait for other runs of their threads, or for their time; try again in {wait} s", wait
            )

    @contextmanager
    def entering(self) -> Iterator[None]:
        """A place in the queue for a run that the store is being asked to keep: many may ask at once."""
        self._entering += 1
        try:
            yield
        finally:
            self._entering -= 1

    def retry_after_seconds(self) -> int:
        """When half of what waits should have begun."""
        seconds = 0.5 * self.mine_runnable * self._mean_seconds / self._settings.slots
        return max(1, min(math.ceil(seconds), _LONGEST_WAIT))

    def took(self, seconds: float) -> None:
        """A run lasted so long."""
        self._mean_seconds += _MEMORY * (seconds - self._mean_seconds)

    def looked(self, depth: QueueDepth) -> None:
        """What the store says."""
        self.runnable, self.mine_runnable, self.mine = depth.runnable, depth.mine_runnable, depth.mine

    def queued(self, *, is_runnable: bool) -> None:
        """A run was accepted here and waits."""
        self.mine += 1
        if is_runnable:
            self.runnable += 1
            self.mine_runnable += 1

    def dequeued(self, *, count: int, mine: int) -> None:
        """So many were taken out here, so many of them accepted here."""
        self.runnable = max(self.runnable - count, 0)
        self.mine_runnable = max(self.mine_runnable - mine, 0)
        self.mine = max(self.mine - mine, 0)
