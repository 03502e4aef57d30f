"""What the graph remembers, and what a caller may say of himself.  Plain JSON, so that checkpoints need no types."""

from __future__ import annotations

from typing import (
    Any,
    NotRequired,  # what pydantic takes on Python 3.11
)

from langgraph.graph import MessagesState
from typing_extensions import TypedDict


class OpsContext(TypedDict, total=False):
    """The caller's context: what questions are about when they name nothing.  Who he is comes from his API key.

    No dataclass: langgraph would raise a TypeError for a name that it does not know, where we have words (`caller`).
    """

    namespace: str
    workload: str | None  # NAME or NAMESPACE/NAME
    allow_actions: bool


class Call(TypedDict):
    """A tool to use."""

    tool: str
    args: dict[str, Any]


class Evidence(TypedDict):
    """What a tool found: every number in an answer points to one of these."""

    id: str  # E1, E2, ...
    tool: str  # that found it: its answer's form, and so its template
    source: str  # forecasts, controller, prometheus, kubernetes
    query: str
    at: str  # when it was asked, ISO 8601
    value: Any
    error: NotRequired[str]  # why there is no value


class Proposal(TypedDict):
    """A change that waits for a person.  Whoever reads one from a state checks all of it: see `proposals.checked`."""

    namespace: str
    name: str
    field: str  # as people say it; where it stands in the object follows from it
    value: Any
    before: Any
    uid: str
    generation: int | None  # of what people write; what the controller writes into the status does not count
    expires_at: str
    is_recalled: NotRequired[bool]  # the question named no workload: the one that was meant before is


class OpsState(MessagesState, total=False):
    """Of one thread.  All but `messages` and `about` is of the last question: every question begins anew.

    A run's input is messages and nothing else: the rest is written by nodes alone.
    """

    intent: str
    question: dict[str, Any]
    calls: list[Call]
    made: list[Call]  # each with the evidence that stands at its place
    usual: list[Call]  # of the rules, whoever chose
    evidence: list[Evidence]
    proposal: Proposal | None
    mistakes: list[str]  # what was wrong with each answer to the proposal that was no decision
    decision: dict[str, Any] | None
    outcome: str  # of a proposal, or why there is no answer
    steps_left: int
    mode: str  # deterministic, or the model's name
    fallback: str  # why the model was not used, where it was to be
    about: str | None  # the workload of the last question that was understood: see `memory`
