"""One step of the HPA controller: from what is seen to the scale it sets.  Pure: no I/O, no clock, no logging."""

from __future__ import annotations

from typing import NamedTuple

from controller.hpa.conditions import (
    GOT_SCALE,
    NOT_SCALED_TO_ZERO,
    RESCALED,
    SCALED_TO_ZERO,
    SCALING_DISABLED,
    VALID_METRIC,
    Condition,
    Conditions,
)
from controller.hpa.metrics import propose
from controller.hpa.normalize import (
    Recommendations,
    ScaleEvents,
    normalize_plainly,
    normalize_with_behavior,
    remember_event,
)
from controller.hpa.seen import Seen
from controller.hpa.spec import ControllerSettings, HpaSpec


class HpaMemory(NamedTuple):
    """What the controller knows from earlier steps; `HpaMemory()` is a new HPA's."""

    recommendations: Recommendations = Recommendations()
    events: ScaleEvents = ScaleEvents()
    conditions: Conditions = Conditions()
    desired: int = 0  # status.desiredReplicas


class Outcome(NamedTuple):
    """What a step did."""

    scaled_to: int | None  # written to the scale; None: it stays as it is
    desired: int  # status.desiredReplicas
    error: str | None  # reason of the first metric that failed, even if the others sufficed to scale; None: none did
    conditions: Conditions  # all of them, after the step
    conditions_before: Conditions

    @property
    def changed_conditions(self) -> dict[str, Condition]:
        """Those whose status or reason the step changed, by their type."""
        before = self.conditions_before.by_type()
        return {name: now for name, now in self.conditions.by_type().items() if now != before.get(name)}


def reconcile(spec: HpaSpec, settings: ControllerSettings, seen: Seen, memory: HpaMemory) -> tuple[Outcome, HpaMemory]:
    """Look, decide, and return what to set with the memory for the next step.

    Call it every `settings.sync_period_seconds`; `seen.now` must not run backwards.
    """
    current = seen.spec_replicas
    lowest = spec.min_replicas if seen.min_replicas is None else seen.min_replicas
    highest = spec.max_replicas if seen.max_replicas is None else seen.max_replicas
    recommendations, events, before, _ = memory
    if not recommendations.highs:  # the first look: the present replicas are the first recommendation
        first = ((seen.now, current),)
        recommendations = Recommendations(first, first)
    able, active, limited, zero = GOT_SCALE, before.scaling_active, before.scaling_limited, before.scaled_to_zero
    failure: Condition | None = None

    if current == 0 and not (zero is not None and zero.is_true and (lowest != 0 or spec.outlives_pods)):
        desired, active = 0, SCALING_DISABLED  # somebody else's zero means: leave it alone
    elif current > highest:
        desired = highest
    elif 0 < current < lowest:
        desired = lowest
    else:
        proposed, failure = propose(spec, settings, seen)
        if proposed is None:
            conditions = Conditions(able, failure, limited, zero)
            outcome = Outcome(None, memory.desired, failure.reason if failure else None, conditions, before)
            return outcome, HpaMemory(recommendations, events, conditions, memory.desired)
        active = VALID_METRIC
        bounds = (lowest, highest)
        if spec.behavior is None:
            desired, recommendations, able, limited = normalize_plainly(
                settings, recommendations, seen.now, current, proposed, bounds
            )
        else:
            desired, recommendations, able, limited = normalize_with_behavior(
                spec.behavior, settings, recommendations, events, seen.now, current, proposed, bounds
            )
        if desired < lowest:  # only from zero, for with behavior nothing looks at the lower bound on the way up
            desired = lowest

    if desired != current:
        able = RESCALED
        events = remember_event(spec.behavior, events, seen.now, current, desired)
        is_to_zero = desired == 0 and lowest == 0 and spec.outlives_pods
        zero = SCALED_TO_ZERO if is_to_zero else NOT_SCALED_TO_ZERO
    conditions = Conditions(able, active, limited, zero)
    outcome = Outcome(
        desired if desired != current else None, desired, failure.reason if failure else None, conditions, before
    )
    return outcome, HpaMemory(recommendations, events, conditions, desired)
