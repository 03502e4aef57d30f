"""How each tool asks its source, and what of the answer is kept as evidence.

Numbers that an answer may tell stand in the value, counts too: nothing is computed where words are made.  Answers of
another form than expected raise what reading them raises; `tools.use` tells of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from agent_service.assistant.looking import arguments as a
from agent_service.assistant.looking import promql
from agent_service.assistant.looking.sources import SourceError, Sources

ROWS = 30  # of a list that are told
_MOVES = 8  # of a floor that are told one by one
_USUAL_LEVEL = 0.95  # that people mean when they ask how high it may go; a model may not have it
_LONGEST_SPAN = 36 * 3600
_DECISION = ("at", "resource", "reason", "floor", "acts", "steps")
_REPLAY = ("start", "end", "points", "reproduced", "baseline", "changed")
_COURSE = ("replica_minutes", "short_minutes", "highest_floor", "floor_changes")


async def workloads(sources: Sources, _: a.Workloads, __: datetime) -> tuple[str, Any]:
    """See arguments."""
    found = await sources.forecasts("v1", "workloads")
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
    doubtful = [each for each in told if each["status"] != "ok" or each["is_stale"]]
    value = {
        "count": len(told),
        "with_fresh_forecast": len(told) - len(doubtful),
        "without_fresh_forecast": _rows(doubtful, 10),
        "workloads": _rows(told, ROWS),
    }
    return "GET /v1/workloads", value


async def resources(sources: Sources, _: a.Resources, __: datetime) -> tuple[str, Any]:
    """See arguments."""
    found = (await sources.controller("v1", "resources"))["resources"]
    for each in found:
        _must_have(each, "namespace", "name")
    return "GET /v1/resources", {"count": len(found), "resources": _rows(found, ROWS)}


async def decision(sources: Sources, args: a.Decision, now: datetime) -> tuple[str, Any]:
    """See arguments."""
    params = {"namespace": args.namespace, "name": args.name}
    if args.at is not None:
        if args.at.tzinfo is None:
            raise promql.QueryError("at needs a time zone, such as 2026-11-24T10:03:00Z")
        params["at"] = args.at.isoformat()
    found = _must_have(await sources.controller("v1", "decisions", params=params), *_DECISION)
    age = ((args.at or now) - datetime.fromisoformat(found["at"])).total_seconds()
    told = {**found, "age_seconds": round(age), "age_counts_from": "the asked time" if args.at else "now"}
    return _asked("/v1/decisions", params), told


async def decisions(sources: Sources, args: a.Decisions, _: datetime) -> tuple[str, Any]:
    """See arguments."""
    _check_span(args.start, args.end, _LONGEST_SPAN)
    params = {
        "namespace": args.namespace,
        "name": args.name,
        "start": args.start.isoformat(),
        "end": args.end.isoformat(),
        "limit": 1000,
    }
    found = _must_have(await sources.controller("v1", "decisions", params=params), "decisions")
    records = [_must_have(each, *_DECISION) for each in found["decisions"]]
    # Most records repeat the one before: they are kept every few minutes whether anything changes or not.
    first = [True, *((one["floor"], one["reason"]) != (two["floor"], two["reason"]) for one, two in pairwise(records))]
    told = [each for each, is_other in zip(records, first, strict=False) if is_other]
    moves = [each for at, each in enumerate(told) if at == 0 or each["floor"] != told[at - 1]["floor"]]
    value = {
        "asked_seconds": round((args.end - args.start).total_seconds()),
        "count": len(records),
        "moves": [{"at": each["at"], "floor": each["floor"], "reason": each["reason"]} for each in moves[-_MOVES:]],
        "earlier_moves": max(len(moves) - _MOVES, 0),
        "decisions": told[-ROWS:],
        "is_cut": bool(found.get("truncated")),
    }
    return _asked("/v1/decisions", params), value


async def forecast(sources: Sources, args: a.ForecastArgs, _: datetime) -> tuple[str, Any]:
    """See arguments.  A horizon that the model does not reach is answered with the one that it has."""
    params: dict[str, Any] = {"window_max": "true"}
    if args.quantiles is not None:
        params["quantiles"] = ",".join(f"{level:.6f}".rstrip("0") for level in args.quantiles)
    asked = dict(params)
    if args.horizon_seconds is not None:
        asked["horizon"] = args.horizon_seconds
    path = ("v1", "workloads", workload_name(args.namespace, args.name), "forecast")
    try:
        found = await sources.forecasts(*path, params=asked)
    except SourceError as error:
        if error.status != 422 or asked == params:
            raise
        found, asked = await sources.forecasts(*path, params=params), params
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
        told["asked_horizon_seconds"] = args.horizon_seconds
        told["until"] = found["times"][-1]
        told["upper_level"] = max((level for level in levels if level <= _USUAL_LEVEL), default=levels[-1])
        told["levels"] = [
            {"level": level, "highest_demand_until_then": _short(peak), "demand_then": _short(then)}
            for level, peak, then in zip(levels, peaks[-1], found["path"][-1], strict=True)
        ]
    return _asked("/" + "/".join(path), asked), told


async def accuracy(sources: Sources, args: a.AccuracyArgs, _: datetime) -> tuple[str, Any]:
    """See arguments."""
    path, params = _of(args, "accuracy"), {"window": args.window_seconds}
    found = await sources.forecasts(*path, params=params)
    last = found["by_horizon"][-1] if found.get("by_horizon") else {}
    raised = found.get("alarms")
    if raised:
        raised = {**raised, "resolved": raised["hits"] + raised["false_alarms"]}
    told = {
        "window_seconds": found["window_seconds"],
        "start": found.get("start"),  # scores are kept in blocks: what was really looked at
        "end": found.get("end"),
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
        "alarms": raised,
        "trust": found["trust"]["message"],
    }
    return _asked("/" + "/".join(path), params), told


async def alarms(sources: Sources, args: a.AlarmsArgs, _: datetime) -> tuple[str, Any]:
    """See arguments."""
    path, params = _of(args, "alarms"), {"window": args.window_seconds}
    found = await sources.forecasts(*path, params=params)
    raised, surges = found["alarms"], found["surges"]
    counts = {outcome: sum(each["outcome"] == outcome for each in raised) for outcome in ("hit", "false", "pending")}
    told = {
        "window_seconds": found["window_seconds"],
        "alarms": len(raised),
        **counts,
        "surges": len(surges),
        "surges_caught": sum(each["is_caught"] for each in surges),
        "last_alarms": raised[-5:],
    }
    return _asked("/" + "/".join(path), params), told


async def what_if(sources: Sources, args: a.WhatIf, _: datetime) -> tuple[str, Any]:
    """See arguments.  What decisions saw is kept for less long than may be asked for."""
    _check_span(args.start, args.end, _LONGEST_SPAN)
    if not all(math.isfinite(value) for value in args.overrides.values()):
        raise promql.QueryError("overrides must be finite numbers")
    body = {
        "namespace": args.namespace,
        "name": args.name,
        "start": args.start.isoformat(),
        "end": args.end.isoformat(),
        "overrides": args.overrides,
    }
    found = dict(_must_have(await sources.replay(body), *_REPLAY))
    _must_have(found["baseline"], *_COURSE)
    _must_have(found["changed"], *_COURSE)
    found.pop("series", None)  # for pictures
    replayed = datetime.fromisoformat(found["end"]) - datetime.fromisoformat(found["start"])
    found["overrides"] = dict(args.overrides)
    found["asked_seconds"] = round((args.end - args.start).total_seconds())
    found["replayed_seconds"] = round(replayed.total_seconds())
    changes = ", ".join(f"{name}={value:g}" for name, value in args.overrides.items())
    return f"POST /v1/what-if {args.namespace}/{args.name} {changes}", found


async def query(sources: Sources, args: a.PromqlArgs, now: datetime) -> tuple[str, Any]:
    """See arguments."""
    prefixes = sources.settings.metric_prefixes
    if args.start is None:
        promql.metrics_of(args.query, prefixes)
        at = args.end or now
        found = await sources.prometheus("api", "v1", "query", params={"query": args.query, "time": at.timestamp()})
        return args.query, _bounded(found)
    end = args.end or now
    _check_span(args.start, end, promql.LONGEST_RANGE_SECONDS)
    points = (end - args.start) / timedelta(seconds=args.step_seconds)
    if points > promql.MOST_POINTS:
        raise promql.QueryError(f"{points:.0f} points a series are more than {promql.MOST_POINTS}; give a longer step")
    promql.metrics_of(args.query, prefixes, steps=int(points) + 1)
    params = {
        "query": args.query,
        "start": args.start.timestamp(),
        "end": end.timestamp(),
        "step": args.step_seconds,
    }
    return args.query, _bounded(await sources.prometheus("api", "v1", "query_range", params=params))


def workload_name(namespace: str, name: str) -> str:
    """As the forecast server knows a resource."""
    return f"{namespace}.{name}" if namespace else name


def _of(args: a.WorkloadArgs, what: str) -> tuple[str, ...]:
    return "v1", "workloads", workload_name(args.namespace, args.name), what


def _bounded(found: Any) -> Any:
    result = found.get("result") if isinstance(found, dict) else None
    if not isinstance(result, list):
        raise SourceError("Prometheus answered something else than a result")
    if found.get("resultType") in ("scalar", "string"):
        return {"kind": "scalar", "value": result}
    series = [_series(each) for each in result]
    count = sum(len(each.get("values", [None])) for each in series)
    if count > promql.MOST_POINTS:
        raise promql.QueryError(
            f"{count} points are more than {promql.MOST_POINTS}; ask for fewer series or a longer step"
        )
    more = max(len(series) - ROWS, 0)
    return {"kind": found.get("resultType"), "count": len(series), "more_than_told": more, "series": series}


def _series(each: Mapping[str, Any]) -> dict[str, Any]:
    """Of a native histogram count and sum are kept: its buckets are many, and no number that answers anything."""
    told: dict[str, Any] = {"metric": dict(each["metric"])}
    if "value" in each or "values" in each:
        told |= {key: each[key] for key in ("value", "values") if key in each}
        return told
    _, found = each["histogram"] if "histogram" in each else each["histograms"][-1]
    return told | {"histogram": {"count": found["count"], "sum": found["sum"]}}


def _rows(rows: list[Any], most: int) -> dict[str, Any]:
    return {"rows": rows[:most], "more": max(len(rows) - most, 0)}


def _must_have(found: Any, *names: str) -> dict[str, Any]:
    """Raises KeyError or TypeError."""
    if not isinstance(found, dict):
        raise TypeError("no object")
    for name in names:
        found[name]
    return found


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
