"""What may be tuned, and the one space in which every policy is tuned.

The HPA family has a target, a stabilization window and a minimum.  A predictive policy has the same three and a
forecast floor beside them; a floor that is never higher than the minimum is the HPA itself, so its space contains the
HPA's.  Above a floor the HPA's target may go past 1: there the floor carries the load that was foreseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from predictor.forecast import DEFAULT_LEVELS

HPA_TARGETS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
HPA_WINDOWS = (0, 120, 300, 900)
HPA_MINIMA = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)  # shares of what the training span's peak needs
ABOVE_TARGETS = (0.7, 0.85, 1.0, 1.25)
ABOVE_WINDOWS = (0, 300)
ABOVE_MINIMA = (0.0, 0.2, 0.4, 0.65)
FLOOR_LEVELS = tuple(level for level in DEFAULT_LEVELS if level >= 0.5)
FLOOR_TARGETS = (0.75, 0.85, 0.95, 1.05)
FLOOR_WINDOWS = (60, 300)


@dataclass(frozen=True, slots=True, order=True)
class HpaKnobs:
    """An HPA on demand."""

    target_ratio: float = 0.7  # of a replica's capacity
    stabilization_seconds: int = 300  # before scaling down
    min_replicas: int = 1


@dataclass(frozen=True, slots=True, order=True)
class FloorKnobs:
    """A floor from a forecast."""

    level: float  # quantile of the coming peak
    target_ratio: float  # share of a replica's capacity planned for it
    window_seconds: int  # before the floor falls


@dataclass(frozen=True, slots=True)
class Knobs:
    """One setting of a policy; without a floor it is a plain HPA."""

    hpa: HpaKnobs = HpaKnobs()
    floor: FloorKnobs | None = None


def minima(shares: Sequence[float], peak_replicas: float) -> tuple[int, ...]:
    """Minimum replicas for shares of the peak's need, each once."""
    return tuple(sorted({max(1, round(share * peak_replicas)) for share in shares}))


def hpa_space(peak_replicas: float) -> tuple[Knobs, ...]:
    """Every setting of the HPA family."""
    space = product(HPA_TARGETS, HPA_WINDOWS, minima(HPA_MINIMA, peak_replicas))
    return tuple(Knobs(HpaKnobs(*setting)) for setting in space)


def floor_space(peak_replicas: float, levels: Sequence[float] = FLOOR_LEVELS) -> tuple[Knobs, ...]:
    """Every setting of a predictive policy beyond those of the HPA family."""
    floors = [FloorKnobs(*setting) for setting in product(levels, FLOOR_TARGETS, FLOOR_WINDOWS)]
    above = [
        HpaKnobs(*setting) for setting in product(ABOVE_TARGETS, ABOVE_WINDOWS, minima(ABOVE_MINIMA, peak_replicas))
    ]
    return tuple(Knobs(hpa, floor) for floor, hpa in product(floors, above))
