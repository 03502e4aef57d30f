"""Builders of comparisons: plausible everywhere, so that a test names only what it is about."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np

from tests.training.cards import LEVELS, NOON
from training.card import SeriesFacts
from training.comparison.facts import (
    GOALS,
    AlarmMark,
    Answer,
    CalibrationPoint,
    Comparison,
    ComparisonReport,
    Day,
    DayTrack,
    Family,
    Frontier,
    FrontierPoint,
    Gap,
    Interval,
    Outcome,
    PolicyKey,
    Setup,
    TimelineMark,
    Tuning,
    Verdict,
)

STATIC_PEAK = PolicyKey("static_peak", "Static, peak", Family.STATIC)
STATIC_P95 = PolicyKey("static_p95", "Static, 95th percentile", Family.STATIC)
SHIPPED = PolicyKey("hpa_shipped", "HPA as shipped (70 %)", Family.HPA)
HPA = PolicyKey("hpa", "HPA, tuned", Family.HPA)
SCHEDULE = PolicyKey("schedule", "HPA + schedule", Family.SCHEDULE)
PERSISTENCE = PolicyKey("persistence", "Predictive, persistence", Family.PREDICTIVE, "persistence")
LEVEL = PolicyKey("level_adjusted", "Predictive, level-adjusted seasonal", Family.PREDICTIVE, "level_adjusted")
HOLT_WINTERS = PolicyKey("holt_winters", "Predictive, Holt-Winters", Family.PREDICTIVE, "holt_winters")
LSTM = PolicyKey("lstm", "Predictive, LSTM", Family.PREDICTIVE, "lstm")
PLACEBO = PolicyKey("placebo_lstm", "Placebo of LSTM", Family.PLACEBO, "lstm")
ORACLE = PolicyKey("oracle", "Perfect foresight", Family.ORACLE)

CAPACITY = 60.0  # requests per sample that saturate a replica
REQUESTS = 9_812_344.0
TEST_FROM = NOON - timedelta(days=8)
SAVING = Interval(0.14, 0.112, 0.171, 8)
_SURGES = 32
# policy, tuning, replica-hours, share late, p99 wait, share of time short of replicas, caught, alarms, false alarms
_ROWS: tuple[tuple[PolicyKey, Tuning, float, float, float, float, int | None, int | None, int | None], ...] = (
    (STATIC_PEAK, Tuning.NONE, 6144.0, 0.0, 0.0, 0.0, None, None, None),
    (STATIC_P95, Tuning.NONE, 4416.0, 0.0212, 41.7, 0.0381, None, None, None),
    (SHIPPED, Tuning.NONE, 3720.4, 0.00431, 1.12, 0.0121, None, None, None),
    (HPA, Tuning.FROZEN, 3402.1, 0.00094, 0.41, 0.0062, None, None, None),
    (HPA, Tuning.RECHOSEN, 3451.9, 0.00088, 0.38, 0.0059, None, None, None),
    (SCHEDULE, Tuning.FROZEN, 3305.0, 0.00131, 0.62, 0.0071, None, None, None),
    (PERSISTENCE, Tuning.FROZEN, 3388.7, 0.00097, 0.42, 0.0060, 3, 30, 21),
    (LEVEL, Tuning.FROZEN, 3101.5, 0.00112, 0.47, 0.0066, 23, 41, 11),
    (HOLT_WINTERS, Tuning.FROZEN, 3160.2, 0.00105, 0.44, 0.0063, 22, 40, 12),
    (LSTM, Tuning.FROZEN, 2925.8, 0.00081, 0.33, 0.0049, 26, 35, 4),
    (LSTM, Tuning.RECHOSEN, 2961.3, 0.00074, 0.31, 0.0046, None, None, None),
    (PLACEBO, Tuning.FROZEN, 3371.0, 0.00121, 0.55, 0.0070, None, None, None),
    (ORACLE, Tuning.NONE, 2604.9, 0.0, 0.0, 0.0, None, None, None),
)


def a_comparison(
    *,
    name: str = "synthetic-demand",
    is_synthetic: bool = True,
    said: Answer = Answer.USE,
    price: float | None = None,
    saving: Interval | None = SAVING,
    seed: int = 1,
) -> Comparison:
    """28 days of which the last 8 are judged; by default a clear win, and a goal that no HPA setting keeps."""
    chance = np.random.default_rng(seed)
    return Comparison(
        series=SeriesFacts(
            name=name,
            unit="requests per step",
            step_seconds=60,
            start=NOON - timedelta(days=28),
            end=NOON,
            samples=40_320,
            missing=181,
            is_synthetic=is_synthetic,
            labels={"generator": "forescale", "seed": "7"} if is_synthetic else {"job": "web"},
            quality_notes=("181 of 40,320 samples are missing (0.45 %); the longest gap is 50 min.",),
        ),
        setup=Setup(
            startup_seconds=120.0,
            slo_wait_seconds=2.0,
            target_violation=0.001,
            step_seconds=15,
            capacity_per_replica=CAPACITY,
            is_capacity_given=False,
            replica_cost_per_hour=price,
            train_end=TEST_FROM - timedelta(days=7),
            tuned_from=TEST_FROM - timedelta(days=7),
            test_from=TEST_FROM,
            test_to=NOON,
            placebo_shift_hours=37,
            spread="smooth",
            seed=0,
        ),
        outcomes=tuple(_outcome(*row, price=price) for row in _ROWS),
        frontiers=some_frontiers(),
        gaps=some_gaps(),
        saving=saving,
        day=a_day(chance),
        timeline=a_timeline(chance),
        timeline_from=TEST_FROM,
        timeline_to=NOON,
        calibration=tuple(
            CalibrationPoint(level, round(11_480 * min(0.9992, level + 0.012 * math.sin(9 * level))), 11_480)
            for level in LEVELS
        ),
        verdict=a_verdict(said),
        notes=(
            "Every row was run by the code that runs in a cluster.",
            "The HPA reads demand itself, about 45 s old.",
        ),
    )


def a_comparison_report(*comparisons: Comparison) -> ComparisonReport:
    """A run over the given series, or over the default one."""
    return ComparisonReport(
        comparisons=comparisons or (a_comparison(),),
        created_at=NOON,
        code_version="0.1.0",
        command="forescale compare --synthetic --startup-seconds 120 --html comparison.html",
    )


def a_verdict(said: Answer) -> Verdict:
    """What each answer looks like."""
    if said is Answer.KEEP:
        return Verdict(
            said,
            "Keep your HPA: the gain is within noise: 0.4 % of the replica-hours, between −1.1 % and 2.0 % when the 8 "
            "days are drawn anew.",
            ("0.4 % fewer replica-hours than the HPA tuned in the same way (3,388 against 3,402).",),
            None,
        )
    headline = (
        "14.0 % fewer replica-hours than the HPA tuned in the same way (2,926 against 3,402), with 0.081 % of requests "
        "late against 0.094 %"
    )
    start = "Use it" if said is Answer.USE else "Observe first: the demand is generated, not yours"
    reasons = (
        "The saving is 11.2 % to 17.1 % when the 8 days are drawn anew (90 % interval).",
        "In hindsight it closes 58 % of the distance to perfect foresight; a forecast of another time closes 4 %.",
    )
    return Verdict(said, f"{start}: {headline}.", reasons, SPEC)


SPEC = """\
apiVersion: forescale.io/v1alpha1
kind: PredictiveAutoscaler
metadata:
  name: "web"
spec:
  mode: Observe            # then Active
  actuator: HPAMinReplicas
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: "web"}
  demand:
    query: "sum(rate(http_requests_total{namespace=\\"shop\\", service=\\"web\\", code!~\\"5..\\"}[1m]))"
    stepSeconds: 60
  targetPerReplica: 49.5  # 82.5% of a full replica's 60
  quantile: 0.95
  guardrails:
    scaleDownWindowSeconds: 300
"""


def _outcome(
    policy: PolicyKey,
    tuning: Tuning,
    hours: float,
    share: float,
    p99: float,
    under: float,
    caught: int | None,
    alarms: int | None,
    false_alarms: int | None,
    *,
    price: float | None,
) -> Outcome:
    is_predictive = policy.family in (Family.PREDICTIVE, Family.PLACEBO)
    knobs: tuple[tuple[str, str], ...] = ()
    if tuning is Tuning.FROZEN:
        knobs = (("HPA target", "82.5 % of a replica"), ("HPA stabilization", "300 s"), ("minimum", "2 replicas"))
        if is_predictive:
            knobs += (("quantile", "0.95"), ("floor's target", "92.5 % of a replica"), ("floor's window", "300 s"))
    return Outcome(
        policy=policy,
        tuning=tuning,
        knobs=knobs,
        requests=REQUESTS,
        late=round(REQUESTS * share),
        timed_out=round(REQUESTS * share / 20),
        replica_hours=hours,
        money=None if price is None else hours * price,
        mean_wait=p99 / 60,
        p95_wait=p99 / 9,
        p99_wait=p99,
        under_ratio=under,
        over_ratio=0.997 if tuning is Tuning.NONE and policy is not ORACLE else 0.64,
        utilization=2210.0 / hours,
        scale_operations_per_hour=0.0 if policy.family is Family.STATIC else 7.41,
        surges=None if caught is None else _SURGES,
        caught=caught,
        alarms=alarms,
        false_alarms=false_alarms,
        wasted_replica_minutes=None if false_alarms is None else false_alarms * 62.5,
        no_opinion_ratio=0.031 if is_predictive else None,
        chosen_violation=share * 0.5 if knobs else None,
    )


def some_frontiers() -> tuple[Frontier, ...]:
    """Costs that fall with the risk that is taken, the better a family the lower."""

    def curve(policy: PolicyKey, at_one_in_thousand: float, settings: int) -> Frontier:
        risks = [10 ** (-5.2 + 0.3 * i) for i in range(14)]
        points = [FrontierPoint(v, at_one_in_thousand * (1 - 0.055 * (math.log10(v) + 3))) for v in risks]
        return Frontier(policy, settings, tuple(points))

    return (
        curve(HPA, 3380, 640),
        curve(PERSISTENCE, 3351, 5120),
        curve(LEVEL, 3079, 5120),
        curve(HOLT_WINTERS, 3130, 5120),
        curve(LSTM, 2931, 5120),
        Frontier(ORACLE, 1, (FrontierPoint(0.0, 2604.9),)),
    )


def some_gaps() -> tuple[Gap, ...]:
    """At 0.01 % no HPA setting keeps the goal, and neither does the policy with persistence."""
    gaps = []
    for policy, cheaper in ((PERSISTENCE, 29.0), (LEVEL, 301.0), (HOLT_WINTERS, 250.0), (LSTM, 449.0)):
        for goal, hpa in zip(GOALS, (3194.0, 3380.0, None), strict=True):
            mine = (3571.0 if hpa is None else hpa) - cheaper
            if hpa is None and policy is PERSISTENCE:
                gaps.append(Gap(policy, goal, None, None, 2604.9, None, None))
            elif hpa is None:
                gaps.append(Gap(policy, goal, None, mine, 2604.9, None, None))
            else:
                gaps.append(Gap(policy, goal, hpa, mine, 2604.9, cheaper / (hpa - 2604.9), 0.04))
    return tuple(gaps)


def a_day(chance: np.random.Generator, minutes: int = 1440) -> Day:
    """Two humps, a batch job, and half an hour without samples."""
    demand, median = [], []
    for minute in range(minutes):
        hump = 900 - 480 * math.cos((minute - 240) / 1440 * 2 * math.pi)
        batch = 520 * math.exp(-(((minute - 880) / 24) ** 2))
        burst = 380 * math.exp(-(minute - 300) / 25) if minute >= 300 else 0.0
        median.append(hump + 0.95 * batch + (burst if minute > 310 else 0.0))
        demand.append(max(0.0, (hump + batch + burst) * (1 + float(chance.normal(0, 0.04)))))
    shown: list[float | None] = list(demand)
    shown[1010:1040] = [None] * 30

    def track(policy: PolicyKey, lag: int, room: float, floor: float) -> DayTrack:
        """Need so many minutes ago with some room, held for ten minutes."""
        need = [math.ceil(room * value / CAPACITY) for value in median]
        ready = [
            float(max(floor, *need[max(0, minute - lag - 10) : max(1, minute - lag + 1)])) for minute in range(minutes)
        ]
        return DayTrack(policy, tuple(ready), tuple(value + 0.5 for value in ready))

    return Day(
        start=TEST_FROM + timedelta(days=3),
        step_seconds=60,
        demand=tuple(shown),
        capacity_per_replica=CAPACITY,
        lead_steps=3,
        levels=(0.05, 0.5, 0.95),
        bands=tuple(tuple(value * factor for value in median) for factor in (0.88, 1.0, 1.13)),
        tracks=(
            track(SHIPPED, 3, 1.43, 4),
            track(HPA, 3, 1.3, 4),
            track(SCHEDULE, 3, 1.25, 10),
            track(PERSISTENCE, 3, 1.28, 4),
            track(LEVEL, -2, 1.2, 4),
            track(HOLT_WINTERS, -2, 1.21, 4),
            track(LSTM, -2, 1.12, 4),
            track(ORACLE, -10, 1.06, 1),
        ),
    )


def a_timeline(chance: np.random.Generator) -> tuple[TimelineMark, ...]:
    """Four surges a day, most of them caught, now and then a false alarm."""
    marks = []
    for day in range(8):
        for hour in (7, 11, 14, 20):
            at = TEST_FROM + timedelta(days=day, hours=hour, minutes=int(chance.integers(0, 50)))
            is_caught = chance.random() < 0.8
            if is_caught:
                marks.append(TimelineMark(at - timedelta(minutes=11), AlarmMark.HIT, float(chance.uniform(12, 28))))
            kind = AlarmMark.CAUGHT_SURGE if is_caught else AlarmMark.MISSED_SURGE
            marks.append(TimelineMark(at, kind, float(chance.uniform(11, 27))))
        if day % 2:
            at = TEST_FROM + timedelta(days=day, hours=17)
            marks.append(TimelineMark(at, AlarmMark.FALSE_ALARM, float(chance.uniform(14, 30))))
    marks.append(TimelineMark(NOON - timedelta(minutes=6), AlarmMark.PENDING, 21.0))
    return tuple(sorted(marks, key=lambda mark: mark.at))


def a_bare_comparison() -> Comparison:
    """Only what a comparison must have: nothing drawn, nothing caught, no gap, no interval."""
    told = a_comparison(said=Answer.KEEP, saving=None)
    day = replace(told.day, demand=(), bands=((), (), ()), tracks=())
    outcomes = tuple(replace(o, surges=None, caught=None, alarms=None, false_alarms=None) for o in told.outcomes)
    outcomes = tuple(replace(o, wasted_replica_minutes=None, no_opinion_ratio=None) for o in outcomes)
    gaps = tuple(Gap(LSTM, goal, None, None, None, None, None) for goal in GOALS)
    bare = replace(told, day=day, outcomes=outcomes, gaps=gaps, frontiers=(), timeline=(), calibration=())
    return replace(bare, notes=())
