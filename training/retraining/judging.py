"""How well two models would have planned capacity over the newest span, and which of them should serve.  Pure.

The score is the newsvendor's: pinball loss of the highest demand within the horizon, at the levels on which capacity is
planned, over mean demand.  Too few replicas cost `level`, too many cost `1 - level`, for each unit of demand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from predictor import scores
from predictor.baselines import persistence
from predictor.forecast import at_levels
from predictor.forecaster import REPLAY_DAYS, Forecaster, History
from predictor.series import FloatArray
from predictor.surges import DEFAULT_ALARM_LEVEL, Demand, judge, target_per_replica

PLANNING_FROM = 0.9  # capacity is planned on levels from here
MIN_PAIRS = 240  # outcomes without which a workload has no say
MAX_LOSS_RATIO = 1.10  # by which no single workload may become worse


@dataclass(frozen=True, slots=True)
class Judged:
    """One forecaster on one workload's newest span; None where nothing could be compared."""

    pairs: int
    loss: float | None  # the decision's, in units of mean demand
    wape: float | None
    coverage: float | None  # of the highest planning level
    surges: int = 0
    caught: int = 0
    resolved_alarms: int = 0
    false_alarms: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """Everybody on one workload."""

    workload: str
    challenger: Judged
    persistence: Judged
    champion: Judged | None  # None when it is broken


class Verdict(StrEnum):
    """What is done."""

    PROMOTE = "promote"
    KEEP = "keep"
    NONE = "none"  # nothing fit to serve


@dataclass(frozen=True, slots=True)
class Decision:
    """And why."""

    verdict: Verdict
    reason: str
    loss_ratio: float | None = None  # challenger's over champion's, geometric mean over workloads
    worst: tuple[str, float] | None = None


def judge_model(forecaster: Forecaster, history: History, first: int) -> Judged:
    """Judge a model's calibrated forecasts at origins from `first` on; what comes before warms its calibration."""
    series, season = history.series, forecaster.schema.season_steps
    warm = REPLAY_DAYS * (season[0] if season else 1440)
    begin = max(first - warm, forecaster.schema.minimum_steps - 1, 0)
    issued = forecaster.replay(history, begin, len(series)).calibrated
    rows = slice(first - begin, None)
    return _judged(
        history, issued.origins[rows], issued.path[rows, -1], issued.peak[rows, -1], forecaster.levels,
        forecaster.horizon,
    )  # fmt: skip


def judge_persistence(history: History, first: int, levels: tuple[float, ...], horizon: int) -> Judged:
    """The last value, repeated: what costs nothing."""
    origins = np.arange(first, len(history.series))
    last = persistence(np.asarray(history.series.values), origins, horizon)[:, -1]
    flat = np.repeat(last[:, None], len(levels), axis=1)
    return _judged(history, origins, flat, flat, levels, horizon)


def _judged(
    history: History,
    origins: np.ndarray[tuple[int], np.dtype[np.int64]],
    path: scores.AnyFloat,
    peak: scores.AnyFloat,
    levels: tuple[float, ...],
    horizon: int,
) -> Judged:
    """path, peak: (origin, level) at the longest horizon."""
    series = history.series
    values = np.asarray(series.values)
    after, highest = scores.actual_paths(values, origins, horizon)
    planning = [at for at, level in enumerate(levels) if level >= PLANNING_FROM - 1e-9] or [len(levels) - 1]
    chosen = tuple(levels[at] for at in planning)
    known = np.isfinite(highest[:, -1]) & np.isfinite(peak).all(axis=1)
    pairs, mean = int(known.sum()), float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
    loss = None
    if pairs and mean > 0:
        loss = float(np.mean(scores.pinball(highest[known, -1], peak[known][:, planning], chosen))) / mean
    count = scores.coverage(highest[:, -1], peak[:, planning[-1]])
    median = at_levels(path, levels, (0.5,))[:, 0]
    found = Judged(
        pairs,
        loss,
        scores.point_error(after[:, -1], median).wape,
        count.covered / count.pairs if count.pairs else None,
    )
    return _with_alarms(found, values, series.step_seconds, origins, at_levels(peak, levels, (DEFAULT_ALARM_LEVEL,)))


def _with_alarms(
    found: Judged,
    values: FloatArray,
    step_seconds: int,
    origins: np.ndarray[tuple[int], np.dtype[np.int64]],
    asked: FloatArray,
) -> Judged:
    first = int(origins[0]) if len(origins) else 0
    if first == 0 or not np.nan_to_num(values[:first]).any():
        return found
    demand = Demand.of(values, step_seconds, target_per_replica(values[:first], step_seconds))
    score = judge(demand, asked[:, 0], first).score
    return Judged(
        found.pairs,
        found.loss,
        found.wape,
        found.coverage,
        surges=score.surges,
        caught=score.caught,
        resolved_alarms=score.hits + score.false_alarms,
        false_alarms=score.false_alarms,
    )


def decide(trials: list[Trial], *, min_gain_ratio: float, broken: str | None) -> Decision:
    """Promote the challenger or keep the champion.  broken: why the champion cannot serve, None when it can."""
    fit = [t for t in trials if t.challenger.pairs >= MIN_PAIRS and t.challenger.loss is not None]
    if broken is not None:
        return Decision(Verdict.PROMOTE, f"the champion cannot serve: {broken}")
    if not fit:
        return Decision(Verdict.KEEP, f"no workload has {MIN_PAIRS} outcomes in the judged span; nothing can be said")
    against_nothing = _ratios(fit, {t.workload: t.persistence for t in fit})
    if against_nothing and _mean(against_nothing) > 1:
        return Decision(
            Verdict.KEEP,
            f"the challenger plans worse than repeating the last value (loss {_mean(against_nothing):.2f} times its)",
        )
    ratios = _ratios(fit, {t.workload: t.champion for t in fit})
    if not ratios:
        return Decision(Verdict.PROMOTE, "the champion has no forecast where the challenger has")
    pooled, worst = _mean(ratios), max(ratios.items(), key=lambda item: item[1])
    if worst[1] > MAX_LOSS_RATIO:
        return Decision(
            Verdict.KEEP, f"{worst[0]} would become worse: loss {worst[1]:.2f} times the champion's", pooled, worst
        )
    if pooled > 1 - min_gain_ratio:
        return Decision(
            Verdict.KEEP,
            f"loss {pooled:.3f} times the champion's over {_count(ratios)}; {1 - min_gain_ratio:g} wanted",
            pooled,
            worst,
        )
    return Decision(Verdict.PROMOTE, f"loss {pooled:.3f} times the champion's over {_count(ratios)}", pooled, worst)


def _ratios(trials: list[Trial], others: Mapping[str, Judged | None]) -> dict[str, float]:
    found = {}
    for trial in trials:
        other = others[trial.workload]
        if other is not None and other.loss and trial.challenger.loss is not None:
            found[trial.workload] = trial.challenger.loss / other.loss
    return found


def _mean(ratios: Mapping[str, float]) -> float:
    """Geometric, so that a large workload does not drown the others."""
    return math.exp(sum(math.log(max(ratio, 1e-9)) for ratio in ratios.values()) / len(ratios))


def _count(ratios: Mapping[str, float]) -> str:
    return "1 workload" if len(ratios) == 1 else f"{len(ratios)} workloads"
