"""From a case to everything that is said about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import numpy as np
from scipy.stats import bootstrap

from predictor.forecast import at_levels
from predictor.series import FloatArray
from predictor.surges import DEFAULT_ALARM_LEVEL, AlarmScore, Demand, choose, judge
from training.card import SeriesFacts
from training.comparison.facts import (
    GOALS,
    Answer,
    Comparison,
    Family,
    Frontier,
    FrontierPoint,
    Gap,
    Interval,
    Outcome,
    Setup,
    Tuning,
    Verdict,
)
from training.comparison.pictures import calibration, shown_day, timeline
from training.comparison.policies import HPA, ORACLE, Row, knob_words, placebo, predictive, run_all
from training.comparison.suggestion import suggest
from training.comparison.verdict import Evidence, Standing, answer
from training.judging import ALARM_LEVELS
from training.simulator.forecasters import SIMPLE, Source
from training.simulator.prepare import Question
from training.simulator.run import Run, figures
from training.simulator.study import PLACEBO_SHIFT, Case, Searched, oracle_tally

_LEAST_DAYS = 2  # of which a bootstrap can draw
_DRAWS = 2000
_CONFIDENCE = 0.9


def build(
    case: Case,
    found: Mapping[str, Searched],
    question: Question,
    series: SeriesFacts,
    values: FloatArray,
    *,
    train_end: int,
    price: float | None,
    query: str | None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> tuple[Comparison, list[Row]]:
    """Run every policy and say what came out; `values` is the whole series."""
    rows = run_all(case, found, on_stage=on_stage)
    demand = Demand.of(values, case.world.sample_seconds, case.world.capacity)
    outcomes = tuple(_outcome(case, row, demand, price) for row in rows)
    gaps = tuple(
        gap for source in (*SIMPLE, Source.LSTM) if source.value in found for gap in _gaps(case, found, source)
    )
    hpa, lstm = _frozen(rows, "hpa"), _frozen(rows, Source.LSTM.value)
    saving = _saving(case, hpa.run, lstm.run)
    verdict = _verdict(case, rows, outcomes, gaps, saving, series, query)
    asked = _asked(case, Source.LSTM, demand)
    world = case.world
    return (
        Comparison(
            series=series,
            setup=_setup(case, question, train_end, price),
            outcomes=outcomes,
            frontiers=tuple(_frontiers(case, found)),
            gaps=gaps,
            saving=saving,
            day=shown_day(case, rows, values),
            timeline=timeline(judge(demand, asked, case.test_sample), demand, asked, case, series.start),
            timeline_from=world.instant(case.test_step),
            timeline_to=world.instant(len(world)),
            calibration=calibration(case, values),
            verdict=verdict,
            notes=_notes(case, question),
        ),
        rows,
    )


def _outcome(case: Case, row: Row, demand: Demand, price: float | None) -> Outcome:
    result = figures(row.run, slice(case.test_step, None))
    score = _alarms(case, row, demand)
    is_predictive = row.policy.family in (Family.PREDICTIVE, Family.PLACEBO)
    resolved = None if score is None else score.hits + score.false_alarms
    return Outcome(
        policy=row.policy,
        tuning=row.tuning,
        knobs=knob_words(row.knobs),
        requests=result.requests,
        late=result.late,
        timed_out=result.timed_out,
        replica_hours=result.replica_hours,
        money=None if price is None else result.replica_hours * price,
        mean_wait=result.mean_wait,
        p95_wait=result.p95_wait,
        p99_wait=result.p99_wait,
        under_ratio=result.under_ratio,
        over_ratio=result.over_ratio,
        utilization=result.utilization,
        scale_operations_per_hour=result.scale_operations_per_hour,
        surges=None if score is None else score.surges,
        caught=None if score is None else score.caught,
        alarms=resolved,
        false_alarms=None if score is None else score.false_alarms,
        wasted_replica_minutes=None if score is None else score.wasted_replica_steps * case.world.sample_seconds / 60,
        no_opinion_ratio=result.no_opinion_ratio if is_predictive else None,
        chosen_violation=row.chosen_violation,
    )


def _alarms(case: Case, row: Row, demand: Demand) -> AlarmScore | None:
    """What the forecast behind a policy was worth as an alarm."""
    if row.policy.family is not Family.PREDICTIVE or row.policy.source is None or row.tuning is not Tuning.FROZEN:
        return None
    return judge(demand, _asked(case, Source(row.policy.source), demand), case.test_sample).score


def _asked(case: Case, source: Source, demand: Demand) -> FloatArray:
    """The highest demand of the whole horizon at every origin of the test span, at an alarm level chosen before it.

    As the score card does it: a policy plans for a higher quantile, because capacity is cheaper than a late request,
    but an alarm at that level would be raised all day.
    """
    issued = case.issued[source]
    peak = at_levels(issued.peak[:, -1], issued.levels, ALARM_LEVELS)
    tuning = (issued.origins >= case.first_sample) & (issued.origins < case.test_sample - issued.horizon)
    best = choose(demand, peak[tuning], case.first_sample, ALARM_LEVELS.index(DEFAULT_ALARM_LEVEL))
    asked: FloatArray = peak[issued.origins >= case.test_sample, best].astype(np.float64)
    return asked


def _frozen(rows: Sequence[Row], key: str) -> Row:
    return next(row for row in rows if row.policy.key == key and row.tuning is Tuning.FROZEN)


def _gaps(case: Case, found: Mapping[str, Searched], source: Source) -> list[Gap]:
    """Gap closed at every goal, in hindsight, with the placebo's beside it."""
    oracle = float(oracle_tally(case).replica_hours(case.test_blocks)[0])
    hpas = _cheapest(case, found["hpa"])
    policies = _cheapest(case, found[source.value])
    shadow = found.get(placebo(source).key)
    shadows = [None] * len(hpas) if shadow is None else _cheapest(case, shadow)
    return [
        Gap(predictive(source), goal, hpa, policy, oracle, _closed(hpa, policy, oracle), _closed(hpa, fake, oracle))
        for goal, hpa, policy, fake in zip(case.goals, hpas, policies, shadows, strict=True)
    ]


def _cheapest(case: Case, searched: Searched) -> list[float | None]:
    hours = searched.hindsight.tally.replica_hours(case.test_blocks)
    found = [searched.hindsight.cheapest(goal) for goal in case.test_goals()]
    return [None if index is None else float(hours[index]) for index in found]


def _closed(hpa: float | None, policy: float | None, oracle: float) -> float | None:
    if hpa is None or policy is None or hpa <= oracle:
        return None
    return (hpa - policy) / (hpa - oracle)


def _frontiers(case: Case, found: Mapping[str, Searched]) -> list[Frontier]:
    """The points of each family that no other of the family beats in both cost and risk."""
    keys = [HPA, *(predictive(s) for s in (*SIMPLE, Source.LSTM) if s.value in found)]
    frontiers = []
    for key in keys:
        searched = found[key.key].hindsight
        violation = searched.tally.violation(case.test_blocks)
        hours = searched.tally.replica_hours(case.test_blocks)
        points, least = [], np.inf
        for index in np.lexsort((violation, hours)):
            if violation[index] < least:
                least = float(violation[index])
                points.append(FrontierPoint(least, float(hours[index])))
        frontiers.append(Frontier(key, len(searched.knobs), tuple(reversed(points))))
    tally = oracle_tally(case)
    limit = FrontierPoint(float(tally.violation(case.test_blocks)[0]), float(tally.replica_hours(case.test_blocks)[0]))
    return [*frontiers, Frontier(ORACLE, 1, (limit,))]


def _saving(case: Case, hpa: Run, lstm: Run) -> Interval | None:
    """1 - predictive / HPA replica-hours, with the interval from drawing whole days anew."""
    day = case.world.cycle_seconds // case.world.settings.step_seconds
    weight = case.world.arrivals.is_observed[case.test_step :]
    days = len(weight) // day
    if days < _LEAST_DAYS:
        return None

    def by_day(run: Run) -> FloatArray:
        paid = (run.paid[case.test_step :] * weight)[: days * day]
        total: FloatArray = paid.reshape(days, day).sum(axis=1).astype(np.float64)
        return total

    base, ours = by_day(hpa), by_day(lstm)

    def saved(base: FloatArray, ours: FloatArray, axis: int = -1) -> FloatArray:
        ratio: FloatArray = 1 - ours.sum(axis=axis) / base.sum(axis=axis)
        return ratio

    value = float(saved(base, ours))
    if np.allclose(base, ours):
        return Interval(value, value, value, days)
    drawn = bootstrap(
        (base, ours),
        saved,
        paired=True,
        n_resamples=_DRAWS,
        confidence_level=_CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return Interval(value, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high), days)


def _verdict(
    case: Case,
    rows: Sequence[Row],
    outcomes: Sequence[Outcome],
    gaps: Sequence[Gap],
    saving: Interval | None,
    series: SeriesFacts,
    query: str | None,
) -> Verdict:
    frozen = {o.policy.key: o for o in outcomes if o.tuning is Tuning.FROZEN}
    ours = [gap for gap in gaps if gap.policy.key == Source.LSTM.value]
    nearest = min(ours, key=lambda gap: abs(gap.goal - case.target_violation))
    lstm = frozen[Source.LSTM.value]
    said, headline, reasons = answer(
        Evidence(
            target=case.target_violation,
            hpa=_standing(frozen["hpa"]),
            lstm=_standing(lstm),
            simple=tuple(_standing(frozen[s.value]) for s in SIMPLE if s.value in frozen),
            saving=saving,
            gap=nearest.closed,
            placebo_gap=nearest.placebo_closed,
            no_opinion_ratio=lstm.no_opinion_ratio or 0.0,
            test_days=(len(case.world) - case.test_step) * case.world.settings.step_seconds / case.world.cycle_seconds,
            is_synthetic=series.is_synthetic,
        )
    )
    knobs = _frozen(rows, Source.LSTM.value).knobs
    spec = None if said is Answer.KEEP or knobs is None else suggest(case, knobs, name=series.name, query=query)
    return Verdict(said, headline, reasons, spec)


def _standing(outcome: Outcome) -> Standing:
    return Standing(outcome.policy.title, outcome.replica_hours, outcome.violation)


def _setup(case: Case, question: Question, train_end: int, price: float | None) -> Setup:
    world = case.world
    return Setup(
        startup_seconds=world.settings.startup_seconds,
        slo_wait_seconds=world.settings.slo_wait_seconds,
        target_violation=case.target_violation,
        step_seconds=world.settings.step_seconds,
        capacity_per_replica=world.capacity,
        is_capacity_given=question.target_per_replica is not None,
        replica_cost_per_hour=price,
        train_end=world.start + timedelta(seconds=(train_end - case.first_sample) * world.sample_seconds),
        tuned_from=world.start,
        test_from=world.instant(case.test_step),
        test_to=world.instant(len(world)),
        placebo_shift_hours=round(PLACEBO_SHIFT * world.cycle_seconds / 3600),
        spread=question.spread.value,
        seed=question.seed,
    )


def _notes(case: Case, question: Question) -> tuple[str, ...]:
    notes = [
        (
            "Every row was run by the code that runs in a cluster: the same decision function, and a twin of the HPA "
            "controller that reproduces recorded decisions of the real one."
        ),
        "The HPA reads demand itself, about 45 s old; one that reads CPU saturates in an overload and reacts later.",
        "Alarms and surges are those of the score card; their quantile level was chosen before the test span.",
    ]
    if question.target_per_replica is None:
        notes.append(
            "No target per replica was given: a replica carries what makes the training span's 99.9th percentile need "
            "30 replicas. Give --target-per-replica for figures in your own replicas."
        )
    if tuple(case.goals) != GOALS:
        notes.append("Frontiers were refined at other violations than 1, 0.1 and 0.01 %.")
    return tuple(notes)
