"""The queue as a fluid: how long requests wait when replicas serve at a rate.  Pure, for many policies at once.

Within a step demand and capacity are constant, so the backlog is a straight line and the share of the step's requests
that wait too long follows exactly, as long as capacity stays.  Requests are served in order and give up after the
time-out, not before: the backlog is at most what came within the last time-out, and more replicas find all of it.  That
is looked at when a step ends, which is exact for a time-out of whole steps.  What single requests do, with random
service times, is in `requests`; tests hold this fluid equal to many regular ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from predictor.series import FloatArray
from training.simulator.cluster import ClusterSettings
from training.simulator.pods import ReplicaArray


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """What became of the requests of each step, (step, policy)."""

    served: FloatArray  # requests that were served during the step, whenever they came
    timed_out: FloatArray  # requests that gave up during the step
    backlog: FloatArray  # requests that wait at the step's end
    late: FloatArray  # of the requests that came in the step, those that wait longer than the SLO or give up
    # Mean wait of the requests that came in the step, were capacity to stay and nobody ahead to give up; at most the
    # time-out, which is what those wait that give up.
    wait_seconds: FloatArray


class FluidQueue:
    """Follows backlogs block by block."""

    def __init__(self, settings: ClusterSettings, policies: int) -> None:
        self._settings = settings
        self._backlog = np.zeros(policies)
        self._past = np.zeros(math.ceil(settings.timeout_seconds / settings.step_seconds))  # requests of the last steps

    def advance(self, requests: FloatArray, ready: ReplicaArray) -> Served:
        """The next steps: requests (step,), ready replicas (step, policy)."""
        settings = self._settings
        patience = self._patience(requests)
        before, flow, capacity = self._roll(requests, ready, patience)
        after = np.concatenate([before[1:], self._backlog[None]])
        timed_out = np.maximum(before + flow - patience[:, None], 0.0)
        served = before + requests[:, None] - timed_out - after
        late = requests[:, None] * _share_above(before, before + flow, capacity, settings)
        wait = _mean_wait(before, before + flow, capacity, settings)
        return Served(served, timed_out, after, late, wait)

    def advance_late(self, requests: FloatArray, ready: ReplicaArray) -> FloatArray:
        """The late requests of the next steps alone, (step, policy); all that a sweep needs."""
        before, flow, capacity = self._roll(requests, ready, self._patience(requests))
        flow += before
        return requests[:, None] * _share_above(before, flow, capacity, self._settings)

    def _patience(self, requests: FloatArray) -> FloatArray:
        """Requests that have come within the time-out before each step's end, (step,); older ones have given up."""
        steps = self._settings.timeout_seconds / self._settings.step_seconds
        kept = len(self._past)
        known = np.concatenate([self._past, requests])
        self._past = known[len(known) - kept :]
        patience = np.zeros(len(requests))
        for age in range(kept):  # summed step by step, so that blocks of any size give the very same
            patience += min(steps - age, 1.0) * known[kept - age : len(known) - age]
        return patience

    def _roll(
        self, requests: FloatArray, ready: ReplicaArray, patience: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Backlog before each step, what comes less what can be served, and what can be served; (step, policy) each."""
        capacity: FloatArray = ready.astype(np.float64) * self._settings.step_capacity
        flow = requests[:, None] - capacity
        before = np.empty_like(capacity)
        backlog = self._backlog
        for step in range(len(requests)):
            before[step] = backlog
            backlog = backlog + flow[step]
            np.maximum(backlog, 0.0, out=backlog)
            np.minimum(backlog, patience[step], out=backlog)
        self._backlog = backlog
        return before, flow, capacity


def _share_above(start: FloatArray, end: FloatArray, capacity: FloatArray, settings: ClusterSettings) -> FloatArray:
    """Share of the step during which an arriving request finds more ahead of it than can be served within the SLO."""
    limit = capacity * (settings.slo_wait_seconds / settings.step_seconds)
    share = np.maximum(start, end)
    span = share - np.minimum(start, end)
    np.maximum(span, 1e-12, out=span)
    share -= limit
    share /= span
    np.maximum(share, 0.0, out=share)
    np.minimum(share, 1.0, out=share)
    share[capacity <= 0] = 1.0
    return share


def _mean_wait(start: FloatArray, end: FloatArray, capacity: FloatArray, settings: ClusterSettings) -> FloatArray:
    """Mean wait of a step's requests, seconds: the backlog's mean over the step at the step's rate."""
    top = settings.timeout_seconds
    seconds = settings.step_seconds / np.maximum(capacity, 1e-12)
    first, last = start * seconds, end * seconds
    # A straight line, cut at zero where the backlog is gone and at the time-out; its mean is a difference of areas.
    span = last - first
    is_flat = np.abs(span) < 1e-6
    mean = np.abs(_area(last, top) - _area(first, top)) / np.where(is_flat, 1.0, np.abs(span))
    wait: FloatArray = np.where(is_flat, np.clip(first, 0.0, top), mean)
    return np.where(capacity > 0, wait, top)


def _area(value: FloatArray, top: float) -> FloatArray:
    """Integral from 0 to each value of what is cut at 0 and at `top`."""
    cut = np.clip(value, 0.0, top)
    area: FloatArray = cut**2 / 2 + top * np.maximum(value - top, 0.0)
    return area
