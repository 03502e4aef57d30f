"""The words of deciding: what was seen, what is recommended, what was decided, what is remembered.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from predictor.forecast import Forecast


class Reason(StrEnum):
    """Why the floor is what it is: status condition, event, metric label, log field and comparison column alike."""

    FORECAST_DEMAND = "ForecastDemand"  # the forecast asks for these replicas
    REACTIVE_DEMAND = "ReactiveDemand"  # present load needs more than the forecast does
    NO_FORECAST = "NoForecast"  # none was made
    FORECAST_STALE = "ForecastStale"  # the newest one is too old to plan with
    FORECAST_TOO_SHORT = "ForecastTooShort"  # it does not reach as far as new pods take to start
    FORECAST_INVALID = "ForecastInvalid"  # it holds no number where one is needed
    NOT_TRUSTED = "NotTrusted"  # its score does not earn a say
    OUTSIDE_EXPERIENCE = "OutsideExperience"  # demand is higher than anything the settings were chosen on
    HPA_GOVERNS = "HPAGoverns"  # no opinion of our own: the floor is what the HPA alone would hold
    HELD = "Held"  # nothing to go by for the moment: what was held stays
    SMALL_CHANGE = "SmallChange"  # not worth a scale-down
    SCALE_DOWN_STABILIZED = "ScaleDownStabilized"  # a recent recommendation was higher
    DEMAND_COLLAPSED = "DemandCollapsed"  # demand fell at once, as in an outage: it is expected back
    RELEASE_LIMITED = "ReleaseLimited"  # the floor falls step by step
    SCALE_UP_LIMITED = "ScaleUpLimited"  # a forecast may not ask for arbitrarily more than present load needs
    EVENT = "Event"  # an announced event or a schedule asks for more
    AT_MINIMUM = "AtMinimum"
    AT_MAXIMUM = "AtMaximum"
    PAUSED = "Paused"
    # What the live controller finds beside the decision itself.
    CONFIGURED = "Configured"  # target, actuator and demand are as they must be
    INVALID_SPEC = "InvalidSpec"
    TARGET_TAKEN = "TargetTaken"  # an older resource scales it
    NO_HPA = "NoHPA"
    MANY_HPAS = "ManyHPAs"
    KEDA_OWNS_HPA = "KEDAOwnsHPA"
    HPA_EXISTS = "HPAExists"
    SCALER_OFF = "ScalerOff"  # KEDA would not be answered
    LEAD_TOO_LONG = "LeadTooLong"  # new pods take longer to start than the forecast reaches
    DEMAND_AT_FAULT = "DemandAtFault"  # the query has to be mended
    DEMAND_UNKNOWN = "DemandUnknown"
    WRITE_REFUSED = "WriteRefused"  # by the API server
    FORECAST_FRESH = "ForecastFresh"
    TRUST_EARNED = "TrustEarned"
    UNPROVEN = "Unproven"  # too few outcomes to judge
    OBSERVING = "Observing"  # the mode that changes nothing
    RAISED = "Raised"  # a floor above the user's is in force
    RELEASED = "Released"  # the user's own value is in force
    REVERTED = "Reverted"  # another manager put the user's value back
    AS_FORECAST = "AsForecast"  # nothing keeps the floor from what the forecast asks for


@dataclass(frozen=True, slots=True)
class Observation:
    """All that a decision may look at; None means not known, which is never zero."""

    now: datetime  # UTC
    replicas: int | None = None  # asked for at present
    demand: float | None = None  # present demand, in the unit of the target per replica
    recent_peak_demand: float | None = None  # highest demand of the last hour
    hpa_alone_replicas: int | None = None  # what the user's HPA would hold without us (the twin's answer)
    forecast: Forecast | None = None  # the newest one, however old
    is_trusted: bool = True  # the score card's verdict on this workload's forecasts

    @property
    def is_blind(self) -> bool:
        """Whether nothing is known of present load."""
        return self.demand is None and self.hpa_alone_replicas is None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A proposed floor on its way through the guardrails; `replicas` None is no opinion."""

    replicas: int | None
    reason: Reason
    demand: float | None = None  # what the replicas are to carry


@dataclass(frozen=True, slots=True)
class Memory:
    """What a decision leaves for the next one.  `Memory()` is a fresh start."""

    floor: int | None = None  # the forecast's floor after the guardrails, before overrides, reactive answer and bounds
    opinion_at: datetime | None = None  # when a forecast was last followed
    decided_at: datetime | None = None
    recommendations: tuple[tuple[datetime, int], ...] = ()  # falling ones within the scale-down window, oldest first
    demand_at: datetime | None = None  # when present demand was last known
    reactive_replicas: int | None = None  # what it asked for then; at a fresh start without data, the replicas found
    hpa_alone_replicas: int | None = None  # the HPA's own answer when it was last known


class Step(NamedTuple):
    """One rule that changed the proposal."""

    rule: str  # the rule's own name; plan_capacity for the forecast itself
    before: int | None
    after: int | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """The floor to hold from now on, and how it came about."""

    at: datetime
    floor: int
    reason: Reason  # of the last rule that set the floor
    acts: bool  # False: observe mode or paused, only keep score
    has_opinion: bool  # a fresh and trusted forecast stands behind it
    forecast_replicas: int | None  # what the forecast alone asks for
    reactive_replicas: int | None  # what present demand asks for
    planned_demand: float | None  # the demand quantile planned for
    steps: tuple[Step, ...] = ()  # from the forecast through every rule that changed the proposal, in order

    @property
    def trail(self) -> tuple[Reason, ...]:
        """The reasons of the steps."""
        return tuple(step.reason for step in self.steps)
