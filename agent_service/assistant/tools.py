"""What the assistant can look at.  Arguments are checked, results are small and carry units; nothing here writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_service.assistant import promql
from agent_service.assistant.sources import SourceError, Sources

_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_USUAL_LEVEL = 0.95  # that people mean when they ask how high it may go; a model may not have it
_LONGEST_SPAN = 36 * 3600


class Args(BaseModel):
    """Of a tool; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


class ResourceArgs(Args):
    """One PredictiveAutoscaler."""

    namespace: str = Field(
        pattern=rf"^$|{_NAME}", max_length=63, description="Namespace of the PredictiveAutoscaler; empty where none."
    )
    name: str = Field(pattern=_NAME, max_length=253, description="Its name.")


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


class ForecastArgs(ResourceArgs):
    """Demand quantiles of the coming minutes, and whether the forecast is trusted."""

    horizon_seconds: int | None = Field(None, ge=1, le=7200)


class AccuracyArgs(ResourceArgs):
    """How right forecasts have been: errors beside persistence's, coverage, alarms, each with its count."""

    window_seconds: int = Field(86_400, ge=60, le=30 * 86_400)


class AlarmsArgs(ResourceArgs):
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


@dataclass(frozen=True, slots=True)
class Finding:
    """What a tool found: a value, or why there is none."""

    source: str
    query: str
    at: datetime
    value: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to look."""

    name: str
    args: type[Args]
    source: str
    run: Callable[[Sources, Any, datetime], Awaitable[tuple[str, Any]]]  # query as a person may repeat it, value


async def use(name: str, given: Mapping[str, Any], sources: Sources, now: datetime) -> Finding:
    """Run a tool; every failure becomes a finding in words."""
    tool = TOOLS.get(name)
    if tool is None:
        return Finding("none", name, now, error=f"there is no tool {name}")
    try:
        args = tool.args.model_validate(given)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        return Finding(tool.source, name, now, error=f"{name} was asked with arguments that cannot be used: {told}")
    try:
        query, value = await tool.run(sources, args, now)
    except (SourceError, promql.QueryError) as error:
        return Finding(tool.source, name, now, error=str(error))
    return Finding(tool.source, query, now, value)


def workload_name(namespace: str, name: str) -> str:
    """As the forecast server knows a resource."""
    return f"{namespace}.{name}" if namespace else name


async def _workloads(sources: Sources, _: Workloads, __: datetime) -> tuple[str, Any]:
    found = await sources.forecasts("/v1/workloads")
    told = [
        {
            "name": each["name"],
            "status": each["status"],
            "why_unavailable": each.get("message"),
            "demand": each.get("demand"),
            "expected": each.get("expected"),
            "trust": (each.get("trust") or {}).get("message"),
            "is_stale": (each.get("freshness") or {}).get("is_stale"),
            "sample_age_seconds": (each.get("freshness") or {}).get("age_seconds"),
        }
        for each in found["workloads"]
    ]
    return "GET /v1/workloads", {"count": len(told), "workloads": told[:50]}


async def _resources(sources: Sources, _: Resources, __: datetime) -> tuple[str, Any]:
    found = await sources.controller("/v1/resources")
    resources = found["resources"]
    return "GET /v1/resources", {"count": len(resources), "resources": resources[:100]}


async def _decision(sources: Sources, args: Decision, _: datetime) -> tuple[str, Any]:
    params = {"namespace": args.namespace, "name": args.name}
    if args.at is not None:
        params["at"] = args.at.isoformat()
    return _asked("/v1/decisions", params), await sources.controller("/v1/decisions", params)


async def _decisions(sources: Sources, args: Decisions, _: datetime) -> tuple[str, Any]:
    _check_span(args.start, args.end, _LONGEST_SPAN)
    params = {
        "namespace": args.namespace,
        "name": args.name,
        "start": args.start.isoformat(),
        "end": args.end.isoformat(),
        "limit": 50,
    }
    return _asked("/v1/decisions", params), await sources.controller("/v1/decisions", params)


async def _forecast(sources: Sources, args: ForecastArgs, _: datetime) -> tuple[str, Any]:
    params: dict[str, Any] = {"window_max": "true"}
    if args.horizon_seconds is not None:
        params["horizon"] = args.horizon_seconds
    path = f"/v1/workloads/{workload_name(args.namespace, args.name)}/forecast"
    found = await sources.forecasts(path, params)
    levels, peaks = found.get("levels") or [], found.get("window_max") or []
    told: dict[str, Any] = {
        "status": found["status"],
        "reason": found.get("message") or found.get("reason"),
        "issued_at": found.get("issued_at"),
        "trust": (found.get("trust") or {}).get("message"),
        "target_per_replica": found.get("target_per_replica"),
        "is_stale": (found.get("freshness") or {}).get("is_stale"),
    }
    if found["status"] == "ok" and peaks and levels:
        told["horizon_seconds"] = found["step_seconds"] * len(peaks)
        told["until"] = found["times"][-1]
        told["upper_level"] = max((level for level in levels if level <= _USUAL_LEVEL), default=levels[-1])
        told["highest_demand_until_then"] = _by_level(levels, peaks[-1])
        told["demand_then"] = _by_level(levels, found["path"][-1])
    return _asked(path, params), told


def _by_level(levels: list[float], row: list[float]) -> dict[str, Any]:
    return {f"{level:g}": _short(value) for level, value in zip(levels, row, strict=True)}


async def _accuracy(sources: Sources, args: AccuracyArgs, _: datetime) -> tuple[str, Any]:
    path, params = f"/v1/workloads/{workload_name(args.namespace, args.name)}/accuracy", {"window": args.window_seconds}
    found = await sources.forecasts(path, params)
    last = found["by_horizon"][-1] if found.get("by_horizon") else {}
    told = {
        "window_seconds": found["window_seconds"],
        "origins": found["origins"],
        "live_origins": found["live_origins"],
        "horizon_seconds": last.get("horizon_seconds"),
        "pairs": last.get("pairs"),
        "wape": _short(last.get("wape")),
        "persistence_wape": _short(last.get("persistence_wape")),
        "skill": _short(last.get("skill")),
        "coverage": [
            {key: _short(each[key]) for key in ("level", "pairs", "covered", "coverage")}
            for each in found["coverage"]
            if each["head"] == "window_max" and each["level"] >= 0.5
        ],
        "alarms": found.get("alarms"),
        "trust": found["trust"]["message"],
    }
    return _asked(path, params), told


async def _alarms(sources: Sources, args: AlarmsArgs, _: datetime) -> tuple[str, Any]:
    path, params = f"/v1/workloads/{workload_name(args.namespace, args.name)}/alarms", {"window": args.window_seconds}
    found = await sources.forecasts(path, params)
    alarms, surges = found["alarms"], found["surges"]
    counts = {outcome: sum(each["outcome"] == outcome for each in alarms) for outcome in ("hit", "false", "pending")}
    told = {
        "window_seconds": found["window_seconds"],
        "alarms": len(alarms),
        **counts,
        "surges": len(surges),
        "surges_caught": sum(each["is_caught"] for each in surges),
        "last_alarms": alarms[-5:],
    }
    return _asked(path, params), told


async def _what_if(sources: Sources, args: WhatIf, _: datetime) -> tuple[str, Any]:
    _check_span(args.start, args.end, _LONGEST_SPAN)
    body = {
        "namespace": args.namespace,
        "name": args.name,
        "start": args.start.isoformat(),
        "end": args.end.isoformat(),
        "overrides": args.overrides,
    }
    found = await sources.replay(body)
    found.pop("series", None)  # for pictures
    changes = ", ".join(f"{name}={value:g}" for name, value in args.overrides.items())
    return f"POST /v1/what-if {args.namespace}/{args.name} {changes}", found


async def _promql(sources: Sources, args: PromqlArgs, now: datetime) -> tuple[str, Any]:
    promql.metrics_of(args.query, sources.settings.metric_prefixes)
    if args.start is None:
        at = args.end or now
        found = await sources.prometheus("/api/v1/query", {"query": args.query, "time": at.timestamp()})
        return args.query, _bounded(found)
    end = args.end or now
    _check_span(args.start, end, promql.LONGEST_RANGE_SECONDS)
    points = (end - args.start) / timedelta(seconds=args.step_seconds)
    if points > promql.MOST_POINTS:
        raise promql.QueryError(f"{points:.0f} points a series are more than {promql.MOST_POINTS}; give a longer step")
    params = {
        "query": args.query,
        "start": args.start.timestamp(),
        "end": end.timestamp(),
        "step": args.step_seconds,
    }
    return args.query, _bounded(await sources.prometheus("/api/v1/query_range", params))


def _bounded(found: Any) -> Any:
    result = found.get("result") if isinstance(found, dict) else None
    if not isinstance(result, list):
        raise SourceError("Prometheus answered something else than a result")
    if found.get("resultType") == "scalar":
        return {"kind": "scalar", "value": result}
    count = sum(len(series.get("values", [series.get("value")])) for series in result)
    if count > promql.MOST_POINTS:
        raise promql.QueryError(
            f"{count} points are more than {promql.MOST_POINTS}; ask for fewer series or a longer step"
        )
    return {"kind": found.get("resultType"), "series": result}


def _check_span(start: datetime, end: datetime, longest: int) -> None:
    if start.tzinfo is None or end.tzinfo is None:
        raise promql.QueryError("start and end need a time zone, such as 2026-11-24T10:03:00Z")
    seconds = (end - start).total_seconds()
    if not 0 < seconds <= longest:
        raise promql.QueryError(
            f"from {start:%H:%M} to {end:%H:%M} are {seconds:.0f} s; give a span of up to {longest} s"
        )


def _asked(path: str, params: Mapping[str, Any]) -> str:
    return f"GET {path}?{'&'.join(f'{key}={value}' for key, value in params.items())}"


def _short(value: Any) -> Any:
    """Four digits are as many as anybody reads."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("workloads", Workloads, "forecasts", _workloads),
        Tool("resources", Resources, "controller", _resources),
        Tool("decision", Decision, "controller", _decision),
        Tool("decisions", Decisions, "controller", _decisions),
        Tool("forecast", ForecastArgs, "forecasts", _forecast),
        Tool("accuracy", AccuracyArgs, "forecasts", _accuracy),
        Tool("alarms", AlarmsArgs, "forecasts", _alarms),
        Tool("what_if", WhatIf, "controller", _what_if),
        Tool("promql", PromqlArgs, "prometheus", _promql),
    )
}


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
