from __future__ import annotations

import time

import numpy as np
import pytest

from predictor.scores import (
    actual_paths,
    bootstrap_ratio,
    coverage,
    diebold_mariano,
    mase_scale,
    pinball,
    point_error,
    shift_test,
    skill,
    summed_pinball,
    weighted_quantile_loss,
    worst_hour,
)
from predictor.series import FloatArray

MISSING = float("nan")
HORIZON = 15
RNG_SEED = 11


def seasonal_demand(days: int = 4, *, noise: float = 5.0) -> FloatArray:
    """A daily wave with noise, at a step of a minute."""
    minutes = np.arange(days * 1440)
    wave = 500 + 300 * np.sin(2 * np.pi * minutes / 1440) + 60 * np.sin(2 * np.pi * minutes / 90)
    return np.asarray(wave + np.random.default_rng(RNG_SEED).normal(0, noise, len(minutes)), dtype=np.float64)


def test_outcomes_are_the_samples_after_each_origin_and_their_running_maximum() -> None:
    values = np.array([1.0, 5.0, 3.0, 7.0, 2.0])

    path, peak = actual_paths(values, np.array([0, 1]), 3)

    assert path.tolist() == [[5, 3, 7], [3, 7, 2]]
    assert peak.tolist() == [[5, 5, 7], [3, 7, 7]]


def test_a_maximum_over_a_gap_is_not_known() -> None:
    _, peak = actual_paths(np.array([0.0, 5.0, MISSING, 7.0]), np.array([0]), 3)

    assert peak[0, 0] == 5
    assert np.isnan(peak[0, 1:]).all()


def test_beyond_the_end_nothing_came() -> None:
    path, _ = actual_paths(np.array([1.0, 2.0]), np.array([0, 1]), 2)

    assert path[0, 0] == 2
    assert np.isnan([path[0, 1], path[1, 0], path[1, 1]]).all()


def test_point_errors_are_shares_of_demand() -> None:
    error = point_error(np.array([10.0, 20.0, 30.0]), np.array([13.0, 20.0, 24.0]))

    assert error.pairs == 3
    assert error.wape == pytest.approx(9 / 60)
    assert error.bias == pytest.approx(-3 / 60)
    assert error.under == pytest.approx(6 / 60)
    assert error.mean_absolute == pytest.approx(3.0)


def test_pairs_with_a_missing_side_are_left_out_and_not_counted() -> None:
    error = point_error(np.array([10.0, MISSING, 30.0]), np.array([11.0, 5.0, MISSING]))

    assert error.pairs == 1
    assert error.wape == pytest.approx(0.1)


def test_idle_demand_has_no_relative_error() -> None:
    error = point_error(np.zeros(3), np.ones(3))

    assert (error.pairs, error.wape, error.bias, error.under) == (3, None, None, None)
    assert error.mean_absolute == 1.0


def test_nothing_to_compare_is_no_score() -> None:
    error = point_error(np.array([MISSING]), np.array([1.0]))

    assert (error.pairs, error.wape, error.mean_absolute) == (0, None, None)


def test_skill_compares_both_on_the_same_pairs() -> None:
    actual = np.array([10.0, 10.0, 10.0])
    ours = np.array([11.0, 12.0, MISSING])
    theirs = np.array([14.0, MISSING, 1000.0])

    # Only the first pair has all three; each on its own pairs would give 1 - 0.15 / 49.7.
    assert skill(actual, ours, theirs) == pytest.approx(1 - 1 / 4)


def test_skill_over_a_perfect_baseline_is_not_defined() -> None:
    assert skill(np.ones(3), np.zeros(3), np.ones(3)) is None


def test_the_scale_of_mase_is_the_mean_change_over_a_period() -> None:
    training = np.array([1.0, 2.0, 4.0, 8.0, MISSING, 8.0])

    assert mase_scale(training, 1) == pytest.approx((1 + 2 + 4) / 3)
    assert mase_scale(training, 2) == pytest.approx((3 + 6 + 0) / 3)
    assert mase_scale(np.ones(5), 1) is None


def test_pinball_loss_charges_a_high_level_for_being_exceeded() -> None:
    loss = pinball(np.array([10.0, 10.0]), np.array([[8.0, 8.0], [12.0, 12.0]]), (0.5, 0.9))

    assert loss == pytest.approx(np.array([[1.0, 1.8], [1.0, 0.2]]))


def test_weighted_quantile_loss_is_twice_the_mean_over_levels_per_demand() -> None:
    actual = np.array([10.0, 10.0, MISSING])
    quantiles = np.array([[8.0, 8.0], [12.0, 12.0], [1.0, 1.0]])

    loss, pairs = weighted_quantile_loss(actual, quantiles, (0.5, 0.9))

    assert pairs == 2
    assert loss == pytest.approx(2 * (1.0 + 1.8 + 1.0 + 0.2) / (2 * 20))
    assert summed_pinball(actual[:2], quantiles[:2], (0.5, 0.9)) == pytest.approx((2.0, 2.0))


def test_coverage_counts_outcomes_at_or_below_the_quantile() -> None:
    count = coverage(np.array([1.0, 2.0, 3.0, MISSING]), np.array([2.0, 2.0, 2.0, 2.0]))

    assert (count.pairs, count.covered, count.below) == (3, 2, 1)


def test_the_worst_hour_is_the_one_farthest_from_the_promise() -> None:
    hours = np.repeat(np.arange(24), 200)
    actual = np.ones(len(hours))
    quantile = np.where(np.arange(len(hours)) % 10 == 0, 0.0, 2.0)  # 90 % everywhere
    quantile[hours == 7] = 0.0

    worst = worst_hour(actual, quantile, hours, 0.9)

    assert worst is not None
    assert (worst.hour, worst.coverage, worst.pairs) == (7, 0.0, 200)
    assert worst_hour(actual[:50], quantile[:50], hours[:50], 0.9) is None


def shifted(values: FloatArray, lag: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], FloatArray]:
    """Origins, and forecasts for `HORIZON` after each that equal demand `lag` steps before then."""
    origins = np.arange(100, len(values) - HORIZON)
    return origins, values[origins + HORIZON - lag]


def test_a_forecast_that_repeats_the_present_is_called_out() -> None:
    values = seasonal_demand()
    origins, median = shifted(values, HORIZON)

    found = shift_test(values, origins, median, HORIZON)

    assert found is not None
    assert found.best_lag == HORIZON
    assert found.best_correlation > found.correlation
    assert found.repeats_the_present(HORIZON)


def test_a_forecast_that_is_on_time_is_not_called_out() -> None:
    values = seasonal_demand()
    origins, median = shifted(values, 0)
    noisy = median + np.random.default_rng(1).normal(0, 20, len(median))

    found = shift_test(values, origins, noisy, HORIZON)

    assert found is not None
    assert found.best_lag <= 1
    assert not found.repeats_the_present(HORIZON)


@pytest.mark.parametrize("seed", range(8))
def test_a_forecast_that_knows_nothing_is_not_called_out_for_its_luckiest_lag(seed: int) -> None:
    values = seasonal_demand()
    origins = np.arange(100, len(values) - HORIZON)
    unrelated = np.random.default_rng(seed).normal(500, 100, len(origins))

    found = shift_test(values, origins, unrelated, HORIZON)

    assert found is not None
    assert not found.repeats_the_present(HORIZON)


def test_a_forecast_that_never_changes_has_no_shift() -> None:
    values = seasonal_demand()
    origins = np.arange(100, len(values) - HORIZON)

    assert shift_test(values, origins, np.full(len(origins), 7.0), HORIZON) is None


def test_the_bootstrap_interval_holds_the_ratio_and_repeats_with_its_seed() -> None:
    rng = np.random.default_rng(RNG_SEED)
    actual = rng.gamma(10, 10, 14 * 200)
    ours, theirs = actual + rng.normal(0, 5, len(actual)), actual + rng.normal(0, 10, len(actual))

    interval = bootstrap_ratio(actual, ours, theirs, 200)

    assert interval is not None
    assert interval[0] < 0.5 < interval[1]
    assert interval[1] - interval[0] < 0.1
    assert interval == bootstrap_ratio(actual, ours, theirs, 200)
    assert interval != bootstrap_ratio(actual, ours, theirs, 200, seed=1)


def test_too_few_blocks_give_no_interval() -> None:
    actual = np.arange(1.0, 21.0)

    assert bootstrap_ratio(actual, actual + 1, actual + 2, 10) is None


def test_a_better_forecast_wins_the_diebold_mariano_test() -> None:
    rng = np.random.default_rng(RNG_SEED)
    actual = rng.gamma(10, 10, 3000)
    close, far = actual + rng.normal(0, 5, 3000), actual + rng.normal(0, 6, 3000)
    close[10:20] = MISSING

    found, reverse = diebold_mariano(actual, close, far), diebold_mariano(actual, far, close)

    assert found is not None
    assert reverse is not None
    assert found.pairs == 2990
    assert found.statistic == pytest.approx(-reverse.statistic)
    assert found.statistic > 3
    assert found.p_value < 0.01


def test_equal_forecasts_differ_only_by_chance() -> None:
    rng = np.random.default_rng(RNG_SEED)
    actual = rng.gamma(10, 10, 3000)

    found = diebold_mariano(actual, actual + rng.normal(0, 5, 3000), actual + rng.normal(0, 5, 3000))

    assert found is not None
    assert found.p_value > 0.05


def test_identical_forecasts_cannot_be_compared() -> None:
    actual = np.arange(100.0)

    assert diebold_mariano(actual, actual + 1, actual + 1) is None


def test_scoring_a_trace_of_two_months_takes_seconds() -> None:
    rng = np.random.default_rng(RNG_SEED)
    levels = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.998)
    origins, horizon = 33_000, 15  # the judged 30 % of 110,000
    actual = rng.gamma(10, 10, (origins, horizon))
    quantiles = np.sort(rng.gamma(10, 10, (origins, horizon, len(levels))).astype(np.float32), axis=-1)

    before = time.process_time()
    weighted_quantile_loss(actual, quantiles, levels)
    for h in range(horizon):
        for position in range(len(levels)):
            coverage(actual[:, h], quantiles[:, h, position])
            point_error(actual[:, h], quantiles[:, h, position])

    assert time.process_time() - before < 5
