"""Changes to the cluster: read before they are proposed, written to no other object than that, and written once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agent_service.assistant.changing.proposals import expiry_of, settable
from agent_service.assistant.looking.sources import ChangedError, SourceError, Sources
from agent_service.assistant.state import Proposal

LASTS = timedelta(minutes=15)
APPLIED_BY = "forescale.io/applied-by"  # annotation: the run and task that made the last change
_CLOCKS = timedelta(seconds=30)  # by which another replica's clock may be ahead


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a change; `outcome` as in `audit_of`, `seen` what is now known of the object."""

    outcome: str
    words: str
    detail: str = ""
    seen: dict[str, Any] = field(default_factory=dict)


async def propose(sources: Sources, namespace: str, name: str, field: str, value: Any, *, now: datetime) -> Proposal:
    """Reads the object, writes nothing; raises SourceError, and ProposalError for a field that cannot be set."""
    path = settable(field).path
    found = await sources.resource(namespace, name)
    return {
        "namespace": namespace,
        "name": name,
        "field": field,
        "value": value,
        "before": _at(found, path),
        "uid": str(found["metadata"].get("uid", "")),
        "generation": found["metadata"].get("generation"),
        "expires_at": (now + LASTS).isoformat(),
    }


def key_of(run_id: str, proposal: Proposal) -> str:
    """Of one step of one run: the same however often it is performed."""
    return f"{run_id}:{proposal['generation']}:{proposal['field']}"


async def apply(sources: Sources, proposal: Proposal, *, key: str, now: datetime) -> Result:
    """Write nothing twice under one key, nothing late, and nothing to an object that people have changed since."""
    who, path = f"{proposal['namespace']}/{proposal['name']}", settable(proposal["field"]).path
    try:
        live = await sources.resource(proposal["namespace"], proposal["name"])
    except SourceError as error:
        return Result("failed", f"Nothing was changed: {error}", str(error))
    if _applied_by(live) == key:  # this very step, once more: whether it is late by now does not matter
        return _applied(proposal, live, "repeated")
    expires = expiry_of(proposal)
    if now > expires:
        return Result("expired", "Nothing was changed: the proposal has expired. Ask again.")
    if expires > now + LASTS + _CLOCKS:
        return Result("invalid", "Nothing was changed: the proposal expires later than any that I make. Ask again.")
    difference = _difference(live, proposal, path)
    if difference:
        return _refused(who, difference)
    body = _patch(proposal, path, key, live["metadata"].get("resourceVersion"))
    try:
        changed = await sources.change(proposal["namespace"], proposal["name"], body)
    except ChangedError:
        return _refused(who, "changed while it was written")
    except SourceError as error:
        if error.may_have_arrived:
            return await _look_again(sources, proposal, key, error)
        return Result("failed", f"Nothing was changed: {error}", str(error))
    return _applied(proposal, changed, "")


async def _look_again(sources: Sources, proposal: Proposal, key: str, error: SourceError) -> Result:
    """After a write whose answer did not come."""
    try:
        live = await sources.resource(proposal["namespace"], proposal["name"])
    except SourceError:
        live = None
    if live is not None and _applied_by(live) == key:
        return _applied(proposal, live, "the answer did not come; the object says that it was made")
    how = f"kubectl -n {proposal['namespace']} get predictiveautoscaler {proposal['name']} -o yaml"
    found = "and the object cannot be read either" if live is None else "and it is not there up to now"
    return Result(
        "unknown",
        f"I do not know whether the change was made: it was sent, {error}; {found}. Look with: {how} "
        f"(it was made if the annotation {APPLIED_BY} is {key})",
        str(error),
    )


def _applied(proposal: Proposal, live: Mapping[str, Any], detail: str) -> Result:
    who, name = f"{proposal['namespace']}/{proposal['name']}", proposal["field"]
    now = _at(live, settable(name).path)
    seen = {"field": name, "value": now, "before": proposal["before"], "set_to": proposal["value"]}
    before = "not set" if proposal["before"] is None else proposal["before"]
    if now != proposal["value"]:
        words = f"{_capital(name)} of {who} was set to {proposal['value']}; somebody has set it to {now} since"
    else:
        words = f"{_capital(name)} of {who} is {now} now; it was {before}"
    return Result("applied", words, detail, seen)


def _refused(who: str, why: str) -> Result:
    return Result("refused", f"Nothing was changed: {who} is not as it was when I proposed this. Ask again.", why)


def _difference(live: Mapping[str, Any], proposal: Proposal, path: tuple[str, ...]) -> str:
    """Not the resource version: the controller moves it with every status that it writes."""
    metadata = live["metadata"]
    if str(metadata.get("uid", "")) != proposal["uid"]:
        return "another object has its name"
    if metadata.get("generation") != proposal["generation"]:
        return "changed meanwhile"
    if _at(live, path) != proposal["before"]:
        return "the field has another value"
    return ""


def _patch(proposal: Proposal, path: tuple[str, ...], key: str, version: Any) -> dict[str, Any]:
    value: Any = proposal["value"]
    for part in reversed(path):
        value = {part: value}
    return {"metadata": {"resourceVersion": version, "annotations": {APPLIED_BY: key}}, **value}


def _applied_by(live: Mapping[str, Any]) -> Any:
    annotations = live["metadata"].get("annotations")
    return annotations.get(APPLIED_BY) if isinstance(annotations, Mapping) else None


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
