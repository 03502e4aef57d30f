"""All policy families through one workload's history: explored, chosen on the past, judged on the test span.

The world runs from the tuning week to the end of the test span.  Three ways to choose knobs are kept apart: *frozen*
(on the tuning week, then left alone), *rechosen* (every block on the trailing week, as a live controller would), and
*hindsight* (on the test span itself, for every family alike: the family's limit).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from controller.spec import GuardrailSettings
from predictor.errors import InputError
from predictor.forecast import IntArray, IssuedForecasts
from predictor.series import FloatArray
from training.simulator.control import ForecastFeed, Stage, Steering, steer
from training.simulator.floors import Floors, peak_at_lead, roll_floors
from training.simulator.forecasters import Source
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs, floor_levels, floor_space, hpa_space
from training.simulator.pods import ReplicaArray
from training.simulator.policies import Schedule, oracle, scheduled
from training.simulator.search import FULL, Effort, Explored, Goal, refine, try_all
from training.simulator.sweep import FloorTable, Tally, sweep, tally_of
from training.simulator.world import World

HALF = 0.5  # knobs are chosen at half of the target: measured, that is what holds on time not seen yet
PLACEBO_SHIFT = 37 / 24  # cycles: no multiple of a day or of half a day


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One workload and what its policies are given.  Sample indices are those of the whole series."""

    world: World  # from `first_sample` to the end
    first_sample: int
    test_sample: int  # the test span begins here
    peak_replicas: float  # that the training span's 99.9th percentile needs
    issued: Mapping[Source, IssuedForecasts]
    training: FloatArray  # demand before `first_sample`, for what is learnt from it
    training_first_step: int  # number of its first sample since the epoch
    target_violation: float
    goals: tuple[float, ...]  # violations at which frontiers are compared
    rails: GuardrailSettings = field(default_factory=GuardrailSettings)
    effort: Effort = FULL

    def __post_init__(self) -> None:
        if self.test_blocks.start < 1:
            raise InputError(
                f"the tuning span is shorter than {self.world.cycle_seconds // 4} s before the test; read more --days"
            )

    @property
    def test_step(self) -> int:
        """First simulated step of the test span; a block begins there."""
        return (self.test_sample - self.first_sample) * self.world.steps_per_sample

    @property
    def tuning_blocks(self) -> slice:
        """Blocks before the test span."""
        return slice(0, self.test_blocks.start)

    @property
    def test_blocks(self) -> slice:
        """Blocks of the test span."""
        return slice(self.test_step // self.world.block_steps, None)

    @property
    def placebo_samples(self) -> int:
        """By how many samples the placebo's forecasts are shifted."""
        return round(PLACEBO_SHIFT * self.world.cycle_seconds / self.world.sample_seconds)

    def tuning_goal(self, target: float) -> Goal:
        """What knobs for a target violation have to keep on the tuning span."""
        return Goal(HALF * target, self.tuning_blocks)

    def test_goals(self) -> list[Goal]:
        """What hindsight has to keep."""
        return [Goal(goal, self.test_blocks) for goal in self.goals]

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels that a floor may plan for."""
        return floor_levels(next(iter(self.issued.values())).levels)

    def peak_demand(self, steps: slice) -> float:
        """Highest demand seen in some steps, per sample."""
        return float(self.world.demand[steps].max())


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """A family after the search."""

    tuned: Explored  # the coarse grid refined on the tuning span alone: knobs are chosen among these
    hindsight: Explored  # refined on the test span as well

    def with_hpa(self, hpa: Searched) -> Searched:
        """The family's space with the HPA's in it."""
        return Searched(hpa.tuned.joined(self.tuned), hpa.hindsight.joined(self.hindsight))


def search_hpa(case: Case) -> Searched:
    """Explore the HPA family."""
    return _search(case, lambda knobs: sweep(case.world, knobs), hpa_space(case.peak_replicas))


def search_schedule(case: Case, hpa: Searched) -> Searched:
    """Explore HPAs above a weekly schedule."""
    schedule = make_schedule(case)

    def roll(floors: list[FloorKnobs]) -> Floors:
        return schedule.floors(case.world, floors)

    return _search_floors(case, hpa, roll, np.ones(len(case.world), dtype=np.int32), keeps_reactive=False)


def search_predictive(
    case: Case, hpa: Searched, hpa_alone: ReplicaArray, source: Source, *, is_placebo: bool
) -> Searched:
    """Explore HPAs above the floor of one forecaster, or of its placebo."""
    issued = case.issued[source]
    quantiles = peak_at_lead(case.world, issued, case.first_sample)
    if is_placebo:
        quantiles = np.roll(quantiles, case.placebo_samples * case.world.steps_per_sample, axis=0)

    def roll(floors: list[FloorKnobs]) -> Floors:
        return roll_floors(case.world, quantiles, issued.levels, floors, case.rails)

    return _search_floors(case, hpa, roll, hpa_alone, keeps_reactive=True)


def make_schedule(case: Case) -> Schedule:
    """The weekly schedule learnt from the training span."""
    world = case.world
    return Schedule(case.training, case.training_first_step, world.sample_seconds, case.levels, world.cycle_seconds)


def search_all(
    case: Case,
    sources: Sequence[Source],
    placebos: Sequence[Source],
    *,
    jobs: int = 1,
    on_done: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> dict[str, Searched]:
    """Every family: `hpa`, `schedule`, each source and `placebo_<source>`; the HPA's settings are in all of them."""
    total = 2 + len(sources) + len(placebos)
    hpa = search_hpa(case)
    on_done("HPA", 1, total)
    found = {"hpa": hpa}
    alone = steer(case.world, [Stage(0, frozen_knobs(case, hpa))]).asked
    tasks = [("schedule", None, False), *((s.value, s, False) for s in sources)]
    tasks += [(f"placebo_{s.value}", s, True) for s in placebos]
    if jobs <= 1:
        results = (_task(case, hpa, alone, task) for task in tasks)
        for (name, _, _), searched in zip(tasks, results, strict=True):
            found[name] = searched
            on_done(name, len(found), total)
        return found
    with ProcessPoolExecutor(jobs) as pool:
        futures = [(task[0], pool.submit(_task, case, hpa, alone, task)) for task in tasks]
        for name, future in futures:
            found[name] = future.result()
            on_done(name, len(found), total)
    return found


def frozen_knobs(case: Case, searched: Searched, target: float | None = None) -> Knobs:
    """The knobs chosen on the tuning span for the target violation."""
    goal = case.tuning_goal(case.target_violation if target is None else target)
    return searched.tuned.knobs[searched.tuned.choose(goal)]


def frozen_stages(case: Case, knobs: Knobs) -> list[Stage]:
    """Frozen knobs step back where demand leaves everything that the tuning span has seen."""
    return [Stage(0, knobs), Stage(case.test_step, knobs, case.peak_demand(slice(0, case.test_step)))]


def rechosen_stages(case: Case, searched: Searched, target: float | None = None) -> list[Stage]:
    """Knobs chosen anew at the start of every block of the test span, on the trailing week."""
    limit = HALF * (case.target_violation if target is None else target)
    size, trailing = case.world.block_steps, case.world.week_blocks
    first, count = case.test_blocks.start, len(searched.tuned.tally.requests)
    stages = [Stage(0, frozen_knobs(case, searched, target))]
    for block in range(first, count):
        past = slice(max(0, block - trailing), block)
        knobs = searched.tuned.knobs[searched.tuned.choose(Goal(limit, past))]
        stages.append(Stage(block * size, knobs, case.peak_demand(slice(past.start * size, past.stop * size))))
    return stages


def steer_hpa(case: Case, stages: Sequence[Stage]) -> Steering:
    """An HPA with these knobs, without a floor."""
    return steer(case.world, stages)


def steer_schedule(case: Case, knobs: Knobs) -> Steering:
    """An HPA above the weekly schedule."""
    return scheduled(knobs, make_schedule(case))(case.world)


def steer_predictive(
    case: Case, stages: Sequence[Stage], source: Source, hpa_alone: ReplicaArray, *, is_placebo: bool = False
) -> Steering:
    """An HPA above the floor of one forecaster, by the live decision code."""
    issued = case.issued[source]
    if is_placebo:
        issued = shifted(issued, case.placebo_samples, case.first_sample)
    return steer(case.world, stages, ForecastFeed(issued, case.first_sample, hpa_alone, case.rails))


def shifted(issued: IssuedForecasts, samples: int, first_sample: int) -> IssuedForecasts:
    """The forecasts of another time: those issued so many samples before, and the last ones for the first."""
    rows = issued.origins >= first_sample - 1
    return IssuedForecasts(
        issued.series,
        issued.origins[rows],
        issued.levels,
        np.roll(issued.path[rows], samples, axis=0),
        np.roll(issued.peak[rows], samples, axis=0),
    )


def oracle_tally(case: Case) -> Tally:
    """Perfect foresight's sums."""
    return tally_of(case.world, oracle(case.world).asked[:, None])


def _task(case: Case, hpa: Searched, alone: ReplicaArray, task: tuple[str, Source | None, bool]) -> Searched:
    _, source, is_placebo = task
    if source is None:
        return search_schedule(case, hpa).with_hpa(hpa)
    return search_predictive(case, hpa, alone, source, is_placebo=is_placebo).with_hpa(hpa)


def _search(case: Case, evaluate: Callable[[Sequence[Knobs]], Tally], coarse: Sequence[Knobs]) -> Searched:
    return Searched(
        *refine(
            evaluate,
            try_all(evaluate, coarse),
            [case.tuning_goal(case.target_violation)],
            case.test_goals(),
            levels=case.levels,
            peak_replicas=case.peak_replicas,
            effort=case.effort,
        )
    )


def _search_floors(
    case: Case,
    hpa: Searched,
    roll: Callable[[list[FloorKnobs]], Floors],
    hpa_alone: ReplicaArray,
    *,
    keeps_reactive: bool,
) -> Searched:
    def evaluate(knobs: Sequence[Knobs]) -> Tally:
        floors = list(dict.fromkeys(one.floor for one in knobs if one.floor is not None))
        place = {floor: index for index, floor in enumerate(floors)}
        column: IntArray = np.array([-1 if one.floor is None else place[one.floor] for one in knobs])
        return sweep(case.world, knobs, FloorTable(roll(floors), column, hpa_alone, keeps_reactive))

    # A floor is tried beneath the HPA's own best settings too; those of hindsight only in hindsight.
    honest = [hpa.tuned.knobs[hpa.tuned.choose(case.tuning_goal(case.target_violation))].hpa]
    peeking = [hpa.hindsight.knobs[hpa.hindsight.choose(goal)].hpa for goal in case.test_goals()]

    def grid(hpas: list[HpaKnobs]) -> tuple[Knobs, ...]:
        return floor_space(case.peak_replicas, case.levels, hpas, is_thin=case.effort.is_thin)

    coarse = grid(honest)
    known = set(coarse)
    extra = tuple(knobs for knobs in grid(peeking) if knobs not in known)
    both = try_all(evaluate, coarse + extra)
    return Searched(
        *refine(
            evaluate,
            both.first(len(coarse)),
            [case.tuning_goal(case.target_violation)],
            case.test_goals(),
            levels=case.levels,
            peak_replicas=case.peak_replicas,
            beyond=both,
            effort=case.effort,
        )
    )
