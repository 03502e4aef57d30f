"""Small worlds, forecasts and cases for tests: a "day" of 240 samples, lived in seconds."""

from __future__ import annotations

import numpy as np

from predictor.forecast import IssuedForecasts
from predictor.series import FloatArray
from tests.builders import DAY, START, daily_demand
from training.simulator.arrivals import spread_arrivals
from training.simulator.cluster import ClusterSettings
from training.simulator.forecasters import Source
from training.simulator.search import Effort
from training.simulator.study import Case
from training.simulator.world import World

LEVELS = (0.5, 0.9, 0.99)
HORIZON = 15
SAMPLE = 60
TINY = Effort(rounds=(0.6,), kept=1, draws=4, is_thin=True)


def a_world(demand: FloatArray | None = None, *, startup_seconds: float = 120.0, seed: int = 0) -> World:
    """Demand per minute, about 100, in replicas that carry 10."""
    values = daily_demand(2 * DAY, seed=seed) if demand is None else demand
    settings = ClusterSettings(capacity_per_replica=10 / SAMPLE, startup_seconds=startup_seconds)
    arrivals = spread_arrivals(values, SAMPLE, settings)
    return World(START, SAMPLE, settings, arrivals, max_replicas=60, cycle_seconds=DAY * SAMPLE)


def some_forecasts(values: FloatArray, *, first: int = 0, noise: float = 0.1, seed: int = 3) -> IssuedForecasts:
    """The highest demand that comes, with an error that grows with the level; rows for samples first, first + 1, ..."""
    rng = np.random.default_rng(seed)
    padded = np.concatenate([values, np.repeat(values[-1:], HORIZON)])
    ahead = np.stack([padded[h : h + len(values)] for h in range(1, HORIZON + 1)], axis=1)
    peak = np.fmax.accumulate(ahead, axis=1)[first:, :, None] * (1 + noise * (np.array([-0.5, 0.5, 1.5])))
    peak = peak * (1 + noise * rng.standard_normal((len(values) - first, 1, 1)))
    return IssuedForecasts(
        "web", np.arange(first, len(values)), LEVELS, peak.astype(np.float32), np.maximum(peak, 0).astype(np.float32)
    )


def a_case(*, days: int = 6, test_days: int = 2, seed: int = 0, target: float = 0.01) -> Case:
    """Two short days of training, then tuning, then test."""
    values = daily_demand(days * DAY, seed=seed)
    first, test = 2 * DAY, (days - test_days) * DAY
    return Case(
        world=a_world(values[first:]),
        first_sample=first,
        test_sample=test,
        peak_replicas=float(np.quantile(values[:first], 0.999)) / 10,
        issued={Source.LSTM: some_forecasts(values), Source.PERSISTENCE: some_forecasts(values, noise=0.4, seed=4)},
        training=values[:first],
        training_first_step=0,
        target_violation=target,
        goals=(0.05, 0.01),
        effort=TINY,
    )
