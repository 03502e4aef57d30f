"""What routes need, gathered in one place and handed to them by the application; and answers kept for a cycle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import Request

from predictor.fleet.view import Snapshot, View
from predictor.server.conditional import tag_of
from predictor.server.engine import Engine
from predictor.server.hub import Hub
from predictor.server.settings import Settings

_MOST_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished answer, good for one snapshot and not beyond `until`."""

    body: bytes
    etag: str
    until: float  # unix seconds


@dataclass(slots=True, eq=False)
class Context:
    """One per application."""

    engine: Engine
    hub: Hub
    settings: Settings
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _kept: dict[str, Kept] = field(default_factory=dict)
    _kept_of: int = -1  # cycle

    @property
    def snapshot(self) -> Snapshot:
        """The newest."""
        return self.engine.fleet.snapshot

    def kept(self, key: str, now: float) -> Kept | None:
        """An answer that is still true."""
        if self._kept_of != self.snapshot.cycle:
            self._kept, self._kept_of = {}, self.snapshot.cycle
        found = self._kept.get(key)
        return found if found is not None and now < found.until else None

    def keep(self, key: str, body: bytes, until: float) -> Kept:
        """Remember an answer for the rest of the cycle."""
        made = Kept(body, tag_of(body), until)
        if len(self._kept) < _MOST_KEPT:
            self._kept[key] = made
        return made


def context_of(request: Request) -> Context:
    """The application's."""
    context: Context = request.app.state.context
    return context


def soonest_expiry(views: list[View], now: float) -> float:
    """When the first of these forecasts becomes too old."""
    coming = [view.expires_at.timestamp() for view in views if view.expires_at is not None]
    return min((at for at in coming if at > now), default=now + 3600.0)
