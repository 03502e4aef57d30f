"""Training data: features and log-relative targets of whole series, kept as long sequences.  Pure.

Sequences are not cut into overlapping windows: the loss is taken at every step of a long one ("forking"), which costs
about a hundred times less for the same number of origins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.errors import SeriesError
from predictor.features import Features32, FeatureSchema, build_window, log_offset
from predictor.scores import actual_paths
from predictor.series import FloatArray, Series


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One series, ready to be learnt from: every sample is an origin."""

    name: str
    steps: Features32  # (time, step feature)
    origin: Features32  # (time, origin feature)
    ahead: Features32  # (time, horizon, ahead feature)
    target: npt.NDArray[np.float32]  # (time, head, horizon) log(demand + offset) - log_level; NaN where not observed
    weight: npt.NDArray[np.float32]  # (time,) level relative to the training mean: makes log errors count like demand
    log_level: FloatArray  # (time,) log of the level that `target` is relative to
    offset: float
    first: int  # first origin with a cycle of the shortest season behind it
    split: int  # origins from here on validate; those before train

    def __len__(self) -> int:
        return len(self.steps)


def usable_seasons(season_steps: Sequence[int], train_steps: int) -> tuple[int, ...]:
    """The seasonal periods seen at least twice in the training span; the others cannot be learnt."""
    return tuple(period for period in sorted(season_steps) if train_steps >= 2 * period)


def make_example(
    schema: FeatureSchema,
    series: Series,
    *,
    validation_ratio: float,
    covariates: FloatArray | None = None,
    events: FloatArray | None = None,
) -> Example:
    """Compute everything the network needs from one series; its last `validation_ratio` validates.

    covariates: (time, covariate).  events: (time + horizon,).
    """
    values = np.asarray(series.values)
    time, horizon = len(values), schema.horizon
    split = int(time * (1 - validation_ratio))
    first = min(schema.season_steps[0] if schema.season_steps else schema.context, split // 4)
    if split - first < 4 * (schema.context + horizon) or time - split < 2 * horizon:
        raise SeriesError(
            f"{series.name}: {time} samples are too few to train and validate a horizon of {horizon} steps; "
            f"give at least {8 * (schema.context + horizon)} samples, or shorten --horizon"
        )
    offset = log_offset(values[:split])
    window = build_window(
        schema,
        values[None],
        np.array([int(series.start.timestamp()) // series.step_seconds]),
        np.array([offset]),
        time,
        covariates=None if covariates is None else covariates[None],
        events=None if events is None else events[None],
    )
    level = window.log_level[0]
    path, peak = actual_paths(values, np.arange(time), horizon)
    target = np.log(np.stack([path, peak], axis=1) + offset) - level[:, None, None]
    demand = np.exp(level)
    weight = np.clip(demand / np.nanmean(demand[first:split]), 0.0, 20.0)  # an outlier must not own the loss
    return Example(
        name=series.name,
        steps=window.steps[0],
        origin=window.origin[0],
        ahead=window.ahead[0],
        target=target.astype(np.float32),
        weight=np.nan_to_num(weight).astype(np.float32),
        log_level=level,
        offset=offset,
        first=first,
        split=split,
    )
