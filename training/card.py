"""The score card: everything `forescale evaluate` says about one series, as frozen data.  Pure.

The terminal table, the HTML page and `--json` are three views of it; none of them computes a score.  A
score that does not exist (no pairs, no alarms, a forecaster without quantiles) is None, never zero.  Shares
are 0-1, instants are UTC, horizons count steps, demand is in the series' own unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from predictor.surges import f1_score

SCHEMA_VERSION = 1
SHIFT_MARGIN = 0.1  # of correlation, by which the shifted forecast must fit better to be called out


class Role(StrEnum):
    """What a forecaster is in the comparison."""

    MODEL = "model"  # the one being judged: calibrated, mixed, as it would be served
    RAW = "raw"  # the network alone, before the online layer
    BASELINE = "baseline"  # a simple forecaster that needs no training
    RIVAL = "rival"  # another trained model, for comparison only


class Head(StrEnum):
    """Which of the forecast's two questions a row answers."""

    PATH = "path"  # demand h steps ahead
    PEAK = "peak"  # the highest demand of the next h steps


class MarkKind(StrEnum):
    """What happened at a moment of the example."""

    HIT = "hit"  # an alarm, and the load came
    FALSE_ALARM = "false_alarm"  # an alarm, and it did not
    PENDING = "pending"  # an alarm whose 20 minutes reach beyond the data
    MISSED_SURGE = "missed_surge"  # the load came without an alarm


@dataclass(frozen=True, slots=True)
class Forecaster:
    """One row of every table.  Keys used here: see `docs/score-card.md`."""

    key: str
    title: str
    role: Role


LSTM = Forecaster("lstm", "LSTM, calibrated", Role.MODEL)
LSTM_RAW = Forecaster("lstm_raw", "LSTM, network alone", Role.RAW)
PERSISTENCE = Forecaster("persistence", "Persistence", Role.BASELINE)
MEAN_5MIN = Forecaster("mean_5min", "5-minute mean", Role.BASELINE)
SEASONAL_1D = Forecaster("seasonal_1d", "Same time yesterday", Role.BASELINE)
SEASONAL_7D = Forecaster("seasonal_7d", "Same time last week", Role.BASELINE)
LEVEL_ADJUSTED = Forecaster("level_adjusted", "Yesterday's shape at today's level", Role.BASELINE)
DAMPED_TREND = Forecaster("damped_trend", "Damped trend", Role.BASELINE)

FORECASTERS = (
    LSTM,
    LSTM_RAW,
    PERSISTENCE,
    MEAN_5MIN,
    SEASONAL_1D,
    SEASONAL_7D,
    LEVEL_ADJUSTED,
    DAMPED_TREND,
)


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What was forecast."""

    name: str
    unit: str  # "requests per step", "requests/s", or "" when unknown
    step_seconds: int
    start: datetime  # first sample
    end: datetime  # last sample
    samples: int
    missing: int
    is_synthetic: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    quality_notes: tuple[str, ...] = ()  # sentences from the quality check


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What forecast it."""

    hash: str  # short content hash of the bundle
    parameters: int
    horizon: int  # steps
    levels: tuple[float, ...]
    season_seconds: tuple[int, ...]
    trained_from: datetime
    trained_to: datetime
    training_series: int  # how many series the model learnt from
    code_version: str
    seed: int | None = None
    training_seconds: float | None = None
    best_update: int | None = None  # the one that was kept
    is_trained_on_synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Protocol:
    """How it was judged."""

    start: datetime  # first origin
    end: datetime  # last origin
    origins: int
    embargo_steps: int  # left out between training and the first origin
    refits: int = 0  # 0: one model for the whole span
    history_steps: int | None = None  # demand before an origin that the model could see


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Point accuracy of the median of one forecaster at one horizon."""

    forecaster: str  # key
    horizon: int  # steps
    pairs: int  # (origin, actual) pairs in which neither is missing
    wape: float | None  # sum |actual - median| / sum actual
    skill_over_persistence: float | None  # 1 - wape / persistence's wape; above 0 is better
    skill_over_level_adjusted: float | None
    mase: float | None  # error over the training span's mean daily change (one-step change without a season)
    bias: float | None  # sum (median - actual) / sum actual


@dataclass(frozen=True, slots=True)
class QuantileLoss:
    """Weighted quantile loss of one forecaster over all levels and horizons of one head."""

    forecaster: str
    head: Head
    pairs: int
    wql: float | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often demand stayed at or below one quantile."""

    DERIVED: ClassVar[tuple[str, ...]] = ("coverage",)

    forecaster: str
    head: Head
    horizon: int
    level: float  # the promise
    covered: int  # pairs with actual <= quantile
    pairs: int

    @property
    def coverage(self) -> float | None:
        """What was kept of the promise, 0-1."""
        return self.covered / self.pairs if self.pairs else None


@dataclass(frozen=True, slots=True)
class ReplicaBasis:
    """How demand was turned into replicas for surges and alarms."""

    target_per_replica: float  # demand, in the series' unit, that one replica carries
    is_assumed: bool  # True: scaled so that the training span's 99.9th percentile needs 30 replicas
    surges: int  # in the test span
    days: float  # test span in seasonal days, for "per day"


@dataclass(frozen=True, slots=True)
class AlarmScore:
    """Surges and alarms of one forecaster."""

    DERIVED: ClassVar[tuple[str, ...]] = ("recall", "false_alarm_ratio", "f1")

    forecaster: str
    level: float | None  # quantile level that raises the alarm, chosen on validation; None for a point forecast
    surges: int
    caught: int
    alarms: int  # hits + false_alarms + pending
    hits: int
    false_alarms: int
    pending: int  # not yet resolved when the data ended; in no ratio
    median_lead_seconds: float | None  # from alarm to surge, over caught surges
    wasted_replica_minutes: float | None  # raised by false alarms, used by nobody
    margin: float | None = None  # a point forecast's knob: it is multiplied by this before it asks for replicas

    @property
    def recall(self) -> float | None:
        """Caught surges / surges."""
        return self.caught / self.surges if self.surges else None

    @property
    def false_alarm_ratio(self) -> float | None:
        """False alarms / resolved alarms."""
        resolved = self.hits + self.false_alarms
        return self.false_alarms / resolved if resolved else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of recall and 1 - false-alarm ratio; 0 for silence in the face of surges."""
        return None if self.recall is None else f1_score(self.recall, self.false_alarm_ratio)


@dataclass(frozen=True, slots=True)
class ThresholdScore:
    """The easier question others publish: will demand be above the trailing week's 90th percentile?"""

    DERIVED: ClassVar[tuple[str, ...]] = ("recall", "precision")

    forecaster: str
    pairs: int
    above: int  # pairs in which demand was above
    said: int  # pairs in which the forecast was above
    both: int

    @property
    def recall(self) -> float | None:
        """Share of the pairs above that the forecast had above."""
        return self.both / self.above if self.above else None

    @property
    def precision(self) -> float | None:
        """Share of the forecast's claims that were right."""
        return self.both / self.said if self.said else None


@dataclass(frozen=True, slots=True)
class ShiftTest:
    """Is the forecast only the present, shifted?  Then it fits demand of `horizon` steps earlier best."""

    DERIVED: ClassVar[tuple[str, ...]] = ("repeats_the_present",)

    forecaster: str
    horizon: int
    best_shift: int  # steps, 0..horizon, by which moving the forecast back fits demand best; 0 is honest
    correlation: float | None  # of changes, unshifted
    best_correlation: float | None  # at best_shift

    @property
    def repeats_the_present(self) -> bool:
        """Whether the forecast lags by more than half of its horizon, and clearly: noise has a best shift too."""
        if self.correlation is None or self.best_correlation is None:
            return False
        return 2 * self.best_shift > self.horizon and self.best_correlation - self.correlation >= SHIFT_MARGIN


@dataclass(frozen=True, slots=True)
class SkillInterval:
    """Uncertainty of the model's skill over one baseline, from a moving-block bootstrap."""

    baseline: str  # forecaster key
    horizon: int
    skill: float
    low: float
    high: float
    confidence: float = 0.95
    blocks: int | None = None  # independent blocks in the span


@dataclass(frozen=True, slots=True)
class Mark:
    """An alarm or a missed surge in the example."""

    at: datetime
    kind: MarkKind


@dataclass(frozen=True, slots=True)
class Example:
    """A stretch of the test span to look at: demand, and what was forecast for it `lead_steps` before."""

    start: datetime
    step_seconds: int
    lead_steps: int
    low_level: float
    high_level: float
    actual: tuple[float | None, ...]  # (time,)
    median: tuple[float | None, ...]  # (time,), forecast for this instant
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingCheck:
    """One look at the validation span during training."""

    number: int  # weight updates so far
    training_loss: float | None
    validation_loss: float | None
    skill_over_persistence: float | None


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """Everything about one series.  Rows may come in any order; the views sort."""

    series: SeriesFacts
    model: ModelFacts
    protocol: Protocol
    forecasters: tuple[Forecaster, ...]  # in the order of the tables
    accuracy: tuple[Accuracy, ...]
    quantile_loss: tuple[QuantileLoss, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    replicas: ReplicaBasis | None = None
    alarms: tuple[AlarmScore, ...] = ()
    threshold: tuple[ThresholdScore, ...] = ()
    shift: tuple[ShiftTest, ...] = ()
    intervals: tuple[SkillInterval, ...] = ()
    example: Example | None = None
    training: tuple[TrainingCheck, ...] = ()

    @property
    def judged(self) -> Forecaster:
        """The forecaster the verdict is about."""
        for forecaster in self.forecasters:
            if forecaster.role is Role.MODEL:
                return forecaster
        raise ValueError(f"{self.series.name}: no forecaster has the role 'model'; a score card needs one")

    def title(self, key: str) -> str:
        """A forecaster's name for people; its key when it is not listed."""
        return next((f.title for f in self.forecasters if f.key == key), key)

    def accuracy_of(self, key: str, horizon: int) -> Accuracy | None:
        """The row of one forecaster at one horizon."""
        return next((row for row in self.accuracy if (row.forecaster, row.horizon) == (key, horizon)), None)

    def alarms_of(self, key: str) -> AlarmScore | None:
        """The surges and alarms of one forecaster."""
        return next((row for row in self.alarms if row.forecaster == key), None)

    def best_baseline(self, horizon: int) -> Accuracy | None:
        """The most accurate simple forecaster at one horizon: the one to beat."""
        baselines = {f.key for f in self.forecasters if f.role is Role.BASELINE}
        rows = [r for r in self.accuracy if r.horizon == horizon and r.forecaster in baselines and r.pairs]
        return min((r for r in rows if r.wape is not None), key=lambda r: r.wape or 0.0, default=None)
