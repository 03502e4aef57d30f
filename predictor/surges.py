"""Surges and alarms, in replicas: would acting on the forecast have been right?  Pure.

`need` is the 3-minute mean of demand per replica; `held` the highest whole number of replicas needed in the last five
minutes, which is what a reactive scaler still holds.  A *surge* begins when need exceeds what was held 15 minutes
earlier by 25 % and a replica; 15 minutes without that separate two surges.  An *alarm* is the rising edge of "the
forecast asks for 25 % and a replica more than held", then 15 minutes refractory.  It is a *hit* when within 20 minutes
need reaches half of the raise that it asked for.  A surge without an alarm 5 to 20 minutes before it is a *miss*.

Need and the forecast's wish are compared unrounded: rounding 4.02 up to five replicas would turn a fiftieth of a
replica into an alarm, and a perfect forecast would raise false ones.  A surge counts once however long it lasts; an
alarm is the moment of its edge, so a claim that stands for more than 20 minutes no longer catches one.

Every alarm is resolved exactly once: hit, false, or pending when its 20 minutes are not over or were mostly not
observed.  Pending ones stay so even when need got there already: early hits without the late false alarms would
flatter.  A minute that was not observed has no need, so it neither begins a surge nor makes a hit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.forecast import IntArray
from predictor.series import FloatArray
from predictor.windows import trailing_count, trailing_max, trailing_mean

RAISE = 1.25  # at least a quarter more than held
REPLICA = 1.0  # and at least one replica more
DEFAULT_ALARM_LEVEL = 0.3  # of the highest demand within the horizon, where no better one is known
_PEAK_REPLICAS = 30.0  # what the training span's peak needs when no target per replica is known
_PEAK_QUANTILE = 0.999
_MIN_OBSERVED = 0.5  # share of an alarm's outcome window that must be observed to call it false


@dataclass(frozen=True, slots=True)
class SurgeRule:
    """The times of the definition, in steps."""

    need: int
    held: int
    ahead: int  # how long before a surge the held replicas are read; also the refractory and quiet times
    outcome: int  # how long an alarm may wait for its load
    earliest: int
    latest: int

    @classmethod
    def for_step(cls, step_seconds: int) -> SurgeRule:
        """3, 5, 15 and 20 minutes at this step, never less than one step."""

        def steps(minutes: int) -> int:
            return max(1, round(60 * minutes / step_seconds))

        return cls(steps(3), steps(5), steps(15), steps(20), steps(20), steps(5))


@dataclass(frozen=True, slots=True)
class AlarmScore:
    """What alarms were worth, in counts; the ratios are None when their denominator is zero."""

    surges: int
    caught: int
    alarms: int
    hits: int
    false_alarms: int
    pending: int
    unresolved: int  # of pending, those whose time was mostly not observed
    median_lead_steps: float | None
    wasted_replica_steps: float  # raise asked for by false alarms, held for the outcome window

    @property
    def recall(self) -> float | None:
        """Caught surges / surges."""
        return self.caught / self.surges if self.surges else None

    @property
    def false_alarm_ratio(self) -> float | None:
        """False alarms / resolved alarms."""
        resolved = self.hits + self.false_alarms
        return self.false_alarms / resolved if resolved else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of recall and 1 - false-alarm ratio; None without surges, 0 when nothing was caught."""
        return None if self.recall is None else f1_score(self.recall, self.false_alarm_ratio)


def f1_score(recall: float, false_alarm_ratio: float | None) -> float:
    """Harmonic mean of recall and 1 - false-alarm ratio; 0 when no alarm was resolved (the ratio is None)."""
    precision = 0.0 if false_alarm_ratio is None else 1 - false_alarm_ratio
    total = recall + precision
    return 2 * recall * precision / total if total else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """A span's demand in replicas, computed once and judged against many forecasts."""

    rule: SurgeRule
    target: float  # demand that one replica carries
    need: FloatArray  # (time,)
    held: FloatArray  # (time,)
    is_surge: npt.NDArray[np.bool_]  # (time,)
    coming: FloatArray  # (time,) highest need of the next `outcome` steps
    observed: FloatArray  # (time,) share of these steps that were observed

    @classmethod
    def of(cls, values: FloatArray, step_seconds: int, target: float) -> Demand:
        rule = SurgeRule.for_step(step_seconds)
        need = np.where(np.isfinite(values), trailing_mean(values, rule.need) / target, np.nan)
        held = trailing_max(np.ceil(need - 1e-9), rule.held)
        before = np.concatenate([np.full(rule.ahead, np.nan), held])[: len(held)]
        with np.errstate(invalid="ignore"):
            is_surge = (need >= RAISE * before) & (need >= before + REPLICA)
        return cls(rule, target, need, held, is_surge, *_look_ahead(need, rule.outcome))

    def surges(self, first: int, last: int) -> IntArray:
        """Indices in [first, last) at which a surge begins."""
        hot = np.flatnonzero(self.is_surge[:last])
        gap = np.diff(hot, prepend=-self.rule.ahead - 1)
        begins = hot[gap > self.rule.ahead]
        return begins[begins >= first]

    def alarms(self, asked: FloatArray, first: int) -> IntArray:
        """Indices at which the forecast raises an alarm; asked: (origin,) demand wanted at first, first + 1, ..."""
        held = self.held[first : first + len(asked)]
        with np.errstate(invalid="ignore"):
            wants = (asked / self.target >= RAISE * held) & (asked / self.target >= held + REPLICA)
        edges = np.flatnonzero(wants & ~np.concatenate([[False], wants[:-1]]))
        kept: list[int] = []
        for edge in edges:
            if not kept or edge - kept[-1] >= self.rule.ahead:
                kept.append(int(edge))
        return np.array(kept, dtype=np.int64) + first


def target_per_replica(training: FloatArray, step_seconds: int) -> float:
    """Demand per replica such that the training span's 99.9th percentile needs 30; for when no target is known."""
    need = trailing_mean(training, SurgeRule.for_step(step_seconds).need)
    known = need[np.isfinite(need)]
    peak = float(np.quantile(known, _PEAK_QUANTILE)) if known.size else 0.0
    if peak <= 0:
        raise InputError("the training span shows no demand, so no target per replica can be derived; give --target")
    return peak / _PEAK_REPLICAS


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """The score and where it comes from."""

    score: AlarmScore
    surges: IntArray
    caught: npt.NDArray[np.bool_]  # per surge
    alarms: IntArray
    outcomes: npt.NDArray[np.int8]  # per alarm: 1 hit, 0 false, -1 pending


def judge(
    demand: Demand, asked: FloatArray, first: int, *, end: int | None = None, since: int | None = None
) -> Judgement:
    """Resolve every alarm and every surge of the span [first, first + len(asked)), knowing demand before `end`.

    With `since` only those from this index on are counted; what came before still silences and catches.

    asked: (origin,) demand that the forecast wants capacity for, NaN where it has no opinion.  Surges of the first 20
    minutes are left out: no alarm could have come before them.
    """
    rule, last = demand.rule, first + len(asked)
    known = len(demand.need) if end is None else end
    alarms = demand.alarms(asked, first)
    surges = demand.surges(first + rule.earliest, last)
    held = demand.held[alarms]
    raised = asked[alarms - first] / demand.target - held
    with np.errstate(invalid="ignore"):
        is_hit = demand.coming[alarms] >= held + raised / 2
    is_open = alarms + rule.outcome >= known
    is_unseen = ~is_open & (demand.observed[alarms] < _MIN_OBSERVED)
    outcomes = np.where(is_open | is_unseen, -1, np.where(is_hit, 1, 0)).astype(np.int8)
    counted = slice(None)
    if since is not None:
        surges = surges[surges >= since]
        counted = slice(int(np.searchsorted(alarms, since)), None)
    lead = surges[:, None] - alarms[None, :]
    early = (lead >= rule.latest) & (lead <= rule.earliest)
    caught: npt.NDArray[np.bool_] = np.asarray(early.any(axis=1), dtype=np.bool_)
    leads = np.where(early, lead, 0).max(axis=1)[caught] if caught.any() else np.empty(0)
    alarms, outcomes, raised, is_unseen = alarms[counted], outcomes[counted], raised[counted], is_unseen[counted]
    score = AlarmScore(
        surges=len(surges),
        caught=int(caught.sum()),
        alarms=len(alarms),
        hits=int((outcomes == 1).sum()),
        false_alarms=int((outcomes == 0).sum()),
        pending=int((outcomes == -1).sum()),
        unresolved=int(is_unseen.sum()),
        median_lead_steps=float(np.median(leads)) if leads.size else None,
        wasted_replica_steps=float(raised[outcomes == 0].sum() * rule.outcome),
    )
    return Judgement(score, surges, caught, alarms, outcomes)


def choose(demand: Demand, wishes: FloatArray, first: int, default: int) -> int:
    """Index of the wish with the best F1 on a validation span; `default` when the span has no surge to learn from.

    wishes: (origin, candidate) demand asked for under each candidate setting.  Of equally good candidates the middle
    one is taken: it has the most room on both sides.  Demand after the span, where the test begins, is not looked at.
    """
    end = first + len(wishes)
    scores = [judge(demand, wishes[:, index], first, end=end).score.f1 for index in range(wishes.shape[1])]
    known = [(-1.0 if value is None else value) for value in scores]
    best = max(known)
    if best <= 0:
        return default
    equal = [index for index, value in enumerate(known) if value >= best - 1e-9]
    return equal[len(equal) // 2]


def _look_ahead(need: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """Highest need of the next `steps`, and the share of these that was observed, for every index."""
    if not len(need):
        return need, need
    later = np.concatenate([need[1:], [np.nan]])[::-1]
    return trailing_max(later, steps)[::-1], trailing_count(np.isfinite(later), steps)[::-1] / steps
