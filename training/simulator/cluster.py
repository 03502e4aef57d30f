"""The simulated cluster's settings: how fast pods start, what a replica carries, how old the metrics are.  Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from predictor.errors import InputError
from predictor.forecast import IntArray


class Spread(StrEnum):
    """How a sample's requests are spread over the steps within it."""

    SMOOTH = "smooth"  # evenly: what is judged is scaling, not counting noise
    POISSON = "poisson"  # each request at a seeded uniform time, which is a Poisson process with the sample's count


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """One workload's world.  Capacity in requests per second; a replica serves at most that."""

    capacity_per_replica: float
    step_seconds: int = 15  # also the HPA's sync period
    startup_seconds: float = 120.0  # from asked for to serving; the median when it varies
    startup_spread: float = 0.0  # standard deviation of its logarithm; 0: always the same
    free_replicas: int | None = None  # that fit on the nodes that are always there; None: nodes are never short
    provisioning_seconds: float = 0.0  # what a pod waits longer when a node has to be added for it
    node_keep_seconds: float = 600.0  # how long an added node stays after its last use
    drain_seconds: float = 30.0  # a replica that is given up finishes its work, unpaid by requests but paid for
    metric_lag_seconds: float = 15.0  # age of the newest sample that HPA and controller can see
    metric_window_seconds: float = 60.0  # over which a rate is taken
    slo_wait_seconds: float = 2.0  # a request that waits longer violates
    timeout_seconds: float = 30.0  # and gives up after this
    max_replicas: int = 200
    seed: int = 0  # of start-up times and of the arrivals' spread

    def __post_init__(self) -> None:
        for name in ("capacity_per_replica", "step_seconds", "metric_window_seconds", "timeout_seconds"):
            _require(name, getattr(self, name), above=0)
        for name in (
            "startup_seconds", "startup_spread", "provisioning_seconds", "node_keep_seconds", "drain_seconds",
            "metric_lag_seconds", "slo_wait_seconds",
        ):  # fmt: skip
            _require(name, getattr(self, name), above=None)
        if self.timeout_seconds <= self.slo_wait_seconds:
            raise InputError(
                f"requests give up after {self.timeout_seconds:g} s, before they violate the SLO at "
                f"{self.slo_wait_seconds:g} s; raise the time-out or lower --slo-wait-seconds"
            )
        if self.max_replicas < 1:
            raise InputError(f"max_replicas is {self.max_replicas}; give 1 or more")
        if self.free_replicas is not None and self.free_replicas < 0:
            raise InputError(
                f"free_replicas is {self.free_replicas}; give 0 or more, or None where nodes are never short"
            )

    @classmethod
    def for_slots(cls, slots: int, service_seconds: float, **others: float) -> ClusterSettings:
        """A replica of agents: so many runs at a time, each taking so long on average."""
        if slots < 1 or not service_seconds > 0:
            raise InputError(f"{slots} slots of {service_seconds} s; give at least one slot and a time above 0")
        return cls(capacity_per_replica=slots / service_seconds, **others)  # type: ignore[arg-type]

    @property
    def step_capacity(self) -> float:
        """Requests that one replica serves in one step."""
        return self.capacity_per_replica * self.step_seconds

    def steps(self, seconds: float) -> int:
        """Whole steps that cover so many seconds."""
        return math.ceil(seconds / self.step_seconds - 1e-9)

    def startup_steps(self, count: int) -> IntArray:
        """Steps that pods asked for at each of `count` steps take to start, (step,); the same for every policy."""
        if self.startup_spread == 0:
            return np.full(count, self.steps(self.startup_seconds), dtype=np.int64)
        drawn = np.random.default_rng([self.seed, 1]).lognormal(0.0, self.startup_spread, count) * self.startup_seconds
        longest = self.startup_seconds * math.exp(3 * self.startup_spread)  # a pod that never comes is another subject
        return np.ceil(np.minimum(drawn, longest) / self.step_seconds).astype(np.int64)


def _require(name: str, value: float, *, above: float | None) -> None:
    if not math.isfinite(value) or value < 0 or (above is not None and value <= above):
        raise InputError(f"{name} is {value}; give a number {'above 0' if above is not None else 'of 0 or more'}")
