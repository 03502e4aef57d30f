"""Raises the `minReplicas` of an HPA and gives it back, value and owner.

Giving a field back by leaving it out of our applied configuration would not restore it: as its only owner we would
reset it to 1.  The user's value is therefore written in the former owner's name, which hands over both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controller.kube.api import Json, KubeApi
from controller.kube.errors import ConflictError, NotFoundError
from controller.kube.hpas import MANAGER, RECORD, Hpa, Owner, Record, reduce_hpa
from controller.resource.resource import Key

_ATTEMPTS = 3  # an HPA's status changes all the time, and with it the version that a write insists on


class MinReplicas:
    """Writes to HPAs.  Every write insists on the version that was read, so that none is made on a stale view."""

    def __init__(self, api: KubeApi, *, wrote: Callable[[Json], None] | None = None) -> None:
        """api: guarded by leadership.  wrote: told of every object as it is after a write."""
        self._api, self._wrote = api, wrote

    def raise_to(self, hpa: Hpa, floor: int, resource: Key) -> Hpa | None:
        """Set the floor, within the user's bounds; returns the HPA as it is then, None when it is gone.

        Raises KubeError.
        """
        for attempt in range(_ATTEMPTS):
            held = min(floor, hpa.max_replicas)
            if held <= hpa.user_min_replicas:
                return self.give_back(hpa)
            try:
                return self._took(self._api.apply(_path(hpa.key), raise_body(hpa, held, resource), manager=MANAGER))
            except NotFoundError:
                return None
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
                fresh = self._read(hpa)
                if fresh is None:
                    return None
                hpa = fresh
        raise AssertionError("unreachable")

    def give_back(self, hpa: Hpa) -> Hpa | None:
        """Restore the user's minimum and its owners, and take our record away; the HPA as it is then.

        Does nothing to an HPA without our record.  Can be repeated: every step starts from what is there.
        """
        for attempt in range(_ATTEMPTS):
            if hpa.record is None and not hpa.has_damaged_record:
                return hpa
            try:
                return self._restore(hpa)
            except NotFoundError:
                return None
            except ConflictError:
                if attempt == _ATTEMPTS - 1:
                    raise
                fresh = self._read(hpa)
                if fresh is None:
                    return None
                hpa = fresh
        raise AssertionError("unreachable")

    def _restore(self, hpa: Hpa) -> Hpa:
        value, path, version = hpa.user_min_replicas, _path(hpa.key), hpa.resource_version
        for owner in _heirs(hpa):
            if owner.applies:
                now = self._api.get(path)
                body = applied_by(now, owner.manager)
                body["metadata"]["resourceVersion"] = version
                body.setdefault("spec", {})["minReplicas"] = value
                changed = self._api.apply(path, body, manager=owner.manager)
            else:
                body = {"metadata": {"resourceVersion": version, "uid": hpa.uid}, "spec": {"minReplicas": value}}
                changed = self._api.merge(path, body, manager=owner.manager or f"{MANAGER}-restore")
            version = changed["metadata"]["resourceVersion"]
        # With nothing in it, our configuration owns nothing: the record goes, and what others own stays.
        last = _applied(hpa, version)
        if hpa.has_damaged_record and {owner.manager for owner in hpa.owners} == {MANAGER}:
            last["spec"] = {"minReplicas": value}  # nobody is known to give it to: let go of, it would fall to 1
        found = self._took(self._api.apply(path, last, manager=MANAGER))
        if found.record is not None or found.has_damaged_record:  # it was written by somebody else's copy of it
            gone: Json = {"metadata": {"annotations": {RECORD: None}, "resourceVersion": found.resource_version}}
            found = self._took(self._api.merge(path, gone, manager=f"{MANAGER}-restore"))
        return found

    def _took(self, manifest: Json) -> Hpa:
        if self._wrote is not None:
            self._wrote(manifest)
        return reduce_hpa(manifest)

    def _read(self, hpa: Hpa) -> Hpa | None:
        try:
            found = reduce_hpa(self._api.get(_path(hpa.key)))
        except NotFoundError:
            return None
        return found if found.uid == hpa.uid else None


def _heirs(hpa: Hpa) -> tuple[Owner, ...]:
    """In whose names the user's minimum has still to be written."""
    if not hpa.user_owners and hpa.user_min_replicas == 1:
        return ()  # nobody's: the API server fills it in when we let go
    if hpa.min_replicas != hpa.user_min_replicas or hpa.is_raised:
        return hpa.user_owners or (Owner("", "Update"),)
    # It is in force again.  An earlier attempt may have ended before all who apply it had it back.
    return tuple(owner for owner in hpa.user_owners if owner.applies and owner not in hpa.owners)


def raise_body(hpa: Hpa, floor: int, resource: Key) -> Json:
    """All that we own of the HPA while the floor is raised."""
    record = Record(hpa.user_min_replicas, hpa.user_owners, floor, str(resource), hpa.last_applied)
    body = _applied(hpa, hpa.resource_version)
    body["metadata"]["annotations"] = {RECORD: record.to_json()}
    body["spec"] = {"minReplicas": floor}
    return body


def _applied(hpa: Hpa, version: str) -> Json:
    # The uid keeps an apply from creating an HPA that was deleted meanwhile.
    meta = {"name": hpa.key.name, "namespace": hpa.key.namespace, "uid": hpa.uid, "resourceVersion": version}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta}


def applied_by(manifest: Json, manager: str) -> Json:
    """The configuration that `manager` has applied: what it owns of the object, with the object's values."""
    owned: Json = {}
    for entry in manifest["metadata"].get("managedFields") or ():
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            owned = entry.get("fieldsV1") or {}
    body = _extract(manifest, owned) or {}
    meta = manifest["metadata"]
    body["apiVersion"], body["kind"] = "autoscaling/v2", "HorizontalPodAutoscaler"
    body["metadata"] = {
        **body.get("metadata", {}),
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
    }
    return body


def _extract(value: Any, owned: Json) -> Any:
    """The part of `value` that a fieldsV1 tree names; an HPA has no lists whose items are owned one by one."""
    children = {name[2:]: tree for name, tree in owned.items() if name.startswith("f:")}
    if not children or not isinstance(value, dict):
        return value
    return {name: _extract(value[name], tree) for name, tree in children.items() if name in value}


def _path(key: Key) -> str:
    return f"/apis/autoscaling/v2/namespaces/{key.namespace}/horizontalpodautoscalers/{key.name}"
