"""The policies that need no forecast: fixed, as shipped, on a weekly schedule, and the one that knows the future.

Every policy has one signature: a world in, what it asks for out.  Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from scipy.ndimage import grey_closing, maximum_filter1d

from predictor.forecast import IntArray
from predictor.series import FloatArray
from training.simulator.control import Stage, Steering, steer
from training.simulator.floors import Floors
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs
from training.simulator.pods import ReplicaArray
from training.simulator.world import WEEK, World

Policy = Callable[[World], Steering]

SHIPPED = Knobs(HpaKnobs(target_ratio=0.7, stabilization_seconds=300, min_replicas=1))
_SLOTS = 24  # of a cycle: hours of a day


def static(replicas: int) -> Policy:
    """Always the same replicas."""

    def policy(world: World) -> Steering:
        return given(np.full(len(world), min(max(replicas, 1), world.max_replicas), dtype=np.int32))

    return policy


def hpa(knobs: Knobs, *, shipped: bool = False) -> Policy:
    """An HPA on demand."""
    return lambda world: steer(world, [Stage(0, knobs)], shipped=shipped)


def scheduled(knobs: Knobs, table: Schedule) -> Policy:
    """An HPA above a weekly schedule; `knobs.floor` says for which quantile of each hour and how full."""

    def policy(world: World) -> Steering:
        if knobs.floor is None:
            return steer(world, [Stage(0, knobs)])
        floors = table.floors(world, [knobs.floor]).replicas[:, 0]
        first = int(world.decision_steps()[0])
        # As a written floor: seen by the HPA's sync after the one at which it was written.
        known = np.concatenate([np.zeros(first + 1, dtype=np.int32), floors])[: len(world)]
        return steer(world, [Stage(0, knobs)], schedule=known)

    return policy


def oracle(world: World) -> Steering:
    """Asks, one start-up ahead, for exactly what the load will need: no request waits, and no replica is idle for long.

    A replica is given up only for a gap in which it would cost more to drain it and start another than to keep it.  It
    could save a little more by violating on purpose; that is not granted to it.
    """
    need = np.ceil(world.arrivals.requests / world.settings.step_capacity - 1e-9)
    startup = world.settings.steps(world.settings.startup_seconds)
    drain = world.settings.steps(world.settings.drain_seconds)
    kept = np.maximum(grey_closing(need, size=startup + drain + 1, mode="nearest"), need)
    ahead = maximum_filter1d(kept, startup + 1, origin=-(startup // 2), mode="nearest")
    return given(np.clip(ahead, 1, world.max_replicas).astype(np.int32))


def given(asked: ReplicaArray) -> Steering:
    """A path that was known beforehand."""
    return Steering(asked, asked, np.zeros(len(asked), dtype=np.bool_), Counter())


class Schedule:
    """Demand quantiles of every hour of the week (of the day, where history is short), learnt from history."""

    def __init__(
        self, values: FloatArray, first_step: int, sample_seconds: int, levels: tuple[float, ...], cycle_seconds: int
    ) -> None:
        """`values` before the simulated span; `first_step`: number of the first sample since the epoch."""
        seconds = (first_step + np.arange(len(values))) * sample_seconds
        self._levels, self._slot_seconds = levels, max(1, cycle_seconds // _SLOTS)
        is_weekly = len(values) * sample_seconds >= 2 * WEEK * cycle_seconds
        slots = _SLOTS * (WEEK if is_weekly else 1)
        slot = seconds // self._slot_seconds % slots
        known = np.isfinite(values)
        everything = np.quantile(values[known], levels) if known.any() else np.zeros(len(levels))
        self._demand = np.empty((slots, len(levels)))
        for index in range(slots):
            inside = values[known & (slot == index)]
            self._demand[index] = np.quantile(inside, levels) if inside.size else everything

    def floors(self, world: World, knobs: list[FloorKnobs]) -> Floors:
        """The schedule's floors at every decision, raised one lead before each hour begins."""
        steps = world.decision_steps()
        start = world.start.timestamp()
        lead = world.settings.startup_seconds + world.control_delay_seconds
        demand = np.maximum(self._at(steps, start, 0.0, world), self._at(steps, start, lead, world))
        column = [self._levels.index(one.level) for one in knobs]
        target = np.array([one.target_ratio for one in knobs]) * world.capacity
        replicas = np.ceil(demand[:, column] / target - 1e-9).astype(np.int32)
        return Floors(replicas, np.ones(replicas.shape, dtype=np.bool_))

    def _at(self, steps: IntArray, start: float, ahead: float, world: World) -> FloatArray:
        seconds = (start + steps * world.settings.step_seconds + ahead).astype(np.int64)
        found: FloatArray = self._demand[seconds // self._slot_seconds % len(self._demand)]
        return found
