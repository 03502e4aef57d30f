"""Changes that a person approves: proposed with the version they are of, applied only to that version, and once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from agent_service.assistant.grammar import SETTABLE, Settable
from agent_service.assistant.sources import ChangedError, SourceError, Sources
from agent_service.assistant.state import Proposal

audit_log = logging.getLogger("forescale.agent.audit")

LASTS = timedelta(minutes=15)
APPLIED_BY = "forescale.io/applied-by"  # annotation: the run and task that made the last change


class DecisionError(Exception):
    """What a person answered is no decision; the text says what would be."""


def settable(name: str) -> Settable:
    """Raises KeyError."""
    return next(each for each in SETTABLE if each.name == name)


async def propose(
    sources: Sources, namespace: str, name: str, field: str, value: Any, *, actor: str, now: datetime
) -> Proposal:
    """Reads the object, writes nothing; raises SourceError."""
    found = await sources.resource(namespace, name)
    path = list(settable(field).path)
    return {
        "namespace": namespace,
        "name": name,
        "field": field,
        "path": path,
        "value": value,
        "before": _at(found, path),
        "resource_version": found["metadata"]["resourceVersion"],
        "expires_at": (now + LASTS).isoformat(),
        "actor": actor,
    }


def request_for(proposal: Proposal) -> dict[str, Any]:
    """What a person is asked, in the shape that chat clients show."""
    before = "not set" if proposal["before"] is None else proposal["before"]
    return {
        "action_requests": [
            {
                "name": "set_field",
                "args": {"field": proposal["field"], "value": proposal["value"]},
                "description": f"Set {proposal['field']} of {proposal['namespace']}/{proposal['name']} from {before} "
                f"to {proposal['value']}. The proposal expires at {proposal['expires_at'][:19]} UTC.",
            }
        ],
        "review_configs": [{"action_name": "set_field", "allowed_decisions": ["approve", "edit", "reject"]}],
    }


def decided(answer: Any, proposal: Proposal) -> tuple[str, Proposal, str]:
    """approve or reject, the proposal as edited, and what the person said; raises DecisionError."""
    decisions = answer.get("decisions") if isinstance(answer, Mapping) else None
    if not isinstance(decisions, list) or len(decisions) != 1 or not isinstance(decisions[0], Mapping):
        raise DecisionError('answer with one decision: {"decisions": [{"type": "approve"}]}, or edit, or reject')
    decision = decisions[0]
    match decision.get("type"):
        case "approve":
            return "approve", proposal, ""
        case "reject":
            return "reject", proposal, str(decision.get("message") or "")[:500]
        case "edit":
            return "approve", _edited(decision.get("edited_action"), proposal), ""
        case other:
            raise DecisionError(f"{other!r} is neither approve, edit nor reject")


def _edited(action: Any, proposal: Proposal) -> Proposal:
    args = action.get("args") if isinstance(action, Mapping) else None
    if not isinstance(args, Mapping) or action.get("name") not in (None, "set_field") or "value" not in args:
        raise DecisionError(
            'an edit is {"type": "edit", "edited_action": {"name": "set_field", "args": {"value": ...}}}'
        )
    if args.get("field", proposal["field"]) != proposal["field"]:
        raise DecisionError("an edit may change the value, not the field; reject it and ask anew")
    problem = value_problem(settable(proposal["field"]), args["value"])
    if problem:
        raise DecisionError(problem)
    return {**proposal, "value": args["value"]}


def value_problem(field: Settable, value: Any) -> str:
    """Why a field cannot have this value; "" when it can."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match field.kind:
        case "flag":
            return "" if isinstance(value, bool) else f"{field.name} is true or false"
        case "mode":
            return "" if value in ("Observe", "Active") else f"{field.name} is Observe or Active"
        case "whole":
            is_whole = is_number and value == int(value) and value >= 0
            return "" if is_whole else f"{field.name} is a whole number, 0 or more"
        case "share":
            return "" if is_number and 0 < value < 1 else f"{field.name} is a number between 0 and 1"
        case _:
            return "" if is_number and value > 0 else f"{field.name} is a number above 0"


async def apply(sources: Sources, proposal: Proposal, *, key: str, run_id: str, now: datetime) -> str:
    """What came of it, in words; nothing is written twice under one key, nor to another version than was proposed."""
    if now > datetime.fromisoformat(proposal["expires_at"]):
        return "Nothing was changed: the proposal has expired. Ask again."
    who = f"{proposal['namespace']}/{proposal['name']}"
    try:
        live = await sources.resource(proposal["namespace"], proposal["name"])
        if (live["metadata"].get("annotations") or {}).get(APPLIED_BY) == key:
            return f"{_capital(proposal['field'])} of {who} is {proposal['value']} now."  # this very step, once more
        if live["metadata"]["resourceVersion"] != proposal["resource_version"]:
            raise ChangedError("somebody has changed it")
        await sources.change(proposal["namespace"], proposal["name"], _patch(proposal, key))
    except ChangedError:
        _audit("refused", proposal, run_id, "changed meanwhile")
        return f"Nothing was changed: {who} is not as it was when I proposed this. Ask again."
    except SourceError as error:
        _audit("failed", proposal, run_id, str(error))
        return f"Nothing was changed: {error}"
    _audit("applied", proposal, run_id, "")
    return f"{_capital(proposal['field'])} of {who} is {proposal['value']} now; it was {proposal['before']}."


def audit_of(outcome: str, proposal: Proposal, run_id: str, detail: str) -> dict[str, Any]:
    """One line for those who look who changed what."""
    return {
        "event": "change",
        "outcome": outcome,
        "actor": proposal["actor"],
        "run_id": run_id,
        "object": f"{proposal['namespace']}/{proposal['name']}",
        "field": proposal["field"],
        "before": proposal["before"],
        "after": proposal["value"],
        "detail": detail,
    }


def _audit(outcome: str, proposal: Proposal, run_id: str, detail: str) -> None:
    told = audit_of(outcome, proposal, run_id, detail)
    audit_log.warning("change %s: %s", outcome, json.dumps(told), extra={"told": told})


def _patch(proposal: Proposal, key: str) -> dict[str, Any]:
    value: Any = proposal["value"]
    for part in reversed(proposal["path"]):
        value = {part: value}
    metadata = {"resourceVersion": proposal["resource_version"], "annotations": {APPLIED_BY: key}}
    return {"metadata": metadata, **value}


def _at(found: Any, path: list[str]) -> Any:
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
