from __future__ import annotations

import numpy as np

from tests.builders import DAY, daily_demand
from tests.training.simulator.worlds import LEVELS, a_world
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs
from training.simulator.policies import SHIPPED, Schedule, hpa, oracle, scheduled, static
from training.simulator.run import figures, simulate


def test_perfect_foresight_keeps_nobody_waiting_and_wastes_next_to_nothing() -> None:
    world = a_world(daily_demand(2 * DAY))

    result = figures(simulate(world, oracle(world)), slice(None))

    assert result.late == 0
    assert result.utilization > 0.8


def test_perfect_foresight_costs_no_more_than_any_policy_that_keeps_nobody_waiting() -> None:
    world = a_world(daily_demand(2 * DAY))
    limit = figures(simulate(world, oracle(world)), slice(None)).replica_hours

    for policy in (static(22), hpa(Knobs(HpaKnobs(0.35, 900, 8)))):
        result = figures(simulate(world, policy(world)), slice(None))
        assert result.late == 0
        assert result.replica_hours > limit


def test_perfect_foresight_asks_one_start_up_before_the_load() -> None:
    values = np.where(np.arange(DAY) < 100, 50.0, 150.0)
    world = a_world(values, startup_seconds=120)

    asked = oracle(world).asked

    arrives = 100 * world.steps_per_sample
    assert asked[arrives - 9] == 5
    assert asked[arrives - 8] == 15


def test_static_replicas_never_change() -> None:
    assert set(static(7)(a_world()).asked.tolist()) == {7}


def test_the_hpa_as_shipped_has_no_behavior_and_doubles_at_most() -> None:
    values = np.where(np.arange(DAY) < 100, 20.0, 500.0)

    asked = hpa(SHIPPED, shipped=True)(a_world(values)).asked

    growth = asked[1:] / np.maximum(asked[:-1], 1)
    assert growth.max() <= 2.0
    assert asked.max() == 60  # the bound


def test_a_schedule_raises_the_floor_one_lead_before_the_busy_hour() -> None:
    hour = DAY // 24
    values = np.where(np.arange(6 * DAY) % DAY // hour == 12, 150.0, 50.0)
    world = a_world(values[4 * DAY :], startup_seconds=120)
    table = Schedule(values[: 4 * DAY], 0, 60, LEVELS, DAY * 60)
    knobs = Knobs(HpaKnobs(1.0, 0, 1), FloorKnobs(0.5, 1.0, 0))

    steering = scheduled(knobs, table)(world)

    begins = 12 * hour * world.steps_per_sample
    assert steering.floor[begins - 20] == 5
    assert (steering.floor[begins - 8 : begins] == 15).all()
    assert figures(simulate(world, steering), slice(None)).late == 0
