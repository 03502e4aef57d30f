from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.errors import InputError
from tests.builders import DAY
from tests.training.simulator.worlds import a_case
from training.simulator.forecasters import Source
from training.simulator.search import Explored, Goal
from training.simulator.study import (
    Case,
    Searched,
    frozen_knobs,
    frozen_stages,
    oracle_tally,
    rechosen_stages,
    search_all,
    shifted,
)


@pytest.fixture(scope="module")
def case() -> Case:
    return a_case()


@pytest.fixture(scope="module")
def found(case: Case) -> dict[str, Searched]:
    return search_all(case, [Source.LSTM, Source.PERSISTENCE], [Source.LSTM])


def cheapest(explored: Explored, goal: Goal) -> float:
    index = explored.cheapest(goal)
    assert index is not None
    return float(explored.tally.replica_hours(goal.blocks)[index])


def test_every_family_is_explored_and_holds_the_hpas_settings(case: Case, found: dict[str, Searched]) -> None:
    assert set(found) == {"hpa", "schedule", "lstm", "persistence", "placebo_lstm"}
    for searched in found.values():
        assert set(found["hpa"].tuned.knobs) <= set(searched.tuned.knobs)
        for goal in case.test_goals():
            assert cheapest(searched.hindsight, goal) <= cheapest(found["hpa"].hindsight, goal)


def test_a_good_forecast_closes_a_good_part_of_the_gap_and_its_placebo_does_not(
    case: Case, found: dict[str, Searched]
) -> None:
    goal = case.test_goals()[1]
    hpa, oracle = cheapest(found["hpa"].hindsight, goal), float(oracle_tally(case).replica_hours(case.test_blocks)[0])

    def closed(family: str) -> float:
        return (hpa - cheapest(found[family].hindsight, goal)) / (hpa - oracle)

    assert closed("lstm") > 0.3
    assert closed("placebo_lstm") < closed("lstm") / 2


def test_frozen_knobs_are_the_cheapest_that_keep_half_the_target_on_the_tuning_span(
    case: Case, found: dict[str, Searched]
) -> None:
    tuned = found["lstm"].tuned
    chosen = tuned.knobs.index(frozen_knobs(case, found["lstm"]))
    violation, hours = tuned.tally.violation(case.tuning_blocks), tuned.tally.replica_hours(case.tuning_blocks)

    assert violation[chosen] <= case.target_violation / 2
    assert hours[chosen] == hours[violation <= case.target_violation / 2].min()


def test_frozen_knobs_do_not_depend_on_the_test_span() -> None:
    one = a_case()
    world = one.world
    requests = world.arrivals.requests.copy()
    requests[one.test_step :] *= 3
    demand = world.arrivals.demand.copy()
    demand[one.test_step + 1 :] *= 3
    other = replace(
        one, world=replace(world, arrivals=replace(world.arrivals, requests=requests, demand=demand)), goals=(0.02,)
    )

    chosen = [frozen_knobs(case, search_all(case, [Source.LSTM], [])["lstm"]) for case in (one, other)]

    assert chosen[0] == chosen[1]


def test_frozen_knobs_step_back_beyond_the_highest_demand_of_the_tuning_span(
    case: Case, found: dict[str, Searched]
) -> None:
    before, after = frozen_stages(case, frozen_knobs(case, found["lstm"]))

    assert before.experience_demand is None
    assert after.from_step == case.test_step
    assert after.experience_demand == pytest.approx(case.world.demand[: case.test_step].max())


def test_knobs_are_chosen_anew_at_every_block_of_the_test_span(case: Case, found: dict[str, Searched]) -> None:
    stages = rechosen_stages(case, found["lstm"])

    size = case.world.block_steps
    assert [stage.from_step for stage in stages] == [0, *range(case.test_step, len(case.world), size)]
    assert all(stage.knobs in found["lstm"].tuned.knobs for stage in stages)


def test_two_processes_find_what_one_finds(case: Case, found: dict[str, Searched]) -> None:
    side_by_side = search_all(case, [Source.LSTM], [], jobs=2)

    assert side_by_side["lstm"].hindsight.knobs == found["lstm"].hindsight.knobs
    np.testing.assert_array_equal(side_by_side["lstm"].hindsight.tally.late, found["lstm"].hindsight.tally.late)


def test_the_placebo_has_the_forecasts_of_another_time(case: Case) -> None:
    issued = case.issued[Source.LSTM]

    moved = shifted(issued, case.placebo_samples, case.first_sample)

    assert case.placebo_samples == round(37 / 24 * DAY)
    row = 3 * case.placebo_samples // 2
    origin = int(moved.origins[row])
    np.testing.assert_array_equal(moved.peak[row], issued.peak[origin - case.placebo_samples - int(issued.origins[0])])


def test_a_history_without_a_tuning_span_is_refused(case: Case) -> None:
    with pytest.raises(InputError, match="read more --days"):
        replace(case, test_sample=case.first_sample)
