"""Search a policy family's settings: a coarse grid, then finer steps around what was best.  Every family alike.

Grids decide more than models do: a family that is given fewer settings looks worse than it is.  So the HPA and every
predictive policy start from a coarse grid and are refined by the same steps around the same number of best points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from predictor.series import FloatArray
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs
from training.simulator.sweep import Tally

_N = TypeVar("_N", int, float)
Evaluate = Callable[[Sequence[Knobs]], Tally]
WINDOWS = (0, 15, 30, 60, 120, 180, 300, 450, 600, 900, 1800)  # seconds that a refinement may step through
TARGET_STEP, MINIMUM_STEP = 0.1, 0.15  # spread of a full step; of minima as a share of the peak's need
LOWEST_TARGET, HIGHEST_TARGET = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search; the same for every family that is compared."""

    rounds: tuple[float, ...] = (0.9, 0.5, 0.3)  # how far each round steps
    kept: int = 3  # points that are refined per goal and round
    draws: int = 20  # steps from each
    is_thin: bool = False  # a thinner coarse grid


FULL = Effort()
QUICK = Effort(rounds=(0.6,), draws=16, is_thin=True)


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

    def cheapest(self, goal: Goal) -> int | None:
        """Index of the cheapest setting that keeps the goal; None when none does."""
        return cheapest(self.tally.violation(goal.blocks), self.tally.replica_hours(goal.blocks), goal.violation)

    def calmest(self, blocks: slice) -> int:
        """Index of the setting with the least violation, the cheapest of equals: for when no goal can be kept."""
        violation, cost = self.tally.violation(blocks), self.tally.replica_hours(blocks)
        least = np.flatnonzero(violation <= violation.min() + 1e-12)
        return int(least[np.argmin(cost[least])])

    def choose(self, goal: Goal) -> int:
        """The cheapest that keeps the goal, else the calmest."""
        found = self.cheapest(goal)
        return self.calmest(goal.blocks) if found is None else found

    def first(self, count: int) -> Explored:
        """The first settings alone."""
        tally = Tally(
            self.tally.late[:, :count], self.tally.replica_seconds[:, :count], self.tally.requests, self.tally.seconds
        )
        return Explored(self.knobs[:count], tally)

    def joined(self, other: Explored) -> Explored:
        """The settings of both, in one world."""
        return Explored(self.knobs + other.knobs, _joined(self.tally, other.tally))


def cheapest(violation: FloatArray, cost: FloatArray, limit: float) -> int | None:
    """Index of the lowest cost with a violation of at most `limit`."""
    kept = np.flatnonzero(violation <= limit)
    return int(kept[np.argmin(cost[kept])]) if kept.size else None


def try_all(evaluate: Evaluate, coarse: Sequence[Knobs]) -> Explored:
    """The coarse grid."""
    known = tuple(dict.fromkeys(coarse))
    return Explored(known, evaluate(known))


def refine(
    evaluate: Evaluate,
    tuned: Explored,
    chosen_on: Sequence[Goal],
    hindsight: Sequence[Goal],
    *,
    levels: tuple[float, ...],
    peak_replicas: float,
    beyond: Explored | None = None,
    effort: Effort = FULL,
    seed: int = 0,
) -> tuple[Explored, Explored]:
    """Step at random from the best points of every goal, in ever smaller steps; returns (tuned, all).

    Knobs depend on each other (a higher level wants a fuller target), so a step moves several at a time.  What was
    found by looking at the hindsight goals never enters `tuned`; both kinds of steps share a sweep only to save time.
    `beyond`: what hindsight starts from, when it knows more.
    """
    stride = _Stride(levels, peak_replicas, np.random.default_rng(seed), effort)
    everything = tuned if beyond is None else beyond
    for size in effort.rounds:
        honest = stride.steps(tuned, chosen_on, size, set(tuned.knobs))
        peeking = stride.steps(everything, hindsight, size, {*everything.knobs, *honest})
        if honest or peeking:
            fresh = Explored((*honest, *peeking), evaluate((*honest, *peeking)))
            tuned = tuned.joined(fresh.first(len(honest)))
            everything = everything.joined(fresh)
    return tuned, everything


@dataclass(frozen=True, slots=True)
class _Stride:
    """Steps from good settings to new ones nearby."""

    levels: tuple[float, ...]
    peak_replicas: float
    rng: np.random.Generator
    effort: Effort

    def steps(self, explored: Explored, goals: Sequence[Goal], size: float, known: set[Knobs]) -> list[Knobs]:
        """New settings around the best points of every goal."""
        fresh: dict[Knobs, None] = {}
        for start in dict.fromkeys(i for goal in goals for i in _best_points(explored, goal, self.effort.kept)):
            for _ in range(self.effort.draws):
                step = self._step(explored.knobs[start], size)
                if step not in known:
                    fresh[step] = None
        return list(fresh)

    def _step(self, knobs: Knobs, size: float) -> Knobs:
        """A setting nearby: about half of the knobs are moved."""
        rng, hpa, floor = self.rng, knobs.hpa, knobs.floor
        moves = rng.random(6) < 0.5
        share = moves[2] * size * MINIMUM_STEP * rng.standard_normal()
        hpa = HpaKnobs(
            _target(hpa.target_ratio + moves[0] * size * TARGET_STEP * rng.standard_normal()),
            _beside(WINDOWS, hpa.stabilization_seconds, moves[1], rng),
            max(1, hpa.min_replicas + round(share * self.peak_replicas)),
        )
        if floor is not None:
            floor = FloorKnobs(
                _beside(self.levels, floor.level, moves[3], rng),
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


def _best_points(explored: Explored, goal: Goal, count: int) -> list[int]:
    """The cheapest settings that keep the goal, and the cheapest that nearly do; the calmest where none does."""
    violation, cost = explored.tally.violation(goal.blocks), explored.tally.replica_hours(goal.blocks)
    kept = np.flatnonzero(violation <= goal.violation)
    if not kept.size:
        return [int(index) for index in np.lexsort((cost, violation))[:count]]
    best = kept[np.argsort(cost[kept], kind="stable")[: count - 1]]
    nearly = np.flatnonzero((violation > goal.violation) & (violation <= 2 * goal.violation))
    return [int(index) for index in (*best, *nearly[np.argsort(cost[nearly], kind="stable")[:1]])]


def _joined(one: Tally, other: Tally) -> Tally:
    return Tally(
        np.concatenate([one.late, other.late], axis=1),
        np.concatenate([one.replica_seconds, other.replica_seconds], axis=1),
        one.requests,
        one.seconds,
    )
