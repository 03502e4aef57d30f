"""The comparison as frozen data: terminal, page and JSON are three views of it, and none of them computes.  Pure.

A figure that does not exist is None, never zero.  Shares are 0-1, waits are seconds, instants are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from training.card import SeriesFacts

SCHEMA_VERSION = 1
GOALS = (0.01, 0.001, 0.0001)  # violations at which frontiers are compared


class Family(StrEnum):
    """What kind of policy a row is."""

    STATIC = "static"  # a fixed number of replicas
    HPA = "hpa"  # reacts
    SCHEDULE = "schedule"  # reacts above a weekly schedule learnt from history
    PREDICTIVE = "predictive"  # reacts above a floor from a forecast
    PLACEBO = "placebo"  # the same with the forecast of another time
    ORACLE = "oracle"  # knows the future: the limit, not a policy


class Tuning(StrEnum):
    """When a policy's knobs were chosen."""

    NONE = "none"  # there is nothing to tune, or it is shown as shipped
    FROZEN = "frozen"  # on the week before the test span, then left alone
    RECHOSEN = "rechosen"  # every six hours on the trailing week, as the live controller would
    HINDSIGHT = "hindsight"  # on the test span itself: a limit of the family, nothing that could have been run


@dataclass(frozen=True, slots=True)
class PolicyKey:
    """Names a policy everywhere: `key` in files, `title` for people."""

    key: str
    title: str
    family: Family
    source: str | None = None  # the forecaster of a predictive policy or its placebo


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy over the test span."""

    policy: PolicyKey
    tuning: Tuning
    knobs: tuple[tuple[str, str], ...]  # as a person reads them, such as ("HPA target", "65 %")
    requests: float  # arrivals that were observed
    late: float  # of these, those that waited longer than the SLO or gave up
    timed_out: float
    replica_hours: float  # ready, starting or draining
    money: float | None  # replica_hours at the given price
    mean_wait: float
    p95_wait: float
    p99_wait: float
    under_ratio: float  # share of time in which the ready replicas could not carry the load
    over_ratio: float  # share of time in which at least one ready replica was not needed
    utilization: float  # requests served / requests that the ready replicas could have served
    scale_operations_per_hour: float
    surges: int | None  # of the span; None for policies that raise no alarms
    caught: int | None
    alarms: int | None  # resolved
    false_alarms: int | None
    wasted_replica_minutes: float | None  # asked for by false alarms
    no_opinion_ratio: float | None  # share of time in which a predictive policy left the HPA to govern
    chosen_violation: float | None  # on the span on which its knobs were chosen

    @property
    def violation(self) -> float:
        """Late requests / requests."""
        return self.late / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A setting that no other setting of its family beats in both cost and risk."""

    violation: float
    replica_hours: float


@dataclass(frozen=True, slots=True)
class Frontier:
    """The best of one family on the test span, in hindsight; rising violation, falling cost."""

    policy: PolicyKey
    settings_tried: int
    points: tuple[FrontierPoint, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """How much of the distance from the tuned HPA (0) to perfect foresight (1) a policy covers at equal risk."""

    policy: PolicyKey
    goal: float  # violation that nobody exceeds
    hpa_hours: float | None  # cheapest setting that keeps the goal; None when none does
    policy_hours: float | None
    oracle_hours: float | None
    closed: float | None  # (hpa - policy) / (hpa - oracle)
    placebo_closed: float | None  # the same with a forecast of another time: what it closes is not forecasting


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 90 % interval from resampling whole days."""

    value: float
    low: float
    high: float
    days: int  # resampled


@dataclass(frozen=True, slots=True)
class DayTrack:
    """Replicas of one policy over the shown day, (sample,) each."""

    policy: PolicyKey
    ready: tuple[float, ...]
    paid: tuple[float, ...]


class AlarmMark(StrEnum):
    """What happened on the time line."""

    HIT = "hit"
    FALSE_ALARM = "false_alarm"
    PENDING = "pending"
    CAUGHT_SURGE = "caught_surge"
    MISSED_SURGE = "missed_surge"


@dataclass(frozen=True, slots=True)
class TimelineMark:
    """An alarm or a surge of the test span."""

    at: datetime
    kind: AlarmMark
    replicas: float  # need at that moment, or what the alarm asked for


@dataclass(frozen=True, slots=True)
class Day:
    """The day on which most was at stake: demand, the forecasts made for it, and who held what."""

    start: datetime
    step_seconds: int
    demand: tuple[float | None, ...]  # (sample,) requests per sample
    capacity_per_replica: float  # requests per sample
    lead_steps: int  # the forecast shown for each moment was made so many samples before it
    levels: tuple[float, ...]  # of the bands
    bands: tuple[tuple[float | None, ...], ...]  # (level, sample) demand forecast for the moment
    tracks: tuple[DayTrack, ...]


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """How often the coming peak stayed below a promised quantile, at the policy's lead."""

    level: float
    covered: int
    pairs: int


class Answer(StrEnum):
    """What a user should do."""

    USE = "use it"
    OBSERVE = "observe first"
    KEEP = "keep your HPA"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, why, and what to paste."""

    answer: Answer
    headline: str  # one sentence with its numbers
    reasons: tuple[str, ...]
    suggested_spec: str | None  # YAML; None when the HPA should be kept


@dataclass(frozen=True, slots=True)
class Setup:
    """What was simulated, and on which part of the history."""

    startup_seconds: float
    slo_wait_seconds: float
    target_violation: float
    step_seconds: int  # of the simulation
    capacity_per_replica: float  # demand per sample that saturates a replica
    is_capacity_given: bool  # False: scaled so that the training span's 99.9th percentile needs 30 replicas
    replica_cost_per_hour: float | None
    train_end: datetime  # the model saw nothing after this
    tuned_from: datetime  # knobs were chosen on [tuned_from, test_from)
    test_from: datetime
    test_to: datetime
    placebo_shift_hours: int
    spread: str  # how requests were spread within a sample
    seed: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything about one series."""

    series: SeriesFacts
    setup: Setup
    outcomes: tuple[Outcome, ...]  # in the order of the table
    frontiers: tuple[Frontier, ...]
    gaps: tuple[Gap, ...]
    saving: Interval | None  # 1 - predictive replica-hours / tuned HPA's, both frozen
    day: Day
    timeline: tuple[TimelineMark, ...]  # of the recommended policy's forecaster over the test span
    timeline_from: datetime
    timeline_to: datetime
    calibration: tuple[CalibrationPoint, ...]
    verdict: Verdict
    notes: tuple[str, ...] = field(default=())  # what a reader has to know about the figures


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """What `compare` writes: one comparison per series."""

    comparisons: tuple[Comparison, ...]
    created_at: datetime
    code_version: str
    command: str
    schema_version: int = SCHEMA_VERSION

    @property
    def is_synthetic(self) -> bool:
        """Whether some of it rests on generated demand."""
        return any(told.series.is_synthetic for told in self.comparisons)
