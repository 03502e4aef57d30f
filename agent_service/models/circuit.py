"""A circuit breaker: after some failures within a time, calls are refused until a single one has succeeded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent_service.models.errors import AnswerCutError, CircuitOpenError, RequestRejectedError
from agent_service.models.observer import ModelObserver

# The endpoint answers, and what is wrong is one caller's: that must neither shut out the others nor count as a success.
_OF_ONE_CALLER = (RequestRejectedError, AnswerCutError)


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
        self._tried_at: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for one that tries."""
        return self._opened_at is not None

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Around a call; raises CircuitOpenError instead of letting it begin.

        Whatever a call ends with, another may try after it: a try that is never given back would refuse all for ever.
        A cancelled call tells nothing.
        """
        tried_at = self._enter()
        try:
            yield
        except _OF_ONE_CALLER:
            raise
        except Exception:
            self._failed(is_trial=tried_at is not None)
            raise
        else:
            self._succeeded(is_trial=tried_at is not None)
        finally:
            if tried_at is not None and tried_at == self._tried_at:
                self._tried_at = None

    def _enter(self) -> float | None:
        """When this call began, if it is the one that tries."""
        if self._opened_at is None:
            return None
        now = self._clock()
        # A stream that nobody reads on may never end: after a pause, another call tries beside it.
        since = self._opened_at if self._tried_at is None else max(self._opened_at, self._tried_at)
        left = self._pause - (now - since)
        if left > 0:
            raise CircuitOpenError(f"the model's last {self._most} calls failed; tried again in {max(left, 1):.0f} s")
        self._tried_at = now
        return now

    def _succeeded(self, *, is_trial: bool) -> None:
        if self.is_open and not is_trial:
            return  # it began before the others failed
        self._failed_at.clear()
        if self.is_open:
            self._opened_at = None
            self._observer.circuit(False)

    def _failed(self, *, is_trial: bool) -> None:
        now = self._clock()
        self._failed_at.append(now)
        is_full = len(self._failed_at) == self._most and now - self._failed_at[0] <= self._window
        if is_trial:
            self._opened_at = now
        elif is_full and not self.is_open:
            self._opened_at = now
            self._observer.circuit(True)
