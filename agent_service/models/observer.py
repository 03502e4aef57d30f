"""Whom models tell what they do."""

from __future__ import annotations

import asyncio

from agent_service.models.errors import (
    AnswerCutError,
    BudgetExceededError,
    CircuitOpenError,
    ModelTimeoutError,
    ThrottledError,
)

OK, ERROR, THROTTLED, TIMEOUT, CUT, REFUSED, CANCELLED = OUTCOMES = (
    "ok",
    "error",
    "throttled",
    "timeout",
    "cut",  # the answer came, but not all of it
    "refused",  # by our own budget or circuit: never sent
    "cancelled",  # by whoever asked
)
_OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (CircuitOpenError, REFUSED),
    (BudgetExceededError, REFUSED),
    (ThrottledError, THROTTLED),
    (ModelTimeoutError, TIMEOUT),
    (AnswerCutError, CUT),
    (asyncio.CancelledError, CANCELLED),
    (GeneratorExit, CANCELLED),  # a stream that nobody reads to its end
)


def outcome_of(error: BaseException) -> str:
    """As metrics name what a call ended with."""
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), ERROR)


class ModelObserver:
    """Counts nothing; the server's counts for Prometheus."""

    def finished(self, outcome: str, seconds: float) -> None:
        """A call is over, once for each; outcome: one of OUTCOMES."""

    def first_token(self, seconds: float) -> None:
        """The first piece of a streamed answer came."""

    def tokens(self, direction: str, count: int, *, is_estimated: bool = False) -> None:
        """direction: input or output; once for each call.  is_estimated: the endpoint did not count."""

    def throttled(self) -> None:
        """The provider said 429: more replicas of ours would not help."""

    def circuit(self, is_open: bool) -> None:
        """Open from the moment that calls are refused untried until one has succeeded; half open counts as open."""
