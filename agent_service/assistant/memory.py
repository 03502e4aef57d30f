"""What a thread remembers from one question to the next: the workload, and nothing else.  Pure.

Times, fields and whatever else was said are not remembered: only what an answer can name in a word, so that nobody
takes it for an answer about something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent_service.assistant.names import is_workload
from agent_service.assistant.question.grammar import OF_ALL, Intent, Question, Whence
from agent_service.assistant.state import Call, OpsState


def recalled(state: OpsState) -> str | None:
    """The workload that the question before was about; None when there is none, or none that can be called so."""
    found: object = state.get("about")
    return found if isinstance(found, str) and is_workload(found) else None


def remembered(asked: Question, before: str | None) -> str | None:
    """What the next question is about when it names nothing.

    A question that was not understood is not remembered, unless it does no more than name a workload.  But where it
    spoke of another workload than before, or of one that is not clear, that of before is forgotten: it would be the
    wrong one now.
    """
    named = who_of(asked)
    is_understood = asked.intent is Intent.ONLY_NAMED or not (asked.problem or asked.intent is Intent.UNKNOWN)
    if asked.whence is Whence.QUESTION:
        return named if named and (is_understood or named == before) else None
    if asked.forgotten:
        before = None
    return named if named and is_understood and asked.whence is not Whence.NOBODY else before


def who_of(asked: Question) -> str:
    """The workload as a person may write it; "" without one."""
    return f"{asked.namespace}/{asked.name}" if asked.namespace and asked.name else asked.name


def note_on(asked: Question, known: Sequence[str]) -> str:
    """What an answer has to say first, so that nobody takes it for one about another workload; mostly nothing.

    Also of a question that rules refuse: a model may answer it.
    """
    if not asked.name or asked.intent in OF_ALL:
        return ""
    if asked.forgotten:
        gone = f"What was meant before, {asked.forgotten}, is not known any more"
        return f"{gone}. This is about {who_of(asked)}, the only one that is."
    is_plain = asked.whence is not Whence.BEFORE or list(known) == [who_of(asked)]
    return "" if is_plain else f"About {who_of(asked)}, as before."


def is_looked_at(question: Mapping[str, Any], made: Sequence[Call]) -> bool:
    """Whether an answer stands on the workload that is meant: a model may look elsewhere than it was told."""
    meant = (question.get("namespace"), question.get("name"))
    return any((call["args"].get("namespace"), call["args"].get("name")) == meant for call in made)


def noted(text: str, question: Mapping[str, Any]) -> str:
    """An answer with what it has to say first."""
    note = question.get("note")
    return f"{note}\n{text}" if isinstance(note, str) and note else text
