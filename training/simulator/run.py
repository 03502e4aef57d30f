"""What a policy did in a world, step by step, and the figures that follow from it.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictor.series import FloatArray
from training.simulator.control import Steering
from training.simulator.pods import Pods, ReplicaArray
from training.simulator.queue import FluidQueue
from training.simulator.world import World


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Every step of one policy; everything else can be recomputed from it."""

    world: World
    steering: Steering
    ready: ReplicaArray  # (step,)
    paid: ReplicaArray  # (step,)
    served: FloatArray  # (step,) requests
    timed_out: FloatArray  # (step,)
    backlog: FloatArray  # (step,) at the step's end
    late: FloatArray  # (step,) of the requests that came in the step
    wait_seconds: FloatArray  # (step,) mean of the requests that came in the step


@dataclass(frozen=True, slots=True)
class RunFigures:
    """A run over some of its steps; only observed ones count."""

    requests: float
    late: float
    timed_out: float
    replica_hours: float
    mean_wait: float
    p95_wait: float
    p99_wait: float
    under_ratio: float
    over_ratio: float
    utilization: float
    scale_operations_per_hour: float
    no_opinion_ratio: float

    @property
    def violation(self) -> float:
        """Late requests / requests."""
        return self.late / self.requests if self.requests else 0.0


def simulate(world: World, steering: Steering) -> Run:
    """Let pods and queue follow what was asked for."""
    asked = steering.asked[:, None]
    fleet = Pods(world.settings, len(world), asked[0]).advance(asked)
    result = FluidQueue(world.settings, 1).advance(world.arrivals.requests, fleet.ready)
    return Run(
        world,
        steering,
        fleet.ready[:, 0],
        fleet.paid[:, 0],
        result.served[:, 0],
        result.timed_out[:, 0],
        result.backlog[:, 0],
        result.late[:, 0],
        result.wait_seconds[:, 0],
    )


def figures(run: Run, steps: slice) -> RunFigures:
    """Sums and quantiles over the observed steps of a stretch."""
    world = run.world
    seen = world.arrivals.is_observed[steps]
    requests, ready = world.arrivals.requests[steps][seen], run.ready[steps][seen].astype(np.float64)
    capacity = ready * world.settings.step_capacity
    needed = np.ceil(requests / world.settings.step_capacity - 1e-9)
    hours = max(seen.sum() * world.settings.step_seconds / 3600, 1e-12)
    asked = run.steering.asked[steps]
    changes = np.diff(asked, prepend=asked[:1])[seen] != 0
    waits, total = run.wait_seconds[steps][seen], float(requests.sum())
    return RunFigures(
        requests=total,
        late=float(run.late[steps][seen].sum()),
        timed_out=float(run.timed_out[steps][seen].sum()),
        replica_hours=float(run.paid[steps][seen].sum()) * world.settings.step_seconds / 3600,
        mean_wait=float((waits * requests).sum() / max(total, 1e-12)),
        p95_wait=weighted_quantile(waits, requests, 0.95),
        p99_wait=weighted_quantile(waits, requests, 0.99),
        under_ratio=float((ready < needed).mean()) if seen.any() else 0.0,
        over_ratio=float((ready > np.maximum(needed, 1)).mean()) if seen.any() else 0.0,
        utilization=float(run.served[steps][seen].sum() / max(capacity.sum(), 1e-12)),
        scale_operations_per_hour=float(changes.sum() / hours),
        no_opinion_ratio=float(1 - run.steering.has_opinion[steps][seen].mean()) if seen.any() else 0.0,
    )


def weighted_quantile(values: FloatArray, weights: FloatArray, level: float) -> float:
    """The value that a share of `level` of the weight does not exceed."""
    if not len(values) or weights.sum() <= 0:
        return 0.0
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) >= level * weights.sum() - 1e-12
    return float(values[order][int(np.argmax(reached))])
