from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.features import FeatureSchema, Window, build_window, log_offset
from predictor.series import FloatArray
from tests.builders import DAY, daily_demand

SCHEMA = FeatureSchema(season_steps=(DAY,), horizon=5, context=16, record_steps=60)


def the_window(
    values: FloatArray, *, schema: FeatureSchema = SCHEMA, time: int | None = None, **more: FloatArray
) -> Window:
    return build_window(
        schema,
        values[None],
        np.array([7]),
        np.array([2.0]),
        len(values) if time is None else time,
        **{name: array[None] for name, array in more.items()},  # type: ignore[arg-type]
    )


@given(origin=st.integers(DAY, 8 * DAY - 2), seed=st.integers(0, 5))
def test_the_future_changes_no_feature(origin: int, seed: int) -> None:
    values = daily_demand(8 * DAY)
    changed = values.copy()
    changed[origin + 1 :] = np.random.default_rng(seed).poisson(5000, len(values) - origin - 1)

    one, other = the_window(values), the_window(changed)

    assert (one.steps[0, : origin + 1] == other.steps[0, : origin + 1]).all()
    assert (one.origin[0, : origin + 1] == other.origin[0, : origin + 1]).all()
    assert (one.ahead[0, : origin + 1] == other.ahead[0, : origin + 1]).all()
    assert (one.log_level[0, : origin + 1] == other.log_level[0, : origin + 1]).all()


def test_serving_from_the_newest_samples_sees_what_training_saw() -> None:
    values = daily_demand(12 * DAY)
    trained = the_window(values)
    first = len(values) - SCHEMA.history_steps

    served = build_window(
        SCHEMA, values[None, first:], np.array([7 + first]), np.array([2.0]), SCHEMA.context, origins=1
    )

    np.testing.assert_allclose(served.steps[0], trained.steps[0, -SCHEMA.context :], atol=1e-6)
    np.testing.assert_allclose(served.origin[0, 0], trained.origin[0, -1], atol=1e-6)
    np.testing.assert_allclose(served.ahead[0, 0], trained.ahead[0, -1], atol=1e-6)


def test_scale_does_not_matter() -> None:
    values = daily_demand(8 * DAY)

    small = the_window(values)
    large = build_window(SCHEMA, 10 * values[None], np.array([7]), np.array([20.0]), len(values))

    np.testing.assert_allclose(small.origin, large.origin, atol=1e-4)
    np.testing.assert_allclose(small.ahead, large.ahead, atol=1e-4)


def test_a_missing_sample_is_marked_and_is_not_a_drop_to_zero() -> None:
    values = daily_demand(8 * DAY)
    gone, zero = values.copy(), values.copy()
    gone[-1], zero[-1] = np.nan, 0.0

    missing, dropped = the_window(gone, time=1), the_window(zero, time=1)

    assert missing.steps[0, -1, 1] == 0  # not seen
    assert dropped.steps[0, -1, 1] == 1
    assert missing.steps[0, -1, 0] == 0  # no deviation from the level
    assert dropped.steps[0, -1, 0] < -2


def test_a_history_shorter_than_the_season_gives_finite_features() -> None:
    window = the_window(daily_demand(DAY // 2), time=4)

    assert np.isfinite(window.steps).all()
    assert np.isfinite(window.origin).all()
    assert (window.ahead == 0).all()


def test_yesterday_tells_what_comes() -> None:
    values = np.full(8 * DAY, 100.0)
    values[-DAY + 3 : -DAY + 6] = 400.0  # yesterday, three steps after now's time of day

    window = the_window(np.concatenate([values, [100.0]]), time=1)

    latest_cycle = window.ahead[0, -1, :, 0]  # by step ahead
    assert latest_cycle.argmax() in (1, 2, 3)
    assert latest_cycle.max() > 0.5


def test_announced_events_are_seen_ahead_and_not_after_the_horizon() -> None:
    schema = FeatureSchema(season_steps=(), horizon=5, context=16, has_events=True)
    values = daily_demand(DAY)
    events = np.zeros(DAY + 5)
    events[DAY + 2] = 1.0  # three steps after the last sample

    window = the_window(values, schema=schema, time=1, events=events)

    assert window.ahead[0, -1, :, -1].tolist() == [0, 0, 1, 0, 0]


def test_a_covariate_enters_relative_to_its_own_level() -> None:
    schema = FeatureSchema(season_steps=(), horizon=5, context=16, covariates=("orders",))
    values = daily_demand(2 * DAY)
    flat, rising = np.ones((2 * DAY, 1)), np.ones((2 * DAY, 1))
    rising[-3:] = 5.0

    still = the_window(values, schema=schema, time=1, covariates=flat)
    moved = the_window(values, schema=schema, time=1, covariates=rising)

    assert np.abs(still.steps[0, -1, -3:]).max() < 1e-6
    assert (moved.steps[0, -1, -3:] > 0).any()


def test_log_relative_values_turn_back_into_demand() -> None:
    values = daily_demand(2 * DAY)
    window = the_window(values, time=3)

    demand = window.to_demand(np.zeros((1, 3, 2)))

    np.testing.assert_allclose(demand[0, :, 0], np.exp(window.log_level[0]) - 2.0)


@pytest.mark.parametrize("values", [np.zeros(50), np.full(50, np.nan), np.array([]), np.full(50, 7.0)])
def test_the_offset_of_idle_or_flat_demand_is_positive(values: FloatArray) -> None:
    assert log_offset(values) > 0


def test_the_offset_follows_counting_noise() -> None:
    quiet = np.random.default_rng(0).poisson(10_000, 5000).astype(np.float64)
    bursty = quiet + np.random.default_rng(1).normal(0, 2000, 5000)

    assert log_offset(quiet) == pytest.approx(100, rel=0.01)  # 1 % of the mean: Poisson noise is below it
    assert log_offset(np.abs(bursty)) > 3 * log_offset(quiet)
