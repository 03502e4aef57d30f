"""From a decision to the floor that is put in force.  Pure."""

from __future__ import annotations

from typing import NamedTuple

from controller.capacity import announced_replicas
from controller.guardrails import MOVES, WISHES
from controller.resource.spec import ActuatorKind
from controller.spec import ScalingSpec
from controller.vocabulary import Decision, Memory, Observation, Reason


class Floor(NamedTuple):
    """What is to be in force, and why; `replicas` None is no floor of our own."""

    replicas: int | None
    reason: Reason


def floor_in_force(
    actuator: ActuatorKind,
    spec: ScalingSpec,
    seen: Observation,
    decision: Decision,
    memory: Memory,
    *,
    users_minimum: int,
) -> Floor:
    """The floor to put in force.

    decision, memory: what `decide` gave for `spec` and `seen`.  users_minimum: what is in force without us, which may
    be below the minimum of `spec`.

    Where an HPA lives it needs no help to follow present load: without an opinion the decision's floor is what the
    HPA does anyway, and holding it to that would only write to the cluster.  What is left then is the floor on its
    way down, announced events, and a minimum of the resource's own.  Without an HPA the whole decision counts.
    """
    if actuator is ActuatorKind.SCALE:
        return Floor(decision.floor, decision.reason)
    if decision.has_opinion:
        return Floor(decision.floor if decision.floor > users_minimum else None, decision.reason)
    announced = announced_replicas(spec, seen)
    floor = min(max(memory.floor or 0, announced, spec.min_replicas), spec.max_replicas)
    if spec.is_paused or floor <= users_minimum:
        return Floor(None, Reason.PAUSED if spec.is_paused else decision.trail[0])
    if floor == spec.min_replicas:
        return Floor(floor, Reason.AT_MINIMUM)
    return Floor(floor, Reason.EVENT if announced >= floor else _last_move(decision))


def _last_move(decision: Decision) -> Reason:
    """The reason of the floor on its way down, before present load had its say."""
    moves = {rule.__name__ for rule in WISHES + MOVES}
    return next((step.reason for step in reversed(decision.steps) if step.rule in moves), decision.trail[0])
