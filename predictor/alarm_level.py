"""Which quantile level should raise alarms?  Chosen on validation data by the score that judges it.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.forecast import IntArray
from predictor.series import FloatArray
from predictor.surges import AlarmScore, ReplicaNeed, score_alarms


@dataclass(frozen=True, slots=True)
class ChosenLevel:
    """The quantile level that raises alarms, and how it did on the span it was chosen on."""

    level: float
    score: AlarmScore


def level_grid(levels: Sequence[float], points: int = 25) -> tuple[float, ...]:
    """Candidates from the lowest to the highest level issued, evenly spaced in log odds, so dense in the tails."""
    ends = np.array([levels[0], levels[-1]])
    low, high = np.log(ends / (1 - ends))
    inner = 1 / (1 + np.exp(-np.linspace(low, high, points)))
    return (float(levels[0]), *(round(float(level), 4) for level in inner[1:-1]), float(levels[-1]))


def quantile_at(quantiles: npt.NDArray[np.floating], levels: Sequence[float], level: float) -> FloatArray:
    """The quantile at any level within the issued ones, linear in between: (..., level) -> (...)."""
    if not levels[0] <= level <= levels[-1]:
        raise InputError(f"quantile level {level:g} is outside the issued {levels[0]:g} to {levels[-1]:g}")
    above = min(max(int(np.searchsorted(levels, level)), 1), len(levels) - 1)
    share = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    low, high = quantiles[..., above - 1].astype(np.float64), quantiles[..., above].astype(np.float64)
    return low + share * (high - low)


def score_levels(
    ground: ReplicaNeed,
    quantiles: npt.NDArray[np.floating],
    levels: Sequence[float],
    origins: IntArray,
    candidates: Sequence[float] | None = None,
) -> tuple[ChosenLevel, ...]:
    """What each candidate level would have scored.  quantiles: (origin, level) of the horizon's peak."""
    grid = level_grid(levels) if candidates is None else candidates
    return tuple(
        ChosenLevel(level, score_alarms(ground, quantile_at(quantiles, levels, level), origins))
        for level in grid
    )


def choose_level(
    ground: ReplicaNeed,
    quantiles: npt.NDArray[np.floating],
    levels: Sequence[float],
    origins: IntArray,
    *,
    candidates: Sequence[float] | None = None,
    without_surges: float = 0.5,
) -> ChosenLevel:
    """The level with the highest F1; the middle one of equals, as the least likely to be so by luck.

    quantiles: (origin, level) of the peak over the horizon.  Give `ground` of a series cut at the end of the
    validation span, else outcomes beyond it leak in.  A span without a surge has no F1: `without_surges` is
    taken then.
    """
    scored = score_levels(ground, quantiles, levels, origins, candidates)
    known = [(row.score.f1, row) for row in scored if row.score.f1 is not None]
    if not known:
        return score_levels(ground, quantiles, levels, origins, (without_surges,))[0]
    best = max(f1 for f1, _ in known)
    equals = [row for f1, row in known if f1 == best]
    return equals[len(equals) // 2]
