"""A trained model at work: from demand history to calibrated forecasts, or a reason why there is none.

Reads a bundle and runs it; everything else is arithmetic on arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import numpy as np

from predictor.bundle import Bundle, read_bundle
from predictor.errors import InputError
from predictor.experts import ExpertSettings, expert_count, simple_experts
from predictor.features import FeatureSchema, build_window, log_offset
from predictor.forecast import Float32Array, Forecast, IntArray, IssuedForecasts
from predictor.online import OnlineSettings, OnlineState, Resolved, initial_state, issue, learn
from predictor.runtime import Runtime
from predictor.series import FloatArray, Series
from predictor.windows import AnyFloat

STALE_AFTER_STEPS = 5  # a forecast from older data would already be half over
MAX_MISSING_RATIO = 0.5  # of the context; beyond, the present level is a guess
REPLAY_DAYS = 3  # origins replayed to warm the online layer, in cycles of the shortest season
_REPLAY_STEPS = 1440  # the same for a model without a season
_BATCH = 512
_CHUNK = 128  # workloads whose features stay in the cache together


class NoForecast(StrEnum):
    """Why there is no forecast."""

    TOO_SHORT = "HistoryTooShort"
    STALE = "DataStale"
    GAPPY = "TooManyGaps"
    WRONG_STEP = "StepMismatch"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A forecast that was not made; never a zero."""

    series: str
    reason: NoForecast
    message: str


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What is known about one workload: its demand, leading indicators and announced events."""

    series: Series
    covariates: FloatArray | None = None  # (time, covariate), NaN where not observed
    events: FloatArray | None = None  # (time + horizon,), 1 while an event lasts

    def until(self, end: int, horizon: int) -> History:
        """What was known at sample `end - 1`."""
        return History(
            self.series.between(0, end),
            None if self.covariates is None else self.covariates[:end],
            None if self.events is None else self.events[: end + horizon],
        )

    def tail(self, steps: int) -> History:
        """The last `steps` samples."""
        first = max(len(self.series) - steps, 0)
        return History(
            self.series.between(first, len(self.series)),
            None if self.covariates is None else self.covariates[first:],
            None if self.events is None else self.events[first:],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """Forecasts of one series at consecutive origins, each with what was known then."""

    calibrated: IssuedForecasts
    raw: IssuedForecasts  # the network alone
    state: OnlineState  # after the last origin


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Many workloads on one grid, all known up to the same sample."""

    values: AnyFloat  # (batch, time) demand, NaN where not observed
    first_step: IntArray  # (batch,) number of the first sample's step since the epoch
    offset: FloatArray  # (batch,) the logarithm's
    covariates: FloatArray | None = None  # (batch, time, covariate)
    events: FloatArray | None = None  # (batch, time + horizon)
    kinds: IntArray | None = None  # (batch, origin, horizon), see `Forecaster.kinds`

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, chosen: slice) -> Batch:
        """Some of the workloads."""
        return Batch(
            self.values[chosen],
            self.first_step[chosen],
            self.offset[chosen],
            None if self.covariates is None else self.covariates[chosen],
            None if self.events is None else self.events[chosen],
            None if self.kinds is None else self.kinds[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """What was issued at consecutive origins, log-relative, and what became known meanwhile."""

    final: Float32Array  # (batch, origin, head, horizon, level), calibrated
    network: Float32Array  # the same, the network alone
    log_level: FloatArray  # (batch, origin)
    resolved: tuple[Resolved, ...]  # one per origin


@dataclass(frozen=True, slots=True, eq=False)
class Forecaster:
    """A bundle and its runtime."""

    bundle: Bundle
    runtime: Runtime
    schema: FeatureSchema
    settings: OnlineSettings = field(repr=False)

    @classmethod
    def load(cls, directory: Path) -> Forecaster:
        """Read and verify a bundle; raises BundleError."""
        bundle = read_bundle(directory)
        card = bundle.card
        return cls(bundle, Runtime(bundle.onnx, card.schema, card.levels), card.schema, card.online)

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels of every forecast."""
        return self.settings.levels

    @property
    def horizon(self) -> int:
        """Steps ahead."""
        return self.schema.horizon

    @property
    def experts(self) -> ExpertSettings:
        """What the simple experts beside the network need to know."""
        return ExpertSettings(self.horizon, self.bundle.card.step_seconds, self.schema.season_steps)

    def offset(self, series: Series) -> float:
        """The logarithm's offset: the one learnt with this series, else from the history itself."""
        known = self.bundle.card.offsets.get(series.name)
        return known if known is not None else log_offset(series.values)

    def kinds(self, series: Series, origins: IntArray) -> IntArray | None:
        """Which forecasts reach across a round time at which this series' demand jumps, (origin, horizon)."""
        mark = self.bundle.card.marks.get(series.name)
        return None if mark is None else mark.ahead(origins + first_step(series), self.horizon)

    def check(self, history: History, *, now: datetime | None = None) -> Refusal | None:
        """Why this history allows no forecast, or None when it does.  `now` None: do not check the age."""
        series, card = history.series, self.bundle.card
        if series.step_seconds != card.step_seconds:
            return Refusal(
                series.name,
                NoForecast.WRONG_STEP,
                f"{series.name}: step {series.step_seconds} s, but the model was trained at {card.step_seconds} s; "
                f"read it with --step {card.step_seconds}",
            )
        if len(series) < self.schema.minimum_steps:
            return Refusal(
                series.name,
                NoForecast.TOO_SHORT,
                f"{series.name}: {len(series)} samples, {self.schema.minimum_steps} needed; wait, or read more --days",
            )
        context = np.asarray(series.values)[None, -self.schema.context :]
        ages, missing_ratios = _age_and_missing(context)
        age, missing = int(ages[0]), float(missing_ratios[0])
        if now is not None:
            age += max(0, int((now - series.end).total_seconds() // series.step_seconds))
        if age > STALE_AFTER_STEPS:
            return Refusal(
                series.name,
                NoForecast.STALE,
                f"{series.name}: nothing observed in the last {age} steps of {series.step_seconds} s, at most "
                f"{STALE_AFTER_STEPS} allowed; check the scrape job, or ask --at a time that has data",
            )
        if missing > MAX_MISSING_RATIO:
            return Refusal(
                series.name,
                NoForecast.GAPPY,
                f"{series.name}: {missing:.0%} of the last {context.shape[1]} samples missing, at most "
                f"{MAX_MISSING_RATIO:.0%} allowed; check the scrape job",
            )
        return None

    def forecast(self, history: History, *, now: datetime | None = None) -> Forecast | Refusal:
        """Forecast one series from its newest sample, calibrated on a replay of its recent past."""
        refusal = self.check(history, now=now)
        if refusal is not None:
            return refusal
        season = self.schema.season_steps[0] if self.schema.season_steps else _REPLAY_STEPS
        last = len(history.series) - 1
        first = max(self.schema.minimum_steps - 1, last - REPLAY_DAYS * season)
        replay = self.replay(history, first, last + 1)
        return Forecast(
            series=history.series.name,
            issued_at=history.series.end,
            step_seconds=history.series.step_seconds,
            levels=self.levels,
            path=replay.calibrated.path[-1].astype(np.float64),
            peak=replay.calibrated.peak[-1].astype(np.float64),
            model=self.bundle.short_hash,
            is_synthetic=history.series.is_synthetic,
        )

    def network_quantiles(self, histories: Sequence[History]) -> tuple[Float32Array, FloatArray]:
        """The network alone, over many workloads, each at its newest sample.

        Returns log-relative quantiles (workload, head, horizon, level) and demand quantiles of the same shape.  A
        history longer than the model reads is cut, a shorter one is padded with missing samples.
        """
        parts = [self._network_once(histories[at : at + _CHUNK]) for at in range(0, len(histories), _CHUNK)]
        relative, demand = zip(*parts, strict=True)
        return np.concatenate(relative), np.concatenate(demand)

    def _network_once(self, histories: Sequence[History]) -> tuple[Float32Array, FloatArray]:
        needed = self.schema.history_steps
        values = np.full((len(histories), needed), np.nan)
        starts = np.empty(len(histories), dtype=np.int64)
        for row, history in enumerate(histories):
            recent = history.series.values[-needed:]
            values[row, needed - len(recent) :] = recent
            starts[row] = first_step(history.series) + len(history.series) - needed
        offsets = np.array([self.offset(history.series) for history in histories])
        window = build_window(
            self.schema,
            values,
            starts,
            offsets,
            self.schema.context,
            1,
            _stacked([history.covariates for history in histories], needed),
            _stacked([history.events for history in histories], needed + self.horizon),
        )
        relative = self.runtime.run(window.steps, window.origin[:, 0], window.ahead[:, 0])
        return relative, window.to_demand(relative[:, None])[:, 0]

    def replay(self, history: History, first: int, last: int, state: OnlineState | None = None) -> Replay:
        """Issue forecasts at origins first..last-1 in order, learning from each outcome when it becomes known.

        `state` goes on from an earlier replay, and is changed in place.
        """
        series = history.series
        if not 0 <= first < last <= len(series):
            raise InputError(f"{series.name}: origins {first} to {last} are outside its {len(series)} samples")
        offset, origins = self.offset(series), np.arange(first, last)
        kinds = self.kinds(series, origins)
        if state is None:
            state = initial_state(self.settings, expert_count(), kinds=1 if kinds is None else 2)
        begin = max(first - self.schema.history_steps - self.schema.context, 0)
        batch = Batch(
            np.asarray(series.values[begin:last])[None],
            np.array([first_step(series) + begin]),
            np.array([offset]),
            None if history.covariates is None else history.covariates[None, begin:last],
            None if history.events is None else history.events[None, begin : last + self.horizon],
            None if kinds is None else kinds[None],
        )
        rolled = self.advance(batch, last - first, state)
        calibrated = self._issued(series, origins, rolled.final[0], rolled.log_level[0], offset)
        return Replay(calibrated, self._issued(series, origins, rolled.network[0], rolled.log_level[0], offset), state)

    def advance(self, batch: Batch, count: int, state: OnlineState) -> Rolled:
        """Issue the forecasts of the last `count` samples of many workloads, in order; changes `state` in place.

        Each outcome is learnt from before the forecast of its instant is issued.
        """
        network, log_level = self._network_rolling(batch, count)
        simple = simple_experts(self.experts, batch.values, count, log_level, batch.offset)
        with np.errstate(invalid="ignore", divide="ignore"):
            log_demand = np.log(batch.values[:, -count:] + batch.offset[:, None])
        final, resolved = np.empty_like(network), []
        for at in range(count):
            points = np.broadcast_to(simple[:, at, ..., None], (*simple[:, at].shape, len(self.levels)))
            experts = np.concatenate([network[:, at, None], points], axis=1)
            resolved.append(learn(self.settings, state, log_demand[:, at]))
            kind = None if batch.kinds is None else batch.kinds[:, at]
            final[:, at] = issue(self.settings, state, experts, log_level[:, at], kind)
        return Rolled(final, network, log_level, tuple(resolved))

    def _network_rolling(self, batch: Batch, count: int) -> tuple[Float32Array, FloatArray]:
        """The network at the last `count` samples: (batch, count, head, horizon, level), and the level each is
        relative to, (batch, count).  Features once, then overlapping contexts in batches."""
        rows = max(1, min(_CHUNK, _BATCH * 4 // count))
        parts = [self._network_chunk(batch.rows(slice(at, at + rows)), count) for at in range(0, len(batch), rows)]
        network, log_level = zip(*parts, strict=True)
        return np.concatenate(network), np.concatenate(log_level)

    def _network_chunk(self, batch: Batch, count: int) -> tuple[Float32Array, FloatArray]:
        schema = self.schema
        window = build_window(
            schema,
            batch.values,
            batch.first_step,
            batch.offset,
            schema.context + count - 1,
            count,
            batch.covariates,
            batch.events,
        )
        if count == 1:
            relative = self.runtime.run(window.steps, window.origin[:, 0], window.ahead[:, 0])
            return relative[:, None], window.log_level
        steps = np.lib.stride_tricks.sliding_window_view(window.steps, schema.context, axis=1)
        found = []
        for row in range(len(batch)):  # (count, feature, context)
            for start in range(0, count, _BATCH):
                chunk = slice(start, start + _BATCH)
                contexts = np.ascontiguousarray(steps[row, chunk].transpose(0, 2, 1))
                found.append(self.runtime.run(contexts, window.origin[row, chunk], window.ahead[row, chunk]))
        network = np.concatenate(found)
        return network.reshape(len(batch), count, *network.shape[1:]), window.log_level

    def _issued(
        self, series: Series, origins: IntArray, relative: Float32Array, log_level: FloatArray, offset: float
    ) -> IssuedForecasts:
        demand = np.maximum(np.exp(relative + log_level[:, None, None, None]) - offset, 0.0).astype(np.float32)
        return IssuedForecasts(series.name, origins, self.levels, demand[:, 0], demand[:, 1])


def survey(context: AnyFloat, known_steps: IntArray, schema: FeatureSchema) -> tuple[NoForecast | None, ...]:
    """For each workload why its newest samples allow no forecast, None when they do.

    context: (batch, context) ending now.  known_steps: (batch,) length of each history.
    """
    age, missing = _age_and_missing(context)
    worst = np.where(missing > MAX_MISSING_RATIO, 1, 0)
    worst[age > STALE_AFTER_STEPS] = 2
    worst[known_steps < schema.minimum_steps] = 3
    return tuple((None, NoForecast.GAPPY, NoForecast.STALE, NoForecast.TOO_SHORT)[kind] for kind in worst.tolist())


def _age_and_missing(context: AnyFloat) -> tuple[IntArray, FloatArray]:
    """Steps since the last observed sample, and the share of samples not observed: two times (batch,)."""
    seen = np.isfinite(context)
    age = np.where(seen.any(axis=1), np.argmax(seen[:, ::-1], axis=1), context.shape[1])
    return age, 1 - seen.mean(axis=1)


def with_levels(settings: OnlineSettings, season_steps: tuple[int, ...]) -> OnlineSettings:
    """Settings whose memory is one cycle of the shortest season, so that a test may live a day in minutes."""
    return replace(settings, memory_steps=season_steps[0]) if season_steps else settings


def first_step(series: Series) -> int:
    """Number of the first sample's step since the epoch, for the time of day."""
    return int(series.start.timestamp()) // series.step_seconds


def _stacked(arrays: list[FloatArray | None], length: int) -> FloatArray | None:
    """The last `length` rows of every workload side by side; None when no workload has any."""
    known = [array for array in arrays if array is not None]
    if not known:
        return None
    out = np.full((len(arrays), length, *known[0].shape[1:]), np.nan)
    for row, array in enumerate(arrays):
        if array is not None:
            recent = array[-length:]
            out[row, length - len(recent) :] = recent
    return out
