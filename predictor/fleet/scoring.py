"""From a cohort's ledger to what the API says about one workload's past.  Pure: reads arrays, changes nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from predictor import messages as m
from predictor.fleet.cohort import Cohort, Track
from predictor.fleet.ledger import BAND_LEVELS, PLAN_LEVEL, Sums
from predictor.series import FloatArray
from predictor.surges import Demand, Judgement, SurgeRule, judge

HEADS: tuple[m.Head, m.Head] = ("path", "window_max")


@dataclass(frozen=True, slots=True)
class Subject:
    """One workload of a cohort."""

    name: str
    cohort: Cohort
    row: int
    target: float | None  # demand that one replica carries
    is_target_derived: bool

    @property
    def track(self) -> Track:
        """What was learnt and issued; there is one since the first forecast."""
        if self.cohort.live is None:
            raise AssertionError("asked before the first forecast")
        return self.cohort.live

    @property
    def step_seconds(self) -> int:
        """Seconds between samples."""
        return self.cohort.forecaster.bundle.card.step_seconds

    @property
    def horizon_seconds(self) -> int:
        """The longest."""
        return self.cohort.forecaster.horizon * self.step_seconds

    def window_steps(self, window_seconds: int) -> int:
        """A window in steps, at most what is kept."""
        return max(1, min(window_seconds // self.step_seconds, self.cohort.shape.kept_steps))

    def instant(self, step: int) -> datetime:
        """Of a step since the epoch."""
        return datetime.fromtimestamp(step * self.step_seconds, UTC)

    def demand(self, steps: int) -> FloatArray:
        """The last `steps` samples, fewer when history is shorter."""
        values: FloatArray = self.cohort.table.until(self.track.step, steps)[self.row].astype(np.float64)
        return values


def score(subject: Subject, sums: Sums, window_seconds: int) -> m.Score:
    """The median at the longest horizon against persistence."""
    steps = subject.window_steps(window_seconds)
    wape, theirs = _ratio(sums.absolute[-1], sums.actual[-1]), _ratio(sums.persistence[-1], sums.actual[-1])
    return m.Score(
        window_seconds=steps * subject.step_seconds,
        horizon_seconds=subject.horizon_seconds,
        pairs=int(sums.pairs[-1]),
        wape=wape,
        persistence_wape=theirs,
        skill=_skill(sums.absolute[-1], sums.persistence[-1]),
    )


def outcomes(subject: Subject, alarms: m.AlarmScore | None, window_seconds: int) -> m.Outcomes:
    """What trust is judged on."""
    steps = subject.window_steps(window_seconds)
    sums = subject.track.ledger.sums(subject.row, steps)
    levels = subject.cohort.forecaster.levels
    upper = min(range(len(levels)), key=lambda index: abs(levels[index] - PLAN_LEVEL))
    return m.Outcomes(
        window_seconds=steps * subject.step_seconds,
        is_warm=subject.cohort.is_warm,
        pairs=int(sums.pairs[-1]),
        skill=_skill(sums.absolute[-1], sums.persistence[-1]),
        upper_level=levels[upper],
        upper_pairs=int(sums.covered_pairs[1]),
        upper_covered=int(sums.covered[1, upper]),
        hits=0 if alarms is None else alarms.hits,
        false_alarms=0 if alarms is None else alarms.false_alarms,
        surges=0 if alarms is None else alarms.surges,
        surges_caught=0 if alarms is None else alarms.caught,
    )


def coverage_counts(subject: Subject, sums: Sums, levels: Sequence[float]) -> list[tuple[m.Head, float, int, int]]:
    """(head, level, pairs, covered) at the longest horizon, of those levels that the model has."""
    known = subject.cohort.forecaster.levels
    return [
        (head, level, int(sums.covered_pairs[index]), int(sums.covered[index, known.index(level)]))
        for index, head in enumerate(HEADS)
        for level in levels
        if level in known
    ]


def accuracy(subject: Subject, window_seconds: int, trust: m.Trust) -> m.Accuracy:
    """Everything that is scored over a window that ends now."""
    steps = subject.window_steps(window_seconds)
    sums = subject.track.ledger.sums(subject.row, steps)
    judged = judge_alarms(subject, window_seconds)
    end = subject.track.step if sums.first_step is not None else None
    return m.Accuracy(
        workload=subject.name,
        start=None if sums.first_step is None else subject.instant(sums.first_step),
        end=None if end is None else subject.instant(end),
        window_seconds=steps * subject.step_seconds,
        origins=sums.origins,
        live_origins=sums.live_origins,
        by_horizon=_by_horizon(subject, sums),
        coverage=_coverage(subject, sums),
        alarms=None if judged is None else alarm_score(subject, judged),
        trust=trust,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Alarms and surges of a window, and where their indices begin."""

    judgement: Judgement
    demand: Demand
    asked: FloatArray  # (origin,)
    first: int  # index of the first origin in `demand`
    first_step: int  # of index 0


def judge_alarms(subject: Subject, window_seconds: int) -> Judged | None:
    """Resolve every alarm of the window; None when there is no target per replica to count in."""
    if subject.target is None:
        return None
    steps = subject.window_steps(window_seconds)
    rule = SurgeRule.for_step(subject.step_seconds)
    # Before the window: what was held when it began, and alarms that silence or catch what is in it.
    before = rule.outcome + rule.ahead
    asked = subject.track.ledger.asked(subject.row, steps + before).astype(np.float64)
    values = subject.demand(steps + before + rule.need + rule.held + rule.ahead)
    demand = Demand.of(values, subject.step_seconds, subject.target)
    asked = asked[max(len(asked) - len(values), 0) :]
    first = len(values) - len(asked)
    judgement = judge(demand, asked, first, since=max(len(values) - steps, 0))
    return Judged(judgement, demand, asked, first, subject.track.step - len(values) + 1)


def alarm_score(subject: Subject, judged: Judged) -> m.AlarmScore:
    """The counts, and the ratios that they give."""
    found, step = judged.judgement.score, subject.step_seconds
    lead = found.median_lead_steps
    return m.AlarmScore(
        level=subject.cohort.members[subject.row].alarm_level,
        surges=found.surges,
        caught=found.caught,
        recall=found.recall,
        alarms=found.alarms,
        hits=found.hits,
        false_alarms=found.false_alarms,
        pending=found.pending,
        false_alarm_ratio=found.false_alarm_ratio,
        median_lead_seconds=None if lead is None else lead * step,
        wasted_replica_minutes=found.wasted_replica_steps * step / 60,
    )


def alarms(subject: Subject, window_seconds: int) -> m.Alarms:
    """Every alarm with its outcome, and every surge."""
    judged = judge_alarms(subject, window_seconds)
    rows: list[m.Alarm] = []
    surges: list[m.Surge] = []
    if judged is not None:
        found, demand = judged.judgement, judged.demand
        for at, outcome in zip(found.alarms.tolist(), found.outcomes.tolist(), strict=True):
            step = judged.first_step + at
            rows.append(
                m.Alarm(
                    raised_at=subject.instant(step),
                    outcome="hit" if outcome == 1 else "false" if outcome == 0 else "pending",
                    resolves_at=subject.instant(step + demand.rule.outcome),
                    held=float(demand.held[at]),
                    asked=float(judged.asked[at - judged.first] / demand.target),
                )
            )
        for at, is_caught in zip(found.surges.tolist(), found.caught.tolist(), strict=True):
            surges.append(
                m.Surge(
                    began_at=subject.instant(judged.first_step + at),
                    is_caught=is_caught,
                    held=float(demand.held[at - demand.rule.ahead]),
                    needed=float(demand.need[at]),
                )
            )
    return m.Alarms(
        workload=subject.name,
        window_seconds=subject.window_steps(window_seconds) * subject.step_seconds,
        target_per_replica=subject.target,
        is_target_derived=subject.is_target_derived,
        alarms=rows,
        surges=surges,
    )


def history(
    subject: Subject, first_step: int, last_step: int, observed: Sequence[float | None] | None = None
) -> m.History:
    """Demand of [first_step, last_step], with what had been forecast for each instant one horizon before."""
    track, horizon = subject.track, subject.cohort.forecaster.horizon
    last_step = min(last_step, track.step)
    first_step = max(first_step, track.step - subject.cohort.shape.kept_steps + 1)
    count = max(last_step - first_step + 1, 0)
    reach = track.step - first_step + 1
    demand = subject.demand(reach)
    demand = np.concatenate([np.full(max(reach - len(demand), 0), np.nan), demand])[:count]
    bands = track.ledger.bands(subject.row, reach + horizon)  # origins from `horizon` before the first instant
    due, here = bands[:count, : len(BAND_LEVELS)], bands[horizon:, -1][:count]
    return m.History(
        workload=subject.name,
        step_seconds=subject.step_seconds,
        times=[subject.instant(first_step + index) for index in range(count)],
        demand=numbers(demand),
        forecasts=m.PastForecasts(
            horizon_seconds=subject.horizon_seconds,
            levels=list(BAND_LEVELS),
            path=[numbers(due[:, index]) for index in range(len(BAND_LEVELS))],
        ),
        replicas=_replicas(subject, demand, here, observed),
    )


def _replicas(
    subject: Subject,
    demand: FloatArray,
    upper: npt.NDArray[np.floating],
    observed: Sequence[float | None] | None,
) -> m.Replicas | None:
    if subject.target is None or not len(demand):
        return None
    need = Demand.of(demand, subject.step_seconds, subject.target).need
    return m.Replicas(
        needed=numbers(need),
        recommended=numbers(np.ceil(upper / subject.target - 1e-9)),
        observed=None if observed is None else list(observed),
    )


def numbers(values: npt.NDArray[np.floating]) -> list[float | None]:
    """Six digits are all that single precision knows; what is not known is None."""
    return [None if math.isnan(value) else float(f"{value:.6g}") for value in values.tolist()]


def _by_horizon(subject: Subject, sums: Sums) -> list[m.HorizonScore]:
    return [
        m.HorizonScore(
            horizon_seconds=(at + 1) * subject.step_seconds,
            pairs=int(sums.pairs[at]),
            wape=_ratio(sums.absolute[at], sums.actual[at]),
            persistence_wape=_ratio(sums.persistence[at], sums.actual[at]),
            skill=_skill(sums.absolute[at], sums.persistence[at]),
            bias=_ratio(sums.signed[at], sums.actual[at]),
        )
        for at in range(len(sums.pairs))
    ]


def _coverage(subject: Subject, sums: Sums) -> list[m.CoverageScore]:
    levels, rows = subject.cohort.forecaster.levels, []
    for index, head in enumerate(HEADS):
        for position, level in enumerate(levels):
            pairs, covered = int(sums.covered_pairs[index]), int(sums.covered[index, position])
            rows.append(
                m.CoverageScore(
                    head=head,
                    horizon_seconds=subject.horizon_seconds,
                    level=level,
                    pairs=pairs,
                    covered=covered,
                    coverage=_ratio(covered, pairs),
                )
            )
    return rows


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _skill(ours: float, theirs: float) -> float | None:
    return float(1 - ours / theirs) if theirs > 0 else None
