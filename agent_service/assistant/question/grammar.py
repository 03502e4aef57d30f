"""What a question asks for, by rules alone: intent, workload, time, numbers.  Pure.

Understood right, or refused in words that say what to type instead. Nothing that a tool finds can change what is
understood: the rules see the person's words and the workloads' names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from agent_service.assistant.question.amounts import TimeError
from agent_service.assistant.question.fields import (
    SETTABLE,
    WORKLOAD,
    Settable,
    change_in,
    field_named,
    fields_in,
    is_relative,
)
from agent_service.assistant.question.follow_ups import Half, half_in, leads_to_a_name
from agent_service.assistant.question.intents import Intent, asks_for_history, intent_of, without_greeting
from agent_service.assistant.question.plain_words import strange_in
from agent_service.assistant.question.time_words import words_of
from agent_service.assistant.question.times import When, when_in
from agent_service.assistant.question.workloads import Subject, Whence, subject_of

__all__ = ["OF_ALL", "SETTABLE", "Intent", "Question", "Settable", "Whence", "understand"]

OF_ALL = (Intent.HEALTH, Intent.WORKLOADS)  # of all workloads, whichever is named
_LONGEST_TOLD = timedelta(hours=36)  # of decisions, at once
_LONGEST_SCORED = timedelta(days=30)
_LONGEST_AHEAD_SECONDS = 7200
_USUAL_HISTORY = timedelta(days=1)
_MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Question:
    """What was understood."""

    intent: Intent
    namespace: str = ""
    name: str = ""  # of a workload; "" when none was named and there is no telling
    at: datetime | None = None  # an instant; None for now
    span_seconds: int | None = None  # of the span, or how far a forecast is to look ahead
    overrides: dict[str, float] = field(default_factory=dict)
    settable: str = ""  # to be changed; of STATE: asked about
    value: Any = None
    query: str = ""
    problem: str = ""  # why it cannot be answered as asked, in words for the person
    since: datetime | None = None  # first instant of a span; then there is no `at`
    until: datetime | None = None  # its end, now at the latest
    percent: float | None = None  # given where an amount of demand was wanted, beside a problem
    whence: Whence = Whence.NOBODY  # who said which workload is meant
    forgotten: str = ""  # the workload of the question before, when it would be meant and is not known any more


def understand(
    text: str,
    known: Sequence[str],
    now: datetime,
    *,
    namespace: str = "default",
    workload: str | None = None,
    before: str | None = None,
) -> Question:
    """text: the question.  known: workloads as NAMESPACE/NAME.  workload: what is meant when nothing is named.

    before: what is meant when there is no such either: the workload of the question before.
    """
    words = " ".join(text.replace(WORKLOAD, " ").split())
    metric = re.match(r"(?:promql|query|metric)\s*:", words, re.IGNORECASE)
    if metric is not None:
        return Question(Intent.METRIC, query=words[metric.end() :].strip()[:_MOST_CHARACTERS])
    if len(words) > _MOST_CHARACTERS:  # a part of it might ask for something else
        return Question(Intent.UNKNOWN, problem=f"that is longer than {_MOST_CHARACTERS} characters; ask one question")
    asked = without_greeting(words)
    if words and not asked.strip(" ,.!?:;-"):
        return Question(Intent.HELP)
    subject = subject_of(asked, known, namespace, workload, before)
    intent = intent_of(" ".join(subject.text.split()))
    if intent is Intent.UNKNOWN:  # a workload may be called as a word of the question is
        intent = intent_of(asked)
    is_named = subject.whence is Whence.QUESTION
    if intent is Intent.HELP:
        return _about(intent, subject) if is_named else Question(intent)
    plain = subject if before is None else subject_of(asked, known, namespace, workload)
    if intent is Intent.UNKNOWN:
        return _half_asked(subject, plain, known)
    if intent in OF_ALL:
        found = replace(_about(intent, plain), whence=Whence.QUESTION if is_named else Whence.NOBODY)
    else:
        if intent is not Intent.SET_FIELD:  # of a change each word is looked at anyway
            subject = _unless_strange(subject, plain, known)
        found = _about(intent, subject)
        if subject.problem or (subject.forgotten and intent is Intent.SET_FIELD):
            return replace(found, namespace="", name="", problem=_unclear(subject))
    if intent is Intent.SET_FIELD:
        change = change_in(subject.text, _who(subject))
        strange = _strange_name(subject, known) if change.problem else ""
        if strange:
            return replace(_about(intent, plain), problem=_doubt(strange, subject, plain), whence=Whence.QUESTION)
        return replace(
            found, settable=change.settable, value=change.value, problem=change.problem, percent=change.percent
        )
    rest = subject.text
    if intent is Intent.WHAT_IF:
        found, rest = _with_overrides(found, subject)
    if found.problem:
        return found
    try:
        return _with_time(found, rest, now)
    except TimeError as error:
        return replace(found, problem=str(error))


def _about(intent: Intent, subject: Subject) -> Question:
    return Question(intent, subject.namespace, subject.name, whence=subject.whence, forgotten=subject.forgotten)


def _unless_strange(subject: Subject, plain: Subject, known: Sequence[str]) -> Subject:
    """Without the workload of before where a word of the question may be the name of another.

    plain: as if there had been no question before.
    """
    strange = _strange_beside_before(subject, known)
    if not strange:
        return subject
    if not plain.problem:  # there is but one
        return plain
    return replace(plain, problem=_doubt(strange, subject, plain), whence=Whence.QUESTION)


def _strange_beside_before(subject: Subject, known: Sequence[str]) -> str:
    return strange_in(subject.text, known) if subject.whence is Whence.BEFORE else ""


def _doubt(strange: str, subject: Subject, plain: Subject) -> str:
    which = plain.problem or f"name the workload, such as {_who(subject)}"
    return f'I cannot tell whether "{strange}" means {_who(subject)}, as before; {which}'


def _strange_name(subject: Subject, known: Sequence[str]) -> str:
    """What stands in a change where the name of a workload would, and may be that of another than before."""
    strange = _strange_beside_before(subject, known)
    is_place = strange and re.search(
        rf"\b(?:of|for|on|in)\s+(?:the\s+)?{re.escape(strange)}", subject.text, re.IGNORECASE
    )
    return strange if is_place else ""


def _half_asked(subject: Subject, plain: Subject, known: Sequence[str]) -> Question:
    """Of a text that asks for nothing that is known here: what it lacks, where it is half a question."""
    half, found = half_in(subject.text), _about(Intent.UNKNOWN, subject)
    if subject.whence is Whence.QUESTION:
        if subject.problem or half is None:
            return replace(found, problem=subject.problem)
        return replace(found, intent=Intent.ONLY_NAMED, problem=_what_of(_who(subject)))
    strange = strange_in(subject.text, known)
    if strange and leads_to_a_name(subject.text) and plain.problem:
        problem = f'I cannot tell which workload "{strange}" is; {plain.problem}'
        return Question(Intent.UNKNOWN, problem=problem, whence=Whence.QUESTION)
    if strange or subject.whence not in (Whence.CONTEXT, Whence.BEFORE):
        found = Question(Intent.UNKNOWN)
    if half is Half.TIME:
        example = f"such as: why did {_who(subject)} scale yesterday?"
        return replace(found, problem=f"say what you want to know of that time, in one question, {example}")
    return replace(found, problem=_what_of(_who(subject))) if half is Half.PRONOUN and found.name else found


def _what_of(who: str) -> str:
    return f"say what you want to know of {who}, such as: forecast of {who}, or: why did {who} scale?"


def _unclear(subject: Subject) -> str:
    """Why it is not clear which workload is meant.  A change is not turned to another one because there is but one."""
    gone = f"what was meant before, {subject.forgotten}, is not known any more; " if subject.forgotten else ""
    return gone + (subject.problem or f"name the workload, such as {_who(subject)}")


def _who(subject: Subject) -> str:
    return f"{subject.namespace}/{subject.name}" if subject.namespace else subject.name or "NAMESPACE/NAME"


def _with_overrides(asked: Question, subject: Subject) -> tuple[Question, str]:
    """And the text without them."""
    who = _who(subject)
    example = f"such as: what if the target per replica of {who} were 60"
    found = fields_in(subject.text, who)
    if found.problem:
        return replace(asked, problem=f"{found.problem}; {example}", percent=found.percent), ""
    if is_relative(found.rest):
        return replace(asked, problem=f"give the new value itself, {example}"), ""
    if not found.values:
        fields = "target per replica, min replicas, max replicas or quantile"
        return replace(asked, problem=f"say what to change: {fields}, and to what; {example}"), ""
    left = field_named(found.rest)
    if left:
        return replace(asked, problem=f"{left} has no number that I can read; {example}"), ""
    names = {each.name: each.override for each in SETTABLE}
    overrides = {str(names[name]): value for name, value in found.values.items()}
    return replace(asked, overrides=overrides), found.rest


def _with_time(asked: Question, text: str, now: datetime) -> Question:
    """Raises TimeError for a time that cannot be read, and for one that such a question cannot be asked of."""
    match asked.intent:
        case Intent.FORECAST:
            return _ahead(asked, text, now)
        case Intent.ACCURACY | Intent.ALARMS:
            return _scored(asked, when_in(text, now), now)
        case Intent.HEALTH | Intent.WORKLOADS:
            when = when_in(text, now)
            if when != When() and when.at != now and not (when.until == now and "today" in text.lower()):
                raise TimeError(f"that is told of now only; ask why {asked.name or 'a workload'} scaled then")
            return asked
        case _:
            return _past(asked, when_in(text, now), text, now)


def _past(asked: Question, when: When, text: str, now: datetime) -> Question:
    """Of decisions, which are kept one by one."""
    if asked.intent is Intent.WHAT_IF:
        strange = [word.text for word in words_of(text) if word.kind == "x" and word.text[:1].isdigit()]
        if strange:
            raise TimeError(f"I do not know what {strange[0][:40]} is to be; name each field before its number")
    if asked.intent is Intent.WHY and when == When() and asks_for_history(text):
        when = When(since=now - _USUAL_HISTORY, until=now)
    if when.since is None or when.until is None:
        named = field_named(text) if asked.intent is Intent.STATE else ""
        return replace(asked, at=when.at, settable=named)
    if when.until - when.since > _LONGEST_TOLD:
        raise TimeError(
            f"from {when.since:%Y-%m-%d %H:%M} to {when.until:%Y-%m-%d %H:%M} UTC is more than can be looked at; give "
            "a span of up to 36 hours, such as yesterday, or the last 24 hours"
        )
    # What was over a span is a course of decisions, not a state.
    intent = Intent.WHY if asked.intent is Intent.STATE else asked.intent
    return replace(asked, intent=intent, span_seconds=_seconds(when), since=when.since, until=when.until)


def _scored(asked: Question, when: When, now: datetime) -> Question:
    """Scores and alarms are of a window that ends now."""
    if when == When() or when.at == now:
        return asked
    if when.since is None or when.until != now:
        raise TimeError(
            "scores and alarms are told of a time that reaches until now; write over the last 6 hours, or since "
            "yesterday"
        )
    if now - when.since > _LONGEST_SCORED:
        raise TimeError("scores are kept for 30 days at most; write over the last 30 days")
    if now - when.since < timedelta(minutes=1):
        raise TimeError("that is too short to have scores; write over the last 6 hours")
    return replace(asked, span_seconds=_seconds(when), since=when.since, until=when.until)


def _ahead(asked: Question, text: str, now: datetime) -> Question:
    """The newest forecast, as far as is asked."""
    if re.search(r"\b(?:was|were|did|had)\b", text, re.IGNORECASE) and when_in(text, now) != When():
        raise TimeError("only the newest forecast is told; ask why it scaled then, which says what it planned for")
    when = when_in(text, now, ahead=True)
    end = when.until or when.at
    seconds = when.ahead_seconds if end is None else round((end - now).total_seconds())
    if seconds is None or when.at == now:
        return asked
    if seconds <= 0:
        raise TimeError("only the newest forecast is told; ask why it scaled then, which says what it planned for")
    if seconds > _LONGEST_AHEAD_SECONDS:
        raise TimeError("a forecast is of the coming minutes; write in the next 10 minutes, two hours at most")
    return replace(asked, span_seconds=seconds)


def _seconds(when: When) -> int | None:
    return None if when.since is None or when.until is None else round((when.until - when.since).total_seconds())
