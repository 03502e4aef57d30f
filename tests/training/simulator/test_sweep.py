"""The arrays of a sweep against the code that runs in a cluster, replica by replica."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.spec import GuardrailSettings
from predictor.series import FloatArray
from tests.builders import DAY, daily_demand
from tests.training.simulator.worlds import LEVELS, a_world, some_forecasts
from training.simulator import sweep as module
from training.simulator.control import ForecastFeed, Stage, steer
from training.simulator.floors import peak_at_lead, roll_floors
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs
from training.simulator.pods import ReplicaArray
from training.simulator.policies import Schedule, scheduled
from training.simulator.run import figures, simulate
from training.simulator.sweep import FloorTable, sweep
from training.simulator.world import World

hpas = st.builds(
    HpaKnobs,
    st.sampled_from([0.4, 0.55, 0.7, 0.85, 1.0, 1.3]),
    st.sampled_from([0, 15, 60, 300, 900]),
    st.integers(1, 12),
)
floors = st.builds(
    FloorKnobs, st.sampled_from(LEVELS), st.sampled_from([0.5, 0.8, 1.0, 1.1]), st.sampled_from([0, 15, 60, 300])
)


def rough_demand(seed: int, *, days: int = 1) -> FloatArray:
    """A daily wave with outages, spikes and gaps."""
    rng = np.random.default_rng(seed)
    values = daily_demand(days * DAY, seed=seed)
    for start in rng.integers(20, len(values) - 20, 3):
        values[start : start + rng.integers(1, 12)] *= rng.choice([0.0, 0.1, 3.0, 8.0])
    start = int(rng.integers(20, len(values) - 40))
    values[start : start + 9] = np.nan
    return values


def paths(world: World, knobs: list[Knobs], table: FloorTable | None = None) -> ReplicaArray:
    """What a sweep asks for at every step, (step, setting)."""
    order = np.argsort([one.hpa.stabilization_seconds for one in knobs], kind="stable")
    hpas = module._Hpas(world, [knobs[index] for index in order], table, order)
    asked = hpas.advance(slice(0, len(world)))
    return asked[:, np.argsort(order)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(hpas, min_size=1, max_size=4))
def test_a_sweep_of_hpas_is_the_twin_at_every_step(seed: int, choices: list[HpaKnobs]) -> None:
    world = a_world(rough_demand(seed))
    knobs = [Knobs(one) for one in choices]

    swept = paths(world, knobs)

    for column, one in enumerate(knobs):
        np.testing.assert_array_equal(swept[:, column], steer(world, [Stage(0, one)]).asked)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.builds(Knobs, hpas, floors), min_size=1, max_size=3),
    st.sampled_from([30.0, 120.0, 300.0]),
    st.booleans(),
)
def test_a_sweep_of_floors_is_the_live_decision_at_every_step(
    seed: int, knobs: list[Knobs], startup: float, has_holes: bool
) -> None:
    values = rough_demand(seed)
    world = a_world(values, startup_seconds=startup)
    issued = some_forecasts(np.nan_to_num(values, nan=100.0), seed=seed)
    if has_holes:
        issued.peak[40:90] = np.nan
        issued.peak[120:124] = np.inf
    alone = steer(world, [Stage(0, Knobs())]).asked
    rails = GuardrailSettings()
    distinct = [one.floor for one in knobs if one.floor is not None]
    quantiles = peak_at_lead(world, issued, 0)
    table = FloorTable(roll_floors(world, quantiles, LEVELS, distinct, rails), np.arange(len(knobs)), alone)

    swept = paths(world, knobs, table)

    for column, one in enumerate(knobs):
        steering = steer(world, [Stage(0, one)], ForecastFeed(issued, 0, alone, rails))
        np.testing.assert_array_equal(swept[:, column], steering.asked)


def test_a_sweep_of_schedules_is_the_scheduled_policy() -> None:
    values = daily_demand(4 * DAY)
    world = a_world(values[2 * DAY :])
    table = Schedule(values[: 2 * DAY], 0, 60, LEVELS, DAY * 60)
    knobs = [Knobs(HpaKnobs(0.8, 60, 2), FloorKnobs(0.9, 0.7, 0)), Knobs(HpaKnobs(1.2, 0, 1), FloorKnobs(0.5, 1.0, 0))]
    floors = table.floors(world, [one.floor for one in knobs if one.floor is not None])
    alone = np.ones(len(world), dtype=np.int32)

    swept = paths(world, knobs, FloorTable(floors, np.arange(2), alone, keeps_reactive=False))

    for column, one in enumerate(knobs):
        np.testing.assert_array_equal(swept[:, column], scheduled(one, table)(world).asked)


def test_the_sums_of_a_sweep_are_those_of_the_runs() -> None:
    world = a_world(rough_demand(5, days=2))
    knobs = [Knobs(HpaKnobs(0.9, 0, 1)), Knobs(HpaKnobs(0.5, 300, 4))]

    tally = sweep(world, knobs)

    for column, one in enumerate(knobs):
        run = figures(simulate(world, steer(world, [Stage(0, one)])), slice(None))
        assert tally.violation()[column] == pytest.approx(run.violation)
        assert tally.replica_hours()[column] == pytest.approx(run.replica_hours)
        assert tally.requests.sum() == pytest.approx(run.requests)


def test_blocks_can_be_summed_apart() -> None:
    world = a_world(daily_demand(2 * DAY))
    tally = sweep(world, [Knobs()])

    parts = [tally.replica_hours(slice(block, block + 1))[0] for block in range(len(tally.requests))]

    assert len(parts) == 8
    assert sum(parts) == pytest.approx(tally.replica_hours()[0])
