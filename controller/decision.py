"""One decision: from what was seen to the floor to hold.  Pure: no I/O, no clock.

The live controller and the simulator call this very function.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from controller.capacity import plan_capacity, reactive_replicas
from controller.guardrails import LAST_WORDS, MOVES, WISHES, Guardrail
from controller.spec import ScalingSpec
from controller.vocabulary import Decision, Memory, Observation, Reason, Recommendation


def decide(spec: ScalingSpec, seen: Observation, memory: Memory) -> tuple[Decision, Memory]:
    """Decide the floor at `seen.now` and say why; the returned memory belongs to the next call.

    `seen.now` must not run backwards: an older instant than the last decision's is treated as that instant.
    """
    if memory.decided_at is not None and seen.now < memory.decided_at:
        seen = replace(seen, now=memory.decided_at)
    seen = _with_numbers_only(seen)
    asked = plan_capacity(spec, seen)
    has_opinion = asked.replicas is not None
    opinion_at = seen.now if has_opinion else memory.opinion_at
    now_known = Memory(memory.floor, opinion_at, memory.decided_at, memory.recommendations)
    trail = [asked.reason]
    wish = _passed(WISHES, spec, seen, now_known, asked, trail)
    moved = _passed(MOVES, spec, seen, now_known, wish, trail)
    final = _passed(LAST_WORDS, spec, seen, now_known, moved, trail)
    assert wish.replicas is not None and moved.replicas is not None and final.replicas is not None  # noqa: S101, PT018
    decision = Decision(
        at=seen.now,
        floor=final.replicas,
        reason=Reason.PAUSED if spec.is_paused else final.reason,
        acts=spec.acts,
        has_opinion=has_opinion,
        forecast_replicas=asked.replicas,
        reactive_replicas=reactive_replicas(spec, seen),
        planned_demand=asked.demand,
        trail=tuple(trail),
    )
    window = spec.guardrails.scale_down_window_seconds
    remembered = _remember(memory.recommendations, seen.now, wish.replicas, window)
    return decision, Memory(moved.replicas, opinion_at, seen.now, remembered)


def _with_numbers_only(seen: Observation) -> Observation:
    """A demand that is no number is not known."""
    if _is_number(seen.demand) and _is_number(seen.recent_peak_demand):
        return seen
    return replace(
        seen,
        demand=seen.demand if _is_number(seen.demand) else None,
        recent_peak_demand=seen.recent_peak_demand if _is_number(seen.recent_peak_demand) else None,
    )


def _is_number(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def _passed(
    rules: Iterable[Guardrail],
    spec: ScalingSpec,
    seen: Observation,
    memory: Memory,
    asked: Recommendation,
    trail: list[Reason],
) -> Recommendation:
    """The proposal after these rules; every rule that changed it leaves its reason."""
    for rule in rules:
        answer = rule(spec, seen, memory, asked)
        if answer is not asked:
            trail.append(answer.reason)
            asked = answer
    return asked


def _remember(
    known: tuple[tuple[datetime, int], ...], now: datetime, replicas: int, window_seconds: int
) -> tuple[tuple[datetime, int], ...]:
    """The recommendations that can still be the highest of a window: later ones hide earlier that are not higher."""
    opened = now - timedelta(seconds=window_seconds)
    return (*((at, count) for at, count in known if at > opened and count > replicas), (now, replicas))
