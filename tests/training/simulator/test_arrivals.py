from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.errors import InputError, SeriesError
from predictor.series import FloatArray
from tests.training.simulator.clusters import a_cluster
from training.simulator.arrivals import spread_arrivals
from training.simulator.cluster import ClusterSettings, Spread

MISSING = float("nan")
SAMPLES = st.lists(st.one_of(st.floats(0, 1e5), st.just(MISSING)), min_size=1, max_size=30).filter(
    lambda values: bool(np.isfinite(values).any())
)


def per_sample(requests: FloatArray, steps: int = 4) -> FloatArray:
    """Requests of each sample of so many steps."""
    sums: FloatArray = requests.reshape(-1, steps).sum(axis=1)
    return sums


def seen(requests_per_step: FloatArray, cluster: ClusterSettings) -> FloatArray:
    """Demand as a metric shows it at each step, requests per second."""
    return spread_arrivals(requests_per_step, cluster.step_seconds, cluster).demand


@given(samples=SAMPLES)
def test_smooth_steps_are_equal_and_sum_to_their_sample(samples: list[float]) -> None:
    values = np.array(samples)

    arrivals = spread_arrivals(values, 60, a_cluster())

    steps = arrivals.requests.reshape(-1, 4)
    assert (steps == steps[:, :1]).all()
    observed = np.isfinite(values)
    np.testing.assert_allclose(per_sample(arrivals.requests)[observed], values[observed], rtol=1e-12, atol=1e-300)


@settings(deadline=None)
@given(samples=SAMPLES, seed=st.integers(0, 100))
def test_poisson_steps_are_whole_and_sum_to_their_rounded_sample(samples: list[float], seed: int) -> None:
    values = np.array(samples)

    arrivals = spread_arrivals(values, 60, a_cluster(seed=seed), Spread.POISSON)

    assert (arrivals.requests == np.floor(arrivals.requests)).all()
    observed = np.isfinite(values)
    whole = per_sample(arrivals.requests)[observed]
    assert ((whole == np.floor(values[observed])) | (whole == np.floor(values[observed]) + 1)).all()


@given(samples=st.lists(st.integers(0, 10_000), min_size=1, max_size=30))
def test_poisson_spreading_keeps_whole_samples(samples: list[int]) -> None:
    arrivals = spread_arrivals(np.array(samples, dtype=np.float64), 60, a_cluster(), Spread.POISSON)

    assert per_sample(arrivals.requests).tolist() == samples


def test_rounding_at_random_keeps_the_mean() -> None:
    samples = np.full(40_000, 2.3)

    arrivals = spread_arrivals(samples, 60, a_cluster(), Spread.POISSON)

    error = np.sqrt(0.3 * 0.7 / 40_000)
    assert per_sample(arrivals.requests).mean() == pytest.approx(2.3, abs=4 * error)


def test_poisson_steps_vary_as_a_poisson_process_with_the_samples_count_does() -> None:
    samples = np.full(20_000, 40.0)

    arrivals = spread_arrivals(samples, 60, a_cluster(), Spread.POISSON)

    steps = arrivals.requests.reshape(-1, 4)
    assert steps.mean(axis=0) == pytest.approx([10.0] * 4, abs=4 * np.sqrt(7.5 / 20_000))
    # Binomial: a variance of 40 * 1/4 * 3/4, and a correlation of -1/3 between the four steps of a sample.
    assert steps.var() == pytest.approx(7.5, rel=0.03)
    assert np.asarray(np.corrcoef(steps.T))[0, 1:] == pytest.approx([-1 / 3] * 3, abs=0.03)


def test_the_seed_decides_the_poisson_steps() -> None:
    samples = np.full(20, 100.0)

    one, same, other = (
        spread_arrivals(samples, 60, a_cluster(seed=seed), Spread.POISSON).requests.tolist() for seed in (1, 1, 2)
    )

    assert one == same != other


def test_a_gap_is_bridged_in_a_straight_line_and_marked() -> None:
    arrivals = spread_arrivals(np.array([60.0, MISSING, MISSING, 120.0]), 60, a_cluster())

    assert per_sample(arrivals.requests) == pytest.approx([60, 80, 100, 120])
    assert arrivals.is_observed.tolist() == [True] * 4 + [False] * 8 + [True] * 4


def test_before_the_first_and_after_the_last_observed_sample_demand_stands_still() -> None:
    arrivals = spread_arrivals(np.array([MISSING, 60.0, MISSING]), 60, a_cluster())

    assert per_sample(arrivals.requests) == pytest.approx([60, 60, 60])
    assert arrivals.is_observed.tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_every_array_has_a_value_for_every_step() -> None:
    arrivals = spread_arrivals(np.array([60.0, 30.0]), 60, a_cluster(step_seconds=10))

    assert arrivals.steps_per_sample == 6
    assert len(arrivals) == len(arrivals.requests) == len(arrivals.is_observed) == len(arrivals.demand) == 12


@pytest.mark.parametrize(("lag", "window"), [(0, 15), (15, 60), (30, 45), (7, 50)])
def test_a_step_in_demand_shows_after_the_lag_and_in_full_after_lag_and_window(lag: float, window: float) -> None:
    cluster = a_cluster(metric_lag_seconds=lag, metric_window_seconds=window)
    lag_steps, window_steps = cluster.steps(lag), cluster.steps(window)
    requests = np.full(40, 150.0)
    requests[20:] = 300.0  # from 10 to 20 per second when step 20 begins

    demand = seen(requests, cluster)

    # Each further step of the window that has come into view adds its share.
    shown = np.clip((np.arange(40) - 20 - lag_steps) / window_steps, 0, 1)
    assert demand == pytest.approx(10 + 10 * shown)


@given(requests=st.lists(st.floats(0, 1e6), min_size=1, max_size=40), lag=st.integers(0, 4), window=st.integers(1, 6))
def test_a_metric_is_the_rate_over_its_window_one_lag_ago(requests: list[float], lag: int, window: int) -> None:
    cluster = a_cluster(metric_lag_seconds=lag * 15.0, metric_window_seconds=window * 15.0)

    demand = seen(np.array(requests), cluster)

    steady = [requests[0]] * (lag + window) + requests  # the start counts as steady
    rates = [sum(steady[step : step + window]) / (window * 15) for step in range(len(requests))]
    assert demand == pytest.approx(rates, abs=1e-6)


def test_a_metric_window_shorter_than_a_step_is_a_step() -> None:
    demand = seen(np.array([15.0, 30.0, 45.0]), a_cluster(metric_lag_seconds=0, metric_window_seconds=1))

    assert demand == pytest.approx([1, 1, 2])


def test_demand_is_never_seen_below_zero() -> None:
    requests = np.concatenate([np.full(50, 1e9 / 3), np.zeros(50)])

    assert (seen(requests, a_cluster()) >= 0).all()


def test_samples_have_to_be_cut_evenly() -> None:
    with pytest.raises(InputError, match="samples of 60 s cannot be cut into simulated steps of 25 s; give a step"):
        spread_arrivals(np.array([1.0]), 60, a_cluster(step_seconds=25))


@pytest.mark.parametrize("samples", [[], [MISSING, MISSING]])
def test_without_observed_demand_nothing_is_simulated(samples: list[float]) -> None:
    with pytest.raises(SeriesError, match="no observed demand in this span; nothing can be simulated"):
        spread_arrivals(np.array(samples), 60, a_cluster())
