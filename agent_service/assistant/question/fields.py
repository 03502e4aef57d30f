"""Which field of an autoscaler a text names, with which value.  Pure.

A change is proposed only when every word of it is understood: one that is left over ("by 5", "at 18:00", "not") might
turn it into another change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from agent_service.assistant.question.amounts import NUMBER, AmountError, TimeError, number
from agent_service.assistant.question.time_words import words_of

WORKLOAD = "¤"  # stands where the workload's name was, so that no word of a name is taken for one of the question
_MOST_REPLICAS = 2**31 - 1  # an int32 in Kubernetes


@dataclass(frozen=True, slots=True)
class Settable:
    """A field that may be asked about in a what-if, or changed."""

    name: str
    path: tuple[str, ...]  # in the resource
    kind: str  # number, share, whole, flag, mode
    pattern: str
    override: str | None = None  # its name in a what-if


_BARE = r"(?<!\d)(?<!\d\s)"  # "30 min" is a length of time
SETTABLE = (
    Settable("target per replica", ("spec", "targetPerReplica"), "number",
             r"target(?:\s+(?:demand\s+)?per\s+(?:replica|pod))?|threshold|targetPerReplica", "targetPerReplica"),
    Settable("min replicas", ("spec", "bounds", "minReplicas"), "whole",
             rf"min(?:imum)?\s*(?:number\s+of\s+)?(?:replicas?|pods?)|minReplicas|lower bound|{_BARE}min(?:imum)?",
             "minReplicas"),
    Settable("max replicas", ("spec", "bounds", "maxReplicas"), "whole",
             r"max(?:imum)?\s*(?:number\s+of\s+)?(?:replicas?|pods?)|maxReplicas|upper bound|max(?:imum)?",
             "maxReplicas"),
    Settable("quantile", ("spec", "quantile"), "share", r"quantile|level|confidence", "quantile"),
    Settable("mode", ("spec", "mode"), "mode", r"mode"),
    Settable("paused", ("spec", "paused"), "flag", r"paused?"),
)  # fmt: skip
_AMOUNT = rf"({NUMBER}|\bp\d\d(?:\.\d+)?)\s*(%|percent\b|k\b)?(?![\w:/%]|[.,]\d)"
_LINK = (
    rf"(?:\s*(?:=|:|->)|\s*['’]s\b|\s+(?:{WORKLOAD}|of|for|on|in|the|a|value|it|autoscaler|workload|were|was|is|be|been|"
    rf"are|to|at|set|changed|raised|lowered|increased|decreased|reduced|had|has|from\s+{NUMBER}(?=\s+to\b))(?![\w-]))*\s*"
)
_AFTER = rf"(?:\s+from\s+{NUMBER}(?![\w:/%]|[.,]\d))?(?:\s+(?:per\s+)?(?:replicas?|pods?)\b)?"
_PAIR = (
    r"\b(?:min|max)(?:imum)?(?:\s+replicas?)?\s*(?:/|,|&|and|or)\s*(?:the\s+)?(?:min|max)(?:imum)?\b"
    r"(?!.*\d.*\b(?:min|max))"
)
# Demand has a unit of its own, which is not known here: 60 a minute are not 60 a second.
_UNIT_SAID = re.compile(
    r"(?<![\d.,])[\d.,]*\d\s*(?:(?:[a-z]+\s*)?(?:/\s*|\bper\s+)(?:s|secs?|seconds?|mins?|minutes?|h|hours?|days?)\b|"
    r"(?:rps|qps|rpm|ms|[kmg]i?b|cores?)\b)",
    re.IGNORECASE,
)
_RELATIVE = (
    r"\bby(?:\s+\S+)?|\bdoubl\w*|\btripl\w*|\bhalv\w*|\b(?:twice|thrice|times)\b|\bx\s?\d|\d\s?x\b|"
    r"\bhalf\s+(?:the|of)\b|[+*]\s*\d|\b(?:more|fewer|less)\b"
)
_STEP = r"\b(?:raise|lower|increase|decrease|reduce|bump)\b(?=.*\d)"
_NEGATION = (
    r"\b(?:not|never|no|none|nothing|without|cannot|except|instead)\b|n['’]t\b|"
    r"\b(?:dont|de-?activate|disable|undo|revert|cancel)\b"
)
_MODE = r"(?:\b(?:to|into|in)\s+|=\s*|:\s*)?\b(observe|active)\b(?:\s+mode\b)?|\b(activate)\b"
_FLAG = (
    r"\b(pause|unpause|resume)\b(?!\s*(?:=|:|to\b))|"
    rf"\bpaused?\b\s*(?:(?:(?:of|for|on)\s+)?{WORKLOAD}\s*)?(?:\bto\b|=|:)?\s*\b(true|false)\b"
)
_HARMLESS = frozenset(
    f"{WORKLOAD} please kindly can could would will you i we want like need have has had to set change update bump "
    "raise lower increase decrease reduce adjust modify put make sure ensure switch propose a an the that this its it "
    "value values of for on in is be should so just now let lets us autoscaler workload resource deployment "
    "scaling autoscaling up down mode thanks thank then at edit patch i'd i’d let's let’s 's ’s".split()
)


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields with a number; rest: the text without them."""

    values: dict[str, float] = field(default_factory=dict)  # by name
    rest: str = ""
    problem: str = ""
    percent: float | None = None  # that was given for an amount


@dataclass(frozen=True, slots=True)
class Change:
    """One field with its value, or why there is none."""

    settable: str = ""
    value: Any = None
    problem: str = ""
    percent: float | None = None


def field_named(text: str) -> str:
    """The first field that a text names, "" without one."""
    found = [(match.start(), each.name) for each in SETTABLE if (match := _named(each, text)) is not None]
    return min(found)[1] if found else ""


def fields_in(text: str, who: str) -> Fields:
    """Of a text without the workload's name.  who: the workload, for examples."""
    unit = _UNIT_SAID.search(text)
    if unit is not None and field_named(text):
        return Fields({}, text, f'"{unit.group()}": write the number alone, in the unit of the demand of {who}')
    if re.search(_PAIR, text, re.IGNORECASE):
        return Fields({}, text, "give each field its own number: min replicas 3 and max replicas 10")
    values: dict[str, float] = {}
    numeric = [each for each in SETTABLE if each.override is not None]
    # All of "field 3" before any "3 field": else the 3 of "min replicas 3 max replicas 10" might go to the other one.
    for is_after in (True, False):
        for each in numeric:
            while (match := _first(each, text, is_after=is_after)) is not None:
                value, problem = _value(each, match[1], match[2], who)
                if problem:
                    is_share = match[2] in ("%", "percent") and each.kind == "number"
                    return Fields({}, text, problem, _percent(match[1]) if is_share else None)
                if each.name in values and values[each.name] != value:
                    return Fields({}, text, f"{each.name} is given twice, as {values[each.name]:g} and {value:g}")
                values[each.name] = value
                text = f"{text[: match.start()]} , {text[match.end() :]}"
    return Fields(values, text)


def change_in(text: str, who: str) -> Change:
    """Of a text that asks for a change, without the workload's name."""
    if re.search(_NEGATION, text, re.IGNORECASE):
        return Change(problem=f"nothing is changed: say what is to be, not what is not to be. {_examples(who)}")
    relative = re.search(_RELATIVE, text, re.IGNORECASE)
    if relative is not None:
        return Change(problem=f'"{relative.group()}": give the new value itself. {_examples(who)}')
    if re.search(_STEP, text, re.IGNORECASE) and not re.search(r"\bto\b|\bat\b|=|:", text):
        return Change(problem=f"that may be a step or the new value: say to what it is to be changed. {_examples(who)}")
    numbers = fields_in(text, who)
    if numbers.problem:
        return Change(problem=numbers.problem, percent=numbers.percent)
    changes: list[tuple[str, Any]] = list(numbers.values.items())
    rest = re.sub(r"\bgo ahead and\b", "", numbers.rest, flags=re.IGNORECASE)
    for name, pattern in (("mode", _MODE), ("paused", _FLAG)):
        changes += [(name, _word_value(found[1] or found[2])) for found in re.finditer(pattern, rest, re.IGNORECASE)]
        rest = re.sub(pattern, " , ", rest, flags=re.IGNORECASE)
    if len(changes) > 1 or (changes and _names_another(changes[0][0], rest)):
        return Change(problem=f"one field is changed at a time, so that you approve each. {_examples(who)}")
    if not changes:
        return Change(problem=_nothing(rest, who))
    when = _time_in(rest)
    if when:
        return Change(
            problem=f'leave out "{when}": a change takes effect when you approve it, and stays until you ask for the '
            "next one"
        )
    strange = [word for word in re.findall(r"[^\s,.;:!?()\"]+", rest) if word.lower() not in _HARMLESS]
    if strange:
        is_word = changes[0][0] in ("mode", "paused")
        example = f"Write: pause {who}, unpause {who}, or switch {who} to observe" if is_word else _examples(who)
        return Change(problem=f'I do not understand "{" ".join(strange)[:60]}" in a change. {example}')
    return Change(*changes[0])


def is_relative(text: str) -> bool:
    """Whether it asks for more or less of something, rather than for a value."""
    return re.search(_RELATIVE, text, re.IGNORECASE) is not None


def _first(each: Settable, text: str, *, is_after: bool) -> re.Match[str] | None:
    if is_after:
        return re.search(rf"\b(?:{each.pattern})\b{_LINK}{_AMOUNT}{_AFTER}", text, re.IGNORECASE)
    strict = each.pattern.replace(rf"|{_BARE}min(?:imum)?", "").replace("|max(?:imum)?", "")
    found = re.search(rf"{_AMOUNT}\s+(?:(?:as|for)\s+)?(?:the\s+)?(?:{strict})\b", text, re.IGNORECASE)
    if found is not None:
        return found
    if each.kind == "share":
        return re.search(r"\b(p\d\d(?:\.\d+)?)()(?![\w:/%]|[.,]\d)", text, re.IGNORECASE)
    bound = {"min replicas": "at least", "max replicas": "at most"}.get(each.name)
    if bound is None:
        return None
    return re.search(rf"\b{bound}\s+{_AMOUNT}\s+(?:replicas?|pods?)\b", text, re.IGNORECASE)


def _named(each: Settable, text: str) -> re.Match[str] | None:
    return re.search(rf"\b(?:{each.pattern})\b", text, re.IGNORECASE)


def _names_another(name: str, rest: str) -> bool:
    return any(_named(each, rest) is not None for each in SETTABLE if each.name != name)


def _word_value(word: str) -> Any:
    lowered = word.lower()
    if lowered in ("observe", "active"):
        return lowered.capitalize()
    return "Active" if lowered == "activate" else lowered in ("pause", "true")


def _nothing(rest: str, who: str) -> str:
    if re.search(r"\breplicas?\b|\bpods?\b|^\W*(?:please\s+)?scale\b|kubectl", rest, re.IGNORECASE) and not re.search(
        r"\b(?:min|max)", rest, re.IGNORECASE
    ):
        return (
            "the number of replicas is decided from the forecast, and not set: raise min replicas or lower max "
            f"replicas to bound it. {_examples(who)}"
        )
    names = ", ".join(each.name for each in SETTABLE)
    return f"say which field to set, and to what; there are: {names}. {_examples(who)}"


def _time_in(rest: str) -> str:
    try:
        words = words_of(rest)
    except TimeError:
        return re.sub(rf"[{WORKLOAD},]", "", rest).strip()[:60]
    return " ".join(word.text for word in words if word.kind in "DCZLERabfslnwh")


def _examples(who: str) -> str:
    return f"Write: set max replicas of {who} to 12"


def _percent(text: str) -> float | None:
    try:
        return number(text)
    except AmountError:
        return None


def _value(each: Settable, text: str, unit: str | None, who: str) -> tuple[float, str]:
    """What it says, or why it cannot be."""
    unit = (unit or "").lower()
    try:
        if text[0] in "pP":
            if each.kind != "share" or unit:
                return 0, f"{each.name} is no quantile; give a number"
            value = float(f"{number(text[1:]) / 100:.12g}")  # 99.9 / 100 has a rest
        else:
            value = number(text)
    except AmountError as error:
        return 0, f"{each.name}: {error}"
    if unit in ("%", "percent"):
        if each.kind == "number":
            return 0, (
                f"{each.name} is an amount of demand that one replica is to carry, such as requests a second, and a "
                f"percentage of it is not known here. Give the amount: the target per replica of {who} as 60"
            )
        if each.kind == "whole":
            return 0, f"{each.name} is a number of replicas, and no percentage; give the number itself"
        value = float(f"{value / 100:.12g}")
    elif unit == "k":
        value *= 1000
    if each.kind == "whole":
        if value != int(value) or value < 0:
            return 0, f"{each.name} must be a whole number, 0 or more"
        return (int(value), "") if value <= _MOST_REPLICAS else (0, f"{each.name} is at most {_MOST_REPLICAS}")
    if each.kind == "share" and not 0 < value < 1:
        return 0, f"{each.name} must be between 0 and 1, such as 0.95 or 95 %"
    if each.kind == "number" and not value > 0:
        return 0, f"{each.name} must be above 0"
    return value, ""
