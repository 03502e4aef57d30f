"""What the controller tells: the `status` of a `PredictiveAutoscaler`.  A summary, never state.  Pure."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from controller.resource.base import Part


class ConditionType(StrEnum):
    """What conditions are about."""

    READY = "Ready"  # target, actuator and demand are as they must be
    FORECAST_AVAILABLE = "ForecastAvailable"
    TRUSTED = "Trusted"
    ACTING = "Acting"  # a floor above what the user wrote is in force
    LIMITED = "Limited"  # a bound or a guardrail keeps the floor from what the forecast asks for


class Verdict(StrEnum):
    """A condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Part):
    """One claim about the resource, as metav1.Condition has it."""

    type: str = Field(description="What it is about.", max_length=316)
    status: Verdict = Field(description="Whether it holds.")
    reason: str = Field(description="Why, in one word.", max_length=1024)
    message: str = Field("", description="Why, in a sentence.", max_length=32768)
    observed_generation: int = Field(0, description="The generation that it was said of.", ge=0)
    last_transition_time: AwareDatetime = Field(description="When its status last changed.")


class ScoreStatus(Part):
    """The live comparison with what the HPA alone would have done, with the window that it covers."""

    since: AwareDatetime = Field(description="Counting began then; numbers are over scoredMinutes since.")
    scored_minutes: int = Field(0, description="Minutes that could be judged.")
    unscored_minutes: int = Field(0, description="Minutes without the data to judge them.")
    alarms: int = Field(0, description="Times the forecast asked to pre-scale.")
    false_alarms: int = Field(0, description="Of the resolved alarms, those that no demand followed.")
    hits: int = Field(0, description="Of the resolved alarms, those that demand followed.")
    surges: int = Field(0, description="Rises of demand that the HPA alone meets late.")
    surges_caught: int = Field(0, description="Of the surges, those that an alarm foresaw.")
    replica_minutes_added: int = Field(0, description="Replica-minutes above what the HPA alone would hold.")
    under_minutes_hpa: int = Field(0, description="Minutes in which the HPA alone would have too few ready replicas.")
    under_minutes: int = Field(0, description="The same with the forecast's floor.")


class AutoscalerStatus(Part):
    """What the controller sees, decides and has achieved."""

    observed_generation: int = Field(0, description="The generation of the spec that this is about.", ge=0)
    conditions: list[Condition] = Field(
        default_factory=list, description="What is the case, and why.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )  # fmt: skip
    floor: int | None = Field(None, description="Replicas that are to be held at least.")
    hpa_alone_replicas: int | None = Field(None, description="What the user's HPA would hold without us.")
    forecast_replicas: int | None = Field(None, description="What the forecast alone asks for.")
    replicas: int | None = Field(None, description="Replicas asked for at present.")
    demand: float | None = Field(None, description="Present demand, in the unit of the query.")
    planned_demand: float | None = Field(None, description="Demand that the floor is planned for.")
    reason: str | None = Field(None, description="Why the floor is what it is.")
    last_decision_time: AwareDatetime | None = Field(None, description="When floor or reason last changed.")
    startup_seconds: float | None = Field(None, description="Start-up time that is planned with.")
    startup_samples: int = Field(0, description="Pods that it was measured on; 0 when it is not measured.")
    reverts: int = Field(0, description="Times that another manager put the floor back.")
    score: ScoreStatus | None = Field(None, description="What acting brings, or would bring, against the HPA alone.")
