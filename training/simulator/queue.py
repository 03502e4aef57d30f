"""The queue as a fluid: how long requests wait when replicas serve at a rate.  Pure, for many policies at once.

Within a step demand and capacity are constant, so the backlog is a straight line and the share of the step's requests
that wait too long follows exactly.  Requests are served in order; the backlog never grows beyond what can be served
before it times out, the rest gives up.  What single requests do, with random service times, is in `requests`.
"""

from __future__ import annotations

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
    wait_seconds: FloatArray  # mean wait of the requests that came in the step, the time-out for those that give up


class FluidQueue:
    """Follows backlogs block by block."""

    def __init__(self, settings: ClusterSettings, policies: int) -> None:
        self._settings = settings
        self._backlog = np.zeros(policies)

    def advance(self, requests: FloatArray, ready: ReplicaArray) -> Served:
        """The next steps: requests (step,), ready replicas (step, policy)."""
        settings = self._settings
        before, flow, capacity = self._roll(requests, ready)
        after = np.concatenate([before[1:], self._backlog[None]])
        timed_out = np.maximum(before + flow - self._patience(capacity), 0.0)
        served = before + requests[:, None] - timed_out - after
        late = requests[:, None] * _share_above(before, before + flow, capacity, settings)
        wait = _mean_wait(before, before + flow, capacity, settings)
        return Served(served, timed_out, after, late, wait)

    def advance_late(self, requests: FloatArray, ready: ReplicaArray) -> FloatArray:
        """The late requests of the next steps alone, (step, policy); all that a sweep needs."""
        before, flow, capacity = self._roll(requests, ready)
        flow += before
        return requests[:, None] * _share_above(before, flow, capacity, self._settings)

    def _patience(self, capacity: FloatArray) -> FloatArray:
        """Requests that can be served before they give up; more does not wait."""
        return capacity * (self._settings.timeout_seconds / self._settings.step_seconds)

    def _roll(self, requests: FloatArray, ready: ReplicaArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Backlog before each step, what comes less what can be served, and what can be served; (step, policy) each."""
        capacity: FloatArray = ready.astype(np.float64) * self._settings.step_capacity
        flow = requests[:, None] - capacity
        patience = self._patience(capacity)
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
    capacity_safe = np.maximum(capacity, 1e-12)
    top = settings.timeout_seconds
    first = np.minimum(start / capacity_safe * settings.step_seconds, top)
    last = np.minimum(end / capacity_safe * settings.step_seconds, top)
    # A backlog that empties within the step is zero for the rest of it.
    fall = np.maximum(first - last, 1e-12)
    emptied = first * np.clip(first / fall, 0.0, 1.0) / 2
    wait = np.where(last >= 0, (first + last) / 2, emptied)
    return np.where(capacity > 0, wait, top)
