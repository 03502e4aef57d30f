from __future__ import annotations

import numpy as np

from predictor.marks import Mark, find_mark
from predictor.series import FloatArray


def jumping(period: int, phase: int, *, first_step: int = 0, steps: int = 20_000, size: float = 0.3) -> FloatArray:
    """Noisy demand whose level changes at every mark."""
    rng = np.random.default_rng(1)
    step = first_step + np.arange(steps)
    block = (step - phase) // period
    level = np.exp(size * rng.standard_normal(block.max() + 2))[block - block.min()]
    values: FloatArray = 1000 * level * np.exp(0.01 * rng.standard_normal(steps))
    return values


def test_demand_that_jumps_every_ten_minutes_has_that_mark() -> None:
    assert find_mark(jumping(10, 0), 0, 60, 1.0) == Mark(10, 0)


def test_samples_stamped_with_their_end_jump_one_step_after_the_round_time() -> None:
    assert find_mark(jumping(60, 1, first_step=7), 7, 60, 1.0) == Mark(60, 1)


def test_demand_that_jumps_at_odd_times_has_none() -> None:
    assert find_mark(jumping(60, 17), 0, 60, 1.0) is None


def test_smooth_demand_has_none() -> None:
    assert find_mark(1000 + 100 * np.sin(np.arange(20_000) / 200), 0, 60, 1.0) is None


def test_a_short_history_has_none_and_gaps_do_no_harm() -> None:
    values = jumping(10, 0)
    gappy = values.copy()
    gappy[100:400] = np.nan

    assert find_mark(values[:200], 0, 60, 1.0) is None
    assert find_mark(gappy, 0, 60, 1.0) == Mark(10, 0)


def test_a_forecast_reaches_across_a_mark_when_one_lies_ahead_of_it() -> None:
    ahead = Mark(10, 0).ahead(np.array([7, 9, 10]), 4)

    assert ahead.tolist() == [[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
