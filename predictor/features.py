"""What the network sees: causal, level-relative features of demand.  Pure; training and serving share it.

Everything is relative to the present level, in logarithms, so that workloads of 10 and of 10,000 requests look alike,
and growth beyond anything seen in training stays within what the network knows.  Demand of earlier days enters as
*shape*: what came after this time of day, relative to the level of that day; its future is known up to the horizon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.forecast import DEFAULT_HORIZON, IntArray
from predictor.series import FloatArray

Features32 = npt.NDArray[np.float32]

HOUR = 60  # steps; "an hour" and "four hours" below are meant at the default step of a minute
_CLIP = 4.0  # log units; a feature beyond is an outage or a start from zero, not a shape


@cache  # asked for dozens of times per forecast
def _lags(season_steps: tuple[int, ...], repeats: int) -> tuple[int, ...]:
    if not season_steps:
        return ()
    cycles = [season_steps[0] * k for k in range(1, repeats + 1)]
    return tuple(cycles + [period for period in season_steps[1:] if period not in cycles])


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """What is computed, in steps; stored with the model so that serving repeats training exactly."""

    season_steps: tuple[int, ...]  # seasonal periods with enough history, shortest first; may be empty
    horizon: int = DEFAULT_HORIZON
    context: int = 64  # steps that the recurrent part reads
    level_steps: int = 10  # trailing window that defines the present level
    smooth_steps: int = 2  # half width of the smoothing of earlier days
    repeats: int = 7  # how many earlier cycles of the shortest season are averaged
    record_steps: int = 240  # trailing window over which the simple forecasts' errors are averaged
    covariates: tuple[str, ...] = ()
    has_events: bool = False

    @property
    def lags(self) -> tuple[int, ...]:
        """Distances of the earlier cycles that are read, in steps: repeats of the shortest season, then longer ones."""
        return _lags(self.season_steps, self.repeats)

    @property
    def lead_in(self) -> int:
        """Steps before the first origin that the trailing windows need."""
        return max(self.record_steps + self.horizon, 4 * HOUR) + self.level_steps

    @property
    def history_steps(self) -> int:
        """Steps that one forecast reads, the longest season included."""
        return (max(self.lags) if self.lags else 0) + self.context + self.lead_in

    @property
    def minimum_steps(self) -> int:
        """Steps without which no forecast is made: the context and its trailing windows' core."""
        return self.context + self.level_steps


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Model inputs of a batch of workloads ending at consecutive origins, and the way back to demand."""

    steps: Features32  # (batch, time, step feature): read by the recurrent part
    origin: Features32  # (batch, origin, origin feature): read once, at the origin
    ahead: Features32  # (batch, origin, horizon, ahead feature): known about each step ahead
    log_level: FloatArray  # (batch, origin): log(level + offset); the last known level where nothing was observed
    offset: FloatArray  # (batch,)

    def to_demand(self, relative: npt.NDArray[np.floating]) -> FloatArray:
        """Turn log-relative values (batch, origin, ...) into demand; never below zero."""
        extra = relative.ndim - 2
        level = self.log_level.reshape(self.log_level.shape + (1,) * extra)
        offset = self.offset.reshape((-1,) + (1,) * (relative.ndim - 1))
        return np.maximum(np.exp(relative + level) - offset, 0.0)


def log_offset(values: FloatArray) -> float:
    """The constant added before taking logarithms: where counting noise drowns ratios, in units of demand.

    Poisson-like counts vary by sqrt(demand * dispersion), so below `dispersion` a ratio means nothing.
    """
    seen = values[np.isfinite(values)]
    if seen.size == 0:
        return 1.0
    mean = float(seen.mean())
    change = np.diff(values)
    change = change[np.isfinite(change)]
    if mean <= 0 or change.size == 0:
        return 1.0
    # A median keeps bursts and outages from passing for noise; 0.6745 makes it the deviation of a normal law.
    spread = float(np.median(np.abs(change))) / 0.6745
    dispersion = spread**2 / 2 / mean
    if dispersion == 0:  # mostly idle: the median sees nothing
        dispersion = float(change.var()) / 2 / mean
    return max(0.01 * mean, min(dispersion, mean * 10))


def build_window(
    schema: FeatureSchema,
    values: npt.NDArray[np.floating],
    first_step: IntArray,
    offset: FloatArray,
    time: int,
    origins: int | None = None,
    covariates: FloatArray | None = None,
    events: FloatArray | None = None,
) -> Window:
    """Compute the recurrent inputs at the last `time` samples of `values`, the others at the last `origins` of these.

    Training makes every sample an origin (the default); serving needs one per workload.

    values: (batch, history) demand, NaN where not observed, all ending at the same column.
    first_step: (batch,) number of the first column's step since the epoch, for the time of day.
    offset: (batch,) see `log_offset`.
    covariates: (batch, history, covariate), past only.  events: (batch, history + horizon), 1 while an event lasts.
    """
    if values.ndim != 2:
        raise InputError(f"features need (batch, history) demand, not {values.ndim} dimensions")
    clock = _Clock(schema, values.shape[1], time)
    last = clock.last(origins if origins is not None else time)
    now, past = clock.cut(values, 0), [clock.cut(values, lag) for lag in schema.lags]
    c = offset[:, None]
    fine = np.log(now + c)
    level = _fill_forward(_log_level(now, c, schema.level_steps))
    shape = _Shape.of(schema, past, c)

    step_columns = _step_columns(clock, now, fine, level) + shape.step_columns(clock, level)
    step_columns += _harmonics(schema, first_step, values.shape[1], time)
    if covariates is not None and schema.covariates:
        step_columns += _covariate_columns(clock, covariates)
    if events is not None and schema.has_events:
        step_columns.append(clock.event(events, 0))
    steps = _neutral(np.stack(step_columns, axis=-1))

    here = last.at(level, 0)
    lags = _clip(last.at_all(fine, range(schema.horizon)) - here[..., None])
    columns = [lags, *_block_means(last, now, c, here), np.stack(_record(last, level, shape), axis=-1)]
    origin = np.concatenate([*map(_neutral, columns), steps[:, time - last.time :]], axis=-1)

    ahead = shape.ahead(last, values.shape[0])
    if events is not None and schema.has_events:
        coming = np.stack([last.event(events, -h) for h in range(1, schema.horizon + 1)], axis=-1)
        ahead = np.concatenate([ahead, coming[..., None]], axis=-1)
    return Window(steps, origin, _neutral(ahead), here, offset)


def _neutral(columns: FloatArray) -> Features32:
    """What is not known is 0, the neutral value of every relative feature."""
    return np.where(np.isfinite(columns), columns, 0.0).astype(np.float32)


def _step_columns(clock: _Clock, now: FloatArray, fine: FloatArray, level: FloatArray) -> list[FloatArray]:
    """Present demand and the way here: deviation, whether it was seen, level changes, short-term noise."""
    schema, here = clock.schema, clock.at(level, 0)
    changes = [_clip(here - clock.at(level, back)) for back in (max(1, schema.horizon // 3), schema.horizon, HOUR)]
    seen = np.isfinite(clock.at(now, 0)).astype(np.float64)
    return [_clip(clock.at(fine, 0) - here), seen, *changes, _log_spread(fine - level, clock)]


class _Clock:
    """Cuts equally long stretches out of a history: the present one and those of earlier cycles."""

    def __init__(self, schema: FeatureSchema, history: int, time: int, skipped: int = 0) -> None:
        self.schema, self.history, self.time = schema, history, time
        self.lead_in, self.tail = schema.lead_in + skipped, schema.horizon + schema.smooth_steps
        self.length = self.lead_in + time + self.tail

    def last(self, time: int) -> _Clock:
        """The same stretches, seen from the last `time` origins only."""
        return _Clock(self.schema, self.history, time, skipped=self.time - time)

    def cut(self, values: npt.NDArray[Any], lag: int) -> npt.NDArray[Any]:
        """(batch, length) samples around the last `time` ones, `lag` steps earlier; NaN where there are none."""
        first = self.history - self.time - self.lead_in - lag
        last = first + self.length
        inside = values[:, max(first, 0) : max(min(last, self.history), 0)]
        before = min(max(-first, 0), self.length)
        after = self.length - before - inside.shape[1]
        if before == 0 and after == 0:
            return inside
        return np.pad(inside, ((0, 0), (before, after)), constant_values=np.nan)

    def at(self, array: FloatArray, shift: int) -> FloatArray:
        """The `time` origins' columns, `shift` steps earlier (later when negative)."""
        first = self.lead_in - shift
        return array[..., first : first + self.time]

    def at_all(self, array: FloatArray, shifts: Iterable[int]) -> FloatArray:
        """`at` for many shifts at once, side by side: (..., time, shift)."""
        columns = self.lead_in + np.arange(self.time)[:, None] - np.fromiter(shifts, dtype=np.int64)[None, :]
        found: FloatArray = array[..., columns]
        return found

    def event(self, events: FloatArray, shift: int) -> FloatArray:
        """Event flags at the origins, `shift` steps earlier; negative shifts look at the announced future."""
        first = self.history - self.time - shift
        return events[:, first : first + self.time]


def _log_level(stretch: FloatArray, c: FloatArray, steps: int) -> FloatArray:
    """Log of the trailing mean of what was observed in the last `steps` columns."""
    mean = _window_mean(stretch, steps, 0)
    return np.log(mean + c)


def _window_mean(stretch: FloatArray, before: int, after: int) -> FloatArray:
    """Mean over columns (t - before, t + after], NaN where none was observed."""
    seen = np.isfinite(stretch)
    total = _window_sum(np.where(seen, stretch, 0.0), before, after)
    count = _window_sum(seen.astype(np.float64), before, after)
    # Rounding leaves dust of differences of sums; demand and squares are never negative.
    return np.where(count > 0.5, np.maximum(total, 0.0) / np.maximum(count, 1.0), np.nan)


def _window_sum(values: FloatArray, before: int, after: int) -> FloatArray:
    """Sum over columns (t - before, t + after]; a window that sticks out at an end is cut there."""
    columns = values.shape[-1]
    sums = np.zeros((*values.shape[:-1], before + columns + after))
    np.cumsum(values, axis=-1, out=sums[..., before : before + columns])
    sums[..., before + columns :] = sums[..., before + columns - 1 : before + columns]
    window: FloatArray = sums[..., before + after :] - sums[..., :columns]
    return window


def _fill_forward(array: FloatArray) -> FloatArray:
    """Carry the last known value over columns that are NaN."""
    known = np.isfinite(array)
    position = np.where(known, np.arange(array.shape[-1]), 0)
    np.maximum.accumulate(position, axis=-1, out=position)
    return np.take_along_axis(array, position, axis=-1)


def _clip(array: FloatArray) -> FloatArray:
    return np.minimum(np.maximum(array, -_CLIP), _CLIP)  # a third of np.clip's overhead on small arrays


def _log_spread(residual: FloatArray, clock: _Clock) -> FloatArray:
    """Log of the short-term deviation around the level, over the last `horizon` columns."""
    square = clock.at(_window_mean(residual**2, clock.schema.horizon, 0), 0)
    return 0.5 * np.log(square + 1e-4)


def _block_means(clock: _Clock, now: FloatArray, c: FloatArray, here: FloatArray) -> list[FloatArray]:
    """Coarser memory: 5-step means back to an hour, 15-step means back to four (at a 60 s step), level-relative."""
    five = np.log(_window_mean(now, 5, 0) + c)
    fifteen = np.log(_window_mean(now, 15, 0) + c)
    near = _clip(clock.at_all(five, range(clock.schema.horizon, HOUR, 5)) - here[..., None])
    far = _clip(clock.at_all(fifteen, range(HOUR, 4 * HOUR, 15)) - here[..., None])
    return [near, far]


def _harmonics(schema: FeatureSchema, first_step: IntArray, history: int, time: int) -> list[FloatArray]:
    """Two harmonics of each season's phase."""
    step = first_step[:, None] + np.arange(history - time, history)[None, :]
    columns = []
    for period in schema.season_steps:
        angle = 2 * np.pi * (step % period) / period
        for k in (1, 2):
            columns += [np.sin(k * angle), np.cos(k * angle)]
    return columns


def _covariate_columns(clock: _Clock, covariates: FloatArray) -> list[FloatArray]:
    """Each leading indicator relative to its own trailing level, and the change of that level."""
    columns, schema = [], clock.schema
    for index in range(len(schema.covariates)):
        stretch = clock.cut(covariates[:, :, index], 0)
        scale = np.nanmean(np.abs(stretch), axis=-1, keepdims=True)
        scaled = np.arcsinh(stretch / np.maximum(np.nan_to_num(scale), 1e-9))
        level = _fill_forward(_window_mean(scaled, schema.level_steps, 0))
        columns.append(_clip(clock.at(scaled, 0) - clock.at(level, 0)))
        columns.append(_clip(clock.at(level, 0) - clock.at(level, schema.horizon)))
        columns.append(_clip(clock.at(level, 0) - clock.at(level, clock.lead_in - 1)))
    return columns


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """What came after this time of day in earlier cycles, relative to their level then."""

    schema: FeatureSchema
    levels: FloatArray  # (lag, batch, length) log level of each earlier cycle
    smooth: FloatArray  # (lag, batch, length) log of each cycle's smoothed demand

    @classmethod
    def of(cls, schema: FeatureSchema, past: list[FloatArray], c: FloatArray) -> _Shape:
        if not past:
            return cls(schema, np.empty((0, 0, 0)), np.empty((0, 0, 0)))
        stack, radius = np.stack(past), schema.smooth_steps
        return cls(
            schema, _log_level(stack, c, schema.level_steps), np.log(_window_mean(stack, radius + 1, radius) + c)
        )

    @property
    def repeats(self) -> int:
        """How many of the cycles, from the first, are repeats of the shortest season."""
        return min(self.schema.repeats, len(self.levels))

    @property
    def seasons(self) -> list[int]:
        """Index of the latest cycle of each season, longest season first."""
        return [self.schema.lags.index(period) for period in reversed(self.schema.season_steps)]

    def coming(self, clock: _Clock, step: int) -> FloatArray:
        """Log change from the level at the origin to `step` steps later, in every cycle: (lag, batch, time)."""
        return _clip(clock.at(self.smooth, -step) - clock.at(self.levels, 0))

    def step_columns(self, clock: _Clock, level: FloatArray) -> list[FloatArray]:
        """Each season's shape a third and a whole horizon ahead, and its level against ours; the same for the mean."""
        if not len(self.levels):
            return []
        far = self.schema.horizon
        short = max(1, far // 3)
        soon, late = self.coming(clock, short), self.coming(clock, far)
        then = clock.at(self.levels, 0)
        above = _clip(clock.at(level, 0) - then)
        columns = [part[index] for index in self.seasons for part in (soon, late, above)]
        past_change = _clip(then - clock.at(self.levels, far))
        return columns + [_mean(part[: self.repeats]) for part in (soon, late, above, past_change)]

    def ahead(self, clock: _Clock, batch: int) -> FloatArray:
        """(batch, time, horizon, feature): each season's last cycle, the mean and spread of all, and running maxima."""
        horizon = self.schema.horizon
        if not len(self.levels):
            return np.zeros((batch, clock.time, horizon, 1))
        later = clock.at_all(self.smooth, range(-1, -horizon - 1, -1))
        coming = _clip(later - clock.at(self.levels, 0)[..., None])  # (lag, batch, time, horizon)
        cycles = coming[: self.repeats]
        mean = _mean(cycles)
        spread = np.sqrt(_mean((cycles - mean) ** 2))
        path = np.stack([*coming[self.seasons], mean, spread], axis=-1)
        path = np.where(np.isfinite(path), path, 0.0)
        highest = np.maximum.accumulate(path[..., :-1], axis=2)
        return np.concatenate([path, highest], axis=-1)


def _mean(stack: FloatArray) -> FloatArray:
    """Mean over the first axis of what is known, 0 where nothing is."""
    known = np.isfinite(stack)
    mean: FloatArray = np.where(known, stack, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return mean


def _record(clock: _Clock, level: FloatArray, shape: _Shape) -> list[FloatArray]:
    """How wrong "no change" and "as on earlier days" have been lately: log mean absolute error, and differences."""
    far, window = clock.schema.horizon, clock.schema.record_steps
    first = clock.lead_in - window + 1  # only what the trailing window covers is worth computing
    change = level[..., first : clock.lead_in + clock.time] - level[..., first - far : clock.lead_in + clock.time - far]

    expected = [np.zeros_like(change)]
    if len(shape.levels):
        then, before = clock.lead_in + clock.time, clock.lead_in + clock.time - far
        cycles = shape.levels[..., first:then] - shape.levels[..., first - far : before]
        expected += [cycles[0], _mean(cycles[: shape.repeats])]
    mean = _window_mean(np.abs(change - np.stack(expected)), window, 0)[..., -clock.time :]
    stay, *others = np.log(mean + 1e-3)
    return [stay, *(np.where(np.isfinite(other), other - stay, 0.0) for other in others)]
