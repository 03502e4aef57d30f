"""Kubernetes Events: what a person should notice, once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controller.kube.events import EventType
from controller.live.notices import notices_of_conditions, notices_of_floor
from controller.resource.status import AutoscalerStatus, Condition, ConditionType, Verdict
from controller.vocabulary import Reason


def a_status(kind: ConditionType, verdict: Verdict | None, reason: Reason = Reason.NO_HPA) -> AutoscalerStatus:
    """With one condition, or none."""
    if verdict is None:
        return AutoscalerStatus()
    said = Condition(
        type=kind, status=verdict, reason=reason, message="why", last_transition_time=datetime(2026, 3, 2, tzinfo=UTC)
    )
    return AutoscalerStatus(conditions=[said])


def test_a_floor_is_told_of_when_it_comes_and_goes_and_not_at_every_step() -> None:
    assert [each.reason for each in notices_of_floor(None, 8, Reason.FORECAST_DEMAND)] == [Reason.RAISED]
    assert list(notices_of_floor(8, 9, Reason.FORECAST_DEMAND)) == []
    assert list(notices_of_floor(None, None, None)) == []
    (gone,) = notices_of_floor(8, None, Reason.PAUSED)
    assert (gone.reason, gone.note) == (Reason.RELEASED, "floor 8 given back (Paused)")


@pytest.mark.parametrize(
    ("kind", "before", "after", "told"),
    [
        (ConditionType.TRUSTED, Verdict.TRUE, Verdict.FALSE, (EventType.WARNING, Reason.NOT_TRUSTED)),
        (ConditionType.TRUSTED, Verdict.FALSE, Verdict.TRUE, (EventType.NORMAL, Reason.TRUST_EARNED)),
        (ConditionType.TRUSTED, None, Verdict.FALSE, (EventType.WARNING, Reason.NOT_TRUSTED)),
        (ConditionType.TRUSTED, None, Verdict.TRUE, None),
        (ConditionType.TRUSTED, Verdict.FALSE, Verdict.FALSE, None),
        (ConditionType.READY, Verdict.TRUE, Verdict.FALSE, (EventType.WARNING, Reason.NO_HPA)),
        (ConditionType.READY, Verdict.FALSE, Verdict.TRUE, None),
        (ConditionType.LIMITED, Verdict.FALSE, Verdict.TRUE, None),
    ],
)
def test_a_condition_is_told_of_when_it_turns_and_matters(
    kind: ConditionType, before: Verdict | None, after: Verdict, told: tuple[EventType, Reason] | None
) -> None:
    found = list(notices_of_conditions(a_status(kind, before), a_status(kind, after)))

    assert [(each.type, each.reason) for each in found] == ([] if told is None else [told])
