"""From proposed replicas to those that are set: stabilization, rate limits, bounds.  Pure.

An HPA without behavior and one with it are normalized by different rules; even their windows differ at the edge.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from controller.hpa.conditions import (
    DOWN_LIMIT,
    READY_FOR_NEW_SCALE,
    SCALE_DOWN_STABILIZED,
    SCALE_UP_STABILIZED,
    TOO_FEW,
    TOO_MANY,
    UP_LIMIT,
    WITHIN_RANGE,
    Condition,
)
from controller.hpa.spec import Behavior, ControllerSettings, PolicyType, ScalingPolicy, ScalingRules, SelectPolicy

Trail = tuple[tuple[float, int], ...]  # (instant, replicas)


class Recommendations(NamedTuple):
    """What was proposed lately, before any limit; of each window only what can still be its highest or lowest.

    A later proposal hides earlier ones that are not more extreme, and what a window has left cannot return, so the
    first entry is always the extreme.  Only if a spec's windows grow between steps does the controller know more.
    """

    highs: Trail = ()  # falling; for the scale-down window
    lows: Trail = ()  # rising; for the scale-up window


class ScaleEvents(NamedTuple):
    """Changes that were made, as counts above 0, in the controller's slots: the order is not that of time."""

    ups: Trail = ()
    downs: Trail = ()


class Normalized(NamedTuple):
    """The replicas to set, with what is to be remembered and said of them."""

    replicas: int
    recommendations: Recommendations
    able_to_scale: Condition
    scaling_limited: Condition


def normalize_plainly(
    settings: ControllerSettings,
    known: Recommendations,
    now: float,
    current: int,
    desired: int,
    bounds: tuple[int, int],
) -> Normalized:
    """Without behavior: fall to the window's highest recommendation, at most double (or go to 4), stay in bounds."""
    opened = now - settings.downscale_stabilization_seconds
    highs = (*[one for one in known.highs if one[0] >= opened and one[1] > desired], (now, desired))
    stabilized = highs[0][1]
    able = READY_FOR_NEW_SCALE if stabilized == desired else SCALE_DOWN_STABILIZED
    lowest, highest = bounds
    limit = max(2 * current, 4)
    if stabilized < lowest:
        return Normalized(lowest, Recommendations(highs), able, TOO_FEW)
    if stabilized > min(limit, highest):
        limited = UP_LIMIT if limit < highest else TOO_MANY
        return Normalized(min(limit, highest), Recommendations(highs), able, limited)
    return Normalized(stabilized, Recommendations(highs), able, WITHIN_RANGE)


def normalize_with_behavior(
    behavior: Behavior,
    settings: ControllerSettings,
    known: Recommendations,
    events: ScaleEvents,
    now: float,
    current: int,
    desired: int,
    bounds: tuple[int, int],
) -> Normalized:
    """With behavior: move only as far as both windows allow, then only as fast as the policies do."""
    up, down = behavior.scale_up, behavior.scale_down
    down_window = down.stabilization_window_seconds
    if down_window is None:
        down_window = settings.downscale_stabilization_seconds
    down_opened = now - down_window
    up_opened = now - (up.stabilization_window_seconds or 0)
    highs = (*[one for one in known.highs if one[0] > down_opened and one[1] > desired], (now, desired))
    lows = (*[one for one in known.lows if one[0] > up_opened and one[1] < desired], (now, desired))
    recommendations = Recommendations(highs, lows)
    stabilized = min(max(current, lows[0][1]), highs[0][1])
    able = READY_FOR_NEW_SCALE
    if stabilized != desired:
        able = SCALE_UP_STABILIZED if desired >= current else SCALE_DOWN_STABILIZED
    lowest, highest = bounds
    if stabilized > current:
        limit = max(scale_up_limit(up, events, now, current), current)
        if stabilized > min(limit, highest):
            return Normalized(min(limit, highest), recommendations, able, UP_LIMIT if limit < highest else TOO_MANY)
    elif stabilized < current:
        limit = min(scale_down_limit(down, events, now, current), current)
        if stabilized < max(limit, lowest):
            return Normalized(max(limit, lowest), recommendations, able, DOWN_LIMIT if limit > lowest else TOO_FEW)
    return Normalized(stabilized, recommendations, able, WITHIN_RANGE)


def scale_up_limit(rules: ScalingRules, events: ScaleEvents, now: float, current: int) -> int:
    """The most replicas that the policies allow; a percentage rounds up, so that a single replica can grow."""
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _replicas_at_period_start(policy, events, now, current)
        if policy.type is PolicyType.PODS:
            limits.append(_as_int32(start + policy.value))
        else:
            limits.append(math.ceil(float(start) * (1 + float(policy.value) / 100)))
    return min(limits) if rules.select is SelectPolicy.MIN else max(limits)


def scale_down_limit(rules: ScalingRules, events: ScaleEvents, now: float, current: int) -> int:
    """The fewest replicas that the policies allow; a percentage truncates, so that the last replicas can go."""
    if rules.select is SelectPolicy.DISABLED:
        return current
    limits = []
    for policy in rules.policies:
        start = _replicas_at_period_start(policy, events, now, current)
        if policy.type is PolicyType.PODS:
            limits.append(start - policy.value)
        else:
            limits.append(int(float(start) * (1 - float(policy.value) / 100)))
    return max(limits) if rules.select is SelectPolicy.MIN else min(limits)  # Min is the smallest change


def remember_event(behavior: Behavior | None, events: ScaleEvents, now: float, before: int, after: int) -> ScaleEvents:
    """Keep a change for the rate limits, in the slot that the controller uses for it.

    It reuses the last slot whose event is older than every period of its own direction, even if a longer period of the
    other direction still counted that event.  Without behavior nothing looks at events and none is kept.
    """
    if behavior is None:
        return events
    if after > before:
        return ScaleEvents(_put(events.ups, behavior.scale_up, now, after - before), events.downs)
    return ScaleEvents(events.ups, _put(events.downs, behavior.scale_down, now, before - after))


def _put(slots: Trail, rules: ScalingRules, now: float, replicas: int) -> Trail:
    opened = now - rules.longest_period_seconds
    for index in range(len(slots) - 1, -1, -1):
        if slots[index][0] < opened:
            return (*slots[:index], (now, replicas), *slots[index + 1 :])
    return (*slots, (now, replicas))


def _replicas_at_period_start(policy: ScalingPolicy, events: ScaleEvents, now: float, current: int) -> int:
    """What there would be without the changes of the policy's period, those of both directions."""
    opened = now - policy.period_seconds
    added = sum(count for at, count in events.ups if at > opened)
    removed = sum(count for at, count in events.downs if at > opened)
    return current - added + removed


def _as_int32(number: int) -> int:
    """The controller adds in 32 bits: a Pods policy of 2147483647, meant as no limit, lets nothing grow."""
    return (number + 2**31) % 2**32 - 2**31
