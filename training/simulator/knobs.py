"""What may be tuned, and the one space in which every policy is tuned.

The HPA family has a target, a stabilization window and a minimum.  A predictive policy has the same three and a
forecast floor beside them; a floor that is never higher than the minimum is the HPA itself, so its space contains the
HPA's.  Above a floor the HPA's target may go past 1: there the floor carries the load that was foreseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

HPA_TARGETS = (0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
HPA_WINDOWS = (0, 120, 300, 900)
MINIMA = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3)  # shares of what the training span's peak needs
LOWEST_LEVEL = 0.5  # a floor is not planned for less than the median
FLOOR_TARGETS = (0.5, 0.65, 0.8, 0.9, 1.0)
FLOOR_WINDOWS = (60, 300)
ABOVE = ((0.6, 300), (0.85, 0), (1.0, 0), (1.3, 300))  # target and window of the HPA above a floor
ABOVE_MINIMA = (0.0, 0.45)
EASES = (1.0, 1.15, 1.4)  # by which a tuned HPA's target may rise above a floor


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
    """The coarse grid of the HPA family."""
    space = product(HPA_TARGETS, HPA_WINDOWS, minima(MINIMA, peak_replicas))
    return tuple(Knobs(HpaKnobs(*setting)) for setting in space)


def floor_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """The quantile levels that a floor may plan for."""
    return tuple(level for level in levels if level >= LOWEST_LEVEL - 1e-9)


def floor_space(
    peak_replicas: float, levels: Sequence[float], hpas: Sequence[HpaKnobs] = (), *, is_thin: bool = False
) -> tuple[Knobs, ...]:
    """The coarse grid of a predictive policy, beyond the HPA family's settings.

    `levels`: quantile levels of the forecast.  `hpas`: good settings of the HPA family; a floor is tried beneath each
    of them, at its target and above it.  `is_thin`: about a third of the points.
    """
    usable = floor_levels(levels)
    spread = tuple(dict.fromkeys(usable[round(at * (len(usable) - 1))] for at in (0, 0.4, 0.8, 1)))
    windows = FLOOR_WINDOWS[1:] if is_thin else FLOOR_WINDOWS
    floors = [FloorKnobs(*setting) for setting in product(spread, FLOOR_TARGETS, windows)]
    above = [
        HpaKnobs(target, window, minimum)
        for (target, window), minimum in product(
            ABOVE[is_thin:], minima(ABOVE_MINIMA[: 1 if is_thin else 2], peak_replicas)
        )
    ]
    beneath = [FloorKnobs(*setting) for setting in product(spread[:3], FLOOR_TARGETS[1::2], FLOOR_WINDOWS[:1])]
    eased = [
        replace(hpa, target_ratio=round(hpa.target_ratio * ease, 4)) for hpa in dict.fromkeys(hpas) for ease in EASES
    ]
    pairs = [*product(floors, above), *product(beneath, eased)]
    return tuple(dict.fromkeys(Knobs(hpa, floor) for floor, hpa in pairs))
