"""Surges and alarms: does a forecast warn before more replicas are needed, how often for nothing?  Pure.

Demand is turned into replicas first, because the decision is about replicas.  At a step of a minute:

- `need` = mean demand of the last 3 minutes / target per replica: a fraction, not rounded.
- `held` = the highest ceil(need) of the last 5 minutes: what a reactive scaler holds.
- A *surge* begins at the first minute whose need is >= 1.25 times, and >= 1 replica above, what was held 15
  minutes earlier.  What was held 15 minutes earlier follows along, so a surge lasts as long as demand keeps
  growing that fast; it is counted once, and another begins only after 15 minutes without the condition.
- A forecast *asks for* demand it foresees / target per replica: a fraction like need, so that surge and alarm
  mean the same rise.  (Rounded up, an excess of a hundredth would ask for a whole replica, and even a perfect
  forecast would raise false alarms.)  An *alarm* is the minute in which that becomes >= 1.25 times, and >= 1
  replica above, what is held at that minute.  Edges less than 15 minutes after an alarm are swallowed.  A
  claim that stands longer than that is still one alarm, and grows old: it does not count for a surge more
  than 20 minutes after its edge.
- An alarm is a *hit* when need reaches held + (asked - held) / 2 within the next 20 minutes, else a *false
  alarm*.  Asked and held are those of the alarm's minute.
- A surge is *caught* when any alarm, whatever its own outcome, lies 5 to 20 minutes before its begin, both
  included; its lead is counted from the earliest of these.

What was not observed:

- An unobserved minute has no need, rather than none of it.  The mean behind a need, and held, take what was
  observed in their window.
- A minute without a need, or whose comparison has nothing held, can neither begin nor prolong a surge.
- A minute without forecast or held neither raises nor ends a claim; after 15 such minutes the claim is
  forgotten.
- An alarm whose 20 minutes reach beyond the data is *pending*, also when need got there already: early hits
  without the late false alarms would flatter.  One with less than half of its 20 minutes observed is
  *unresolved*, for the same reason.  Both are counted, and are in no ratio.

Every alarm is exactly one of hit, false alarm, pending, unresolved.  All of it looks at demand only, never at
what our own scaling changed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.forecast import IntArray
from predictor.series import FloatArray
from predictor.trailing import in_steps, last_known, trailing_max, trailing_mean

BoolArray = npt.NDArray[np.bool_]

_TINY = 1e-9  # replicas; keeps the last bit of a division from buying one, or from missing a threshold


@dataclass(frozen=True, slots=True)
class SurgeRules:
    """The definition's durations and sizes; every duration becomes at least one step."""

    need_seconds: int = 180
    held_seconds: int = 300
    compare_seconds: int = 900  # a surge exceeds what was held this long ago
    quiet_seconds: int = 900  # between two surges
    refractory_seconds: int = 900  # between two alarms
    earliest_warning_seconds: int = 1200
    latest_warning_seconds: int = 300
    outcome_seconds: int = 1200  # how long an alarm has to come true
    raise_ratio: float = 0.25
    raise_replicas: float = 1.0
    hit_ratio: float = 0.5  # share of the raise that need must reach
    scale_replicas: float = (
        30.0  # that the scale percentile of training demand needs where no target is known
    )
    scale_percentile: float = 99.9


RULES = SurgeRules()


class Outcome(IntEnum):
    """What became of an alarm."""

    HIT = 0
    FALSE_ALARM = 1
    PENDING = 2
    UNRESOLVED = 3


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaNeed:
    """What demand asked of the workload, and everything about it that no forecast changes."""

    step_seconds: int
    target_per_replica: float
    rules: SurgeRules
    need: FloatArray  # (time,) replicas, fractions, NaN where not observed
    held: FloatArray  # (time,) whole replicas, NaN where nothing was observed in its window
    surges: IntArray  # (surge,) index at which each begins
    reached: FloatArray  # (time,) highest need within the outcome window after each sample
    observed: IntArray  # (time,) samples of that window with a need

    def steps(self, seconds: int) -> int:
        """A duration in steps of this series."""
        return in_steps(seconds, self.step_seconds)


@dataclass(frozen=True, slots=True)
class AlarmScore:
    """Counts of surges and alarms; ratios come from them, and are None where their denominator is zero."""

    surges: int  # whose whole warning window lies in the judged span
    caught: int
    hits: int
    false_alarms: int
    pending: int  # their time was not over when the data ended
    unresolved: int  # their time was mostly not observed
    wasted_replica_minutes: float  # asked for by false alarms and neither held nor needed until resolved
    lead_seconds: tuple[int, ...] = ()  # of every caught surge, from its earliest alarm

    @property
    def alarms(self) -> int:
        """All of them, resolved or not."""
        return self.hits + self.false_alarms + self.pending + self.unresolved

    @property
    def missed(self) -> int:
        """Surges without an alarm in time."""
        return self.surges - self.caught

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
        """Harmonic mean of recall and 1 - false-alarm ratio; 0 for silence, None without a surge."""
        if self.recall is None:
            return None
        right = 0.0 if self.false_alarm_ratio is None else 1 - self.false_alarm_ratio
        return 2 * self.recall * right / (self.recall + right) if self.recall + right else 0.0

    @property
    def median_lead_seconds(self) -> float | None:
        """From alarm to surge, over caught surges."""
        return float(statistics.median(self.lead_seconds)) if self.lead_seconds else None


@dataclass(frozen=True, slots=True, eq=False)
class AlarmLog:
    """Every surge and alarm of one forecaster by index into the series, for a picture and for the score."""

    surges: IntArray  # (surge,) begins whose whole warning window lies in the judged span
    lead_steps: IntArray  # (surge,) from its earliest alarm; 0 when missed
    alarms: IntArray  # (alarm,)
    asked: FloatArray  # (alarm,) replicas
    held: FloatArray  # (alarm,) replicas
    outcome: IntArray  # (alarm,) an Outcome each
    wasted_replica_minutes: FloatArray  # (alarm,) zero unless a false alarm

    @property
    def caught(self) -> BoolArray:
        """Which surges had an alarm in time, (surge,)."""
        return self.lead_steps > 0


def target_per_replica(training: FloatArray, step_seconds: int, rules: SurgeRules = RULES) -> float:
    """Demand per replica where none is stated: the training span's 99.9th percentile then needs 30 replicas.

    training: (time,) demand of the training span only.  Raises InputError when it holds no demand at all.
    """
    smooth = trailing_mean(training, in_steps(rules.need_seconds, step_seconds))
    seen = smooth[np.isfinite(training)]
    top = float(np.percentile(seen, rules.scale_percentile)) if seen.size else 0.0
    if top <= 0 and seen.size:
        top = float(seen.max())  # demand so rare that even the percentile is idle
    if top <= 0:
        raise InputError(
            "no demand in the training span, so it cannot be turned into replicas; "
            "give a span with demand or state the target per replica"
        )
    return top / rules.scale_replicas


def replica_need(
    values: FloatArray, *, step_seconds: int, target_per_replica: float, rules: SurgeRules = RULES
) -> ReplicaNeed:
    """Turn demand (time,) into need, held and surges; cut it where knowledge ends, for alarms pend there."""
    if not target_per_replica > 0:
        raise InputError(
            f"a target of {target_per_replica:g} per replica carries no demand; give a positive one"
        )
    smooth = trailing_mean(values, in_steps(rules.need_seconds, step_seconds))
    need = np.where(np.isfinite(values), smooth / target_per_replica, np.nan)
    held = trailing_max(np.ceil(need - _TINY), in_steps(rules.held_seconds, step_seconds))
    ahead = in_steps(rules.outcome_seconds, step_seconds)
    return ReplicaNeed(
        step_seconds=step_seconds,
        target_per_replica=target_per_replica,
        rules=rules,
        need=need,
        held=held,
        surges=find_surges(need, held, step_seconds=step_seconds, rules=rules),
        reached=_after(trailing_max(need[::-1], ahead)[::-1], np.nan),
        observed=_observed_after(need, ahead),
    )


def find_surges(
    need: FloatArray, held: FloatArray, *, step_seconds: int, rules: SurgeRules = RULES
) -> IntArray:
    """Indices at which surges begin, (surge,), from need and held (time,)."""
    back = in_steps(rules.compare_seconds, step_seconds)
    earlier = np.concatenate([np.full(min(back, held.size), np.nan), held[: held.size - back]])
    surging = np.flatnonzero(_exceeds(need, earlier, rules))
    if surging.size == 0:
        return surging
    quiet = np.diff(surging) - 1  # samples between one surging one and the next
    begins: IntArray = surging[np.concatenate([[True], quiet >= in_steps(rules.quiet_seconds, step_seconds)])]
    return begins


def find_alarms(
    asked: FloatArray, held: FloatArray, *, step_seconds: int, rules: SurgeRules = RULES
) -> IntArray:
    """Indices of alarms, (alarm,), from replicas asked for and held (time,); NaN asks for nothing."""
    refractory = in_steps(rules.refractory_seconds, step_seconds)
    claim = _exceeds(asked, held, rules)
    if not claim.any():
        return np.flatnonzero(claim)
    here = np.arange(claim.size)
    before = np.concatenate([[-1], last_known(np.isfinite(asked) & np.isfinite(held))[:-1]])
    standing = claim[np.maximum(before, 0)] & (before >= 0) & (here - before <= refractory)
    alarms: list[int] = []
    for edge in np.flatnonzero(claim & ~standing).tolist():
        if not alarms or edge - alarms[-1] >= refractory:
            alarms.append(edge)
    return np.array(alarms, dtype=np.int64)


def log_alarms(ground: ReplicaNeed, asked_demand: FloatArray, origins: IntArray | None = None) -> AlarmLog:
    """Find and resolve one forecaster's alarms.

    asked_demand: the demand foreseen at each origin (its peak over the horizon), (time,) aligned with the
    series and NaN where there is no forecast, or (origin,) with `origins` ascending.  The judged span reaches
    from the first origin to the last, whether or not a forecast was issued there: silence is judged too.
    """
    asked, first, last = _on_the_series(ground, asked_demand, origins)
    rules, size = ground.rules, ground.need.size
    alarms = find_alarms(asked, ground.held, step_seconds=ground.step_seconds, rules=rules)
    raised, held = asked[alarms], ground.held[alarms]

    window = ground.steps(rules.outcome_seconds)
    came_true = ground.reached[alarms] >= held + rules.hit_ratio * (raised - held) - _TINY
    outcome = np.where(came_true, Outcome.HIT, Outcome.FALSE_ALARM)
    outcome[2 * ground.observed[alarms] < window] = Outcome.UNRESOLVED
    outcome[alarms + window >= size] = Outcome.PENDING

    earliest = ground.steps(rules.earliest_warning_seconds)
    latest = ground.steps(rules.latest_warning_seconds)
    judged = (ground.surges - earliest >= first) & (ground.surges - latest <= last)
    surges = ground.surges[judged]
    # A sentinel far behind every surge stands for "no further alarm".
    nearest = np.append(alarms, 2 * size + earliest)[np.searchsorted(alarms, surges - earliest)]
    lead = np.where(nearest <= surges - latest, surges - nearest, 0)

    wasted = np.zeros(alarms.size)
    for position in np.flatnonzero(outcome == Outcome.FALSE_ALARM).tolist():
        after = ground.need[alarms[position] + 1 : alarms[position] + 1 + window]
        used = np.maximum(np.ceil(after - _TINY), held[position])
        bought = np.ceil(raised[position] - _TINY)
        wasted[position] = np.nansum(np.maximum(bought - used, 0.0)) * ground.step_seconds / 60
    return AlarmLog(surges, lead, alarms, raised, held, outcome.astype(np.int64), wasted)


def score_alarms(
    ground: ReplicaNeed, asked_demand: FloatArray, origins: IntArray | None = None
) -> AlarmScore:
    """The counts of one forecaster; arguments as for `log_alarms`."""
    log = log_alarms(ground, asked_demand, origins)
    count = np.bincount(log.outcome, minlength=len(Outcome)).tolist()
    return AlarmScore(
        surges=int(log.surges.size),
        caught=int(log.caught.sum()),
        hits=count[Outcome.HIT],
        false_alarms=count[Outcome.FALSE_ALARM],
        pending=count[Outcome.PENDING],
        unresolved=count[Outcome.UNRESOLVED],
        wasted_replica_minutes=float(log.wasted_replica_minutes.sum()),
        lead_seconds=tuple((log.lead_steps[log.caught] * ground.step_seconds).tolist()),
    )


def judge(
    values: FloatArray,
    asked_demand: FloatArray,
    *,
    step_seconds: int,
    target_per_replica: float,
    origins: IntArray | None = None,
    rules: SurgeRules = RULES,
) -> AlarmScore:
    """Score one forecaster's alarms on demand (time,).  Several share a `replica_need` in `score_alarms`."""
    ground = replica_need(
        values, step_seconds=step_seconds, target_per_replica=target_per_replica, rules=rules
    )
    return score_alarms(ground, asked_demand, origins)


def pool(scores: Iterable[AlarmScore]) -> AlarmScore:
    """Add up counts, so that ratios weigh every surge and alarm alike, whichever series it came from."""
    parts = tuple(scores)
    return AlarmScore(
        surges=sum(s.surges for s in parts),
        caught=sum(s.caught for s in parts),
        hits=sum(s.hits for s in parts),
        false_alarms=sum(s.false_alarms for s in parts),
        pending=sum(s.pending for s in parts),
        unresolved=sum(s.unresolved for s in parts),
        wasted_replica_minutes=sum(s.wasted_replica_minutes for s in parts),
        lead_seconds=tuple(lead for s in parts for lead in s.lead_seconds),
    )


def _exceeds(wanted: FloatArray, held: FloatArray, rules: SurgeRules) -> BoolArray:
    """Where `wanted` is enough above `held`; nowhere that either is unknown."""
    enough = np.maximum(held * (1 + rules.raise_ratio), held + rules.raise_replicas)
    return np.asarray(wanted >= enough - _TINY, dtype=np.bool_)


def _after(values: FloatArray, end: float) -> FloatArray:
    """Each sample's successor's value, (time,)."""
    return np.append(values[1:], end) if values.size else values


def _observed_after(need: FloatArray, steps: int) -> IntArray:
    """How many of the next `steps` samples have a need, (time,)."""
    total = np.concatenate([[0], np.cumsum(np.isfinite(need))])
    here = np.arange(need.size)
    return np.asarray(total[np.minimum(here + 1 + steps, need.size)] - total[here + 1], dtype=np.int64)


def _on_the_series(
    ground: ReplicaNeed, asked_demand: FloatArray, origins: IntArray | None
) -> tuple[FloatArray, int, int]:
    """Replicas asked for, (time,), and the first and last judged origin."""
    size = ground.need.size
    if origins is None:
        if asked_demand.shape != (size,):
            raise InputError(
                f"{asked_demand.size} forecasts for {size} samples; give one for each, or origins"
            )
        issued = np.flatnonzero(np.isfinite(asked_demand))
        first, last = (int(issued[0]), int(issued[-1])) if issued.size else (size, -1)
        return asked_demand / ground.target_per_replica, first, last
    if asked_demand.shape != origins.shape or origins.ndim != 1:
        raise InputError(f"{asked_demand.shape} forecasts for {origins.shape} origins; give one for each")
    if origins.size and not (origins[0] >= 0 and origins[-1] < size and np.all(np.diff(origins) > 0)):
        raise InputError(f"origins must ascend within the series' {size} samples")
    asked = np.full(size, np.nan)
    asked[origins] = asked_demand / ground.target_per_replica
    first, last = (int(origins[0]), int(origins[-1])) if origins.size else (size, -1)
    return asked, first, last
