"""What the assistant can look at.  Arguments are checked, results are small and carry units; nothing here writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from agent_service.assistant.looking import arguments as a
from agent_service.assistant.looking import looks, promql
from agent_service.assistant.looking.sources import SourceError, Sources

_CALLED = {"forecasts": "the forecast API", "controller": "the controller", "prometheus": "Prometheus"}
# What reading well-formed JSON raises when it is other JSON than its source's contract says.
_UNEXPECTED = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a tool found: a value, or why there is none."""

    tool: str
    source: str
    query: str
    at: datetime
    value: Any = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to look."""

    name: str
    args: type[a.Args]
    source: str
    run: Callable[[Sources, Any, datetime], Awaitable[tuple[str, Any]]]  # query as a person may repeat it, value


async def use(name: str, given: Mapping[str, Any], sources: Sources, now: datetime) -> Finding:
    """Run a tool; every failure becomes a finding in words."""
    tool = TOOLS.get(name)
    if tool is None:
        return Finding(name, "none", name, now, error=f"there is no tool {name}")
    try:
        args = tool.args.model_validate(given)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3])
        words = f"{name} was asked with arguments that cannot be used: {told}"
        return Finding(name, tool.source, name, now, error=words)
    try:
        query, value = await _once_more(tool, sources, args, now)
    except (SourceError, promql.QueryError) as error:
        return Finding(name, tool.source, name, now, error=str(error))
    except _UNEXPECTED:
        words = f"{_CALLED[tool.source]} answered something else than expected"
        return Finding(name, tool.source, name, now, error=words)
    return Finding(name, tool.source, query, now, value)


async def _once_more(tool: Tool, sources: Sources, args: a.Args, now: datetime) -> tuple[str, Any]:
    """A connection that breaks is tried a second time: a server that is replaced drops those that it had.

    Tools only read, so that asking twice does no harm.  An answer that is slow would be slow again.
    """
    try:
        return await tool.run(sources, args, now)
    except SourceError as error:
        if not error.is_broken:
            raise
    return await tool.run(sources, args, now)


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("workloads", a.Workloads, "forecasts", looks.workloads),
        Tool("resources", a.Resources, "controller", looks.resources),
        Tool("decision", a.Decision, "controller", looks.decision),
        Tool("decisions", a.Decisions, "controller", looks.decisions),
        Tool("forecast", a.ForecastArgs, "forecasts", looks.forecast),
        Tool("accuracy", a.AccuracyArgs, "forecasts", looks.accuracy),
        Tool("alarms", a.AlarmsArgs, "forecasts", looks.alarms),
        Tool("what_if", a.WhatIf, "controller", looks.what_if),
        Tool("promql", a.PromqlArgs, "prometheus", looks.query),
    )
}


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
