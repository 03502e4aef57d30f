"""What the policy benchmark measures on one trace at one start-up time, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

GOALS = (0.01, 0.001, 0.0001)
HEADLINE = 1  # position of 0.1 % among the goals
SEASONAL = ("wsd_", "ms_mongo_")


@dataclass(frozen=True, slots=True)
class FrozenRun:
    """A policy over the test span with knobs that were chosen before."""

    violation: float
    replica_hours: float
    p99_wait: float
    utilization: float
    no_opinion_ratio: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One trace and start-up time."""

    trace: str
    startup_seconds: float
    seed: int
    target: float  # violation
    tuning_days: float
    test_days: float
    peak_ratio: float  # highest demand of the tuning span over that of the test span
    oracle_hours: float
    hindsight: dict[str, list[float | None]]  # family -> cheapest replica-hours at each goal
    settings: dict[str, int]  # family -> settings tried
    frozen: dict[str, FrozenRun]
    rechosen: dict[str, FrozenRun]

    def gap(self, family: str, goal: int = HEADLINE) -> float | None:
        """Share of the distance from the tuned HPA to perfect foresight; None where nobody keeps the goal."""
        hpa, policy = self.hindsight["hpa"][goal], self.hindsight[family][goal]
        if hpa is None or policy is None or hpa <= self.oracle_hours:
            return None
        return (hpa - policy) / (hpa - self.oracle_hours)

    @property
    def is_seasonal(self) -> bool:
        """Whether demand repeats by the day."""
        return self.trace.startswith(SEASONAL)

    @property
    def has_seen_the_like(self) -> bool:
        """Whether the tuning span's peak is at least half of the test span's."""
        return self.peak_ratio >= 0.5

    def saving(self, name: str, runs: dict[str, FrozenRun]) -> float:
        """1 - replica-hours / the HPA's, chosen in the same way."""
        return 1 - runs[name].replica_hours / runs["hpa"].replica_hours


def mean(values: list[float]) -> float | None:
    """Mean, None of nothing."""
    return sum(values) / len(values) if values else None
