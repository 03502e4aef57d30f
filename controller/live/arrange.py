"""Which resources can act on what, and why others cannot.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from controller.kube.hpas import Hpa
from controller.resource.resource import Key, Resource, TargetKey
from controller.resource.spec import ActuatorKind
from controller.vocabulary import Reason


class Refusal(NamedTuple):
    """Why a resource cannot act, and what to do about it."""

    reason: Reason
    message: str


class Setup(NamedTuple):
    """A resource with what it acts on."""

    resource: Resource
    hpa: Hpa | None  # the target's, whatever the actuator
    refusal: Refusal | None = None

    @property
    def can_act(self) -> bool:
        """Whether it may be acted for."""
        return self.refusal is None


def arrange(resources: Iterable[Resource], hpas: Iterable[Hpa], *, has_scaler: bool = True) -> dict[Key, Setup]:
    """Every resource with its HPA or its refusal; of several on one target the oldest has it.

    has_scaler: whether KEDA is answered.
    """
    by_target: dict[TargetKey, list[Hpa]] = {}
    for hpa in hpas:
        by_target.setdefault(hpa.target, []).append(hpa)
    taken: dict[TargetKey, Key] = {}
    setups: dict[Key, Setup] = {}
    for resource in sorted(resources, key=lambda one: (one.created_at, one.key)):
        holder = taken.setdefault(resource.target, resource.key)
        found = by_target.get(resource.target, [])
        refusal = _taken(resource, holder) or _refused(resource, found, has_scaler=has_scaler)
        setups[resource.key] = Setup(resource, found[0] if len(found) == 1 else None, refusal)
    return setups


def _taken(resource: Resource, holder: Key) -> Refusal | None:
    if holder == resource.key:
        return None
    return Refusal(
        Reason.TARGET_TAKEN,
        f"{resource.target} is already scaled by PredictiveAutoscaler {holder.name}, which is older; "
        "delete one of them",
    )


def _refused(resource: Resource, found: list[Hpa], *, has_scaler: bool) -> Refusal | None:
    target, actuator = resource.target, resource.spec.actuator
    match actuator:
        case ActuatorKind.HPA_MIN_REPLICAS:
            if not found:
                return Refusal(
                    Reason.NO_HPA,
                    f"{target} has no HorizontalPodAutoscaler whose minimum could be raised; create one, or use "
                    "actuator: Scale",
                )
            if len(found) > 1:
                names = ", ".join(sorted(hpa.key.name for hpa in found))
                return Refusal(
                    Reason.MANY_HPAS, f"{target} has {len(found)} HorizontalPodAutoscalers ({names}); keep one of them"
                )
            if found[0].is_kedas:
                return Refusal(
                    Reason.KEDA_OWNS_HPA,
                    f"the HPA {found[0].key.name} belongs to KEDA, which would put its minimum back at once; use "
                    "actuator: KEDA",
                )
        case ActuatorKind.SCALE:
            if found:
                return Refusal(
                    Reason.HPA_EXISTS,
                    f"{target} has the HorizontalPodAutoscaler {found[0].key.name}, which would scale it back; use "
                    "actuator: HPAMinReplicas, or KEDA where KEDA made it",
                )
        case ActuatorKind.KEDA:
            return _refused_by_keda(resource, found, has_scaler=has_scaler)
        case ActuatorKind.METRIC:
            pass
    return None


def _refused_by_keda(resource: Resource, found: list[Hpa], *, has_scaler: bool) -> Refusal | None:
    if not has_scaler:
        return Refusal(Reason.SCALER_OFF, "the controller answers no triggers: it was started with --keda-port=0")
    own = [hpa.key.name for hpa in found if not hpa.is_kedas]
    if own:
        return Refusal(
            Reason.HPA_EXISTS,
            f"{resource.target} has the HorizontalPodAutoscaler {own[0]}, which KEDA did not make and does not read; "
            "use actuator: HPAMinReplicas",
        )
    if not found:
        return Refusal(
            Reason.NO_HPA,
            f"KEDA scales {resource.target} by no HPA yet; create a ScaledObject for it with a trigger of type "
            "external-push that asks this controller",
        )
    return None


def orphans(setups: Mapping[Key, Setup], hpas: Iterable[Hpa], acting: Mapping[Key, int | None]) -> list[Hpa]:
    """HPAs that bear our record although nobody holds a floor there: their resource was deleted, paused or refused.

    acting: the floor of every resource that acts, None for one that has let go.
    """
    held = {
        setup.hpa.key
        for key, setup in setups.items()
        if setup.hpa is not None
        and setup.can_act
        and setup.resource.spec.actuator is ActuatorKind.HPA_MIN_REPLICAS
        and acting.get(key) is not None
    }
    return [hpa for hpa in hpas if (hpa.record is not None or hpa.has_damaged_record) and hpa.key not in held]
