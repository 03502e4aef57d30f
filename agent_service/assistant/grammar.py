"""What a question asks for, by rules alone: intent, workload, time, numbers.  Pure.

Nothing that a tool finds can change what is understood: the rules see the person's words and the workloads' names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from agent_service.assistant.times import Moment, TimeError, moment_in, span_seconds_in


class Intent(StrEnum):
    """The kinds of questions."""

    WHY = "why"
    STATE = "state"
    FORECAST = "forecast"
    ACCURACY = "accuracy"
    ALARMS = "alarms"
    WHAT_IF = "what_if"
    HEALTH = "health"
    WORKLOADS = "workloads"
    METRIC = "metric"
    SET_FIELD = "set_field"
    HELP = "help"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Settable:
    """A field that may be asked about in a what-if, or changed."""

    name: str
    path: tuple[str, ...]  # in the resource
    kind: str  # number, share, whole, flag, mode
    pattern: str
    override: str | None = None  # its name in a what-if


SETTABLE = (
    Settable("target per replica", ("spec", "targetPerReplica"), "number",
             r"target(?:\s+per\s+(?:replica|pod))?|threshold|targetPerReplica", "targetPerReplica"),
    Settable("min replicas", ("spec", "bounds", "minReplicas"), "whole",
             r"min(?:imum)?\s*(?:number\s+of\s+)?replicas?|minReplicas|lower bound", "minReplicas"),
    Settable("max replicas", ("spec", "bounds", "maxReplicas"), "whole",
             r"max(?:imum)?\s*(?:number\s+of\s+)?replicas?|maxReplicas|upper bound", "maxReplicas"),
    Settable("quantile", ("spec", "quantile"), "share", r"quantile|level|confidence", "quantile"),
    Settable("mode", ("spec", "mode"), "mode", r"mode"),
    Settable("paused", ("spec", "paused"), "flag", r"paused?"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """What was understood."""

    intent: Intent
    namespace: str = ""
    name: str = ""  # of a workload; "" when none was named and there is no telling
    at: datetime | None = None
    span_seconds: int | None = None
    overrides: dict[str, float] = field(default_factory=dict)
    settable: str = ""
    value: Any = None
    query: str = ""
    problem: str = ""  # why it cannot be answered as asked, in words for the person


_NUMBER = r"(-?\d+(?:[.,]\d+)?)\s*(%|percent|k)?"
_INTENTS: tuple[tuple[Intent, str], ...] = (
    (
        Intent.HELP,
        r"^\s*(?:help|hi|hello|hey|thanks?|thank you|good (?:morning|evening)|what can you do|who are you)\b",
    ),
    (Intent.METRIC, r"^\s*(?:promql|query|metric)\s*:"),
    (Intent.WHAT_IF, r"\bwhat\s+(?:if|would)\b|\bwhat-if\b|\breplay\b|\bsuppose\b|\bhow would\b"),
    (
        Intent.SET_FIELD,
        (
            r"^\s*(?:please\s+|can you\s+|could you\s+)?"
            r"(?:set|change|raise|lower|increase|decrease|pause|unpause|resume|activate|switch|put|make)\b"
        ),
    ),
    (
        Intent.ACCURACY,
        (
            r"\bhow\s+(?:good|accurate|right|wrong|reliable|well)\b|\baccura|\bwape\b|\bskill\b|\bcoverage\b|"
            r"\bscores?\b|\berrors?\b|\btrust"
        ),
    ),
    (Intent.ALARMS, r"\balarms?\b|\bsurges?\b|\bfalse\b|\bmissed\b"),
    (Intent.WHY, r"\bwhy\b|\bexplain\b|\breason\b|\bwhat happened\b|\bhow come\b|\bscaled?\b.*\bat\b"),
    (Intent.FORECAST, r"\bforecast|\bpredict|\bexpect|\bnext\b|\bcoming\b|\bwill\b|\bsoon\b"),
    (
        Intent.HEALTH,
        r"\bhealth|\bstale\b|\bfresh|\bworking\b|\bbroken\b|\bok(?:ay)?\b|\bup\?|\bproblem|\bready\b",
    ),
    (
        Intent.WORKLOADS,
        r"\b(?:list|which|what|show)\b.*\b(?:workloads?|resources?|autoscalers?|targets?)\b|\bworkloads\b",
    ),
    (Intent.STATE, r"\bfloor\b|\breplicas?\b|\bstate\b|\bstatus\b|\bcurrent\b|\bnow\b|\bdoing\b|\bdecision"),
)


def understand(
    text: str, known: Sequence[str], now: datetime, *, namespace: str = "default", workload: str | None = None
) -> Question:
    """text: the question.  known: workloads as NAMESPACE/NAME.  workload: what is meant when nothing is named."""
    words = " ".join(text.split())[:2000]
    intent = next((intent for intent, pattern in _INTENTS if re.search(pattern, words, re.IGNORECASE)), Intent.UNKNOWN)
    if intent in (Intent.HELP, Intent.UNKNOWN):
        return Question(intent)
    if intent is Intent.METRIC:
        return Question(intent, query=words.partition(":")[2].strip(), span_seconds=None)
    space, name, problem = _workload(words, known, namespace, workload)
    try:
        moment: Moment | None = moment_in(words, now) if intent in (Intent.WHY, Intent.STATE, Intent.WHAT_IF) else None
    except TimeError as error:
        return Question(intent, space, name, problem=str(error))
    if problem and intent not in (Intent.WORKLOADS, Intent.HEALTH):
        return Question(intent, problem=problem)
    asked = Question(intent, space, name, None if moment is None else moment.at, span_seconds_in(words))
    if intent is Intent.WHAT_IF:
        return _with_overrides(asked, words)
    if intent is Intent.SET_FIELD:
        return _with_change(asked, words)
    return asked


def _workload(words: str, known: Sequence[str], namespace: str, default: str | None) -> tuple[str, str, str]:
    """Namespace, name, and what is wrong."""
    lowered = words.lower()
    mentioned = [each for each in known if _says(lowered, each)]
    if not mentioned:
        dotted = [each for each in known if _says(lowered, each.replace("/", "."))]
        short = [each for each in known if _says(lowered, each.rpartition("/")[2])]
        mentioned = dotted or [each for each in short if each.partition("/")[0] == namespace] or short
    if len(mentioned) == 1:
        space, _, name = mentioned[0].rpartition("/")
        return space, name, ""
    if len(mentioned) > 1:
        return "", "", f"which one: {', '.join(sorted(mentioned))}? Name it as NAMESPACE/NAME"
    written = re.search(r"(?<![\w/.-])([a-z0-9][a-z0-9-]*)/([a-z0-9][a-z0-9.-]*)", lowered)
    if written is not None and known:
        near = difflib.get_close_matches(written.group(), known, 1, 0.6)
        hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known[:5])}"
        return "", "", f"there is no workload {written.group()}{hint}"
    if written is not None:
        return written[1], written[2].rstrip("."), ""
    if default is not None:
        space, _, name = default.rpartition("/")
        return space or namespace, name, ""
    if len(known) == 1:
        space, _, name = known[0].rpartition("/")
        return space, name, ""
    if not known:
        return "", "", "name the workload as NAMESPACE/NAME; the list of workloads is not to be had just now"
    return "", "", f"which workload: {', '.join(known[:5])}? Name it as NAMESPACE/NAME"


def _says(lowered: str, name: str) -> bool:
    """Whether a text has a name, and not merely as a part of a longer one."""
    return re.search(rf"(?<![\w/.-]){re.escape(name.lower())}(?![\w/-])", lowered) is not None


def _with_overrides(asked: Question, words: str) -> Question:
    found: dict[str, float] = {}
    for each in SETTABLE:
        if each.override is None:
            continue
        link = r"(?:\s+(?:of|for|on)\s+\S+)?\s*(?:were|was|is|be|to|at|=|:)?\s*"
        after = re.search(rf"\b(?:{each.pattern})\b{link}{_NUMBER}", words, re.IGNORECASE)
        match = after or re.search(rf"{_NUMBER}\s+(?:{each.pattern})\b", words, re.IGNORECASE)
        if match is None:
            continue
        value, problem = _value(each, match[1], match[2])
        if problem:
            return _but(asked, problem)
        found[each.override] = value
    if not found:
        return _but(
            asked, "say what to change: target per replica, min replicas, max replicas or quantile, and to what"
        )
    return Question(asked.intent, asked.namespace, asked.name, asked.at, asked.span_seconds, found)


def _with_change(asked: Question, words: str) -> Question:
    lowered = words.lower()
    if re.search(r"\bunpause\b|\bresume\b", lowered):
        return _change(asked, "paused", value=False)
    if re.search(r"^\s*(?:please\s+)?pause\b", lowered):
        return _change(asked, "paused", value=True)
    mode = re.search(r"\b(observe|active)\b", lowered)
    if mode is not None and (re.search(r"\bmode\b|\bswitch\b|\bput\b|\bmake\b", lowered) or "set" in lowered):
        return _change(asked, "mode", value=mode[1].capitalize())
    if re.search(r"\bactivate\b", lowered):
        return _change(asked, "mode", value="Active")
    for each in SETTABLE:
        if each.kind in ("mode", "flag"):
            continue
        match = re.search(
            rf"\b(?:{each.pattern})\b.*?(?:\bto\b|=|:|\bat\b|\s)\s*{_NUMBER}(?!\S*/)", words, re.IGNORECASE
        )
        if match is None:
            continue
        value, problem = _value(each, match[1], match[2])
        return _but(asked, problem) if problem else _change(asked, each.name, value=value)
    names = ", ".join(each.name for each in SETTABLE)
    return _but(asked, f"say which field to set, and to what; there are: {names}")


def _value(each: Settable, number: str, unit: str | None) -> tuple[float, str]:
    value = float(number.replace(",", "."))
    if unit in ("%", "percent"):
        if each.kind != "share":
            return 0, (
                f"{each.name} is no share: it is an amount of demand or of replicas. A percentage of it is not known "
                "here; give the number itself"
            )
        value /= 100
    elif unit == "k":
        value *= 1000
    if each.kind == "whole":
        if value != int(value) or value < 0:
            return 0, f"{each.name} must be a whole number, 0 or more"
        return int(value), ""
    if each.kind == "share" and not 0 < value < 1:
        return 0, f"{each.name} must be between 0 and 1, such as 0.95 or 95 %"
    if each.kind == "number" and not value > 0:
        return 0, f"{each.name} must be above 0"
    return value, ""


def _change(asked: Question, name: str, *, value: Any) -> Question:
    return Question(asked.intent, asked.namespace, asked.name, settable=name, value=value)


def _but(asked: Question, problem: str) -> Question:
    return Question(asked.intent, asked.namespace, asked.name, asked.at, asked.span_seconds, problem=problem)
