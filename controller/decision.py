"""One decision: from what was seen to the floor to hold.  Pure: no I/O, no clock.

The live controller and the simulator call this very function.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from controller.capacity import plan_capacity, reactive_replicas
from controller.guardrails import LAST_WORDS, MOVES, WISHES, Guardrail, is_recent
from controller.spec import ScalingSpec
from controller.vocabulary import Decision, Memory, Observation, Reason, Recommendation, Step


def decide(spec: ScalingSpec, seen: Observation, memory: Memory) -> tuple[Decision, Memory]:
    """Decide the floor at `seen.now` and say why; the returned memory belongs to the next call.

    Should `seen.now` run backwards, forecasts and announcements are judged by it all the same, but no time passes for
    what is remembered until the clock has caught up.
    """
    seen = _with_plain_numbers(seen)
    lived = seen  # as seen by what is remembered
    if memory.decided_at is not None and seen.now < memory.decided_at:
        lived = replace(seen, now=memory.decided_at)
    asked, reactive = plan_capacity(spec, seen), reactive_replicas(spec, seen)
    has_opinion = asked.replicas is not None
    known = _with_present(memory, spec, lived, reactive, has_opinion=has_opinion)
    steps = [Step(plan_capacity.__name__, None, asked.replicas, asked.reason)]
    wish = _passed(WISHES, spec, lived, known, asked, steps)
    moved = _passed(MOVES, spec, lived, known, wish, steps)
    final = _passed(LAST_WORDS, spec, seen, known, moved, steps)
    assert wish.replicas is not None and moved.replicas is not None and final.replicas is not None  # noqa: S101, PT018
    decision = Decision(
        at=lived.now,
        floor=final.replicas,
        reason=Reason.PAUSED if spec.is_paused else final.reason,
        acts=spec.acts,
        has_opinion=has_opinion,
        forecast_replicas=asked.replicas,
        reactive_replicas=reactive,
        planned_demand=asked.demand,
        steps=tuple(steps),
    )
    window = spec.guardrails.scale_down_window_seconds
    remembered = _remember(memory.recommendations, lived.now, wish.replicas, window)
    return decision, Memory(
        moved.replicas,
        known.opinion_at,
        lived.now,
        remembered,
        known.demand_at,
        known.reactive_replicas,
        known.hpa_alone_replicas,
    )


def _with_present(
    memory: Memory, spec: ScalingSpec, seen: Observation, reactive: int | None, *, has_opinion: bool
) -> Memory:
    """What was remembered, with what is known now of forecast and present load."""
    demand_at, alone = memory.demand_at, seen.hpa_alone_replicas
    if seen.demand is not None:
        demand_at = seen.now
    elif alone is not None:
        # The HPA's answer takes over from one to a demand that was known long ago.
        reactive = memory.reactive_replicas if is_recent(demand_at, spec, seen) else None
    else:
        reactive, alone = memory.reactive_replicas, memory.hpa_alone_replicas
        if reactive is None and alone is None:
            reactive = seen.replicas  # after a restart nothing is known of the load but the replicas that it was given
    opinion_at = seen.now if has_opinion else memory.opinion_at
    return Memory(memory.floor, opinion_at, memory.decided_at, memory.recommendations, demand_at, reactive, alone)


def _with_plain_numbers(seen: Observation) -> Observation:
    """A demand that is no number is not known; one below zero is none."""
    if _is_plain(seen.demand) and _is_plain(seen.recent_peak_demand):
        return seen
    return replace(seen, demand=_plain(seen.demand), recent_peak_demand=_plain(seen.recent_peak_demand))


def _is_plain(value: float | None) -> bool:
    return value is None or 0 <= value < math.inf


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else max(value, 0.0)


def _passed(
    rules: Iterable[Guardrail],
    spec: ScalingSpec,
    seen: Observation,
    memory: Memory,
    asked: Recommendation,
    steps: list[Step],
) -> Recommendation:
    """The proposal after these rules; every rule that changed it leaves a step."""
    for rule in rules:
        answer = rule(spec, seen, memory, asked)
        if answer is not asked:
            steps.append(Step(rule.__name__, asked.replicas, answer.replicas, answer.reason))
            asked = answer
    return asked


def _remember(
    known: tuple[tuple[datetime, int], ...], now: datetime, replicas: int, window_seconds: int
) -> tuple[tuple[datetime, int], ...]:
    """The recommendations that can still be the highest of a window: later ones hide earlier that are not higher."""
    opened = now - timedelta(seconds=window_seconds)
    return (*((at, count) for at, count in known if at > opened and count > replicas), (now, replicas))
