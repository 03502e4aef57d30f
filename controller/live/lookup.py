"""What can be asked of decisions: the one in force at an instant, those of a span, what would have been."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError

from controller.live.records import DecisionBook
from controller.resource.base import Part
from controller.resource.resource import Key
from controller.whatif import Comparison, Course, compare
from predictor.errors import InputError

_LONGEST_SPAN = timedelta(hours=36)
_USUAL, _MOST = 200, 1000
_INSTANT = TypeAdapter(AwareDatetime)
_SOON = timedelta(seconds=5)  # by which another clock may be ahead


class UnknownError(InputError):
    """No decision of it is kept, or none from then."""


class WhatIf(Part):
    """The body of POST /v1/what-if."""

    model_config = ConfigDict(extra="forbid")

    namespace: str
    name: str
    start: AwareDatetime
    end: AwareDatetime
    overrides: Annotated[dict[str, float], Field(min_length=1)]


def resources(book: DecisionBook) -> dict[str, Any]:
    """Everything that is decided about, with the newest decision in a line."""
    told = [
        {
            "namespace": key.namespace,
            "name": key.name,
            "acts": record.acts,
            "trusted": record.is_trusted,
            "floor": record.floor,
            "reason": record.reason,
            "at": record.at.isoformat(),
        }
        for key, record in sorted(book.newest().items())
    ]
    return {"resources": told}


def decisions(book: DecisionBook, asked: dict[str, list[str]]) -> dict[str, Any]:
    """One, at an instant or the newest; or those of a span.  Raises InputError."""
    key = Key(_one(asked, "namespace"), _one(asked, "name"))
    if "start" not in asked and "end" not in asked:
        at = _instant(asked, "at") if "at" in asked else None
        record = book.at(key, at)
        if record is None:
            raise UnknownError(f"no decision for {key} is kept from then")
        return record.model_dump(mode="json", by_alias=True)
    start, end = _span(_instant(asked, "start"), _instant(asked, "end"))
    limit = asked.get("limit", [str(_USUAL)])[0]
    if not limit.isdigit() or not 1 <= int(limit) <= _MOST:
        raise InputError(f"limit is {limit[:20]!r}; give 1 to {_MOST}")
    found, has_more, oldest = book.between(key, start, end, int(limit))
    if oldest is None:
        raise UnknownError(f"no decision for {key} is kept")
    return {
        "decisions": [record.model_dump(mode="json", by_alias=True) for record in found],
        "truncated": has_more,
        "oldest_kept": oldest.isoformat(),
    }


def what_if(book: DecisionBook, body: bytes) -> dict[str, Any]:
    """A replay; raises InputError."""
    try:
        asked = WhatIf.model_validate_json(body)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()[:3])
        raise InputError(f"the body cannot be used: {told}") from error
    start, end = _span(asked.start, asked.end)
    key = Key(asked.namespace, asked.name)
    kept = book.inputs.between(key, start, end)
    if kept is None:
        raise UnknownError(f"no decision for {key} is kept")
    spec, inputs, oldest = kept
    if not inputs:
        raise UnknownError(f"what decisions for {key} saw is kept from {oldest.isoformat()} on; ask for a later span")
    return {"resource": str(key), "oldest_kept": oldest.isoformat(), **_told(compare(spec, inputs, asked.overrides))}


def _told(found: Comparison) -> dict[str, Any]:
    return {
        "start": found.inputs[0].at.isoformat(),
        "end": found.inputs[-1].at.isoformat(),
        "points": len(found.inputs),
        "seen_minutes": found.seen_minutes,
        "reproduced": found.reproduced,
        "baseline": _course(found.baseline),
        "changed": _course(found.changed),
        "notes": list(found.notes),
        "series": [[at.isoformat(), before, after] for at, before, after in found.picture()],
    }


def _course(course: Course) -> dict[str, Any]:
    return {
        "replica_minutes": round(course.replica_minutes, 3),
        "short_minutes": round(course.short_minutes, 3),
        "highest_floor": course.highest_floor,
        "floor_changes": course.floor_changes,
    }


def _span(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    if not timedelta(0) < end - start <= _LONGEST_SPAN:
        raise InputError(f"from {start.isoformat()} to {end.isoformat()}: give a span of up to {_LONGEST_SPAN}")
    return start, end + _SOON


def _one(asked: dict[str, list[str]], name: str) -> str:
    values = asked.get(name)
    if not values:
        raise InputError(
            "give namespace and name, and at, or start and end, as 2026-11-24T10:03:00Z, or neither for the newest"
        )
    return values[0]


def _instant(asked: dict[str, list[str]], name: str) -> datetime:
    try:
        return _INSTANT.validate_python(_one(asked, name).replace(" ", "+"))
    except ValidationError:
        raise InputError(f"{name} is no instant with a time zone; give one as 2026-11-24T10:03:00Z") from None
