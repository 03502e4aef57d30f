"""From rolled forecasts to a score card.  Pure."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from predictor import scores
from predictor.forecast import at_levels, level_index
from predictor.series import FloatArray
from predictor.surges import DEFAULT_ALARM_LEVEL, Demand, Judgement, choose, judge, target_per_replica
from training import card as c
from training.evaluation import Rolled

ALARM_LEVELS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
ALARM_MARGINS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.7, 2.0)  # a point forecast's knob, tuned alike
_EXAMPLE_CYCLES = 1  # of the shortest season, shown as a picture
_THRESHOLD_QUANTILE = 0.9


def score_card(
    rolled: Rolled,
    series: c.SeriesFacts,
    model: c.ModelFacts,
    *,
    target: float | None = None,
    refits: int = 0,
    training: tuple[c.TrainingCheck, ...] = (),
) -> c.ScoreCard:
    """Compute every score of one series' test span.  `target`: demand that one replica carries, None when not known."""
    medians = _medians(rolled)
    demand, basis = _replicas(rolled, target)
    alarms, judged = _alarms(rolled, demand)
    shown = tuple(f for f in c.FORECASTERS if f.key in medians)
    instant = rolled.history.series.instant
    return c.ScoreCard(
        series=series,
        model=model,
        protocol=c.Protocol(
            start=instant(rolled.span.test),
            end=instant(rolled.span.end - 1),
            origins=rolled.span.end - rolled.span.test,
            embargo_steps=rolled.horizon,
            refits=refits,
        ),
        forecasters=shown,
        accuracy=tuple(_accuracy(rolled, medians)),
        quantile_loss=tuple(_quantile_loss(rolled)),
        coverage=tuple(_coverage(rolled)),
        replicas=basis,
        alarms=tuple(alarms),
        threshold=tuple(_threshold(rolled, medians)),
        shift=tuple(_shift(rolled, medians)),
        intervals=tuple(_intervals(rolled, medians)),
        example=_example(rolled, judged),
        training=training,
    )


def shown_horizons(horizon: int) -> tuple[int, ...]:
    """A third, two thirds and all of the horizon, and the first step."""
    return tuple(sorted({1, max(1, horizon // 3), max(1, 2 * horizon // 3), horizon}))


def _medians(rolled: Rolled) -> dict[str, FloatArray]:
    """Point forecasts of every forecaster on the test span, (origin, horizon)."""
    calibrated, raw = rolled.issued()
    table: dict[str, FloatArray] = {
        c.LSTM.key: calibrated.median().astype(np.float64),
        c.LSTM_RAW.key: raw.median().astype(np.float64),
    }
    return table | {key: points[rolled.test] for key, points in rolled.points.items()}


def _season(rolled: Rolled) -> int:
    """The shortest season, in steps; one step when there is none."""
    return min(rolled.season_steps, default=1)


def _accuracy(rolled: Rolled, medians: dict[str, FloatArray]) -> list[c.Accuracy]:
    training = np.asarray(rolled.history.series.values)[: rolled.span.test]
    season = min(_season(rolled), max(1, len(training) // 2))
    unit = scores.mase_scale(training, season)
    rows = []
    for key, forecast in medians.items():
        for h in range(1, rolled.horizon + 1):
            actual = rolled.path[rolled.test, h - 1]
            error = scores.point_error(actual, forecast[:, h - 1])

            def over(
                baseline: str, ours: FloatArray = forecast[:, h - 1], y: FloatArray = actual, h: int = h
            ) -> float | None:
                return scores.skill(y, ours, medians[baseline][:, h - 1]) if baseline in medians else None

            mase = error.mean_absolute / unit if unit and error.mean_absolute is not None else None
            rows.append(
                c.Accuracy(
                    key, h, error.pairs, error.wape, over("persistence"), over("level_adjusted"), mase, error.bias
                )
            )
    return rows


def _quantile_loss(rolled: Rolled) -> list[c.QuantileLoss]:
    rows = []
    for key, issued in zip((c.LSTM.key, c.LSTM_RAW.key), rolled.issued(), strict=True):
        for head, actual, quantiles in (
            (c.Head.PATH, rolled.path, issued.path),
            (c.Head.PEAK, rolled.peak, issued.peak),
        ):
            loss, pairs = scores.weighted_quantile_loss(actual[rolled.test], quantiles, rolled.levels)
            rows.append(c.QuantileLoss(key, head, pairs, loss))
    return rows


def _coverage(rolled: Rolled) -> list[c.Coverage]:
    rows = []
    horizons = sorted({1, max(1, rolled.horizon // 3), rolled.horizon})
    for key, issued in zip((c.LSTM.key, c.LSTM_RAW.key), rolled.issued(), strict=True):
        for head, actual, quantiles in (
            (c.Head.PATH, rolled.path, issued.path),
            (c.Head.PEAK, rolled.peak, issued.peak),
        ):
            for h in horizons:
                for position, level in enumerate(rolled.levels):
                    count = scores.coverage(actual[rolled.test, h - 1], quantiles[:, h - 1, position])
                    rows.append(c.Coverage(key, head, h, level, count.covered, count.pairs))
    return rows


def _replicas(rolled: Rolled, target: float | None) -> tuple[Demand, c.ReplicaBasis]:
    series = rolled.history.series
    values = np.asarray(series.values)
    carried = target or target_per_replica(values[: rolled.span.test], series.step_seconds)
    demand = Demand.of(values, series.step_seconds, carried)
    span = rolled.span
    surges = len(demand.surges(span.test + demand.rule.earliest, span.end))
    cycle = _season(rolled) if _season(rolled) > 1 else 86400 // series.step_seconds
    return demand, c.ReplicaBasis(carried, target is None, surges, (span.end - span.test) / cycle)


def _alarms(rolled: Rolled, demand: Demand) -> tuple[list[c.AlarmScore], Judgement]:
    """Every forecaster raises alarms with the setting that was best on the span before the test span."""
    wishes: dict[str, tuple[FloatArray, tuple[float, ...]]] = {}
    for key, issued in ((c.LSTM.key, rolled.replay.calibrated), (c.LSTM_RAW.key, rolled.replay.raw)):
        wishes[key] = (at_levels(issued.peak[:, -1], rolled.levels, ALARM_LEVELS), ALARM_LEVELS)
    for key, points in rolled.points.items():
        highest = points.max(axis=1)
        wishes[key] = (highest[:, None] * np.asarray(ALARM_MARGINS), ALARM_MARGINS)
    rows: list[c.AlarmScore] = []
    judgements: dict[str, Judgement] = {}
    step, span = rolled.history.series.step_seconds, rolled.span
    for key, (wish, settings) in wishes.items():
        is_level = settings is ALARM_LEVELS
        default = settings.index(DEFAULT_ALARM_LEVEL) if is_level else 0
        best = choose(demand, wish[rolled.tuning], span.tuned, default)
        judged = judge(demand, wish[rolled.test, best], span.test)
        judgements[key] = judged
        score = judged.score
        rows.append(
            c.AlarmScore(
                forecaster=key,
                level=settings[best] if is_level else None,
                margin=None if is_level else settings[best],
                surges=score.surges,
                caught=score.caught,
                alarms=score.alarms,
                hits=score.hits,
                false_alarms=score.false_alarms,
                pending=score.pending,
                median_lead_seconds=None if score.median_lead_steps is None else score.median_lead_steps * step,
                wasted_replica_minutes=score.wasted_replica_steps * step / 60,
            )
        )
    return rows, judgements[c.LSTM.key]


def _threshold(rolled: Rolled, medians: dict[str, FloatArray]) -> list[c.ThresholdScore]:
    """Demand at the horizon above the trailing week's 90th percentile, as others publish it."""
    series = rolled.history.series
    week = 7 * 86400 // series.step_seconds
    bar = pd.Series(series.values).rolling(week, min_periods=week // 7).quantile(_THRESHOLD_QUANTILE).to_numpy()
    bar = bar[rolled.origins[rolled.test]]
    actual = rolled.path[rolled.test, -1]
    rows = []
    for key, forecast in medians.items():
        last = forecast[:, -1]
        known = np.isfinite(bar) & np.isfinite(actual) & np.isfinite(last)
        above, said = actual[known] > bar[known], last[known] > bar[known]
        rows.append(
            c.ThresholdScore(key, int(known.sum()), int(above.sum()), int(said.sum()), int((above & said).sum()))
        )
    return rows


def _shift(rolled: Rolled, medians: dict[str, FloatArray]) -> list[c.ShiftTest]:
    rows = []
    for key, forecast in medians.items():
        found = scores.shift_test(
            np.asarray(rolled.history.series.values), rolled.origins[rolled.test], forecast[:, -1], rolled.horizon
        )
        if found is not None:
            best = min(found.best_lag, rolled.horizon)
            rows.append(c.ShiftTest(key, rolled.horizon, best, found.correlation, found.best_correlation))
    return rows


def _intervals(rolled: Rolled, medians: dict[str, FloatArray]) -> list[c.SkillInterval]:
    actual, ours = rolled.path[rolled.test, -1], medians[c.LSTM.key][:, -1]
    block = max(_season(rolled), 60)
    if len(actual) < 3 * block:
        block = max(len(actual) // 8, 1)
    rows = []
    for key in rolled.points:
        theirs = medians[key][:, -1]
        found = scores.bootstrap_ratio(actual, ours, theirs, block)
        skill = scores.skill(actual, ours, theirs)
        if found is not None and skill is not None:
            low, high = found
            rows.append(c.SkillInterval(key, rolled.horizon, skill, 1 - high, 1 - low, blocks=-(-len(actual) // block)))
    return rows


def _example(rolled: Rolled, judged: Judgement) -> c.Example:
    """The last cycle of the test span, with the forecast made one horizon before and what the alarms were worth."""
    series, horizon = rolled.history.series, rolled.horizon
    length = min(max(_season(rolled), 240) * _EXAMPLE_CYCLES, rolled.span.end - rolled.span.test - horizon)
    first = rolled.span.end - length
    made = slice(first - horizon - rolled.span.warm, rolled.span.end - horizon - rolled.span.warm)
    low, high = min(rolled.levels, key=lambda q: abs(q - 0.05)), min(rolled.levels, key=lambda q: abs(q - 0.95))
    path = rolled.replay.calibrated.path[made, -1]

    def column(level: float) -> tuple[float | None, ...]:
        return _plain(path[:, level_index(rolled.levels, level)].astype(np.float64))

    kinds = {1: c.MarkKind.HIT, 0: c.MarkKind.FALSE_ALARM, -1: c.MarkKind.PENDING}
    marks = [
        c.Mark(series.instant(int(at)), kinds[int(outcome)])
        for at, outcome in zip(judged.alarms, judged.outcomes, strict=True)
        if at >= first
    ]
    missed = judged.surges[~judged.caught]
    marks += [c.Mark(series.instant(int(at)), c.MarkKind.MISSED_SURGE) for at in missed if at >= first]
    return c.Example(
        start=series.start + timedelta(seconds=first * series.step_seconds),
        step_seconds=series.step_seconds,
        lead_steps=horizon,
        low_level=low,
        high_level=high,
        actual=_plain(np.asarray(series.values)[first : rolled.span.end]),
        median=column(0.5),
        low=column(low),
        high=column(high),
        marks=tuple(sorted(marks, key=lambda mark: mark.at)),
    )


def _plain(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)
