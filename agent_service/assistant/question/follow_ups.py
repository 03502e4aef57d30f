"""Halves of questions: a name, a time or a pronoun that asks something only after another question.  Pure.

What was asked before is not remembered, so that half a question is not answered: the person is told what it lacks.
"""

from __future__ import annotations

import re
from enum import StrEnum

from agent_service.assistant.question.amounts import TimeError
from agent_service.assistant.question.fields import WORKLOAD
from agent_service.assistant.question.time_words import OTHER, words_of

# Words that ask for nothing themselves.
_SAYING_NOTHING = """
a about after again also an and around as at before but by day days do does earlier else for from give had happened
has here how i in info instead is it its later look m me mean meant more much need now of ok on once one or our over
please s same see show since so tell than that the their them then there these they thing this those time to too until
us want was we week well were what when with would yes you
"""
_EMPTY = frozenset(_SAYING_NOTHING.split())
_LEADS = re.compile(
    r"^\W*(?:(?:what|how)\s+about|(?:(?:the|do|and)\s+)*same\s+(?:for|with|of)|for|of)\b", re.IGNORECASE
)
_TIMES = frozenset("DCLERN")  # see Word


class Half(StrEnum):
    """What there is of a question."""

    NAME = "name"  # perhaps with a time
    TIME = "time"
    PRONOUN = "pronoun"  # or even less


def half_in(text: str) -> Half | None:
    """None when the text says more, or what cannot be read.  text: with WORKLOAD in the place of the name."""
    try:
        words = words_of(text)
    except TimeError:
        return None
    others = [word.text.lower() for word in words if word.kind == OTHER]
    if any(part not in _EMPTY for word in others for part in re.findall(r"\w+", word)):
        return None
    if WORKLOAD in text:
        return Half.NAME
    return Half.TIME if any(word.kind in _TIMES for word in words) else Half.PRONOUN


def leads_to_a_name(text: str) -> bool:
    """Whether it begins as "what about payments" does."""
    return _LEADS.match(text) is not None
