"""What one run may ask of models.  Opened by whoever executes the run; seen by every model call within it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from agent_service.models.errors import BudgetExceededError


@dataclass(slots=True)
class Budget:
    """Of one run."""

    most_calls: int
    most_tokens: int
    calls: int = 0
    tokens: int = 0
    estimated: int = 0  # of the tokens: where an endpoint counts none

    def spend_call(self) -> None:
        """Before a call; raises BudgetExceededError."""
        if self.calls >= self.most_calls:
            raise BudgetExceededError(f"the run has asked the model {self.calls} times, as often as it may")
        if self.tokens >= self.most_tokens:
            guess = f" ({self.estimated} of them estimated from the text's length)" if self.estimated else ""
            raise BudgetExceededError(f"the run has used {self.tokens} tokens{guess}; {self.most_tokens} are allowed")
        self.calls += 1

    def spend_tokens(self, count: int, *, is_estimated: bool = False) -> None:
        """After an answer."""
        self.tokens += count
        self.estimated += count if is_estimated else 0


_current: ContextVar[Budget | None] = ContextVar("agent_model_budget", default=None)


def current() -> Budget | None:
    """Of the run that we are in; None outside of any."""
    return _current.get()


def assign(budget: Budget) -> None:
    """To the task that we are in, and to every task that it starts."""
    _current.set(budget)


@contextmanager
def budgeted(budget: Budget) -> Iterator[Budget]:
    """While the block lasts, and in every task that it starts."""
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)
