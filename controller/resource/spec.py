"""What a user writes: the `spec` of a `PredictiveAutoscaler`.  Pure.

This is the one definition: the CRD's schema is generated from it (controller/resource/crd.py), so descriptions,
defaults and bounds here are what `kubectl explain` shows and the API server enforces.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from controller.resource.base import Part, rule, rules
from controller.spec import Mode

_MOST_SECONDS = 366 * 86400
Seconds = Annotated[int, Field(ge=0, le=_MOST_SECONDS)]
Replicas = Annotated[int, Field(ge=0, le=2**31 - 1)]
Share = Annotated[float, Field(ge=0, le=1)]
WORKLOAD_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


class ActuatorKind(StrEnum):
    """How the floor reaches the target."""

    HPA_MIN_REPLICAS = "HPAMinReplicas"
    KEDA = "KEDA"
    METRIC = "Metric"
    SCALE = "Scale"


class LeadKind(StrEnum):
    """Where the start-up time comes from."""

    MEASURED = "Measured"
    FIXED = "Fixed"


class DemandSource(StrEnum):
    """Which kind of server answers the query."""

    PROMETHEUS = "Prometheus"


class TargetRef(Part):
    """What is scaled: anything with a scale subresource."""

    api_version: str = Field("apps/v1", description="API group and version of the target, such as apps/v1.")
    kind: str = Field(description="Kind of the target, such as Deployment.", min_length=1, max_length=63)
    name: str = Field(description="Name of the target, in this namespace.", min_length=1, max_length=253)


class DemandSpec(Part):
    """The demand that replicas carry: arrivals summed over the workload, never a value per pod or CPU."""

    query: str = Field(
        description="PromQL of the demand, such as sum(rate(http_requests_total[1m])). One query may serve many "
        "resources: group it with sum by (...) and choose with `series`.",
        min_length=1,
        max_length=8192,
    )
    series: dict[str, str] = Field(
        default_factory=dict,
        description="Labels that choose this workload's series among those of the query; empty where it gives one.",
        json_schema_extra={"maxProperties": 32},
    )
    step_seconds: int = Field(
        60, description="Seconds between the samples that the model was trained on.", ge=1, le=3600
    )
    source: DemandSource = Field(DemandSource.PROMETHEUS, description="What answers the query.")
    workload: str | None = Field(
        None,
        description="Name of the workload at the forecast server; NAMESPACE.NAME of this resource when left out.",
        pattern=WORKLOAD_NAME,
    )


class BoundsSpec(Part):
    """The user's own bounds on the floor, beside those of the HPA."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
                "minReplicas must not be above maxReplicas",
            )
        )
    )
    min_replicas: Replicas | None = Field(
        None, description="The floor never falls below this; the HPA's own minimum, or 1, when left out."
    )
    max_replicas: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        None, description="The floor never rises above this, nor ever above the HPA's own maximum."
    )


class LeadSpec(Part):
    """How long a pod that is asked for now takes until it serves."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("self.type != 'Fixed' || has(self.startupSeconds)", "a Fixed lead needs startupSeconds")
        )
    )
    type: LeadKind = Field(
        LeadKind.MEASURED,
        description="Measured: the 90th percentile of the target's own pods from created to Ready. Fixed: "
        "startupSeconds.",
    )
    startup_seconds: Seconds | None = Field(
        None, description="Start-up time when Fixed; with Measured, what holds until pods were seen to start."
    )
    metric_delay_seconds: Seconds = Field(
        30, description="From a request's arrival until the query shows it: scrape interval and rate window."
    )


class SloSpec(Part):
    """The promise to keep, as an alternative to a quantile."""

    wait_seconds: float = Field(
        2.0, description="A request that waits longer violates the promise; what latency risk is counted by.", ge=0
    )
    violation_target: float = Field(
        description="Share of times that demand may exceed the plan, such as 0.001; the quantile is 1 minus this.",
        gt=0,
        lt=1,
    )


class GuardrailsSpec(Part):
    """How cautious to be."""

    stale_after_seconds: Seconds = Field(300, description="An older forecast is not followed.")
    hold_seconds: Seconds = Field(600, description="How long the floor stays when there is no forecast to follow.")
    small_change_ratio: float = Field(
        0.05, description="A scale-down by less than this share of the floor is not worth it.", ge=0, lt=1
    )
    scale_down_window_seconds: Seconds = Field(
        300, description="The floor falls to the highest recommendation of this window."
    )
    release_ratio_per_minute: float = Field(
        0.5, description="And by no more than this share of itself in a minute.", gt=0, le=1
    )
    collapse_ratio: float = Field(
        0.5, description="Demand below this share of the last hour's peak is expected back; 0 turns it off.", ge=0, lt=1
    )
    scale_up_ratio: float = Field(
        4.0, description="A forecast may ask for this multiple of what present demand needs,", ge=1, le=1e6
    )
    scale_up_replicas: Replicas = Field(10, description="or for so many replicas more, whichever is higher.")
    experience_demand: float | None = Field(
        None, description="Highest demand on which the settings were chosen; beyond it the HPA governs.", gt=0
    )


class EventSpec(Part):
    """An announced window: a dated one (start, end) or a repeated one (cron, durationSeconds, timeZone)."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.cron) ? (has(self.durationSeconds) && !has(self.start) && !has(self.end)) : "
                "(has(self.start) && has(self.end))",
                "give start and end, or cron and durationSeconds",
            ),
            rule("!has(self.start) || !has(self.end) || self.start < self.end", "start must be before end"),
            rule(
                "(has(self.minReplicas) && self.minReplicas > 0) || "
                "(has(self.demandFactor) && self.demandFactor > 1.0)",
                "give minReplicas above 0 or demandFactor above 1: an event only raises the floor",
            ),
        )
    )
    name: str = Field(description="What is announced, such as black-friday.", min_length=1, max_length=63)
    start: AwareDatetime | None = Field(None, description="Begin of a dated window, with its offset from UTC.")
    end: AwareDatetime | None = Field(None, description="End of a dated window.")
    cron: str | None = Field(
        None, description="Begin of a repeated window: minute hour day month weekday.", min_length=9, max_length=255
    )
    duration_seconds: Annotated[int, Field(ge=60, le=7 * 86400)] | None = Field(
        None, description="Length of a repeated window."
    )
    time_zone: str = Field("UTC", description="IANA time zone of `cron`, such as Europe/Paris.", max_length=64)
    min_replicas: Replicas = Field(0, description="Floor within the window, from one lead before it begins.")
    demand_factor: float = Field(
        1.0, description="What the forecast is multiplied by within the window.", ge=1, le=1000
    )


class TrustSpec(Part):
    """What forecasts have to achieve to be followed, over the days of outcomes that the forecast server keeps.

    Each threshold counts from a minimum number of outcomes.
    """

    max_false_alarm_ratio: Share = Field(0.5, description="False alarms among resolved alarms.")
    min_alarms: Annotated[int, Field(ge=1)] = Field(5, description="Resolved alarms needed to judge their ratio.")
    min_surge_recall: Share | None = Field(
        None,
        description="Share of surges that an alarm foresaw; off when left out, since not every surge announces itself.",
    )
    min_surges: Annotated[int, Field(ge=1)] = Field(5, description="Surges needed to judge recall.")
    max_coverage_gap: Share = Field(
        0.05, description="How much less often than promised demand may stay below the planned quantile."
    )
    min_skill: float = Field(0.0, description="Skill over persistence of the median at the horizon.", ge=-1, le=1)
    min_outcomes: Annotated[int, Field(ge=1)] = Field(240, description="Outcomes needed to judge coverage and skill.")
    regain: Share = Field(0.02, description="How much better than a threshold it takes to be trusted again.")
    trusts_unproven: bool = Field(
        False, description="Whether to follow forecasts before there are enough outcomes to judge them."
    )


class AutoscalerSpec(Part):
    """What is scaled, what demand it carries, how sure to be, and whether to act."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.quantile) ? 1 : 0) + (has(self.slo) ? 1 : 0) + (has(self.costRatio) ? 1 : 0) <= 1",
                "give one of quantile, slo and costRatio",
            ),
            rule("self.scaleTargetRef == oldSelf.scaleTargetRef", "scaleTargetRef is immutable; make a new resource"),
            rule(
                "self.actuator != 'Scale' || (has(self.bounds) && has(self.bounds.maxReplicas))",
                "actuator Scale has no HPA to set a maximum: give bounds.maxReplicas",
            ),
        )
    )
    scale_target_ref: TargetRef = Field(description="What is scaled: anything with a scale subresource. Immutable.")
    demand: DemandSpec = Field(description="The demand that replicas carry.")
    target_per_replica: float = Field(
        description="Demand that one replica is planned to carry, in the unit of the query.", gt=0
    )
    reactive_target_per_replica: float | None = Field(
        None, description="Demand per replica that the HPA aims at; targetPerReplica when left out.", gt=0
    )
    mode: Mode = Field(Mode.OBSERVE, description="Observe changes nothing and keeps score; Active holds the floor.")
    actuator: ActuatorKind = Field(
        ActuatorKind.HPA_MIN_REPLICAS,
        description="The one way to act. HPAMinReplicas raises the minReplicas of the target's HPA; KEDA answers an "
        "external-push trigger; Metric only publishes forescale_recommended_replicas; Scale sets replicas where there "
        "is no HPA.",
    )
    bounds: BoundsSpec = Field(default_factory=BoundsSpec, description="Bounds on the floor, beside the HPA's own.")
    lead: LeadSpec = Field(default_factory=LeadSpec, description="How long new pods take to serve.")
    quantile: float | None = Field(
        None, description="Share of times that the coming peak is to stay below the plan; 0.95 when nothing is given.",
        gt=0, lt=1,
    )  # fmt: skip
    slo: SloSpec | None = Field(None, description="A promise to keep, instead of a quantile.")
    cost_ratio: float | None = Field(
        None, description="What a replica too few costs against one too many, instead of a quantile.", gt=0
    )
    guardrails: GuardrailsSpec = Field(default_factory=GuardrailsSpec, description="How cautious to be.")
    events: list[EventSpec] = Field(
        default_factory=list, description="Announced windows that raise the floor.",
        json_schema_extra={"maxItems": 64, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )  # fmt: skip
    trust: TrustSpec = Field(default_factory=TrustSpec, description="What forecasts have to achieve to be followed.")
    paused: bool = Field(False, description="Give the floor back and change nothing, but keep score.")
