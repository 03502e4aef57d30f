"""Changes that wait for a person: what may be proposed, what he is asked, what his answer means.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent_service.assistant.names import object_problem
from agent_service.assistant.printable import inline
from agent_service.assistant.question.grammar import SETTABLE, Settable
from agent_service.assistant.state import Proposal

_MOST_REPLICAS = 2**31 - 1  # what Kubernetes can write
_LONGEST_MESSAGE = 500
_MOST_AGAIN = 3  # times that a person is asked again after an answer that is no decision


class ProposalError(Exception):
    """What stands in a state is no proposal that could be carried out; the text says why."""


class DecisionError(Exception):
    """What a person answered is no decision; the text says what would be."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person answered."""

    kind: str  # approve, edit, reject
    proposal: Proposal  # as edited
    message: str = ""


def settable(name: str) -> Settable:
    """Raises ProposalError."""
    for each in SETTABLE:
        if each.name == name:
            return each
    raise ProposalError(f"{str(name)[:40]!r} is no field that can be set")


def checked(given: object) -> Proposal:
    """Raises ProposalError.  A state may hold what anybody wrote there, so nothing of it is taken as it is."""
    if not isinstance(given, Mapping):
        raise ProposalError("there is no proposal")
    problem = object_problem(given.get("namespace"), given.get("name"))
    if problem:
        raise ProposalError(problem)
    field = settable(given.get("field", ""))
    problem = value_problem(field, given.get("value"))
    if problem:
        raise ProposalError(problem)
    uid, generation = given.get("uid"), given.get("generation")
    if not isinstance(uid, str) or not (generation is None or isinstance(generation, int)):
        raise ProposalError("the proposal does not say of which object it is")
    return {
        "namespace": given["namespace"],
        "name": given["name"],
        "field": field.name,
        "value": as_written(field, given["value"]),
        "before": given.get("before"),
        "uid": uid,
        "generation": generation,
        "expires_at": expiry_of(given).isoformat(),
        "is_recalled": given.get("is_recalled") is True,
    }


def expiry_of(given: Mapping[str, Any]) -> datetime:
    """Raises ProposalError."""
    try:
        at = datetime.fromisoformat(given["expires_at"])
    except (KeyError, TypeError, ValueError):
        raise ProposalError("the proposal does not say when it expires") from None
    if at.tzinfo is None:
        raise ProposalError("the proposal's expiry has no time zone")
    return at


def mistakes_in(given: object) -> list[str]:
    """What was wrong with earlier answers, from a state that may hold anything."""
    return (
        [inline(each)[:_LONGEST_MESSAGE] for each in given if isinstance(each, str)] if isinstance(given, list) else []
    )


def may_ask_again(mistakes: Sequence[str]) -> bool:
    """Whether a person who answered so often with what is no decision gets another chance."""
    return len(mistakes) <= _MOST_AGAIN


def request_for(proposal: Proposal, mistakes: Sequence[str] = ()) -> dict[str, Any]:
    """What a person is asked, in the shape that chat clients show.

    mistakes: see mistakes_in.  The action stays as it was proposed, however the last answer wanted it.
    """
    before = "not set" if proposal["before"] is None else inline(proposal["before"])
    who = f"{proposal['namespace']}/{proposal['name']}"
    if proposal.get("is_recalled"):
        who += " (the workload that was meant before; this question names none)"
    again = ""
    if mistakes:
        last = "" if may_ask_again([*mistakes, ""]) else " This is the last time that I ask."
        again = f"Nothing was changed. The last answer cannot be used: {mistakes[-1]}.{last} "
    return {
        "action_requests": [
            {
                "name": "set_field",
                "args": {"field": proposal["field"], "value": proposal["value"]},
                "description": f"{again}Set {proposal['field']} of {who} from {before} to {proposal['value']}. "
                f"The proposal expires at {proposal['expires_at'][:19]} UTC.",
            }
        ],
        "review_configs": [{"action_name": "set_field", "allowed_decisions": ["approve", "edit", "reject"]}],
    }


def decided(answer: object, proposal: Proposal) -> Decision:
    """Raises DecisionError."""
    decisions = answer.get("decisions") if isinstance(answer, Mapping) else None
    if not isinstance(decisions, list) or len(decisions) != 1 or not isinstance(decisions[0], Mapping):
        raise DecisionError('answer with one decision: {"decisions": [{"type": "approve"}]}, or edit, or reject')
    decision = decisions[0]
    if decision.get("type") != "edit" and decision.get("edited_action") is not None:  # which of the two is meant?
        raise DecisionError("only an edit has an edited_action; to change the value, answer with the type edit")
    match decision.get("type"):
        case "approve":
            return Decision("approve", proposal)
        case "reject":
            return Decision("reject", proposal, inline(decision.get("message") or "")[:_LONGEST_MESSAGE])
        case "edit":
            return Decision("edit", _edited(decision.get("edited_action"), proposal))
        case other:
            raise DecisionError(f"{str(other)[:40]!r} is neither approve, edit nor reject")


def _edited(action: Any, proposal: Proposal) -> Proposal:
    args = action.get("args") if isinstance(action, Mapping) else None
    if not isinstance(args, Mapping) or action.get("name") not in (None, "set_field") or "value" not in args:
        raise DecisionError(
            'an edit is {"type": "edit", "edited_action": {"name": "set_field", "args": {"value": ...}}}'
        )
    if set(args) - {"field", "value"} or args.get("field", proposal["field"]) != proposal["field"]:
        raise DecisionError("an edit may change the value, not the field or the object; reject it and ask anew")
    field = settable(proposal["field"])
    problem = value_problem(field, args["value"])
    if problem:
        raise DecisionError(problem)
    return {**proposal, "value": as_written(field, args["value"])}


def value_problem(field: Settable, value: object) -> str:
    """Why a field cannot have this value; "" when it can."""
    number = _finite(value)
    match field.kind:
        case "flag":
            return "" if isinstance(value, bool) else f"{field.name} is true or false"
        case "mode":
            return "" if value in ("Observe", "Active") else f"{field.name} is Observe or Active"
        case "whole":
            is_whole = number is not None and number == int(number) and 0 <= number <= _MOST_REPLICAS
            return "" if is_whole else f"{field.name} is a whole number, 0 to {_MOST_REPLICAS}"
        case "share":
            return "" if number is not None and 0 < number < 1 else f"{field.name} is a number between 0 and 1"
        case _:
            return "" if number is not None and number > 0 else f"{field.name} is a number above 0"


def as_written(field: Settable, value: Any) -> Any:
    """15.0 replicas are written as 15: the API server takes no other."""
    return int(value) if field.kind == "whole" else value


def _finite(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return value
    return value if math.isfinite(value) else None
