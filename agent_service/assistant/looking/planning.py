"""Which tools answer a question, and which calls have been made already.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from agent_service.assistant.looking.tools import TOOLS
from agent_service.assistant.question.grammar import Intent, Question
from agent_service.assistant.state import Call

_AROUND = timedelta(minutes=10)
_REPLAYED_SECONDS = 3600
_DAY_SECONDS = 86_400
_LONGEST_SECONDS = 31 * _DAY_SECONDS
_MOST_CALLS = 4  # at once


def calls_for(question: Question, now: datetime) -> list[Call]:
    """In the order in which an answer tells of them."""
    who = {"namespace": question.namespace, "name": question.name}
    window = {"window_seconds": max(question.span_seconds or _DAY_SECONDS, 60)}
    match question.intent:
        case Intent.WHY if question.since is not None and question.until is not None:
            at = None if question.until >= now else question.until
            span = {"start": question.since.isoformat(), "end": question.until.isoformat()}
            return [_call("decisions", **span, **who), _call("decision", at=_iso(at), **who)]
        case Intent.WHY:
            at = question.at or now
            span = {"start": (at - _AROUND).isoformat(), "end": min(at + _AROUND, now).isoformat()}
            return [_call("decision", at=_iso(question.at), **who), _call("decisions", **span, **who)]
        case Intent.STATE:
            return [_call("decision", at=_iso(question.at), **who)]
        case Intent.FORECAST:
            return [_call("forecast", horizon_seconds=_ahead(question.span_seconds), **who)]
        case Intent.ACCURACY:
            return [_call("accuracy", **who, **window)]
        case Intent.ALARMS:
            return [_call("alarms", **who, **window)]
        case Intent.WHAT_IF:
            end = question.until or (now if question.at is None else min(question.at + _AROUND, now))
            start = question.since or end - timedelta(seconds=question.span_seconds or _REPLAYED_SECONDS)
            return [_call("what_if", start=start.isoformat(), end=end.isoformat(), overrides=question.overrides, **who)]
        case Intent.HEALTH | Intent.WORKLOADS:
            return [_call("workloads"), _call("resources")]
        case Intent.METRIC:
            return [_call("promql", query=question.query)]
        case _:
            return []


def new_calls(chosen: Sequence[Call], made: Sequence[Call]) -> list[Call]:
    """Those that were not made for this question, each once, and not more than are made at once.

    One that failed is not made again either: a connection that breaks is tried twice where it breaks, what a source
    refuses it refuses again, and whoever would ask otherwise has other arguments.
    """
    known, found = [_meaning(call) for call in made], list[Call]()
    for call in chosen:
        meaning = _meaning(call)
        if meaning not in known and len(found) < _MOST_CALLS:
            known.append(meaning)
            found.append(call)
    return found


def _meaning(call: Call) -> tuple[str, dict[str, Any]]:
    """However it is written: with what is left out, and instants in any zone."""
    tool = TOOLS.get(call["tool"])
    try:
        return call["tool"], call["args"] if tool is None else tool.args.model_validate(call["args"]).model_dump()
    except ValidationError:
        return call["tool"], call["args"]


def _ahead(seconds: int | None) -> int | None:
    """Of any length: a tool that is asked for more than there is says how far it reaches."""
    return None if seconds is None else min(max(seconds, 1), _LONGEST_SECONDS)


def _call(tool: str, **args: Any) -> Call:
    return {"tool": tool, "args": {name: value for name, value in args.items() if value is not None}}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
