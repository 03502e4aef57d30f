"""Whom models tell what they do."""

from __future__ import annotations


class ModelObserver:
    """Counts nothing; the server's counts for Prometheus."""

    def finished(self, outcome: str, seconds: float) -> None:
        """A call is over: ok, error, throttled, timeout, refused (by our own budget or circuit)."""

    def first_token(self, seconds: float) -> None:
        """The first piece of a streamed answer came."""

    def tokens(self, direction: str, count: int) -> None:
        """direction: input or output."""

    def throttled(self) -> None:
        """The provider said 429: more replicas of ours would not help."""

    def circuit(self, is_open: bool) -> None:
        """Whether calls are refused here without being tried."""
