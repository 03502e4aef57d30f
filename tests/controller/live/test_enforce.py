"""From a decision to the floor in force: none of our own where the HPA needs no help."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from controller.decision import decide
from controller.live.enforce import Floor, floor_in_force
from controller.resource.spec import ActuatorKind
from controller.spec import Event
from controller.vocabulary import Memory, Reason
from tests.controller.builders import NOON, a_memory, a_spec, an_observation

HPA = ActuatorKind.HPA_MIN_REPLICAS


def floor(
    actuator: ActuatorKind = HPA, *, memory: Memory | None = None, users_minimum: int = 1, seen: Any = None, **spec: Any
) -> Floor:
    """After one decision; by default on a demand of 50 and a forecast of 100, which are five and ten replicas."""
    wanted, looked = a_spec(**spec), an_observation() if seen is None else seen
    decision, after = decide(wanted, looked, memory or Memory())
    return floor_in_force(actuator, wanted, looked, decision, after, users_minimum=users_minimum)


def test_a_forecast_above_the_users_minimum_is_a_floor() -> None:
    assert floor() == (10, Reason.FORECAST_DEMAND)


def test_a_floor_that_is_not_above_the_users_minimum_is_none() -> None:
    assert floor(users_minimum=10) == (None, Reason.FORECAST_DEMAND)


def test_without_an_opinion_present_load_is_left_to_the_hpa() -> None:
    assert floor(seen=an_observation(forecast=None, hpa_alone_replicas=6)) == (None, Reason.NO_FORECAST)


def test_without_an_opinion_the_floor_falls_by_itself_and_not_by_present_load() -> None:
    seen = an_observation(forecast=None, hpa_alone_replicas=30)

    assert floor(seen=seen, memory=a_memory(8)) == (8, Reason.HELD)


def test_without_an_hpa_the_whole_decision_counts() -> None:
    seen = an_observation(forecast=None)

    assert floor(ActuatorKind.SCALE, seen=seen) == (5, Reason.REACTIVE_DEMAND)


def test_an_announced_event_is_a_floor_without_a_forecast() -> None:
    event = Event("sale", NOON - timedelta(minutes=1), NOON + timedelta(hours=1), min_replicas=9)

    assert floor(seen=an_observation(forecast=None), overrides=(event,)) == (9, Reason.EVENT)


def test_a_minimum_of_the_resources_own_is_held_without_a_forecast() -> None:
    seen = an_observation(forecast=None)

    assert floor(seen=seen, min_replicas=3, users_minimum=2) == (3, Reason.AT_MINIMUM)
    assert floor(seen=seen, min_replicas=3, users_minimum=3).replicas is None


def test_paused_without_a_forecast_there_is_no_floor() -> None:
    seen = an_observation(forecast=None)

    assert floor(seen=seen, memory=a_memory(8), is_paused=True) == (None, Reason.PAUSED)


def test_a_floor_is_never_above_the_maximum() -> None:
    event = Event("sale", NOON - timedelta(minutes=1), NOON + timedelta(hours=1), min_replicas=90)

    assert floor(max_replicas=7).replicas == 7
    assert floor(seen=an_observation(forecast=None), max_replicas=7, memory=a_memory(20)).replicas == 7
    assert floor(seen=an_observation(forecast=None), max_replicas=7, overrides=(event,)).replicas == 7
