"""Pods, reduced to whose they are and when they became Ready, and counted per target as they change."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any, NamedTuple

from controller.resource.resource import TargetKey
from controller.startup import Startup, StartupTimes

COLLECTION = "/api/v1/pods"
# Finished pods count for nothing, and there may be many.
PARAMS = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
_HASHES = ("pod-template-hash", "rollouts-pod-template-hash")  # of Deployments, and of Argo Rollouts


class Pod(NamedTuple):
    """One pod that some controller owns."""

    uid: str
    target: TargetKey
    created: float  # Unix seconds
    ready_since: float | None  # None: not Ready
    is_restarted: bool


def reduce_pod(manifest: Mapping[str, Any]) -> Pod | None:
    """None for pods that nobody scales."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    owner = next((each for each in meta.get("ownerReferences") or () if each.get("controller")), None)
    if owner is None or meta.get("deletionTimestamp"):
        return None
    target = _target(meta, owner)
    ready = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), None)
    since = ready.get("lastTransitionTime") if ready is not None and ready["status"] == "True" else None
    restarts = sum(each.get("restartCount", 0) for each in status.get("containerStatuses") or ())
    return Pod(
        meta["uid"],
        target,
        _seconds(meta["creationTimestamp"]),
        None if since is None else _seconds(since),
        restarts > 0,
    )


def _target(meta: Mapping[str, Any], owner: Mapping[str, Any]) -> TargetKey:
    """A ReplicaSet's name is its Deployment's with the hash of the pod template, which the pod's label repeats."""
    kind, name, labels = owner["kind"], owner["name"], meta.get("labels") or {}
    if kind == "ReplicaSet":
        for label, above in zip(_HASHES, ("Deployment", "Rollout"), strict=True):
            if label in labels and name.endswith(f"-{labels[label]}"):
                kind, name = above, name.removesuffix(f"-{labels[label]}")
                break
    return TargetKey(sys.intern(meta["namespace"]), sys.intern(kind), sys.intern(name))


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


class PodBook:
    """Ready pods and start-up times per target; fed by a reflector, read by the cycle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: dict[TargetKey, int] = {}
        self._all: dict[TargetKey, int] = {}
        self._startups: dict[TargetKey, StartupTimes] = {}

    def seen(self, kind: str, before: Pod | None, after: Pod | None) -> None:
        """One change."""
        with self._lock:
            if before is not None:
                self._count(before, -1)
            if after is None:
                return
            self._count(after, +1)
            first_ready = after.ready_since is not None and (before is None or before.ready_since is None)
            # A pod that restarted or was Ready before tells when it came back, not how long it took to start.
            if first_ready and not after.is_restarted:
                assert after.ready_since is not None  # noqa: S101
                self._startups.setdefault(after.target, StartupTimes()).add(after.ready_since - after.created)

    def ready(self, target: TargetKey) -> int:
        """Pods that are Ready."""
        with self._lock:
            return self._ready.get(target, 0)

    def existing(self, target: TargetKey) -> int:
        """Pods that exist and are not on their way out."""
        with self._lock:
            return self._all.get(target, 0)

    def startup(self, target: TargetKey, fallback_seconds: float | None) -> Startup:
        """Start-up time to plan with."""
        with self._lock:
            return self._startups.get(target, StartupTimes()).planned(fallback_seconds)

    def keep_only(self, targets: Set[TargetKey]) -> None:
        """Forget start-up times of other targets without pods: every run of a CronJob is a target of its own."""
        with self._lock:
            for target in [each for each in self._startups if each not in targets and each not in self._all]:
                del self._startups[target]

    def _count(self, pod: Pod, by: int) -> None:
        for counts, counted in ((self._all, True), (self._ready, pod.ready_since is not None)):
            if not counted:
                continue
            left = counts.get(pod.target, 0) + by
            if left:
                counts[pod.target] = left
            else:
                counts.pop(pod.target, None)
