"""Search a policy family's settings: a coarse grid, then finer steps around what was best.  Every family alike.

Grids decide more than models do: a family that is given fewer settings looks worse than it is.  So the HPA and every
predictive policy start from a coarse grid and are refined by the same steps around the same number of best points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from predictor.forecast import DEFAULT_LEVELS, IntArray
from predictor.series import FloatArray
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs
from training.simulator.sweep import Tally

_N = TypeVar("_N", int, float)
Evaluate = Callable[[Sequence[Knobs]], Tally]
WINDOWS = (0, 15, 30, 60, 120, 180, 300, 450, 600, 900, 1800)  # seconds that a refinement may step through
LEVELS = tuple(level for level in DEFAULT_LEVELS if level >= 0.5)
ROUNDS = (1.0, 0.7, 0.5, 0.35, 0.25)  # how far each round steps
KEPT = 4  # points that are refined per goal and round
DRAWS = 24  # steps from each
TARGET_STEP, MINIMUM_STEP = 0.1, 0.15  # spread of a full step; of minima as a share of the peak's need
LOWEST_TARGET, HIGHEST_TARGET = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Goal:
    """A violation not to be exceeded on some blocks of the world."""

    violation: float  # share of requests
    blocks: slice


@dataclass(frozen=True, slots=True, eq=False)
class Explored:
    """Every setting of a family that was tried, and its sums."""

    knobs: tuple[Knobs, ...]
    tally: Tally

    def cheapest(self, goal: Goal, among: IntArray | None = None) -> int | None:
        """Index of the cheapest setting that keeps the goal; None when none does."""
        return cheapest(self.tally.violation(goal.blocks), self.tally.replica_hours(goal.blocks), goal.violation, among)

    def calmest(self, blocks: slice) -> int:
        """Index of the setting with the least violation, the cheapest of equals: for when no goal can be kept."""
        violation, cost = self.tally.violation(blocks), self.tally.replica_hours(blocks)
        least = np.flatnonzero(violation <= violation.min() + 1e-12)
        return int(least[np.argmin(cost[least])])

    def choose(self, goal: Goal, among: IntArray | None = None) -> int:
        """The cheapest that keeps the goal, else the calmest."""
        found = self.cheapest(goal, among)
        return self.calmest(goal.blocks) if found is None else found


def cheapest(violation: FloatArray, cost: FloatArray, limit: float, among: IntArray | None = None) -> int | None:
    """Index of the lowest cost with a violation of at most `limit`."""
    allowed = violation <= limit
    if among is not None:
        allowed &= np.isin(np.arange(len(violation)), among)
    kept = np.flatnonzero(allowed)
    return int(kept[np.argmin(cost[kept])]) if kept.size else None


def explore(
    evaluate: Evaluate, coarse: Sequence[Knobs], goals: Sequence[Goal], *, peak_replicas: float, seed: int = 0
) -> Explored:
    """Try the coarse grid, then step at random from the best points of every goal, in ever smaller steps.

    Knobs depend on each other (a higher level wants a fuller target), so a step moves several at a time.
    """
    known = tuple(dict.fromkeys(coarse))
    explored = Explored(known, evaluate(known))
    rng = np.random.default_rng(seed)
    for size in ROUNDS:
        tried = set(explored.knobs)
        fresh: dict[Knobs, None] = {}
        for start in dict.fromkeys(index for goal in goals for index in _best_points(explored, goal)):
            for _ in range(DRAWS):
                step = _step_from(explored.knobs[start], size, peak_replicas, rng)
                if step not in tried:
                    fresh[step] = None
        if fresh:
            explored = Explored(explored.knobs + tuple(fresh), _joined(explored.tally, evaluate(tuple(fresh))))
    return explored


def _step_from(knobs: Knobs, size: float, peak_replicas: float, rng: np.random.Generator) -> Knobs:
    """A setting nearby: about half of the knobs are moved."""
    moves = rng.random(6) < 0.5
    hpa, floor = knobs.hpa, knobs.floor
    hpa = HpaKnobs(
        _target(hpa.target_ratio + moves[0] * size * TARGET_STEP * rng.standard_normal()),
        _beside(WINDOWS, hpa.stabilization_seconds, moves[1], rng),
        max(1, hpa.min_replicas + round(moves[2] * size * MINIMUM_STEP * peak_replicas * rng.standard_normal())),
    )
    if floor is not None:
        floor = FloorKnobs(
            _beside(LEVELS, floor.level, moves[3], rng),
            _target(floor.target_ratio + moves[4] * size * TARGET_STEP * rng.standard_normal()),
            _beside(WINDOWS, floor.window_seconds, moves[5], rng),
        )
    return Knobs(hpa, floor)


def _target(ratio: float) -> float:
    return round(min(max(float(ratio), LOWEST_TARGET), HIGHEST_TARGET), 3)


def _beside(values: tuple[_N, ...], value: _N, moves: bool, rng: np.random.Generator) -> _N:
    """One of rising values, up to two places from the nearest to the present one."""
    place = int(np.argmin([abs(candidate - value) for candidate in values]))
    if not moves:
        return value
    return values[min(max(place + int(rng.integers(-2, 3)), 0), len(values) - 1)]


def _best_points(explored: Explored, goal: Goal) -> list[int]:
    """The cheapest settings that keep the goal, and the cheapest that nearly do; the calmest where none does."""
    violation, cost = explored.tally.violation(goal.blocks), explored.tally.replica_hours(goal.blocks)
    kept = np.flatnonzero(violation <= goal.violation)
    if not kept.size:
        return [int(index) for index in np.lexsort((cost, violation))[:KEPT]]
    best = kept[np.argsort(cost[kept], kind="stable")[: KEPT - 1]]
    nearly = np.flatnonzero((violation > goal.violation) & (violation <= 2 * goal.violation))
    return [int(index) for index in (*best, *nearly[np.argsort(cost[nearly], kind="stable")[:1]])]


def _joined(one: Tally, other: Tally) -> Tally:
    return Tally(
        np.concatenate([one.late, other.late], axis=1),
        np.concatenate([one.replica_seconds, other.replica_seconds], axis=1),
        one.requests,
        one.seconds,
    )
