"""What a status says after a cycle, and when it is worth a write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.kube.errors import ForbiddenError
from controller.live.conditions import claim, conditions, is_worth_writing
from controller.resource.status import AutoscalerStatus, Condition, ConditionType, Verdict
from controller.vocabulary import Reason
from tests.controller.live.rehearsal import OURS, Rehearsal, an_answer

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LEAD = {"type": "Fixed", "startupSeconds": 30}


def a_status(**changed: Any) -> AutoscalerStatus:
    ready = Condition(type=ConditionType.READY, status=Verdict.TRUE, reason="Configured", last_transition_time=NOON)
    return AutoscalerStatus(conditions=[ready]).model_copy(update=changed)


def worth(age_seconds: float | None, **changed: Any) -> bool:
    """Whether a change is written so long after the last write, at the turn of the slow numbers."""
    written_at = None if age_seconds is None else NOON - timedelta(seconds=age_seconds)
    return is_worth_writing(a_status(), a_status(**changed), written_at, NOON, turn=0.0)


def test_a_floor_and_a_condition_are_written_at_once() -> None:
    other = Condition(type=ConditionType.READY, status=Verdict.FALSE, reason="NoHPA", last_transition_time=NOON)

    assert worth(1, floor=5)
    assert worth(1, conditions=[other])
    assert worth(1, conditions=[a_status().conditions[0].model_copy(update={"reason": "Reverted"})])
    assert worth(1, conditions=[a_status().conditions[0].model_copy(update={"observed_generation": 2})])


def test_numbers_are_written_every_half_minute_at_most() -> None:
    assert not worth(29, replicas=7)
    assert worth(30, replicas=7)
    assert not worth(29, demand=7.0)


def test_numbers_that_change_all_the_time_are_written_every_few_minutes() -> None:
    assert not is_worth_writing(a_status(), a_status(demand=7.0), NOON, NOON + timedelta(seconds=100))
    assert is_worth_writing(a_status(), a_status(demand=7.0), NOON, NOON + timedelta(seconds=300))


@pytest.mark.parametrize("age_seconds", [None, 1, 30, 3600])
def test_nothing_new_is_not_written(age_seconds: float | None) -> None:
    assert not worth(age_seconds)


def test_a_condition_that_stays_keeps_its_time_and_one_that_turns_gets_a_new_one() -> None:
    before = a_status().conditions
    later = NOON + timedelta(minutes=5)

    (stays,) = conditions([claim(ConditionType.READY, True, Reason.CONFIGURED, "m")], before, generation=3, now=later)
    (turns,) = conditions([claim(ConditionType.READY, False, Reason.NO_HPA)], before, generation=3, now=later)

    assert (stays.last_transition_time, stays.message, stays.observed_generation) == (NOON, "m", 3)
    assert turns.last_transition_time == later


def told(one: Rehearsal) -> dict[str, tuple[str, str]]:
    """Status and reason of every condition as last written."""
    return {each.type: (each.status.value, each.reason) for each in one.stage.statuses[-1].conditions}


def acting(**spec: Any) -> Rehearsal:
    """After one good cycle."""
    one = Rehearsal(**({"lead": LEAD} | spec))
    one.demand = one.metrics.demand = 50.0
    one.forecasts.answer = an_answer(150, one.now)
    one.pass_time(15)
    return one


def test_all_is_well() -> None:
    assert told(acting()) == {
        "Ready": ("True", "Configured"), "ForecastAvailable": ("True", "ForecastFresh"),
        "Trusted": ("True", "TrustEarned"), "Acting": ("True", "Raised"), "Limited": ("False", "AsForecast"),
    }  # fmt: skip


def test_observing_says_what_it_would_do() -> None:
    one = acting(mode="Observe")

    (claim,) = [each for each in one.stage.statuses[-1].conditions if each.type == "Acting"]
    assert (claim.status, claim.reason) == (Verdict.FALSE, "Observing")
    assert claim.message == "mode Observe: it would hold a floor of 17"
    assert one.stage.statuses[-1].floor == 17


def test_a_bound_that_keeps_the_floor_down_is_said() -> None:
    assert told(acting(bounds={"maxReplicas": 9}))["Limited"] == ("True", "AtMaximum")


def test_demand_that_is_not_known_is_said() -> None:
    one = acting()
    one.metrics.demand = None
    one.pass_time(15)

    assert told(one)["Ready"] == ("False", "DemandUnknown")
    assert told(one)["Acting"] == ("True", "Raised"), "the floor is held"


def test_lost_trust_is_said_and_noticed_once() -> None:
    one = acting()
    for _ in range(3):
        one.forecasts.answer = an_answer(150, one.now, is_trusted=False)
        one.pass_time(15)

    assert told(one)["Trusted"] == ("False", "NotTrusted")
    assert one.stage.told.count(Reason.NOT_TRUSTED) == 1


def test_a_refused_write_is_said_until_it_passes() -> None:
    one = Rehearsal(lead=LEAD)
    one.demand = one.metrics.demand = 50.0
    one.forecasts.answer = an_answer(150, one.now)
    one.writes_until_fault, one.fault = 0, ForbiddenError("no rights", 403)
    one.pass_time(15)
    assert told(one)["Ready"] == ("False", "WriteRefused")

    one.pass_time(15)

    assert told(one)["Ready"] == ("True", "Configured")


def test_reverts_are_counted_met_again_and_said_with_advice() -> None:
    one = acting()
    for _ in range(3):
        one.users.merge(OURS, {"spec": {"minReplicas": 2}}, manager="gitops")
        one.pass_time(15)
        hpa = one.hpa()
        assert hpa is not None
        assert hpa.is_raised

    assert told(one)["Ready"] == ("False", "Reverted")
    assert one.stage.statuses[-1].reverts == 3
    (ready,) = [each for each in one.stage.statuses[-1].conditions if each.type == "Ready"]
    assert "ignoreDifferences" in ready.message


def test_pods_that_start_too_slowly_for_the_forecast_are_said() -> None:
    one = acting(lead={"type": "Fixed", "startupSeconds": 1200})

    assert told(one)["Ready"] == ("False", "LeadTooLong")


def test_a_quiet_hour_writes_little() -> None:
    one = acting()
    for _ in range(40):
        one.forecasts.answer = an_answer(150, one.now)
        one.pass_time(15)
    before, writes = len(one.stage.statuses), len(one.writes)

    for _ in range(240):
        one.forecasts.answer = an_answer(150, one.now)
        one.pass_time(15)

    assert len(one.writes) == writes, "nothing is written to the HPA"
    assert len(one.stage.statuses) - before <= 13, "a status every five minutes"
