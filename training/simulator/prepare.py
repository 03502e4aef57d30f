"""From a history and a trained model to a case: spans, capacity, the simulated world, everybody's forecasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from predictor.errors import InputError
from predictor.forecast import IssuedForecasts
from predictor.forecaster import Forecaster, History, first_step
from predictor.series import FloatArray
from predictor.surges import SurgeRule, target_per_replica
from predictor.windows import trailing_mean
from training.simulator.arrivals import spread_arrivals
from training.simulator.cluster import ClusterSettings, Spread
from training.simulator.forecasters import Source, issue_forecasts
from training.simulator.search import FULL, Effort
from training.simulator.study import Case
from training.simulator.world import DAY_SECONDS, WEEK, World

_PEAK_QUANTILE = 0.999
_MAX_OVER_PEAK = 2  # replicas that a policy may ask for, as a multiple of what the highest demand needs
_LEAST_REPLICAS = 100  # so that the bound, which the user chooses, never decides a comparison


@dataclass(frozen=True, slots=True)
class Question:
    """What a user wants to know."""

    startup_seconds: float = 120.0
    slo_wait_seconds: float = 2.0
    target_violation: float = 0.001
    goals: tuple[float, ...] = (0.01, 0.001, 0.0001)
    target_per_replica: float | None = None  # demand per sample that saturates a replica; None: peak needs 30
    step_seconds: int = 15
    spread: Spread = Spread.SMOOTH
    seed: int = 0
    startup_spread: float = 0.0
    free_replicas: int | None = None
    provisioning_seconds: float = 0.0
    effort: Effort = FULL


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """What everybody would have forecast over tuning and test span; the same for every question."""

    first_sample: int  # the simulated world begins here
    test_sample: int
    cycle_seconds: int
    issued: Mapping[Source, IssuedForecasts]


def issue_all(
    forecaster: Forecaster,
    history: History,
    test_sample: int,
    *,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Forecasts:
    """Issue every forecast from a week (or what there is) before the test span to the end.

    The network saw nothing after its training; a tuning week that lies within the training span makes its forecasts a
    little better there than they will be, which the choice at half the target and the online layer have to make up for.
    """
    step, values = history.series.step_seconds, np.asarray(history.series.values)
    seasons = forecaster.schema.season_steps
    cycle = seasons[0] if seasons else DAY_SECONDS // step
    earliest = forecaster.schema.minimum_steps + (cycle if seasons else 0)
    block = cycle // 4
    blocks = min(4 * WEEK, (test_sample - earliest) // block)
    if blocks < 1:
        raise InputError(
            f"{history.series.name}: {test_sample} samples before the test span, {earliest + block} needed to choose "
            "knobs on; read more --days"
        )
    first = test_sample - blocks * block
    begin = max(forecaster.schema.minimum_steps - 1, first - cycle)  # a cycle to warm the online layers
    issued = issue_forecasts(forecaster, history, begin, len(values), train_end=first, on_stage=on_stage)
    return Forecasts(first, test_sample, cycle * step, issued)


def make_case(history: History, forecasts: Forecasts, question: Question, *, train_end: int) -> Case:
    """The simulated world of one question.  Capacity comes from samples before `train_end` when it is not given."""
    series, first = history.series, forecasts.first_sample
    values, sample = np.asarray(series.values), series.step_seconds
    training = values[:train_end]
    capacity = question.target_per_replica or target_per_replica(training, sample)
    peak = _peak(training, sample) / capacity
    settings = ClusterSettings(
        capacity_per_replica=capacity / sample,
        step_seconds=min(question.step_seconds, sample),
        startup_seconds=question.startup_seconds,
        metric_lag_seconds=min(question.step_seconds, sample),
        metric_window_seconds=sample,
        startup_spread=question.startup_spread,
        free_replicas=question.free_replicas,
        provisioning_seconds=question.provisioning_seconds,
        slo_wait_seconds=question.slo_wait_seconds,
        seed=question.seed,
    )
    world = World(
        start=_instant(series.start, sample, first),
        sample_seconds=sample,
        settings=settings,
        arrivals=spread_arrivals(values[first:], sample, settings, question.spread),
        max_replicas=max(_LEAST_REPLICAS, int(np.ceil(_MAX_OVER_PEAK * float(np.nanmax(values)) / capacity))),
        cycle_seconds=forecasts.cycle_seconds,
    )
    lead = settings.startup_seconds + world.control_delay_seconds + world.lag_steps * settings.step_seconds + sample
    horizon = next(iter(forecasts.issued.values())).horizon
    if lead > horizon * sample:
        raise InputError(
            f"pods that start in {question.startup_seconds:g} s serve {lead:g} s after the demand that asks for them "
            f"was sampled, but the model forecasts {horizon * sample} s; train with a longer --horizon"
        )
    return Case(
        world=world,
        first_sample=first,
        test_sample=forecasts.test_sample,
        peak_replicas=peak,
        issued=forecasts.issued,
        training=values[:first],
        training_first_step=first_step(series),
        target_violation=question.target_violation,
        goals=question.goals,
        effort=question.effort,
    )


def _peak(training: FloatArray, sample_seconds: int) -> float:
    """The 99.9th percentile of the 3-minute mean."""
    smooth = trailing_mean(training, SurgeRule.for_step(sample_seconds).need)
    return float(np.quantile(smooth[np.isfinite(smooth)], _PEAK_QUANTILE))


def _instant(start: datetime, sample_seconds: int, sample: int) -> datetime:
    return start + timedelta(seconds=sample_seconds * sample)
