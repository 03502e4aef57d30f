"""Who chooses tools and words answers: what a planner is, and the rules, which need no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from langchain_core.messages import BaseMessage

from agent_service.assistant.answering.answers import BY_RULES
from agent_service.assistant.state import Call, Evidence

DETERMINISTIC = "deterministic"


@dataclass(frozen=True, slots=True)
class Choice:
    """Tools to use; fallback: why the rules chose them though a model was to."""

    calls: list[Call] = field(default_factory=list)
    mode: str = DETERMINISTIC
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Saying:
    """An answer, and a line that says who worded it."""

    text: str
    label: str
    mode: str


class Planner(Protocol):
    """Never raises, and answers within its own time."""

    @property
    def name(self) -> str:
        """Of the metric's label, and in answers."""

    @property
    def seconds(self) -> float:
        """What it takes at most each time that it is asked: the graph gives its nodes more."""

    async def plan(self, messages: Sequence[BaseMessage], question: dict[str, Any], usual: list[Call]) -> Choice:
        """usual: what the rules would use."""

    async def look_again(
        self, messages: Sequence[BaseMessage], question: dict[str, Any], evidence: Sequence[Evidence]
    ) -> Choice:
        """More tools, or none."""

    async def word(
        self,
        messages: Sequence[BaseMessage],
        question: dict[str, Any],
        evidence: Sequence[Evidence],
        plain: str,
        fallback: str,
    ) -> Saying:
        """plain: what the template says.  fallback: why a model is not to be asked any more."""


class RulePlanner:
    """No model."""

    name = DETERMINISTIC
    seconds = 0.0

    async def plan(self, messages: Sequence[BaseMessage], question: dict[str, Any], usual: list[Call]) -> Choice:
        """See Planner."""
        return Choice(usual)

    async def look_again(
        self, messages: Sequence[BaseMessage], question: dict[str, Any], evidence: Sequence[Evidence]
    ) -> Choice:
        """See Planner."""
        return Choice()

    async def word(
        self,
        messages: Sequence[BaseMessage],
        question: dict[str, Any],
        evidence: Sequence[Evidence],
        plain: str,
        fallback: str,
    ) -> Saying:
        """See Planner."""
        return Saying(plain, BY_RULES, DETERMINISTIC)
