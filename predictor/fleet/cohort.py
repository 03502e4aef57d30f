"""Workloads that share a model: forecast together at every step, calibrated as outcomes arrive.

Arithmetic on what it holds; it reads nothing and knows no clock.  A cohort begins *cold*: its forecasts are the
network's alone, at once.  `warm` replays the last cycles beside them, a slice at a time, as if the cohort had been
there all along; when the replay has caught up it takes over, with its scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from predictor.experts import expert_count, last_observed
from predictor.features import log_offset
from predictor.fleet.ledger import Ledger, LedgerShape
from predictor.fleet.table import DemandTable
from predictor.forecast import Float32Array, IntArray
from predictor.forecaster import REPLAY_DAYS, Batch, Forecaster, NoForecast, Rolled, survey
from predictor.online import OnlineState, initial_state
from predictor.series import FloatArray

_UNSEASONAL_CYCLE = 1440  # steps; for a model without a season
_SLICE_ROWS = 1024  # forecasts in one slice of a replay, a tenth of a second: nobody waits longer for the cohort
_MOST_CAUGHT_UP = 240  # steps done one by one after an outage; a longer one is replayed from further back


@dataclass(frozen=True, slots=True)
class Member:
    """One workload of a cohort."""

    name: str
    series_name: str  # as it was read; the model knows its offset and marks by it
    alarm_level: float


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """The forecasts of one step, of every member."""

    step: int  # of the last sample they know
    path: Float32Array  # (row, horizon, level) demand
    peak: Float32Array  # (row, horizon, level)
    refusals: tuple[NoForecast | None, ...]


@dataclass(slots=True, eq=False)
class Track:
    """One run through time: what was learnt, what was issued, and how far it is."""

    state: OnlineState
    ledger: Ledger
    step: int  # the last one processed


@dataclass(slots=True, eq=False)
class Cohort:
    """See the module."""

    forecaster: Forecaster
    members: list[Member]
    table: DemandTable
    offsets: FloatArray  # (row,) the logarithm's; NaN until there is enough history to tell
    has_marks: bool
    live: Track | None = None
    warming: Track | None = field(default=None)
    issued: Issued | None = None
    is_replayed: bool = False  # or being replayed

    @classmethod
    def of(cls, forecaster: Forecaster, members: Sequence[Member], table: DemandTable) -> Cohort:
        """A cohort that has forecast nothing yet."""
        has_marks = bool(set(forecaster.bundle.card.marks) & {member.series_name for member in members})
        return cls(forecaster, list(members), table, np.full(len(members), np.nan), has_marks)

    @property
    def shape(self) -> LedgerShape:
        """How much of the past is scored."""
        return ledger_shape(self.forecaster)

    @property
    def is_warm(self) -> bool:
        """Whether calibration and scores reach back as far as they are kept, or as history allows."""
        return self.is_replayed and self.warming is None

    @property
    def replay_from(self) -> int:
        """Step of the first origin of a replay that ends at the newest sample."""
        first = int(self.table.first_seen.min(initial=np.iinfo(np.int64).max))
        earliest = first + self.forecaster.schema.minimum_steps - 1
        return min(max(self.table.step - self.shape.kept_steps + 1, earliest), self.table.step)

    def start(self) -> None:
        """Make ready to forecast at the newest sample, with all the history that is known by now."""
        known = self.forecaster.bundle.card.offsets
        self.offsets = np.array([known.get(member.series_name, np.nan) for member in self.members])
        self._settle_offsets()
        self.live = self._track(self.table.step - 1)

    def begin_replay(self) -> None:
        """Replay from as far back as is kept."""
        self.is_replayed, first = True, self.replay_from
        self.warming = self._track(first - 1) if first < self.table.step else None

    def catch_up(self) -> Issued | None:
        """Forecast every step up to the table's newest; returns the newest forecasts, None when there is no news.

        After an outage the steps in between are forecast as well, as they would have been: outcomes are learnt from
        and scored as if nothing had happened, but count as rebuilt, not as live.
        """
        track = self.live
        if track is None or track.step >= self.table.step or not self.members:
            return None
        if self.table.step - track.step > _MOST_CAUGHT_UP:
            self.live = track = self._track(self.table.step - 1)
            self.begin_replay()
        self._settle_offsets()
        missed = self.table.step - track.step - 1
        if missed:
            self._advance(track, missed, is_live=False)
        rolled, refusals = self._advance(track, 1, is_live=True)
        demand = self._demand(rolled.final[:, 0], rolled.log_level[:, 0])
        self.issued = Issued(track.step, demand[:, 0], demand[:, 1], refusals)
        return self.issued

    def warm(self) -> bool:
        """Replay one slice; True when there is nothing left to do."""
        track = self.warming
        if track is None or self.live is None:
            return True
        count = min(self.live.step - track.step, max(_SLICE_ROWS // max(len(self.members), 1), 1))
        if count > 0:
            self._advance(track, count, is_live=False)
        if track.step < self.live.step:
            return False
        self.live, self.warming = track, None
        self.table.shorten(Depth.of(self.forecaster).full)
        return True

    def add(self, members: Sequence[Member]) -> None:
        """Take in workloads that have just appeared; the table has their rows already."""
        count, known = len(members), self.forecaster.bundle.card.offsets
        self.members += members
        offsets = [known.get(member.series_name, np.nan) for member in members]
        self.offsets = np.concatenate([self.offsets, offsets])
        for track in filter(None, (self.live, self.warming)):
            fresh = initial_state(self.forecaster.settings, expert_count(), count, self._kinds)
            fresh.step[...] = track.state.step
            track.state = OnlineState.joined([track.state, fresh])
            track.ledger.add_rows(count)

    def keep(self, rows: IntArray) -> None:
        """Drop all other members, and the table's rows."""
        self.members = [self.members[row] for row in rows]
        self.offsets = self.offsets[rows]
        self.table.keep_rows(list(rows))
        for track in filter(None, (self.live, self.warming)):
            track.state = track.state.rows(rows)
            track.ledger.keep_rows(rows)
        self.issued = None

    def _settle_offsets(self) -> None:
        """Tell the offset of workloads that the model does not know, once there is history to tell it from."""
        enough = self.table.known_steps(self.table.step) >= self.forecaster.schema.minimum_steps
        for row in np.flatnonzero(np.isnan(self.offsets) & enough):
            known = self.table.until(self.table.step, self.forecaster.schema.history_steps)[row]
            self.offsets[row] = log_offset(known.astype(np.float64))

    @property
    def _known_offsets(self) -> FloatArray:
        return np.where(np.isnan(self.offsets), 1.0, self.offsets)

    @property
    def _kinds(self) -> int:
        return 2 if self.has_marks else 1

    def _track(self, step: int) -> Track:
        state = initial_state(self.forecaster.settings, expert_count(), len(self.members), self._kinds)
        state.step[...] = step
        return Track(state, Ledger(self.shape, len(self.members)), step)

    def _advance(self, track: Track, count: int, *, is_live: bool) -> tuple[Rolled, tuple[NoForecast | None, ...]]:
        """Forecast the next `count` steps of a track, learning and scoring on the way."""
        refusals: tuple[NoForecast | None, ...] = ()
        forecaster, rolled = self.forecaster, None
        most = max(1, _SLICE_ROWS // max(len(self.members), 1))
        while count:
            part = min(count, most)
            last = track.step + part
            values = self.table.until(last, forecaster.schema.history_steps + forecaster.schema.context + part)
            first = last - values.shape[1] + 1
            starts = np.full(len(self.members), first)
            batch = Batch(values, starts, self._known_offsets, kinds=self._reach(track.step + 1, last))
            rolled = forecaster.advance(batch, part, track.state)
            stay = last_observed(values, part)
            demand = self._demand(
                rolled.final[:, :, :, -1], rolled.log_level
            )  # (row, origin, head, level) at the longest horizon
            for at in range(part):
                step = track.step + 1 + at
                known = values[:, : values.shape[1] - part + at + 1]
                refusals = self._refusals(known, step)
                available = np.array([refusal is None for refusal in refusals])
                track.ledger.settle(step, rolled.resolved[at], known[:, -1].astype(np.float64), self._known_offsets)
                levels = np.array([member.alarm_level for member in self.members])
                path, peak = demand[:, at, 0], demand[:, at, 1]
                track.ledger.issue(step, path, peak, levels, stay[:, at], available, is_live=is_live)
            track.step, count = last, count - part
        if rolled is None:
            raise AssertionError("at least one step")
        return rolled, refusals

    def _refusals(self, known: Float32Array, step: int) -> tuple[NoForecast | None, ...]:
        return survey(known[:, -self.forecaster.schema.context :], self.table.known_steps(step), self.forecaster.schema)

    def _reach(self, first: int, last: int) -> IntArray | None:
        """Which forecasts reach across a round time, (row, origin, horizon); None when no member has such times."""
        if not self.has_marks:
            return None
        origins, horizon = np.arange(first, last + 1), self.forecaster.horizon
        reach = np.zeros((len(self.members), len(origins), horizon), dtype=np.int64)
        for row, member in enumerate(self.members):
            mark = self.forecaster.bundle.card.marks.get(member.series_name)
            if mark is not None:
                reach[row] = mark.ahead(origins, horizon)
        return reach

    def _demand(self, relative: Float32Array, log_level: FloatArray) -> Float32Array:
        """Log-relative quantiles (row, ...) as demand, never below zero."""
        extra = relative.ndim - log_level.ndim
        level = log_level.reshape(log_level.shape + (1,) * extra)
        offset = self._known_offsets.reshape((-1,) + (1,) * (relative.ndim - 1))
        demand: Float32Array = np.maximum(np.exp(relative + level) - offset, 0.0).astype(np.float32)
        return demand


def ledger_shape(forecaster: Forecaster) -> LedgerShape:
    """Scores reach back as far as a restart rebuilds them: REPLAY_DAYS cycles of the shortest season."""
    cycle = forecaster.schema.season_steps[0] if forecaster.schema.season_steps else _UNSEASONAL_CYCLE
    return LedgerShape(forecaster.levels, forecaster.horizon, cycle, REPLAY_DAYS)


@dataclass(frozen=True, slots=True)
class Depth:
    """How much history there must be, in steps."""

    first: int  # for a forecast without its seasons
    full: int  # for a forecast, and to catch up after an outage
    replay: int  # for a replay

    @classmethod
    def of(cls, forecaster: Forecaster) -> Depth:
        """Of a model."""
        schema = forecaster.schema
        full = schema.history_steps + schema.context + _MOST_CAUGHT_UP
        return cls(schema.context + schema.lead_in, full, full + ledger_shape(forecaster).kept_steps)
