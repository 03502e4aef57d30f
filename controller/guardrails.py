"""Small rules that a proposed floor passes in order; controller and simulator run this same tuple.  Pure.

Every rule maps (spec, what was seen, memory, proposal) to a proposal, and returns the very same object when it has
nothing to say.  Three stages: what is wished for, how the floor may move there, and who has the last word.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from controller.capacity import MOST_REPLICAS, announced_replicas, reactive_replicas, replicas_for
from controller.spec import ScalingSpec
from controller.vocabulary import Memory, Observation, Reason, Recommendation

Guardrail = Callable[[ScalingSpec, Observation, Memory, Recommendation], Recommendation]


def hold_without_forecast(
    spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation
) -> Recommendation:
    """Without an opinion keep the last floor for a while, then let go of it; without any data keep it for good."""
    if asked.replicas is not None:
        return asked
    floor = memory.floor or 0
    if floor and (seen.is_blind or is_recent(memory.opinion_at, spec, seen)):
        return Recommendation(floor, Reason.HELD)
    return Recommendation(0, Reason.HPA_GOVERNS)


def limit_scale_up(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """A forecast may not ask for arbitrarily more than present demand needs: a broken model must not buy a cluster.

    What is held already stays; without present demand there is nothing to compare with, so the floor may not rise.
    """
    assert asked.replicas is not None  # noqa: S101 - the rule before gives a number
    held = memory.floor or 0
    if asked.replicas <= held:
        return asked
    highest = held
    if seen.demand is not None:
        need = replicas_for(max(seen.demand, 0.0), spec.target_per_replica)
        rails = spec.guardrails
        highest = max(held, int(min(need * rails.scale_up_ratio, MOST_REPLICAS)), need + rails.scale_up_replicas)
    if asked.replicas <= highest:
        return asked
    return Recommendation(highest, Reason.SCALE_UP_LIMITED, asked.demand)


def stabilize_scale_down(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """The floor falls only to the highest recommendation of the window."""
    assert asked.replicas is not None  # noqa: S101
    opened = seen.now - timedelta(seconds=spec.guardrails.scale_down_window_seconds)
    highest = max((replicas for at, replicas in memory.recommendations if at > opened), default=0)
    if asked.replicas >= highest:
        return asked
    return Recommendation(highest, Reason.SCALE_DOWN_STABILIZED, asked.demand)


def hold_through_collapse(
    spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation
) -> Recommendation:
    """Demand that falls to a fraction within the hour is an outage more often than the users' leaving.

    It comes back at once, and a fleet that followed it down meets it with cold pods.  Without an opinion nobody says
    that it will: the floor is let go of.
    """
    assert asked.replicas is not None  # noqa: S101
    has_opinion = asked.demand is not None
    if not has_opinion or seen.demand is None or seen.recent_peak_demand is None:
        return asked
    if asked.replicas >= (memory.floor or 0) or seen.demand >= spec.guardrails.collapse_ratio * seen.recent_peak_demand:
        return asked
    return Recommendation(memory.floor, Reason.DEMAND_COLLAPSED, asked.demand)


def ignore_small_changes(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """A slightly lower floor is not worth a change.  A slightly higher one is: what is missing is missing."""
    assert asked.replicas is not None  # noqa: S101
    floor = memory.floor or 0
    if floor * (1 - spec.guardrails.small_change_ratio) <= asked.replicas < floor:
        return Recommendation(floor, Reason.SMALL_CHANGE, asked.demand)
    return asked


def limit_release(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """The floor falls by no more than a share of itself per minute, but always by one replica if it falls."""
    assert asked.replicas is not None  # noqa: S101
    floor = memory.floor or 0
    if asked.replicas >= floor:
        return asked
    # A floor of unknown age, as after a restart, does not fall yet.
    minutes = max((seen.now - (memory.decided_at or seen.now)).total_seconds(), 0.0) / 60
    lowest = int(floor * max(1 - spec.guardrails.release_ratio_per_minute * minutes, 0.0))
    if asked.replicas >= lowest:
        return asked
    return Recommendation(lowest, Reason.RELEASE_LIMITED, asked.demand)


def follow_announcements(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """An announced event or a schedule raises the floor, whatever the forecast says."""
    if not spec.overrides:
        return asked
    return _at_least(asked, announced_replicas(spec, seen), Reason.EVENT)


def keep_reactive_answer(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """A forecast may add replicas, never starve present load.

    While demand is not known, its last answer stays: for a while, and for good if the HPA's is not known either.
    """
    if seen.demand is None:
        return _at_least(asked, memory.reactive_replicas or 0, Reason.HELD)
    return _at_least(asked, reactive_replicas(spec, seen) or 0, Reason.REACTIVE_DEMAND)


def let_the_hpa_govern(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """Without an opinion of our own the user's HPA decides, as it would without us.

    The HPA above our floor may aim at fuller replicas than it would alone, because the floor carries the foreseeable
    part.  Where there is no floor, or demand has not been known for so long that it could not rise, those are too few.
    """
    has_opinion = asked.demand is not None
    if has_opinion and (seen.demand is not None or is_recent(memory.demand_at, spec, seen)):
        return asked
    if seen.hpa_alone_replicas is None:
        return _at_least(asked, memory.hpa_alone_replicas or 0, Reason.HELD)
    return _at_least(asked, seen.hpa_alone_replicas, Reason.HPA_GOVERNS)


def stay_within_bounds(spec: ScalingSpec, seen: Observation, memory: Memory, asked: Recommendation) -> Recommendation:
    """The user's bounds, whatever else was said."""
    assert asked.replicas is not None  # noqa: S101
    if asked.replicas > spec.max_replicas:
        return Recommendation(spec.max_replicas, Reason.AT_MAXIMUM, asked.demand)
    return _at_least(asked, spec.min_replicas, Reason.AT_MINIMUM)


WISHES: tuple[Guardrail, ...] = (
    hold_without_forecast,  # absence is no opinion, never zero
    limit_scale_up,
)
MOVES: tuple[Guardrail, ...] = (
    stabilize_scale_down,
    hold_through_collapse,
    ignore_small_changes,
    limit_release,
)
LAST_WORDS: tuple[Guardrail, ...] = (
    follow_announcements,
    keep_reactive_answer,
    let_the_hpa_govern,
    stay_within_bounds,
)
GUARDRAILS = WISHES + MOVES + LAST_WORDS


def is_recent(at: datetime | None, spec: ScalingSpec, seen: Observation) -> bool:
    """Whether the floor may still rest on what was known then."""
    return at is not None and seen.now - at <= timedelta(seconds=spec.guardrails.hold_seconds)


def _at_least(asked: Recommendation, replicas: int, reason: Reason) -> Recommendation:
    assert asked.replicas is not None  # noqa: S101
    return asked if asked.replicas >= replicas else Recommendation(replicas, reason, asked.demand)
