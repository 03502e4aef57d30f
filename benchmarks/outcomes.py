"""What the forecast benchmark measures on one trace, and the figures that follow from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from predictor.surges import f1_score

SIMPLE = ("persistence", "mean_5min", "level_adjusted")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trace and seed."""

    trace: str
    seed: int
    origins: int
    wape: dict[str, float]  # forecaster -> WAPE at the last step ahead, on the pairs that all of them have
    coverage_gap: float  # worst |P(y <= quantile) - level| over levels and steps of the peak head
    coverage_gap_untied: float  # the same, a level between P(y < quantile) and P(y <= quantile) counting as kept
    coverage_gap_raw: float  # of the network alone
    alarms: dict[str, tuple[int, int, int, int]]  # forecaster -> surges, caught, resolved alarms, false
    seconds: dict[str, float]  # training, per model


def best_simple(wape: dict[str, float]) -> float:
    """The best of persistence, 5-minute mean and level-adjusted seasonal, chosen in hindsight in their favour."""
    return min(wape[key] for key in SIMPLE if key in wape)


def f1(counts: tuple[int, int, int, int]) -> float:
    """Harmonic mean of recall and 1 - false-alarm ratio."""
    surges, caught, alarms, false = counts
    return f1_score(caught / max(surges, 1), false / alarms if alarms else None)


def geometric_mean(values: Iterable[float]) -> float:
    """The mean that treats twice as good and half as good alike."""
    return float(np.exp(np.mean(np.log(list(values)))))
