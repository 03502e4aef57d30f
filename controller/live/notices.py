"""What a person should notice, as Kubernetes Events: changes only, never one a cycle.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from controller.kube.events import EventType
from controller.resource.status import AutoscalerStatus, ConditionType, Verdict
from controller.vocabulary import Reason


class Notice(NamedTuple):
    """One Event."""

    type: EventType
    reason: Reason
    note: str


def notices_of_floor(before: int | None, after: int | None, reason: Reason | None) -> Iterator[Notice]:
    """That a floor came into force, or that the user's own value is back; not its every step."""
    why = "" if reason is None else f" ({reason.value})"
    if after is not None and before is None:
        yield Notice(EventType.NORMAL, Reason.RAISED, f"floor {after}{why}")
    elif after is None and before is not None:
        yield Notice(EventType.NORMAL, Reason.RELEASED, f"floor {before} given back{why}")


def notices_of_conditions(before: AutoscalerStatus, after: AutoscalerStatus) -> Iterator[Notice]:
    """Trust lost and regained, and what the user has to mend."""
    old = {each.type: each for each in before.conditions}
    for each in after.conditions:
        was = old.get(each.type)
        if was is not None and was.status is each.status:
            continue
        if each.type == ConditionType.TRUSTED and each.status is Verdict.FALSE:
            yield Notice(EventType.WARNING, Reason.NOT_TRUSTED, each.message)
        elif each.type == ConditionType.TRUSTED and each.status is Verdict.TRUE and was is not None:
            yield Notice(EventType.NORMAL, Reason.TRUST_EARNED, each.message)
        elif each.type == ConditionType.READY and each.status is Verdict.FALSE:
            yield Notice(EventType.WARNING, Reason(each.reason), each.message)
