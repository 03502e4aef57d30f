"""From a demand series to requests in every simulated step, and to what a metric shows of them.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError, SeriesError
from predictor.series import FloatArray
from training.simulator.cluster import ClusterSettings, Spread

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Requests per simulated step, and which of them were really observed."""

    requests: FloatArray  # (step,)
    is_observed: BoolArray  # (step,); a gap is bridged so that the cluster goes on, but nothing in it is scored
    demand: FloatArray  # (step,) requests per second as HPA and controller see them at the step's beginning
    steps_per_sample: int

    def __len__(self) -> int:
        return len(self.requests)


def spread_arrivals(
    requests_per_sample: FloatArray, sample_seconds: int, settings: ClusterSettings, spread: Spread = Spread.SMOOTH
) -> Arrivals:
    """Spread each sample's requests over its steps; the sum over the steps of a sample is the sample.

    Poisson spreading needs whole numbers of requests: a sample is rounded at random so that its mean is kept.
    """
    if sample_seconds % settings.step_seconds:
        raise InputError(
            f"samples of {sample_seconds} s cannot be cut into simulated steps of {settings.step_seconds} s; "
            "give a step that divides the sample"
        )
    observed = np.isfinite(requests_per_sample)
    if not observed.any():
        raise SeriesError("the series holds no observed demand in this span; nothing can be simulated")
    count = sample_seconds // settings.step_seconds
    index = np.arange(len(requests_per_sample))
    bridged = np.interp(index, index[observed], requests_per_sample[observed])
    if spread is Spread.SMOOTH:
        requests = np.repeat(bridged / count, count)
    else:
        rng = np.random.default_rng([settings.seed, 0])
        whole = np.floor(bridged + rng.random(len(bridged))).astype(np.int64)
        requests = rng.multinomial(whole, np.full(count, 1 / count)).astype(np.float64).reshape(-1)
    return Arrivals(requests, np.repeat(observed, count), _seen(requests, settings), count)


def _seen(requests: FloatArray, settings: ClusterSettings) -> FloatArray:
    """The rate over the metric's window that ended one metric lag before each step; the start counts as steady."""
    window, lag = max(1, settings.steps(settings.metric_window_seconds)), settings.steps(settings.metric_lag_seconds)
    before = np.concatenate([np.full(window + lag, requests[0]), requests])
    total = np.cumsum(np.concatenate([[0.0], before]))
    rate = (total[window:] - total[:-window]) / (window * settings.step_seconds)
    seen: FloatArray = np.maximum(rate[: len(requests)], 0.0)  # rate[i] ends where step i - lag begins
    return seen
