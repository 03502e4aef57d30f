"""The decision rules for thousands of settings at once: `controller.decision` in arrays.  Pure.

A forecast's floor before the last words depends on demand, forecast and time alone, not on what the cluster does, so
all settings can be rolled side by side.  Tests hold these arrays equal to `decide`, decision by decision, and whatever
is reported is run through `decide` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from controller.spec import GuardrailSettings
from predictor.forecast import IssuedForecasts, level_index
from predictor.series import FloatArray
from training.simulator.knobs import FloorKnobs
from training.simulator.pods import ReplicaArray
from training.simulator.world import World

_ROUNDING = 1e-9  # as in controller.capacity


@dataclass(frozen=True, slots=True, eq=False)
class Floors:
    """The floors of many settings at every decision, before overrides, reactive answer and bounds."""

    replicas: ReplicaArray  # (decision, setting)
    has_opinion: npt.NDArray[np.bool_]  # (decision, setting)


def peak_at_lead(world: World, issued: IssuedForecasts, first_sample: int) -> FloatArray:
    """Quantiles of the highest demand over the lead at every decision, (decision, level); NaN where none was issued.

    `first_sample` is the index of the world's first sample in the series that was forecast.
    """
    steps = world.decision_steps()
    rows = world.newest_sample(steps) + first_sample - int(issued.origins[0])
    lead = world.lead_steps(steps)
    before = lead.astype(np.int64)
    share = (lead - before)[:, None]
    known = (rows >= 0) & (rows < len(issued.origins)) & (lead <= issued.horizon)
    out = np.full((len(rows), len(issued.levels)), np.nan)
    peak, rows, before, share = issued.peak.astype(np.float64), rows[known], before[known], share[known]
    after = np.minimum(before + 1, issued.horizon)  # has no share where the lead is a whole number of steps
    with np.errstate(invalid="ignore"):  # what is no number is no opinion
        between = peak[rows, before - 1] * (1 - share) + peak[rows, after - 1] * share
    out[known] = np.where(share > 0, between, peak[rows, before - 1])
    return out


def roll_floors(
    world: World,
    quantiles: FloatArray,
    levels: tuple[float, ...],
    knobs: Sequence[FloorKnobs],
    rails: GuardrailSettings,
) -> Floors:
    """Roll the rules of every setting; quantiles (decision, level)."""
    steps = world.decision_steps()
    demand = np.maximum(world.demand[steps], 0.0)
    order = sorted(range(len(knobs)), key=lambda index: knobs[index].window_seconds)
    target = np.array([knobs[index].target_ratio for index in order]) * world.capacity
    column = np.array([level_index(levels, knobs[index].level) for index in order])
    windows = [(window, len(list(group))) for window, group in groupby(knobs[index].window_seconds for index in order)]
    rings, slices, at = [], [], 0
    for window, count in windows:
        rings.append(np.zeros((max(0, -(-window // world.settings.step_seconds) - 1), count)))
        slices.append(slice(at, at + count))
        at += count

    count = len(order)
    floor, opinion_at = np.zeros(count), np.full(count, -np.inf)
    out = np.empty((len(steps), count), dtype=np.int32)
    said = np.empty((len(steps), count), dtype=np.bool_)
    collapsed = demand < rails.collapse_ratio * world.recent_peak()[steps]
    hold = rails.hold_seconds / world.settings.step_seconds
    kept = max(1 - rails.release_ratio_per_minute * (world.settings.step_seconds / 60), 0.0)
    for row, step in enumerate(steps):
        planned = quantiles[row, column]
        known = np.isfinite(planned)
        asked = np.ceil(np.maximum(planned, 0.0) / target - _ROUNDING)
        if not known.all():
            opinion_at = np.where(known, step, opinion_at)
            asked = np.where(known, asked, np.where(step - opinion_at <= hold, floor, 0.0))
        else:
            opinion_at[:] = step
        need = np.ceil(demand[row] / target - _ROUNDING)
        highest = np.maximum(np.maximum(np.floor(need * rails.scale_up_ratio), need + rails.scale_up_replicas), floor)
        wish = np.minimum(asked, highest)
        moved = wish.copy()
        for ring, part in zip(rings, slices, strict=True):
            if len(ring):
                np.maximum(moved[part], ring.max(axis=0), out=moved[part])
                ring[row % len(ring)] = wish[part]
        if collapsed[row]:
            moved = np.where(known, np.maximum(moved, floor), moved)
        moved = np.where((moved >= floor * (1 - rails.small_change_ratio)) & (moved < floor), floor, moved)
        if row:
            moved = np.where(moved < floor, np.maximum(moved, np.floor(floor * kept)), moved)
        floor = moved
        out[row], said[row] = moved, known
    back = np.argsort(order)
    return Floors(out[:, back], said[:, back])
