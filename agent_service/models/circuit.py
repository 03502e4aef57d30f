"""A circuit breaker: after some failures within a time, calls are refused until a single one has succeeded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from agent_service.models.errors import CircuitOpenError
from agent_service.models.observer import ModelObserver


class Circuit:
    """Of one endpoint.  Closed, open, or half open: one call is let through to see."""

    def __init__(
        self,
        observer: ModelObserver,
        *,
        failures: int = 5,
        window_seconds: float = 60.0,
        pause_seconds: float = 20.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observer, self._most, self._window, self._pause = observer, failures, window_seconds, pause_seconds
        self._clock = clock
        self._failed_at: deque[float] = deque(maxlen=failures)
        self._opened_at: float | None = None
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for one that tries."""
        return self._opened_at is not None

    def enter(self) -> None:
        """Before a call; raises CircuitOpenError."""
        if self._opened_at is None:
            return
        waited = self._clock() - self._opened_at
        if waited < self._pause or self._is_trying:
            left = max(self._pause - waited, 1.0)
            raise CircuitOpenError(f"the model's last {self._most} calls failed; tried again in {left:.0f} s")
        self._is_trying = True

    def succeeded(self) -> None:
        """After a call."""
        self._is_trying = False
        self._failed_at.clear()
        if self._opened_at is not None:
            self._opened_at = None
            self._observer.circuit(False)

    def failed(self) -> None:
        """After a call that failed at the endpoint."""
        now = self._clock()
        self._failed_at.append(now)
        is_full = len(self._failed_at) == self._most and now - self._failed_at[0] <= self._window
        if self._is_trying or is_full:
            if self._opened_at is None:
                self._observer.circuit(True)
            self._opened_at = now
        self._is_trying = False

    def abandoned(self) -> None:
        """After a call that was cancelled: it tells nothing of the endpoint."""
        self._is_trying = False
