"""The queue request by request: first come, first served, at the free slots of the replicas that are ready.  Pure.

What the fluid of `queue` leaves out, chance, is in here: single requests at random times, of random length.  It follows
one policy at a time and costs about a second per million requests on one core, so it checks and illustrates; sweeps
use the fluid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from heapq import heapify, heappush, heapreplace

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.series import FloatArray
from training.simulator.arrivals import BoolArray
from training.simulator.cluster import ClusterSettings
from training.simulator.pods import ReplicaArray

_Slots = list[tuple[float, int]]  # a heap of when each slot is free, and of which replica it is


class ServiceLaw(StrEnum):
    """How the time that a request takes, once it has a slot, varies."""

    EXPONENTIAL = "exponential"
    DETERMINISTIC = "deterministic"  # always the mean
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """How long requests occupy a slot."""

    mean_seconds: float
    law: ServiceLaw = ServiceLaw.EXPONENTIAL
    variation_ratio: float = 1.0  # standard deviation over mean; only the lognormal law has a choice

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean_seconds) and self.mean_seconds > 0):
            raise InputError(f"requests take {self.mean_seconds} s on average; give a time above 0")
        if not (math.isfinite(self.variation_ratio) and self.variation_ratio >= 0):
            raise InputError(f"service times vary by {self.variation_ratio} of their mean; give 0 or more")

    @classmethod
    def that_fill(
        cls,
        settings: ClusterSettings,
        slots: int,
        law: ServiceLaw = ServiceLaw.EXPONENTIAL,
        variation_ratio: float = 1.0,
    ) -> ServiceTimes:
        """Times at which a replica of so many slots serves just its capacity, as the fluid has it."""
        return cls(slots / settings.capacity_per_replica, law, variation_ratio)

    def draw(self, count: int, seed: int) -> FloatArray:
        """Seconds that each of `count` requests takes, (request,).

        Drawn by request, whatever becomes of it: every policy meets the same requests.
        """
        rng = np.random.default_rng([seed, 3])
        if self.law is ServiceLaw.DETERMINISTIC:
            return np.full(count, self.mean_seconds)
        if self.law is ServiceLaw.EXPONENTIAL:
            return rng.exponential(self.mean_seconds, count)
        variance = math.log1p(self.variation_ratio**2)
        return rng.lognormal(math.log(self.mean_seconds) - variance / 2, math.sqrt(variance), count)


class Outcome(IntEnum):
    """What became of a request."""

    SERVED = 0  # got a slot; it may still be in it at the end
    TIMED_OUT = 1  # waited longer than the time-out and gave up, never holding a slot
    WAITING = 2  # at the end


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """Counts and waits of many requests; the ratio and the waits are NaN where there were none."""

    arrivals: int
    served: int
    timed_out: int
    waiting: int
    late_ratio: float  # of the arrivals: waited longer than the SLO, or gave up
    mean_wait_seconds: float  # over all arrivals; whoever gave up waited until the time-out
    p95_wait_seconds: float
    p99_wait_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class RequestOutcomes:
    """What became of every request, in order of arrival."""

    arrival_seconds: FloatArray  # (request,) since the first step's beginning
    wait_seconds: FloatArray  # (request,) until a slot, until giving up, or until the end
    outcome: npt.NDArray[np.int8]  # (request,) values of Outcome
    slo_wait_seconds: float

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def is_late(self) -> BoolArray:
        """Whether a request waited longer than the SLO or gave up, (request,)."""
        late: BoolArray = (self.wait_seconds > self.slo_wait_seconds) | (self.outcome == Outcome.TIMED_OUT)
        return late

    def summary(self, is_scored: BoolArray | None = None) -> RequestSummary:
        """Count all requests, or only those of `is_scored` (request,): not those of a gap or of the first minutes."""
        scored = np.ones(len(self), dtype=np.bool_) if is_scored is None else is_scored
        wait, outcome = self.wait_seconds[scored], self.outcome[scored]
        served, timed_out, waiting = (int((outcome == each).sum()) for each in Outcome)
        if not len(wait):
            return RequestSummary(0, 0, 0, 0, math.nan, math.nan, math.nan, math.nan)
        p95, p99 = np.quantile(wait, [0.95, 0.99])
        late_ratio = float(self.is_late[scored].mean())
        return RequestSummary(
            len(wait), served, timed_out, waiting, late_ratio, float(wait.mean()), float(p95), float(p99)
        )


def arrival_times(requests: FloatArray, settings: ClusterSettings) -> FloatArray:
    """Instants of single requests, rising, (request,) seconds, given whole requests per step (step,).

    Independent and uniform within each step: that is a Poisson process, given its counts.
    """
    whole = np.rint(requests)
    if len(requests) and not (np.isfinite(requests).all() and requests.min() >= 0 and (whole == requests).all()):
        raise InputError("single requests need whole counts per step; spread them with Spread.POISSON")
    step = np.repeat(np.arange(len(whole), dtype=np.float64), whole.astype(np.int64))
    within = np.random.default_rng([settings.seed, 2]).random(len(step))
    return np.sort((step + within) * settings.step_seconds)


def serve_requests(
    arrival_seconds: FloatArray,
    service_seconds: FloatArray,
    ready: ReplicaArray,
    settings: ClusterSettings,
    *,
    slots: int,
) -> RequestOutcomes:
    """Serve requests in order of arrival, each at the slot that is free first, over as many steps as `ready` (step,).

    A replica brings `slots` free slots when its first step begins.  The replica that became ready last is given up
    first; from then on it takes no request and finishes those it has, however long they take.  A request that cannot
    begin within the time-out of its arrival takes no slot.

    A million requests take about a second, two with thousands of slots, and some 100 MB.
    """
    end = float(len(ready) * settings.step_seconds)
    _check(arrival_seconds, service_seconds, ready, slots, end)
    timeout = settings.timeout_seconds
    changes = _changes(ready, settings.step_seconds)
    change, before, after = next(changes)
    free: _Slots = [(math.inf, -1)]  # never freed, so that requests wait when there is no other
    begins: list[float] = []
    for arrival, service in zip(arrival_seconds.tolist(), service_seconds.tolist(), strict=True):
        deadline = arrival + timeout
        begin, replica = free[0]
        if begin < arrival:
            begin = arrival
        # Requests begin in order, so nothing that has begun does so after a change that this one is the first to see.
        while begin >= change and deadline >= change:
            free = _resized(free, before, after, slots, change)
            change, before, after = next(changes)
            begin, replica = free[0]
            if begin < arrival:
                begin = arrival
        if begin <= deadline:
            heapreplace(free, (begin + service, replica))
        begins.append(begin)
    return _outcomes(arrival_seconds, np.array(begins, dtype=np.float64), settings, end)


def _changes(ready: ReplicaArray, step_seconds: int) -> Iterator[tuple[float, int, int]]:
    """When the number of replicas changes, from how many and to how many; at last a change that never comes."""
    before = 0
    for step in np.flatnonzero(np.diff(ready, prepend=0)).tolist():
        after = int(ready[step])
        yield float(step * step_seconds), before, after
        before = after
    yield math.inf, before, before


def _resized(free: _Slots, before: int, after: int, slots: int, now: float) -> _Slots:
    """The slots that take requests when there are `after` replicas instead of `before`, from `now` on."""
    if after < before:
        kept = [slot for slot in free if slot[1] < after]
        heapify(kept)
        return kept
    for replica in range(before, after):
        for _ in range(slots):
            heappush(free, (now, replica))
    return free


def _outcomes(arrival: FloatArray, begin: FloatArray, settings: ClusterSettings, end: float) -> RequestOutcomes:
    deadline = arrival + settings.timeout_seconds  # the very sum that was compared while serving
    gave_up = (begin > deadline) & (deadline < end)
    waits = (np.minimum(begin, deadline) >= end) & ~gave_up
    outcome = np.select([gave_up, waits], [Outcome.TIMED_OUT, Outcome.WAITING], Outcome.SERVED).astype(np.int8)
    wait = np.select([gave_up, waits], [settings.timeout_seconds, end - arrival], begin - arrival)
    return RequestOutcomes(arrival, wait, outcome, settings.slo_wait_seconds)


def _check(arrival: FloatArray, service: FloatArray, ready: ReplicaArray, slots: int, end: float) -> None:
    if slots < 1:
        raise InputError(f"replicas of {slots} slots serve nothing; give 1 or more")
    if ready.ndim != 1:
        raise InputError(f"ready replicas have the shape {ready.shape}; give those of one policy, (step,)")
    if len(ready) and ready.min() < 0:
        raise InputError(f"{ready.min()} replicas are ready at step {int(ready.argmin())}; give 0 or more")
    if len(arrival) != len(service):
        raise InputError(f"{len(arrival)} requests arrive, but {len(service)} service times are given; draw as many")
    if len(arrival) and not (arrival[0] >= 0 and arrival[-1] < end and (np.diff(arrival) >= 0).all()):
        raise InputError(
            f"requests have to arrive in order and within the {end:g} s of {len(ready)} steps; sort and cut them"
        )
    if len(service) and not (np.isfinite(service).all() and service.min() >= 0):
        raise InputError("a service time is negative or not finite; give seconds of 0 or more")
