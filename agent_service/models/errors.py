"""What a model may fail with.  None of them holds a key, a prompt or an answer."""

from __future__ import annotations


class ModelError(Exception):
    """The endpoint answered what cannot be used, or not at all."""


class ThrottledError(ModelError):
    """The provider wants fewer calls."""

    def __init__(self, message: str, retry_after_seconds: float | None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ModelTimeoutError(ModelError):
    """Too slow: to the first token, between tokens, or in all."""


class RequestRejectedError(ModelError):
    """The endpoint will not have this request; it tells nothing of another caller's."""


class AnswerCutError(ModelError):
    """The answer ends before its end: it was as long as it may be, or a filter held it back."""


class CircuitOpenError(ModelError):
    """Not tried: the last calls failed."""


class BudgetExceededError(ModelError):
    """The run has used what it may."""
