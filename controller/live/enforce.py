"""From a decision to the floor that is put in force.  Pure."""

from __future__ import annotations

from controller.capacity import announced_replicas
from controller.resource.spec import ActuatorKind
from controller.spec import ScalingSpec
from controller.vocabulary import Decision, Memory, Observation


def floor_in_force(
    actuator: ActuatorKind, spec: ScalingSpec, seen: Observation, decision: Decision, memory: Memory
) -> int | None:
    """The floor to put in force, None for none of our own.

    decision, memory: what `decide` gave for `spec` and `seen`.

    Where an HPA lives it needs no help to follow present load: without an opinion the decision's floor is what the
    HPA does anyway, and holding it to that would only write to the cluster.  What is left then is the floor on its
    way down, and announced events.  Without an HPA the whole decision counts.
    """
    if actuator is ActuatorKind.SCALE:
        return decision.floor
    floor = decision.floor
    if not decision.has_opinion:
        floor = min(max(memory.floor or 0, announced_replicas(spec, seen)), spec.max_replicas)
    return floor if floor > spec.min_replicas else None
