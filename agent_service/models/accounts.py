"""What is kept of every call of a model, however it ends: its outcome, its time, its tokens, its run's budget."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from langchain_core.messages.ai import UsageMetadata

from agent_service.models import budget
from agent_service.models.observer import OK, ModelObserver, outcome_of

_BYTES_A_TOKEN = 4  # of UTF-8: as in English text; near enough to end a run that would not end


@dataclass(slots=True)
class Account:
    """Of one call: filled by the model while it goes."""

    began: float
    sent_bytes: int = 0  # of a request that was taken
    got_bytes: int = 0
    counted: UsageMetadata | None = None  # by the endpoint; the last of a stream, which may tell it again and again

    def got(self, text: str) -> None:
        """More of the answer."""
        self.got_bytes += len(text.encode(errors="replace"))

    @property
    def is_estimated(self) -> bool:
        """Whether the endpoint did not count."""
        return self.counted is None

    @property
    def usage(self) -> UsageMetadata:
        """Counted, or else estimated."""
        if self.counted is not None:
            return self.counted
        sent, got = -(-self.sent_bytes // _BYTES_A_TOKEN), -(-self.got_bytes // _BYTES_A_TOKEN)
        return UsageMetadata(input_tokens=sent, output_tokens=got, total_tokens=sent + got)


@contextmanager
def accounted(observer: ModelObserver) -> Iterator[Account]:
    """Around a call; raises BudgetExceededError instead of letting it begin.

    An answer that breaks off, or that nobody waits for any more, has cost its tokens like any other.
    """
    account, outcome, spending = Account(time.perf_counter()), OK, budget.current()
    try:
        if spending is not None:
            spending.spend_call()
        yield account
    except BaseException as error:
        outcome = outcome_of(error)
        raise
    finally:
        if account.sent_bytes or account.counted is not None:
            usage, is_estimated = account.usage, account.is_estimated
            observer.tokens("input", usage["input_tokens"], is_estimated=is_estimated)
            observer.tokens("output", usage["output_tokens"], is_estimated=is_estimated)
            if spending is not None:
                spending.spend_tokens(usage["total_tokens"], is_estimated=is_estimated)
        observer.finished(outcome, time.perf_counter() - account.began)
