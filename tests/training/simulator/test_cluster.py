from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.errors import InputError
from tests.training.simulator.clusters import a_cluster
from training.simulator.cluster import ClusterSettings


@pytest.mark.parametrize(
    "name", ["capacity_per_replica", "step_seconds", "metric_window_seconds", "timeout_seconds"]
)  # fmt: skip
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_what_divides_or_lasts_has_to_be_above_zero(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"{name} is {value}; give a number above 0"):
        a_cluster(**{name: value})


@pytest.mark.parametrize(
    "name",
    [
        "startup_seconds", "startup_spread", "provisioning_seconds", "node_keep_seconds", "drain_seconds",
        "metric_lag_seconds", "slo_wait_seconds",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_other_times_may_be_zero_but_not_less(name: str, value: float) -> None:
    a_cluster(**{name: 0.0})

    with pytest.raises(InputError, match=rf"{name} is {value}; give a number of 0 or more"):
        a_cluster(**{name: value})


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (
            {"slo_wait_seconds": 30.0, "timeout_seconds": 30.0},
            "requests give up after 30 s, before they violate the SLO at 30 s; raise the time-out or lower",
        ),
        ({"max_replicas": 0}, "max_replicas is 0; give 1 or more"),
        ({"free_replicas": -1}, "free_replicas is -1; give 0 or more, or None where nodes are never short"),
    ],
)
def test_settings_that_contradict_are_refused(named: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        a_cluster(**named)


def test_slots_that_take_their_time_carry_so_many_requests() -> None:
    settings = ClusterSettings.for_slots(4, 20.0, startup_seconds=60.0)

    assert (settings.capacity_per_replica, settings.startup_seconds) == (0.2, 60.0)
    assert settings.step_capacity == 3.0


@pytest.mark.parametrize(("slots", "service_seconds"), [(0, 1.0), (1, 0.0), (1, -1.0), (1, math.nan)])
def test_slots_without_number_or_time_are_refused(slots: int, service_seconds: float) -> None:
    with pytest.raises(InputError, match=f"{slots} slots of {service_seconds} s; give at least one slot and a time"):
        ClusterSettings.for_slots(slots, service_seconds)


@pytest.mark.parametrize(("seconds", "steps"), [(0, 0), (0.1, 1), (15, 1), (15.1, 2), (0.1 * 3 * 50, 1)])
def test_so_many_steps_cover_a_time(seconds: float, steps: int) -> None:
    assert a_cluster(step_seconds=15).steps(seconds) == steps


def test_fixed_start_up_takes_the_same_steps_at_any_time() -> None:
    assert a_cluster(startup_seconds=100).startup_steps(4).tolist() == [7, 7, 7, 7]


def test_varying_start_up_is_lognormal_around_its_median() -> None:
    settings = a_cluster(startup_seconds=300, startup_spread=0.4, step_seconds=1)

    steps = settings.startup_steps(40_000)

    # Standard errors: 1.25 * 0.4 / 200 of the median's logarithm, 0.4 / 280 of the spread.
    assert math.log(float(np.median(steps)) / 300) == pytest.approx(0, abs=0.01)
    assert np.log(steps).std() == pytest.approx(0.4, abs=0.01)


@given(spread=st.floats(0.01, 2), seed=st.integers(0, 1000))
def test_no_pod_takes_longer_than_three_spreads(spread: float, seed: int) -> None:
    settings = a_cluster(startup_seconds=60, startup_spread=spread, seed=seed)

    steps = settings.startup_steps(500)

    assert 1 <= steps.min() <= steps.max() <= settings.steps(60 * math.exp(3 * spread))


def test_a_longer_run_begins_with_the_start_up_times_of_a_shorter_one() -> None:
    settings = a_cluster(startup_spread=0.5)

    assert settings.startup_steps(100)[:50].tolist() == settings.startup_steps(50).tolist()


def test_the_seed_decides_start_up_times() -> None:
    one, same, other = (a_cluster(startup_spread=0.5, seed=seed).startup_steps(50).tolist() for seed in (1, 1, 2))

    assert one == same != other
