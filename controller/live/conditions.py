"""What a resource's status says, and when it is worth a write.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.resource.status import AutoscalerStatus, Condition, ConditionType, Verdict
from controller.vocabulary import Reason

NUMBERS_EVERY = timedelta(seconds=30)
_SLOW_NUMBERS_EVERY = timedelta(minutes=5)  # demand and scores change all the time, and nobody waits for them here
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


def is_worth_writing(
    before: AutoscalerStatus, after: AutoscalerStatus, written_at: datetime | None, now: datetime
) -> bool:
    """Conditions and reasons at once, counts of replicas every half minute, other numbers every few minutes."""
    if _said(before) != _said(after) or before.floor != after.floor:
        return True
    if written_at is None:
        return before != after
    age = now - written_at
    if age < NUMBERS_EVERY:
        return False
    if any(getattr(before, name) != getattr(after, name) for name in _FAST):
        return True
    return age >= _SLOW_NUMBERS_EVERY and before != after


def _said(status: AutoscalerStatus) -> list[tuple[str, Verdict, str, int]]:
    """Without messages, in which numbers stand."""
    return [(each.type, each.status, each.reason, each.observed_generation) for each in status.conditions]
