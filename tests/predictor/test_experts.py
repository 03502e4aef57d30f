from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.baselines import baselines
from predictor.experts import EXPERTS, ExpertSettings, last_observed, simple_experts


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    gap_ratio=st.sampled_from([0.0, 0.1, 0.6, 0.98, 1.0]),
    time=st.integers(1, 260),
    horizon=st.integers(1, 7),
    period=st.sampled_from([None, 3, 50, 120]),
)
def test_the_experts_of_a_batch_are_the_baselines_of_each_workload(
    seed: int, gap_ratio: float, time: int, horizon: int, period: int | None
) -> None:
    random = np.random.default_rng(seed)
    values = random.poisson(20, (3, time)).astype(np.float64)
    values[random.random(values.shape) < gap_ratio] = np.nan
    count = int(random.integers(1, time + 1))
    seasons = () if period is None else (period,)
    log_level, offset = random.normal(3, 0.2, (3, count)), np.array([1.0, 2.0, 3.0])

    found = simple_experts(ExpertSettings(horizon, 60, seasons), values, count, log_level, offset)

    origins = np.arange(time - count, time)
    for row in range(3):
        table = baselines(60, seasons)
        for position, name in enumerate(EXPERTS):
            path = np.full((count, horizon), np.nan)
            if name in table:
                points = table[name](values[row], origins, horizon)
                with np.errstate(invalid="ignore", divide="ignore"):
                    path = np.clip(np.log(points + offset[row]) - log_level[row][:, None], -4, 4)
            np.testing.assert_allclose(found[row, :, position, 0], path, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found[row, :, position, 1], np.maximum.accumulate(path, axis=1), atol=1e-5)


def test_the_last_value_is_forgotten_after_an_hour_of_steps() -> None:
    values = np.full((1, 100), np.nan)
    values[0, 20] = 7.0

    last = last_observed(values, 100)[0]

    assert np.isnan(last[:20]).all()
    assert (last[20:81] == 7.0).all()
    assert np.isnan(last[81:]).all()


def test_single_precision_demand_gives_the_same_experts() -> None:
    values = np.random.default_rng(1).poisson(1000, (2, 300)).astype(np.float64)
    log_level, offset = np.zeros((2, 4)), np.ones(2)
    wanted = ExpertSettings(5, 60, (120,))

    double = simple_experts(wanted, values, 4, log_level, offset)
    single = simple_experts(wanted, values.astype(np.float32), 4, log_level, offset)

    assert single == pytest.approx(double, rel=1e-5)
