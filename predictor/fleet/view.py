"""What readers see of a fleet: frozen, made after each cycle, so that answering never waits for forecasting.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from predictor import messages as m
from predictor.fleet.ledger import PLAN_LEVEL
from predictor.fleet.scoring import Subject, numbers
from predictor.forecast import MEDIAN, Float32Array, level_index
from predictor.forecaster import STALE_AFTER_STEPS

EXPORTED_LEVELS = (0.5, 0.95, 0.99)  # to a metrics server, of those that a model has


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One workload as of the last cycle."""

    name: str
    is_synthetic: bool
    refusal: tuple[m.Unavailable, str] | None  # why there is no forecast
    freshness: m.Freshness
    trust: m.Trust
    target: float | None
    is_target_derived: bool
    outcomes: m.Outcomes | None = None
    model: m.ModelName | None = None
    step_seconds: int | None = None
    levels: tuple[float, ...] = ()
    issued_at: datetime | None = None
    path: Float32Array | None = None  # (horizon, level)
    peak: Float32Array | None = None  # (horizon, level)
    demand: float | None = None  # the newest observed sample
    replicas: float | None = None  # observed
    calibration: m.Calibration | None = None
    score: m.Score | None = None
    coverage: tuple[tuple[m.Head, float, int, int], ...] = ()  # head, level, pairs, covered: of EXPORTED_LEVELS
    alarms: m.AlarmScore | None = None
    alarm_demand: float | None = None  # that the alarm rule compares with what is held
    recent: Float32Array | None = None  # demand of the last hours, thinned
    subject: Subject | None = field(default=None, repr=False)

    @property
    def expires_at(self) -> datetime | None:
        """When the forecast is too old to be used."""
        if self.issued_at is None or self.step_seconds is None:
            return None
        return self.issued_at + timedelta(seconds=self.step_seconds * (STALE_AFTER_STEPS + 1))

    def refusal_at(self, now: datetime) -> tuple[m.Unavailable, str] | None:
        """Why there is no forecast now: also when cycles have stopped and the last forecast grew old."""
        if self.refusal is not None:
            return self.refusal
        if self.expires_at is None or self.path is None:
            return m.Unavailable.STARTING, f"{self.name}: the first forecast is being made; ask again in a moment"
        if now < self.expires_at:
            return None
        why = f" ({self.freshness.error})" if self.freshness.error else ""
        return (
            m.Unavailable.SOURCE_FAILED if self.freshness.error else m.Unavailable.STALE,
            f"{self.name}: the newest forecast is of {self.issued_at:%F %T} UTC and too old to be used{why}",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Every workload as of one cycle."""

    cycle: int
    at: datetime | None
    is_ready: bool
    waiting_for: str | None  # why it is not ready
    views: Mapping[str, View]
    models: tuple[m.ModelInfo, ...] = ()
    notes: tuple[str, ...] = ()  # series that could not become workloads

    @property
    def is_warm(self) -> bool:
        """Whether every forecast is calibrated on all that is kept."""
        return self.is_ready and all(
            view.calibration is None or view.calibration.is_warm for view in self.views.values()
        )


def expected(view: View, now: datetime) -> m.Expected | None:
    """The next minutes in one line."""
    if view.refusal_at(now) is not None or view.path is None or view.peak is None or view.step_seconds is None:
        return None
    middle = level_index(view.levels, MEDIAN)
    upper = min(range(len(view.levels)), key=lambda index: abs(view.levels[index] - PLAN_LEVEL))
    peak = float(view.peak[-1, upper])
    return m.Expected(
        horizon_seconds=len(view.path) * view.step_seconds,
        median=digits(float(view.path[-1, middle])),
        peak_median=digits(float(view.peak[-1, middle])),
        peak_upper=digits(peak),
        upper_level=view.levels[upper],
        replicas=None if view.target is None else math.ceil(peak / view.target - 1e-9),
    )


def summary(view: View, now: datetime) -> m.WorkloadSummary:
    """One line of the overview."""
    refusal = view.refusal_at(now)
    return m.WorkloadSummary(
        name=view.name,
        status="ok" if refusal is None else "unavailable",
        reason=None if refusal is None else refusal[0],
        message=None if refusal is None else refusal[1],
        is_synthetic=view.is_synthetic,
        demand=view.demand,
        replicas=view.replicas,
        expected=expected(view, now),
        target_per_replica=view.target,
        is_target_derived=view.is_target_derived,
        step_seconds=view.step_seconds,
        horizon_seconds=None if view.path is None or view.step_seconds is None else len(view.path) * view.step_seconds,
        recent=[] if view.recent is None else numbers(view.recent),
        trust=view.trust,
        score=view.score,
        freshness=view.freshness,
        model=view.model,
    )


def digits(value: float) -> float:
    """Six of them: single precision knows no more."""
    return float(f"{value:.6g}")
