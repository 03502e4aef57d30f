from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest

from controller.spec import Event, Mode, Schedule
from predictor.errors import InputError
from tests.controller.builders import NOON, a_spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_per_replica": 0.0}, "target_per_replica is 0.0"),
        ({"reactive_target_per_replica": float("nan")}, "reactive_target_per_replica is nan"),
        ({"min_replicas": 5, "max_replicas": 4}, "give 0 <= min <= max"),
        ({"max_replicas": 0, "min_replicas": 0}, "max >= 1"),
        ({"startup_seconds": -1.0}, "startup_seconds is -1.0"),
        ({"startup_seconds": 1000.0}, "the forecast reaches 900 s"),
        ({"quantile": None}, "give either quantile or cost_ratio"),
        ({"cost_ratio": 3.0}, "give either quantile or cost_ratio"),
        ({"quantile": 1.0}, "between 0 and 1"),
        ({"quantile": None, "cost_ratio": -1.0}, "cost_ratio is -1.0"),
        ({"hold_seconds": -1}, "hold_seconds is -1"),
        ({"small_change_ratio": 1.0}, "small_change_ratio is 1.0"),
        ({"release_ratio_per_minute": 0.0}, "release_ratio_per_minute is 0.0"),
        ({"collapse_ratio": 1.0}, "collapse_ratio is 1.0"),
        ({"scale_up_ratio": 0.5}, "scale_up_ratio is 0.5"),
        ({"experience_demand": 0.0}, "experience_demand is 0.0"),
    ],
)
def test_an_impossible_spec_says_what_is_wrong_and_what_to_give(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=r"give|start faster") as caught:
        a_spec(**changes)

    assert message in str(caught.value)


def test_a_spec_observes_unless_told_to_act_and_never_acts_while_paused() -> None:
    assert not a_spec().acts
    assert a_spec(mode=Mode.ACTIVE).acts
    assert not a_spec(mode=Mode.ACTIVE, is_paused=True).acts


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Event("x", datetime(2026, 1, 1), NOON, 3), "need a time zone"),  # noqa: DTZ001
        (lambda: Event("x", NOON, NOON, 3), "before it starts"),
        (lambda: Event("x", NOON, NOON + timedelta(hours=1)), "asks for nothing"),
        (lambda: Event("x", NOON, NOON + timedelta(hours=1), demand_factor=0.5), "only raises the floor"),
        (lambda: Schedule("x", time(8), time(9), "Mars/Olympus", min_replicas=2), "unknown time zone"),
        (lambda: Schedule("x", time(8), time(8), min_replicas=2), "give a window"),
        (lambda: Schedule("x", time(8), time(9), weekdays=frozenset(), min_replicas=2), "weekdays"),
        (lambda: Schedule("x", time(8), time(9), min_replicas=-2), "only raises the floor"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
