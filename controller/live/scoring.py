"""Keeps one resource's score, and knows what the HPA alone would hold.  No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from controller.live.arrange import Setup
from controller.resource.resource import Bounds
from controller.resource.spec import TrustSpec
from controller.resource.status import ScoreStatus
from controller.spec import ScalingSpec
from controller.vocabulary import Decision, Observation
from predictor.messages import ForecastAnswer, Trust


class Scorekeeper:
    """One resource's."""

    def judge(self, rule: TrustSpec, answer: ForecastAnswer | None, now: datetime) -> Trust | None:
        """Whether forecasts are trusted; None before anything is known."""
        return None if answer is None else answer.trust

    def hpa_alone(
        self, setup: Setup, bounds: Bounds, demand: float | None, startup_seconds: float, now: datetime
    ) -> int | None:
        """What the HPA alone would hold now; None when it is not known."""
        return None

    def account(
        self, spec: ScalingSpec, seen: Observation, decision: Decision, floor: int | None, ready: int, now: datetime
    ) -> None:
        """Count the time since the last call."""

    def summary(self) -> ScoreStatus | None:
        """For the status."""
        return None

    def counters(self) -> Iterator[tuple[str, str, float]]:
        """Name, help and value of every counter."""
        yield from ()

    def scored_until(self) -> float | None:
        """Unix seconds up to which the counters count."""
        return None
