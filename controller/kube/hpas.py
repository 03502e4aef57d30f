"""What is kept of a HorizontalPodAutoscaler, and our record on it.  Pure.

The record says what the user's minimum was and who owned it before we raised it.  It is written in the same request
as the raise, so that neither can be without the other, and stands on the object itself, so that anybody can undo the
raise when no controller is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from controller.capacity import MOST_REPLICAS
from controller.hpa.quantity import parse_nano, to_milli
from controller.resource.resource import Bounds, Key, TargetKey
from predictor.errors import InputError

MANAGER = "forescale"  # field manager of raised floors
RECORD = "forescale.io/original-min-replicas"  # annotation
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KEDA_OWNER = "ScaledObject"
COLLECTION = "/apis/autoscaling/v2/horizontalpodautoscalers"


class Owner(NamedTuple):
    """A field manager, and whether it applies (server-side apply) or updates."""

    manager: str
    operation: str  # Apply or Update

    @property
    def applies(self) -> bool:
        """Whether it owns by server-side apply, whose owned fields are a whole configuration."""
        return self.operation == "Apply"


class Record(NamedTuple):
    """The user's minimum before the first raise, whose it was, and the floor that was set last."""

    min_replicas: int
    owners: tuple[Owner, ...]
    floor: int
    resource: str  # namespace/name of the PredictiveAutoscaler
    last_applied: int | None = None  # what `kubectl apply` had said then

    def to_json(self) -> str:
        """For the annotation."""
        return json.dumps(
            {
                "minReplicas": self.min_replicas,
                "owners": [{"manager": manager, "operation": operation} for manager, operation in self.owners],
                "floor": self.floor,
                "resource": self.resource,
                "lastApplied": self.last_applied,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Record | None:
        """None when somebody has edited it beyond recognition."""
        try:
            raw = json.loads(text)
            owners = tuple(Owner(str(each["manager"]), str(each["operation"])) for each in raw["owners"])
            last = raw.get("lastApplied")
            found = cls(
                int(raw["minReplicas"]),
                owners,
                int(raw["floor"]),
                str(raw["resource"]),
                None if last is None else int(last),
            )
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
            return None
        return found if 0 <= found.min_replicas <= found.floor <= MOST_REPLICAS else None


class Current(NamedTuple):
    """What the HPA last read of one metric, in milli-units or percent of the request."""

    average_milli: int | None = None
    value_milli: int | None = None
    utilization_percent: int | None = None


class Hpa(NamedTuple):
    """One HPA."""

    key: Key
    uid: str
    resource_version: str
    target: TargetKey
    min_replicas: int
    max_replicas: int
    owners: tuple[Owner, ...]  # of minReplicas
    record: Record | None
    has_damaged_record: bool
    last_applied: int | None
    is_kedas: bool
    current_replicas: int
    spec_text: str  # JSON of the spec without minReplicas, from which the twin is made
    readings: tuple[Current, ...]  # one per metric of the spec; empty fields where it could not be read

    @property
    def is_raised(self) -> bool:
        """Whether our floor is in force."""
        return self.record is not None and self.min_replicas == self.record.floor

    @property
    def user_min_replicas(self) -> int:
        """What the user wants as the minimum, whatever we made of it."""
        record = self.record
        if record is None or self.min_replicas != record.floor:
            return self.min_replicas  # it was set after our raise
        if self.last_applied is not None and self.last_applied != record.last_applied:
            return self.last_applied  # applied after our raise, with the very value that was in force
        return record.min_replicas

    @property
    def user_owners(self) -> tuple[Owner, ...]:
        """Whose it is to be when we give it back."""
        others = tuple(owner for owner in self.owners if owner.manager != MANAGER)
        if self.record is None:
            return others
        if self.min_replicas == self.record.floor or self._is_partly_given_back:
            return self.record.owners
        return others

    @property
    def _is_partly_given_back(self) -> bool:
        """Whether the user's value is in force again, and nobody owns it but those whose it was."""
        record = self.record
        owners = {owner for owner in self.owners if owner.manager != MANAGER}
        return record is not None and self.min_replicas == record.min_replicas and owners <= set(record.owners)

    @property
    def is_reverted(self) -> bool:
        """Whether somebody put the user's minimum back under a raised floor."""
        record = self.record
        return record is not None and record.floor != self.min_replicas == record.min_replicas

    @property
    def user_bounds(self) -> Bounds:
        """Between which the user lets the target be."""
        return Bounds(min(self.user_min_replicas, self.max_replicas), self.max_replicas)


def reduce_hpa(manifest: Mapping[str, Any]) -> Hpa:
    """From the object as the API gives it."""
    meta, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    annotations = meta.get("annotations") or {}
    ref = spec["scaleTargetRef"]
    text = annotations.get(RECORD)
    record = None if text is None else Record.from_json(text)
    metrics = spec.get("metrics") or []
    return Hpa(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        target=TargetKey(meta["namespace"], ref["kind"], ref["name"]),
        min_replicas=spec.get("minReplicas", 1),
        max_replicas=spec["maxReplicas"],
        owners=owners_of_min_replicas(meta.get("managedFields") or ()),
        record=record,
        has_damaged_record=text is not None and record is None,
        last_applied=_last_applied(annotations.get(LAST_APPLIED)),
        is_kedas=any(owner.get("kind") == KEDA_OWNER for owner in meta.get("ownerReferences") or ()),
        current_replicas=status.get("currentReplicas") or 0,
        spec_text=json.dumps({key: value for key, value in spec.items() if key != "minReplicas"}, sort_keys=True),
        readings=tuple(_readings(metrics, status.get("currentMetrics") or ())),
    )


def owners_of_min_replicas(managed: Any) -> tuple[Owner, ...]:
    """Managers of `spec.minReplicas`, updaters first: only who changes a value gains it by an update."""
    found = [
        Owner(entry.get("manager", ""), entry.get("operation", "Update"))
        for entry in managed
        if not entry.get("subresource") and "f:minReplicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return tuple(sorted(found, key=lambda owner: owner.applies))


def _last_applied(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        value = json.loads(text)["spec"].get("minReplicas", 1)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return value if isinstance(value, int) and 0 <= value <= MOST_REPLICAS else None


def _readings(metrics: Any, current: Any) -> Iterator[Current]:
    """What the HPA read of each metric, in the spec's order; matched by type and name, not by position."""
    known = {_name(each): each.get(_part(each)) or {} for each in current if each.get("type")}
    for metric in metrics:
        found = (known.get(_name(metric)) or {}).get("current") or {}
        yield Current(_milli(found.get("averageValue")), _milli(found.get("value")), found.get("averageUtilization"))


def _part(metric: Mapping[str, Any]) -> str:
    kind = str(metric["type"])
    return kind[:1].lower() + kind[1:]


def _name(metric: Mapping[str, Any]) -> tuple[str, str]:
    body = metric.get(_part(metric)) or {}
    named = body.get("metric") or {}
    return str(metric["type"]), json.dumps([body.get("name"), named.get("name"), named.get("selector")])


def _milli(quantity: Any) -> int | None:
    """None also for what is no reading: of a target without pods, Kubernetes writes an overflown average."""
    if quantity is None:
        return None
    try:
        return to_milli(parse_nano(str(quantity), "status.currentMetrics"))
    except InputError:
        return None
