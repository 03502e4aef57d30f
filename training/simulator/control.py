"""One policy through one world, step by step, by the code that runs in a cluster: `decide` and the HPA twin.

What is reported is always run here; sweeps only find out which settings are worth it.  Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from controller.decision import decide
from controller.hpa import ControllerSettings, HpaMemory, HpaSpec, Seen, Values, reconcile
from controller.spec import GuardrailSettings, Mode, ScalingSpec
from controller.vocabulary import Memory, Observation, Reason
from predictor.errors import InputError
from predictor.forecast import Forecast, IssuedForecasts
from training.simulator.knobs import Knobs
from training.simulator.pods import ReplicaArray
from training.simulator.world import World, target_milli

_MODEL = "simulated"


@dataclass(frozen=True, slots=True, eq=False)
class Steering:
    """What a policy asked for, and why."""

    asked: ReplicaArray  # (step,)
    floor: ReplicaArray  # (step,) the HPA's minimum
    has_opinion: npt.NDArray[np.bool_]  # (step,) a forecast was followed
    reasons: Counter[Reason]  # of the decisions


@dataclass(frozen=True, slots=True)
class Stage:
    """Knobs that hold from a step on; None for the experience: no limit."""

    from_step: int
    knobs: Knobs
    experience_demand: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ForecastFeed:
    """The forecasts that a policy is given, as they would have been issued."""

    issued: IssuedForecasts
    first_sample: int  # index of the world's first sample among the series' samples
    hpa_alone: ReplicaArray  # (step,) what the user's HPA holds without us
    rails: GuardrailSettings = field(default_factory=GuardrailSettings)

    def newest(self, world: World, sample: int) -> Forecast | None:
        """The forecast issued when a sample became known; None where none was made."""
        row = sample + self.first_sample - int(self.issued.origins[0])
        if not 0 <= row < len(self.issued.origins):
            return None
        peak = self.issued.peak[row].astype(np.float64)
        end = world.instant((sample + 1) * world.steps_per_sample)
        return Forecast(self.issued.series, end, world.sample_seconds, self.issued.levels, peak, peak, _MODEL)


def steer(
    world: World,
    stages: Sequence[Stage],
    feed: ForecastFeed | None = None,
    *,
    schedule: ReplicaArray | None = None,
    shipped: bool = False,
) -> Steering:
    """Let an HPA, and above it a floor where the knobs have one, run through the world.

    `schedule` (step,): a floor known beforehand.  `shipped`: an HPA without a behavior, as most clusters have it.
    """
    if not stages or stages[0].from_step != 0:
        raise InputError("a policy needs knobs from its first step on")
    settings = ControllerSettings(sync_period_seconds=world.settings.step_seconds)
    usage, demand, recent = world.usage_milli().tolist(), world.demand.tolist(), world.recent_peak().tolist()
    count, seconds = len(world), world.settings.step_seconds
    asked, floors = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    said = np.zeros(count, dtype=np.bool_)
    reasons: Counter[Reason] = Counter()
    current, memory, decided = world.initial_replicas(), HpaMemory(), Memory()
    first_decision = int(world.decision_steps()[0]) if count > world.steps_per_sample + world.lag_steps else count
    samples = world.newest_sample(np.arange(count)).tolist()
    forecast, forecast_of = None, -1
    coming = list(stages)
    stage, hpa, spec, floor, pending = coming[0], None, None, 1, None
    for step in range(count):
        if coming and coming[0].from_step <= step:
            stage = coming.pop(0)
            hpa = _hpa_spec(world, stage.knobs, shipped)
            spec = _scaling_spec(world, stage, feed)
            if spec is None or floor < stage.knobs.hpa.min_replicas:
                floor, pending = stage.knobs.hpa.min_replicas, None
        if pending is not None:
            floor, pending = pending, None
        assert hpa is not None  # noqa: S101 - the first stage begins at step 0
        minimum = floor
        if schedule is not None:
            minimum = max(min(int(schedule[step]), world.max_replicas), stage.knobs.hpa.min_replicas)
        seen = Seen(float(step * seconds), current, current, minimum, world.max_replicas, (), (Values((usage[step],)),))
        outcome, memory = reconcile(hpa, settings, seen, memory)
        if outcome.scaled_to is not None:
            current = outcome.scaled_to
        asked[step], floors[step] = current, minimum
        if spec is not None and feed is not None and step >= first_decision:
            if samples[step] != forecast_of:
                forecast_of = samples[step]
                forecast = feed.newest(world, forecast_of)
            observation = Observation(
                world.instant(step), current, demand[step], recent[step], int(feed.hpa_alone[step]), forecast
            )
            decision, decided = decide(spec, observation, decided)
            pending, said[step] = decision.floor, decision.has_opinion
            reasons[decision.reason] += 1
    return Steering(asked, floors, said, reasons)


def _hpa_spec(world: World, knobs: Knobs, shipped: bool) -> HpaSpec:
    """The twin's spec on the world's demand metric."""
    return HpaSpec.for_demand(
        target_milli(knobs.hpa.target_ratio),
        knobs.hpa.min_replicas,
        world.max_replicas,
        None if shipped else knobs.hpa.stabilization_seconds,
    )


def _scaling_spec(world: World, stage: Stage, feed: ForecastFeed | None) -> ScalingSpec | None:
    """What `decide` is told; None for knobs without a floor."""
    floor = stage.knobs.floor
    if floor is None or feed is None:
        return None
    rails = replace(
        feed.rails, scale_down_window_seconds=floor.window_seconds, experience_demand=stage.experience_demand
    )
    return ScalingSpec(
        target=feed.issued.series,
        demand_query=feed.issued.series,
        target_per_replica=floor.target_ratio * world.capacity,
        reactive_target_per_replica=stage.knobs.hpa.target_ratio * world.capacity,
        min_replicas=stage.knobs.hpa.min_replicas,
        max_replicas=world.max_replicas,
        startup_seconds=world.settings.startup_seconds,
        control_delay_seconds=world.control_delay_seconds,
        slo_wait_seconds=world.settings.slo_wait_seconds,
        horizon_seconds=feed.issued.horizon * world.sample_seconds,
        quantile=floor.level,
        mode=Mode.ACTIVE,
        guardrails=rails,
    )
