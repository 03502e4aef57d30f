"""Builders of score cards: plausible everywhere, so that a test names only what it is about."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from training.card import (
    FORECASTERS,
    LEVEL_ADJUSTED,
    LSTM,
    LSTM_RAW,
    PERSISTENCE,
    Accuracy,
    AlarmScore,
    Coverage,
    Example,
    Head,
    Mark,
    MarkKind,
    ModelFacts,
    Protocol,
    QuantileLoss,
    ReplicaBasis,
    Role,
    ScoreCard,
    SeriesFacts,
    ShiftTest,
    SkillInterval,
    ThresholdScore,
    TrainingCheck,
)
from training.report import EvaluationReport, judge

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.998)
HORIZON = 15
# WAPE at the furthest horizon; towards the present each falls to the noise that nobody can foresee.
WAPES = {
    "lstm": 0.082,
    "lstm_raw": 0.084,
    "persistence": 0.131,
    "mean_5min": 0.124,
    "seasonal_1d": 0.192,
    "seasonal_7d": 0.158,
    "level_adjusted": 0.113,
    "damped_trend": 0.127,
}


def a_card(
    *,
    name: str = "synthetic-demand",
    is_synthetic: bool = True,
    pairs: int = 10_051,
    wapes: dict[str, float] | None = None,
    alarms: tuple[AlarmScore, ...] | None = None,
    interval: tuple[float, float] | None = (0.241, 0.309),
    repeats_the_present: bool = False,
    quality_notes: tuple[str, ...] = ("181 of 50,400 samples are missing (0.36 %); the longest gap is 50 min.",),
    seed: int = 1,
) -> ScoreCard:
    """A card of 28 days of training and 7 of testing at 60 s; by default a clear win."""
    wapes = WAPES | (wapes or {})
    start = NOON - timedelta(days=35)
    intervals: tuple[SkillInterval, ...] = ()
    if interval is not None:
        intervals = tuple(
            SkillInterval(key, HORIZON, 1 - wapes["lstm"] / wape, interval[0], interval[1], blocks=7)
            for key, wape in wapes.items()
            if key == "level_adjusted"
        )
    return ScoreCard(
        series=SeriesFacts(
            name=name,
            unit="requests per step",
            step_seconds=60,
            start=start,
            end=NOON,
            samples=50_400,
            missing=181,
            is_synthetic=is_synthetic,
            labels={"generator": "forescale", "seed": "7"} if is_synthetic else {"job": "web"},
            quality_notes=quality_notes,
        ),
        model=ModelFacts(
            hash="3f9c2a71b0de",
            parameters=71_432,
            horizon=HORIZON,
            levels=LEVELS,
            season_seconds=(86_400, 604_800),
            trained_from=start,
            trained_to=NOON - timedelta(days=7),
            training_series=1,
            code_version="0.1.0",
            seed=0,
            training_seconds=41.3,
            best_update=170,
            is_trained_on_synthetic=is_synthetic,
        ),
        protocol=Protocol(
            start=NOON - timedelta(days=7) + timedelta(minutes=15),
            end=NOON,
            origins=pairs + 14,
            embargo_steps=15,
        ),
        forecasters=FORECASTERS,
        accuracy=tuple(_accuracy(wapes, pairs)),
        quantile_loss=tuple(
            QuantileLoss(key, head, pairs * HORIZON, wql)
            for key, head, wql in (
                (LSTM.key, Head.PATH, 0.0581),
                (LSTM.key, Head.PEAK, 0.0493),
                (LSTM_RAW.key, Head.PATH, 0.0602),
                (LSTM_RAW.key, Head.PEAK, 0.0531),
            )
        ),
        coverage=tuple(_coverage(pairs, np.random.default_rng(seed))),
        replicas=ReplicaBasis(target_per_replica=74.2, is_assumed=True, surges=32, days=7.0),
        alarms=ALARMS if alarms is None else alarms,
        threshold=(
            ThresholdScore(LSTM.key, pairs, 1180, 1122, 1049),
            ThresholdScore(PERSISTENCE.key, pairs, 1180, 1180, 1002),
        ),
        shift=tuple(
            ShiftTest(key, HORIZON, shift, correlation, best)
            for key, shift, correlation, best in (
                (LSTM.key, 15 if repeats_the_present else 0, 0.71, 0.92 if repeats_the_present else 0.71),
                (PERSISTENCE.key, 15, -0.12, 1.0),
                (LEVEL_ADJUSTED.key, 0, 0.62, 0.62),
            )
        ),
        intervals=intervals,
        example=an_example(np.random.default_rng(seed)),
        training=tuple(
            TrainingCheck(
                10 * number,
                0.031 + 0.09 * math.exp(-number / 4),
                0.034 + 0.085 * math.exp(-number / 4.5) + 0.0003 * max(0, number - 17),
                0.38 - 0.7 * math.exp(-number / 3.2) - 0.002 * max(0, number - 17),
            )
            for number in range(1, 23)
        ),
    )


def _alarms(key: str, level: float | None, counts: tuple[int, int, int, int, int], lead: float | None) -> AlarmScore:
    """counts: surges, caught, hits, false alarms, pending."""
    surges, caught, hits, false_alarms, pending = counts
    return AlarmScore(
        forecaster=key,
        level=level,
        surges=surges,
        caught=caught,
        alarms=hits + false_alarms + pending,
        hits=hits,
        false_alarms=false_alarms,
        pending=pending,
        median_lead_seconds=lead,
        wasted_replica_minutes=false_alarms * 62.5,
        margin=None if level is not None else 1.1,
    )


ALARMS = (
    _alarms("lstm", 0.5, (32, 26, 31, 4, 1), 660.0),
    _alarms("lstm_raw", 0.75, (32, 26, 30, 7, 0), 660.0),
    _alarms("persistence", None, (32, 3, 9, 21, 0), 330.0),
    _alarms("mean_5min", None, (32, 0, 0, 0, 0), None),
    _alarms("seasonal_1d", None, (32, 20, 27, 19, 1), 780.0),
    _alarms("seasonal_7d", None, (32, 22, 28, 12, 0), 780.0),
    _alarms("level_adjusted", None, (32, 23, 30, 11, 1), 720.0),
    _alarms("damped_trend", None, (32, 8, 14, 17, 0), 390.0),
)


def some_alarms(key: str, *, surges: int, caught: int, false_alarms: int, level: float | None = None) -> AlarmScore:
    """As many hits as caught surges."""
    return _alarms(key, level, (surges, caught, caught, false_alarms, 0), 600.0 if caught else None)


def _accuracy(wapes: dict[str, float], pairs: int) -> list[Accuracy]:
    noise, rows = 0.055, []
    persistence, level = wapes["persistence"], wapes["level_adjusted"]

    def at(wape: float, h: int, key: str) -> float:
        if key.startswith("seasonal"):
            return wape
        return noise + (wape - noise) * math.pow((h + 2) / (HORIZON + 2), 0.8)

    for key, wape in wapes.items():
        for h in range(1, HORIZON + 1):
            now = at(wape, h, key)
            rows.append(
                Accuracy(
                    forecaster=key,
                    horizon=h,
                    pairs=pairs,
                    wape=now,
                    skill_over_persistence=1 - now / at(persistence, h, "persistence"),
                    skill_over_level_adjusted=1 - now / at(level, h, "level_adjusted"),
                    mase=now / 0.18,
                    bias=-0.004 if key.startswith("lstm") else 0.0003,
                )
            )
    return rows


def _coverage(pairs: int, chance: np.random.Generator) -> list[Coverage]:
    rows = []
    for key, error in ((LSTM.key, 0.005), (LSTM_RAW.key, 0.035)):
        for head in Head:
            for h in (1, 5, 15):
                for level in LEVELS:
                    off = min(0.9985 - level, error * chance.uniform(-1, 1) * 4 * level * (1 - level) + error / 8)
                    rows.append(Coverage(key, head, h, level, round(pairs * (level + off)), pairs))
    return rows


def an_example(chance: np.random.Generator, hours: int = 24) -> Example:
    """A day with a surge caught, one missed and a false alarm."""
    start, actual, median = NOON - timedelta(hours=hours), [], []
    for minute in range(hours * 60):
        day = 700 - 420 * math.cos((minute + 720 - 240) / 1440 * 2 * math.pi)
        batch = 500 * math.exp(-(((minute - 880) / 22) ** 2))
        burst = 420 * math.exp(-(minute - 300) / 25) if minute >= 300 else 0.0
        median.append(day + 0.95 * batch + (burst if minute > 330 else 0.0))
        actual.append(max(0.0, (day + batch + burst) * (1 + float(chance.normal(0, 0.05)))))
    shown: list[float | None] = list(actual)
    shown[1010:1040] = [None] * 30
    return Example(
        start=start,
        step_seconds=60,
        lead_steps=15,
        low_level=0.05,
        high_level=0.95,
        actual=tuple(shown),
        median=tuple(median),
        low=tuple(value * 0.88 for value in median),
        high=tuple(value * 1.13 for value in median),
        marks=(
            Mark(start + timedelta(minutes=302), MarkKind.MISSED_SURGE),
            Mark(start + timedelta(minutes=585), MarkKind.FALSE_ALARM),
            Mark(start + timedelta(minutes=846), MarkKind.HIT),
            Mark(start + timedelta(minutes=1428), MarkKind.PENDING),
        ),
    )


def a_report(*cards: ScoreCard, notes: tuple[str, ...] = ()) -> EvaluationReport:
    """A run over the given cards, or over the default one."""
    return judge(
        cards or (a_card(),),
        created_at=NOON,
        code_version="0.1.0",
        command="forescale evaluate --model model --synthetic --html report.html",
        notes=notes,
    )


def without_extras(card: ScoreCard) -> ScoreCard:
    """Only what a card must have."""
    bare = replace(card, quantile_loss=(), coverage=(), replicas=None, alarms=(), threshold=(), shift=())
    bare = replace(bare, intervals=(), example=None, training=())
    keys = {LSTM.key, PERSISTENCE.key}
    return replace(bare, forecasters=tuple(f for f in bare.forecasters if f.key in keys or f.role is Role.RAW))
