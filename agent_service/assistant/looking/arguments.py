"""What tools are asked with, checked; the docstrings and descriptions are what a model is told of them.  Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from agent_service.assistant.looking import promql
from agent_service.assistant.names import NAMESPACE, OBJECT, WORKLOAD


class Args(BaseModel):
    """Of a tool; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


class ResourceArgs(Args):
    """One PredictiveAutoscaler."""

    namespace: str = Field(
        pattern=NAMESPACE, max_length=63, description="Namespace of the PredictiveAutoscaler; empty where none."
    )
    name: str = Field(pattern=OBJECT, max_length=253, description="Its name.")


class WorkloadArgs(Args):
    """One workload of the forecast server."""

    namespace: str = Field(
        pattern=NAMESPACE, max_length=63, description="Namespace of the PredictiveAutoscaler; empty where none."
    )
    name: str = Field(pattern=WORKLOAD, max_length=128, description="Its name.")


class Workloads(Args):
    """List the workloads that are forecast, with their demand, forecast in a line, trust and score."""


class Resources(Args):
    """List the autoscalers that the controller knows, with mode, floor and reason."""


class Decision(ResourceArgs):
    """The controller's decision in force at an instant, or the newest: every rule with its effect."""

    at: datetime | None = Field(None, description="Instant with its time zone; leave it out for now.")


class Decisions(ResourceArgs):
    """The controller's decisions of a span, oldest first."""

    start: datetime = Field(description="First instant, with its time zone.")
    end: datetime = Field(description="Last instant, with its time zone.")


class ForecastArgs(WorkloadArgs):
    """Demand quantiles of the coming minutes, and whether the forecast is trusted."""

    horizon_seconds: int | None = Field(
        None, ge=1, le=31 * 86_400, description="How far ahead; as far as the model goes when left out."
    )
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]] | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="Levels such as 0.5 and 0.95; all that the model gives when left out.",
    )


class AccuracyArgs(WorkloadArgs):
    """How right forecasts have been: errors beside persistence's, coverage, alarms, each with its count."""

    window_seconds: int = Field(86_400, ge=60, le=30 * 86_400)


class AlarmsArgs(WorkloadArgs):
    """Alarms with their outcomes, and surges, of the last time."""

    window_seconds: int = Field(86_400, ge=60, le=30 * 86_400)


class WhatIf(ResourceArgs):
    """Replay the decisions of a span with other settings; changes nothing."""

    start: datetime
    end: datetime
    overrides: dict[str, float] = Field(
        description="targetPerReplica, minReplicas, maxReplicas or quantile.", min_length=1
    )


class PromqlArgs(Args):
    """A PromQL query over metrics of Forescale and its agents, now or over a span."""

    query: str = Field(max_length=2000)
    start: datetime | None = None
    end: datetime | None = None
    step_seconds: int = Field(60, ge=promql.SHORTEST_STEP_SECONDS)
