"""What the forecast API says, as types shared by the server and its clients.  Pure.

Instants are UTC.  Demand is in the unit of its query.  Arrays run oldest first; `null` is "not known", never zero.
Every ratio stands beside the counts that it comes from, and is `null` when its denominator is zero.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from predictor.forecast import MAX_HORIZON
from predictor.series import MAX_STEP_SECONDS

MAX_BATCH = 10_000  # workloads in one request
MAX_LEVELS = 32


class Message(BaseModel):
    """Frozen; a field that a newer server adds is ignored by an older client."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TrustState(StrEnum):
    """Whether forecasts of a workload have earned to be acted on."""

    TRUSTED = "trusted"
    DISTRUSTED = "distrusted"
    UNPROVEN = "unproven"  # too few outcomes to say


class TrustReason(StrEnum):
    """Why."""

    EARNED = "Earned"
    CALIBRATING = "Calibrating"  # the online layer is still being rebuilt from history
    TOO_FEW_OUTCOMES = "TooFewOutcomes"
    WORSE_THAN_PERSISTENCE = "WorseThanPersistence"
    POOR_COVERAGE = "PoorCoverage"
    FALSE_ALARMS = "FalseAlarms"
    MISSED_SURGES = "MissedSurges"


class Unavailable(StrEnum):
    """Why there is no forecast."""

    TOO_SHORT = "HistoryTooShort"
    STALE = "DataStale"
    GAPPY = "TooManyGaps"
    WRONG_STEP = "StepMismatch"
    UNKNOWN_WORKLOAD = "UnknownWorkload"
    STARTING = "Starting"  # the first cycle has not ended
    NO_SERIES = "NoSeries"  # the query gives nothing for this workload
    SOURCE_FAILED = "SourceFailed"  # the metric server cannot be read, and what is known is too old
    BAD_DATA = "BadData"  # negative or infinite demand
    MODEL_REFUSED = "ModelRefused"  # the bundle is missing or damaged


class Trust(Message):
    """A verdict on the last days' outcomes, in words too."""

    state: TrustState
    reason: TrustReason
    message: str


class Outcomes(Message):
    """What trust is judged on: counts over one window that ends now, so that others may judge by thresholds of theirs.

    Pairs are forecasts at the longest horizon whose outcome is known; coverage is of the highest demand until then.
    """

    window_seconds: int
    is_warm: bool  # whether calibration has been rebuilt; the quantiles are the network's own until then
    pairs: int
    skill: float | None  # of the median, over persistence; None where persistence made no error
    upper_level: float  # of the quantile that capacity is planned on
    upper_pairs: int
    upper_covered: int  # of them, demand stayed below the quantile
    hits: int
    false_alarms: int
    surges: int
    surges_caught: int


class Freshness(Message):
    """How old the newest observed sample is."""

    last_sample_at: datetime | None
    age_seconds: float | None  # when the last cycle ended
    is_stale: bool
    last_read_at: datetime | None  # when the metric server last answered
    error: str | None = None  # why it did not, since then


class ModelName(Message):
    """Which model spoke."""

    version: str  # short hash
    hash: str
    created_at: str
    code_version: str


class Calibration(Message):
    """What the online layer has learnt from."""

    is_warm: bool  # rebuilt from history and at one with it
    outcomes: int  # forecasts of the longest horizon whose outcome is known


class Score(Message):
    """Accuracy of the median at the longest horizon, persistence's own beside it."""

    window_seconds: int
    horizon_seconds: int
    pairs: int
    wape: float | None
    persistence_wape: float | None
    skill: float | None  # 1 - wape / persistence_wape


class ForecastAnswer(Message):
    """A forecast, or why there is none."""

    workload: str
    status: Literal["ok", "unavailable"]
    reason: Unavailable | None = None
    message: str | None = None
    is_synthetic: bool = False
    issued_at: datetime | None = None  # the last sample it knows
    expires_at: datetime | None = None  # not to be used after this instant
    step_seconds: int | None = None
    levels: list[float] = Field(default_factory=list)
    times: list[datetime] = Field(default_factory=list)  # of the steps ahead
    path: list[list[float]] = Field(default_factory=list)  # step ahead x level: demand then
    window_max: list[list[float]] | None = None  # step ahead x level: highest demand until then
    target_per_replica: float | None = None
    is_target_derived: bool = False
    model: ModelName | None = None
    freshness: Freshness | None = None
    calibration: Calibration | None = None
    trust: Trust | None = None
    outcomes: Outcomes | None = None  # that trust was judged on; None before anything is scored

    def quantile(self, level: float, *, window_max: bool = False) -> list[float] | None:
        """One level's value per step ahead; None when it is not among `levels`, or without `window_max`."""
        rows = self.window_max if window_max else self.path
        at = next((i for i, known in enumerate(self.levels) if abs(known - level) < 1e-9), None)
        return None if at is None or rows is None else [row[at] for row in rows]


class ForecastRequest(Message):
    """Ask for many workloads at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    workloads: Annotated[list[str], Field(max_length=MAX_BATCH)] | None = None  # None: all
    quantiles: Annotated[list[Annotated[float, Field(gt=0, lt=1)]], Field(max_length=MAX_LEVELS)] | None = None
    horizon_seconds: Annotated[int, Field(ge=1, le=MAX_HORIZON * MAX_STEP_SECONDS)] | None = None
    window_max: bool = True


class ForecastBatch(Message):
    """One answer per workload asked for, in the order asked."""

    cycle: int
    forecasts: list[ForecastAnswer]


class Expected(Message):
    """The next minutes in one line."""

    horizon_seconds: int
    median: float  # demand at the horizon
    peak_median: float  # highest demand until then
    peak_upper: float
    upper_level: float
    replicas: int | None  # that the upper peak asks for; null without a target per replica


class WorkloadSummary(Message):
    """One line of the overview."""

    name: str
    status: Literal["ok", "unavailable"]
    reason: Unavailable | None = None
    message: str | None = None
    is_synthetic: bool = False
    demand: float | None  # the last observed sample
    replicas: float | None = None  # observed
    expected: Expected | None
    target_per_replica: float | None
    is_target_derived: bool = False
    step_seconds: int | None
    horizon_seconds: int | None
    recent: list[float | None]  # demand of the last two hours, thinned, for a sparkline
    trust: Trust
    score: Score | None
    freshness: Freshness
    model: ModelName | None


class WorkloadList(Message):
    """Every workload."""

    cycle: int
    cycle_at: datetime | None
    is_warm: bool  # every workload's calibration is rebuilt
    workloads: list[WorkloadSummary]
    notes: list[str] = Field(default_factory=list)  # series that could not become workloads, and why


class PastForecasts(Message):
    """For each instant, what had been forecast for it `horizon_seconds` before."""

    horizon_seconds: int
    levels: list[float]
    path: list[list[float | None]]  # level x time


class Replicas(Message):
    """Replicas at each instant."""

    needed: list[float | None]  # demand / target, 3-minute mean
    recommended: list[float | None]  # what the forecast of that instant asks for, in whole replicas
    observed: list[float | None] | None  # null without a replicas query


class History(Message):
    """Demand, and what had been expected."""

    workload: str
    step_seconds: int
    times: list[datetime]
    demand: list[float | None]
    forecasts: PastForecasts
    replicas: Replicas | None  # null without a target per replica


class HorizonScore(Message):
    """Accuracy of the median at one horizon."""

    horizon_seconds: int
    pairs: int
    wape: float | None
    persistence_wape: float | None
    skill: float | None
    bias: float | None


Head = Literal["path", "window_max"]


class CoverageScore(Message):
    """How often outcomes stayed at or below a quantile, at the longest horizon."""

    head: Head
    horizon_seconds: int
    level: float
    pairs: int
    covered: int
    coverage: float | None


class AlarmScore(Message):
    """Surges and alarms, in replicas (docs/scores.md)."""

    level: float  # quantile level of the highest demand within the horizon that raises an alarm
    surges: int
    caught: int
    recall: float | None
    alarms: int
    hits: int
    false_alarms: int
    pending: int
    false_alarm_ratio: float | None  # false alarms / (hits + false alarms)
    median_lead_seconds: float | None
    wasted_replica_minutes: float


class Accuracy(Message):
    """How right forecasts have been over a window that ends now."""

    workload: str
    start: datetime | None
    end: datetime | None
    window_seconds: int
    origins: int  # forecasts made in the window
    live_origins: int  # of these, made at their time; the others were rebuilt from history as they would have been made
    by_horizon: list[HorizonScore]
    coverage: list[CoverageScore]
    alarms: AlarmScore | None  # null without enough demand to derive a target per replica
    trust: Trust


class Alarm(Message):
    """One alarm and what became of it."""

    raised_at: datetime
    outcome: Literal["pending", "hit", "false"]
    resolves_at: datetime  # the latest
    held: float  # replicas held when it was raised
    asked: float  # replicas that the forecast wanted


class Surge(Message):
    """A rise that a reactive scaler would have been late for."""

    began_at: datetime
    is_caught: bool
    held: float
    needed: float  # replicas at the beginning


class Alarms(Message):
    """Alarms and surges of a window, newest last."""

    workload: str
    window_seconds: int
    target_per_replica: float | None
    is_target_derived: bool
    alarms: list[Alarm]
    surges: list[Surge]


class ModelInfo(Message):
    """One loaded bundle, and who uses it."""

    name: str  # the directory's own name
    status: Literal["ok", "refused"]
    message: str | None = None  # why it is refused, or why a newer one is
    version: str | None = None
    hash: str | None = None
    created_at: str | None = None
    code_version: str | None = None
    loaded_at: datetime | None = None
    workloads: list[str] = Field(default_factory=list)
    step_seconds: int | None = None
    horizon_steps: int | None = None
    levels: list[float] = Field(default_factory=list)
    season_seconds: list[int] = Field(default_factory=list)
    covariates: list[str] = Field(default_factory=list)
    trained_from: str | None = None
    trained_to: str | None = None
    training_samples: int | None = None
    training_series: list[str] = Field(default_factory=list)
    is_trained_on_synthetic: bool = False
    parameters: int | None = None
    validation_skill: float | None = None
    is_warming: bool = False  # a newer version is being calibrated and takes over when it is


class Models(Message):
    """Every bundle."""

    models: list[ModelInfo]


class Reloaded(Message):
    """What a reload found."""

    changed: list[str]  # names of bundles that are being calibrated and take over then
    unchanged: list[str]
    refused: list[str]


class CycleEvent(Message):
    """In the event stream, after every cycle."""

    cycle: int
    at: datetime | None
    workloads: int
    available: int  # of these, with a forecast


class Probe(Message):
    """Of /livez and /readyz."""

    ok: bool
    detail: str | None = None  # why not


class Problem(Message):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
