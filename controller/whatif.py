"""What would have been: the very decisions, over recorded inputs, with other settings.  Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from controller.capacity import replicas_for
from controller.decision import decide
from controller.spec import ScalingSpec
from controller.vocabulary import Memory, Observation
from predictor.errors import InputError
from predictor.forecast import Forecast

OVERRIDES = ("targetPerReplica", "minReplicas", "maxReplicas", "quantile")
_LONGEST_STEP = timedelta(minutes=2)  # for which an input stands; what lies further apart was not seen
_MOST_POINTS = 200  # of a picture


@dataclass(frozen=True, slots=True)
class Peaks:
    """What a decision looks at of a forecast: the highest demand within the lead, between two whole steps."""

    issued_at: datetime
    step_seconds: int
    step: int  # whole steps ahead of the first row
    levels: tuple[float, ...]
    row: tuple[float, ...]  # quantiles of the highest demand within `step` steps
    next_row: tuple[float, ...]  # within one more

    def as_forecast(self) -> Forecast:
        """One that gives the same answer; of what lies elsewhere nothing is known."""
        peak = np.vstack([np.tile(np.asarray(self.row), (self.step, 1)), np.asarray(self.next_row)])
        return Forecast("", self.issued_at, self.step_seconds, self.levels, peak, peak, "")


@dataclass(frozen=True, slots=True)
class Input:
    """What one decision saw, and what it decided."""

    at: datetime
    demand: float | None
    recent_peak_demand: float | None
    hpa_alone_replicas: int | None
    replicas: int | None
    is_trusted: bool
    peaks: Peaks | None
    decided: int  # replicas, the HPA's own answer included

    def observation(self) -> Observation:
        """As the decision core takes it."""
        return Observation(
            now=self.at,
            replicas=self.replicas,
            demand=self.demand,
            recent_peak_demand=self.recent_peak_demand,
            hpa_alone_replicas=self.hpa_alone_replicas,
            forecast=None if self.peaks is None else self.peaks.as_forecast(),
            is_trusted=self.is_trusted,
        )


@dataclass(frozen=True, slots=True)
class Course:
    """One replay."""

    replica_minutes: float
    short_minutes: float  # with fewer replicas ready than demand needs at the HPA's own target, whatever the bounds
    highest_floor: int
    floor_changes: int
    decided: tuple[int, ...]  # for each input


@dataclass(frozen=True, slots=True)
class Comparison:
    """The replay with the settings as they are, beside one with others."""

    baseline: Course
    changed: Course
    inputs: tuple[Input, ...]
    reproduced: int  # decisions that the baseline gives as they were recorded
    seen_minutes: float
    notes: tuple[str, ...]

    def picture(self) -> list[tuple[datetime, int, int]]:
        """Instant, floor as it was, floor as it would have been; thinned."""
        every = max(1, -(-len(self.inputs) // _MOST_POINTS))
        rows = zip(self.inputs, self.baseline.decided, self.changed.decided, strict=True)
        return [(seen.at, before, after) for seen, before, after in list(rows)[::every]]


def compare(spec: ScalingSpec, inputs: Sequence[Input], overrides: Mapping[str, float]) -> Comparison:
    """Replay twice; raises InputError for overrides that cannot be, and without inputs."""
    if not inputs:
        raise InputError("no decisions are kept from then; ask for a later span")
    changed = with_overrides(spec, overrides)
    baseline, other = replay(spec, inputs), replay(changed, inputs)
    reproduced = sum(seen.decided == decided for seen, decided in zip(inputs, baseline.decided, strict=True))
    notes: list[str] = []
    if reproduced < len(inputs):
        notes.append(
            "settings or memory were others at some of the decisions, or they were made more often than inputs are kept"
        )
    if "targetPerReplica" in overrides:
        notes.append("the HPA's own target, and with it what the HPA alone would hold, stays as it was")
    if any((seen.hpa_alone_replicas or 0) > changed.max_replicas for seen in inputs):
        notes.append(
            "what the HPA alone held stays as it was, above maxReplicas too: its own maximum is no part of this"
        )
    blind = sum(seen.demand is None for seen in inputs)
    if blind:
        notes.append(f"demand was not known at {blind} of {len(inputs)} decisions")
    minutes = sum(step.total_seconds() for step in _steps(inputs)) / 60
    return Comparison(baseline, other, tuple(inputs), reproduced, minutes, tuple(notes))


def with_overrides(spec: ScalingSpec, overrides: Mapping[str, float]) -> ScalingSpec:
    """Raises InputError for a name that is none, and for values that cannot be."""
    unknown = sorted(set(overrides) - set(OVERRIDES))
    if unknown or not overrides:
        raise InputError(f"overrides {', '.join(unknown) or 'are missing'}; give any of {', '.join(OVERRIDES)}")
    for name in ("minReplicas", "maxReplicas"):
        if name in overrides and overrides[name] != int(overrides[name]):
            raise InputError(f"{name} is {overrides[name]:g}; give a whole number")
    if "quantile" in overrides:
        spec = replace(spec, quantile=overrides["quantile"], cost_ratio=None)
    lowest = int(overrides.get("minReplicas", spec.min_replicas))
    highest = int(overrides.get("maxReplicas", spec.max_replicas))
    target = overrides.get("targetPerReplica", spec.target_per_replica)
    return replace(spec, min_replicas=lowest, max_replicas=highest, target_per_replica=target)


def replay(spec: ScalingSpec, inputs: Sequence[Input], memory: Memory | None = None) -> Course:
    """Decide at every input.  memory: of the time before; without it, only the first one's floor is known.

    So other settings begin with that floor, and a lower one shows when the scale-down window has passed.
    """
    if memory is None:
        memory = Memory(floor=inputs[0].decided, opinion_at=inputs[0].at)
    decided: list[int] = []
    for seen in inputs:
        decision, memory = decide(spec, seen.observation(), memory)
        decided.append(decision.floor)
    replica_minutes = short_minutes = 0.0
    for index, (seen, step) in enumerate(zip(inputs, _steps(inputs), strict=True)):
        minutes = step.total_seconds() / 60
        held = _held(seen, decided[index])
        replica_minutes += held * minutes
        if seen.demand is not None:
            # Bounds do not lessen what demand needs: capped by maxReplicas, a lower one would hide the shortage it
            # causes, and a higher one the shortage it ends.
            needed = replicas_for(max(seen.demand, 0.0), spec.reactive_target_per_replica)
            if needed > min(held, _held_before(spec, inputs, decided, index)):
                short_minutes += minutes
    changes = sum(before != after for before, after in pairwise(decided))
    return Course(replica_minutes, short_minutes, max(decided), changes, tuple(decided))


def _held(seen: Input, decided: int) -> int:
    return max(decided, seen.hpa_alone_replicas or 0)


def _held_before(spec: ScalingSpec, inputs: Sequence[Input], decided: Sequence[int], index: int) -> int:
    """What was asked for one start-up time ago: only that serves now."""
    since = inputs[index].at - timedelta(seconds=spec.startup_seconds)
    while index > 0 and inputs[index].at > since:
        index -= 1
    return _held(inputs[index], decided[index])


def _steps(inputs: Sequence[Input]) -> list[timedelta]:
    """How long each input stands; the last one as long as the one before."""
    steps = [min(later.at - seen.at, _LONGEST_STEP) for seen, later in pairwise(inputs)]
    return [*steps, steps[-1] if steps else timedelta(minutes=1)]
