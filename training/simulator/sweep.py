"""Many settings of a policy through the same world at once, in arrays.

The HPA's arithmetic on one demand metric (`controller.hpa` in arrays, held equal to it by tests), the floors of
`floors`, then the same pods and queue that a single run uses.  Works in blocks of six hours, whose sums are kept, so
that settings can be chosen on any stretch of time afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from controller.spec import GuardrailSettings
from predictor.forecast import IntArray
from predictor.series import FloatArray
from training.simulator.floors import Floors
from training.simulator.knobs import Knobs
from training.simulator.pods import Pods, ReplicaArray
from training.simulator.queue import FluidQueue
from training.simulator.world import World, target_milli

TOLERANCE = 0.1  # the HPA's default
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Sums over the observed steps of every block, per setting; what frontiers and choices are made of."""

    late: FloatArray  # (block, setting) requests that waited too long
    replica_seconds: FloatArray  # (block, setting) paid
    requests: FloatArray  # (block,)
    seconds: FloatArray  # (block,) observed

    def violation(self, blocks: slice = slice(None)) -> FloatArray:
        """Share of late requests, (setting,)."""
        share: FloatArray = self.late[blocks].sum(axis=0) / max(float(self.requests[blocks].sum()), 1e-12)
        return share

    def replica_hours(self, blocks: slice = slice(None)) -> FloatArray:
        """Paid replica-hours, (setting,)."""
        hours: FloatArray = self.replica_seconds[blocks].sum(axis=0) / 3600
        return hours


@dataclass(frozen=True, slots=True, eq=False)
class FloorTable:
    """Floors by decision, and which of them each setting uses; -1 for none."""

    floors: Floors
    column: IntArray  # (setting,)
    hpa_alone: ReplicaArray  # (step,) what the user's HPA holds without us; governs where there is no opinion
    keeps_reactive: bool = True  # False: the floor alone, as a schedule gives it


def sweep(
    world: World,
    knobs: Sequence[Knobs],
    table: FloorTable | None = None,
    *,
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Simulate every setting over the whole world."""
    order = np.array(sorted(range(len(knobs)), key=lambda index: knobs[index].hpa.stabilization_seconds))
    hpas = _Hpas(world, [knobs[index] for index in order], table, order)
    pods, queue = None, FluidQueue(world.settings, len(knobs))
    size = world.block_steps
    starts = range(0, len(world), size)
    late, paid, requests, seconds = [], [], [], []
    for number, start in enumerate(starts):
        part = slice(start, min(start + size, len(world)))
        asked = hpas.advance(part)
        pods = pods or Pods(world.settings, len(world), asked[0])
        tally = _count(world, part, asked, pods, queue)
        late.append(tally[0])
        paid.append(tally[1])
        weight = world.arrivals.is_observed[part]
        requests.append(float(world.arrivals.requests[part][weight].sum()))
        seconds.append(float(weight.sum()) * world.settings.step_seconds)
        on_block(number + 1, len(starts))
    back = np.argsort(order)
    return Tally(np.array(late)[:, back], np.array(paid)[:, back], np.array(requests), np.array(seconds))


def tally_of(world: World, asked: ReplicaArray) -> Tally:
    """The sums of given replica paths (step, setting)."""
    initial = asked[0].astype(np.int32)
    pods, queue = Pods(world.settings, len(world), initial), FluidQueue(world.settings, asked.shape[1])
    size = world.block_steps
    parts = [slice(start, min(start + size, len(world))) for start in range(0, len(world), size)]
    sums = [_count(world, part, asked[part], pods, queue) for part in parts]
    weights = [world.arrivals.is_observed[part] for part in parts]
    return Tally(
        np.array([late for late, _ in sums]),
        np.array([paid for _, paid in sums]),
        np.array([world.arrivals.requests[p][w].sum() for p, w in zip(parts, weights, strict=True)]),
        np.array([w.sum() * float(world.settings.step_seconds) for w in weights]),
    )


def _count(
    world: World, part: slice, asked: ReplicaArray, pods: Pods, queue: FluidQueue
) -> tuple[FloatArray, FloatArray]:
    fleet = pods.advance(asked)
    weight = world.arrivals.is_observed[part]
    late: FloatArray = queue.advance_late(world.arrivals.requests[part], fleet.ready)[weight].sum(axis=0)
    paid: FloatArray = fleet.paid[weight].sum(axis=0, dtype=np.float64) * world.settings.step_seconds
    return late, paid


class _Hpas:
    """HPAs with their memories, in arrays; settings sorted by stabilization window."""

    def __init__(self, world: World, knobs: Sequence[Knobs], table: FloorTable | None, order: IntArray) -> None:
        self._world, self._table = world, table
        self._usage = world.usage_milli().astype(np.float64)
        self._demand = world.demand
        self._target = np.array([float(target_milli(k.hpa.target_ratio)) for k in knobs])
        self._minimum = np.array([k.hpa.min_replicas for k in knobs], dtype=np.float64)
        self._maximum = float(world.max_replicas)
        self._current = np.full(len(knobs), float(world.initial_replicas()))
        self._rings: list[FloatArray] = []
        self._slices: list[slice] = []
        self._windows: list[int] = []
        at = 0
        for window, group in groupby(k.hpa.stabilization_seconds for k in knobs):
            count, rows = len(list(group)), max(1, -(-window // world.settings.step_seconds))
            ring = np.full((rows, count), -1.0)
            self._rings.append(ring)
            self._windows.append(window)
            self._slices.append(slice(at, at + count))
            at += count
        self._floor = self._minimum.copy()
        if table is not None:
            self._column = table.column[order]
            self._has_floor = self._column >= 0
            self._spread = np.maximum(self._column, 0)
            self._reactive = np.array([k.hpa.target_ratio for k in knobs]) * world.capacity
            self._first_decision = int(world.decision_steps()[0])
        self._pending: FloatArray | None = None

    def advance(self, part: slice) -> ReplicaArray:
        """Replicas asked for at each step of a block, (step, setting)."""
        out = np.empty((part.stop - part.start, len(self._target)), dtype=np.int32)
        for row, step in enumerate(range(part.start, part.stop)):
            if self._pending is not None:
                self._floor, self._pending = self._pending, None
            out[row] = self._sync(step, self._floor)
            if self._table is not None and step >= self._first_decision:
                self._pending = self._decide(step, self._table)
        return out

    def _sync(self, step: int, floor: FloatArray) -> FloatArray:
        """One look of the HPA: proposal within tolerance, stabilization, scale-up limit, bounds."""
        current, usage = self._current, self._usage[step]
        ratio = usage / (self._target * current)
        keeps = (ratio >= 1.0 - TOLERANCE) & (ratio <= 1.0 + TOLERANCE)
        proposal = np.where(keeps, current, np.ceil(usage / self._target))
        is_below = current < floor
        recorded = np.where(is_below, -1.0, proposal)
        highest = np.empty_like(proposal)
        for ring, part, window in zip(self._rings, self._slices, self._windows, strict=True):
            ring[step % len(ring)] = recorded[part]
            if step == 0 and window:  # the first look records what it finds, and no window of 0 s holds it
                ring[0] = np.maximum(recorded[part], current[part])
            highest[part] = ring.max(axis=0)
        wanted = np.minimum(np.maximum(current, proposal), highest)
        wanted = np.minimum(wanted, np.maximum(2 * current, current + 4))
        wanted = np.minimum(np.maximum(wanted, floor), self._maximum)
        self._current = np.where(is_below, floor, wanted)
        return self._current

    def _decide(self, step: int, table: FloorTable) -> FloatArray:
        """The floors that the HPAs see from their next sync on."""
        row = step - self._first_decision
        floor = table.floors.replicas[row][self._spread]
        if table.keeps_reactive:
            floor = np.maximum(floor, np.ceil(self._demand[step] / self._reactive - _ROUNDING))
        alone = np.where(table.floors.has_opinion[row][self._spread], 0, table.hpa_alone[step])
        floor = np.minimum(np.maximum(np.maximum(floor, alone), self._minimum), self._maximum)
        return np.where(self._has_floor, floor, self._minimum)


def default_rails(experience_demand: float | None = None) -> GuardrailSettings:
    """The guardrails that every simulated predictive policy has, as shipped."""
    return GuardrailSettings(experience_demand=experience_demand)
