"""What a resource's status says, and when it is worth a write.  Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.resource.status import AutoscalerStatus, Condition, ConditionType, Verdict
from controller.vocabulary import Reason

NUMBERS_EVERY = timedelta(seconds=30)
_SLOW_NUMBERS_EVERY = timedelta(minutes=5)  # demand and scores change all the time, and nobody waits for them here
_TAKEN_OVER_WITHIN = timedelta(minutes=1)
_FAST = frozenset({"floor", "hpa_alone_replicas", "forecast_replicas", "replicas", "reverts", "startup_seconds"})


class Claim(NamedTuple):
    """One condition before it is compared with what was said last."""

    type: ConditionType
    verdict: Verdict
    reason: Reason
    message: str


def claim(type_: ConditionType, is_so: bool | None, reason: Reason, message: str = "") -> Claim:
    """is_so: None is not known."""
    verdict = Verdict.UNKNOWN if is_so is None else Verdict.TRUE if is_so else Verdict.FALSE
    return Claim(type_, verdict, reason, message)


def conditions(
    claims: Iterable[Claim], before: Iterable[Condition], *, generation: int, now: datetime
) -> list[Condition]:
    """The claims as conditions; one whose status stays keeps the time of its last transition."""
    known = {each.type: each for each in before}
    made: list[Condition] = []
    for each in claims:
        old = known.get(each.type.value)
        stays = old is not None and old.status is each.verdict
        made.append(
            Condition(
                type=each.type.value,
                status=each.verdict,
                reason=each.reason.value,
                message=each.message,
                observed_generation=generation,
                last_transition_time=old.last_transition_time
                if old is not None and stays
                else now.replace(microsecond=0),
            )
        )
    return made


def turn_of(name: str) -> float:
    """Place of a resource among all, 0 to 1, so that not all are written in one cycle."""
    return zlib.crc32(name.encode()) / 2**32


def take_over(status: AutoscalerStatus, now: datetime, turn: float) -> datetime | None:
    """As when to treat a status that an earlier controller wrote: its numbers follow within a minute, by turns.

    None where nobody has written any.
    """
    return now - NUMBERS_EVERY + turn * _TAKEN_OVER_WITHIN if status.conditions else None


def is_worth_writing(
    before: AutoscalerStatus, after: AutoscalerStatus, written_at: datetime | None, now: datetime, turn: float = 0.0
) -> bool:
    """Conditions, reasons and floor at once, counts of replicas every half minute, other numbers every few minutes."""
    if _said(before) != _said(after) or before.floor != after.floor:
        return True
    if written_at is None:
        return before != after
    if now - written_at < NUMBERS_EVERY:
        return False
    if any(getattr(before, name) != getattr(after, name) for name in _FAST):
        return True
    return _turns(now, turn) > _turns(written_at, turn) and before != after


def _turns(at: datetime, turn: float) -> int:
    """How often the turn has come."""
    return int(at.timestamp() / _SLOW_NUMBERS_EVERY.total_seconds() + turn)


def _said(status: AutoscalerStatus) -> list[tuple[str, Verdict, str, int]]:
    """Without messages, in which numbers stand."""
    return [(each.type, each.status, each.reason, each.observed_generation) for each in status.conditions]
