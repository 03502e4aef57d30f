"""A cluster on paper: what the cycle sees and writes, in memory, with HPAs that scale and pods that come and go."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from benchmarks.controller.answers import TARGET
from controller.actuators.min_replicas import MinReplicas
from controller.kube.api import Json, KubeApi
from controller.kube.errors import ConflictError, NotFoundError
from controller.kube.events import EventRecorder, EventType
from controller.kube.hpas import MANAGER, RECORD, Hpa, reduce_hpa
from controller.kube.pods import Pod, PodBook
from controller.resource.resource import Key, Resource, TargetKey
from controller.resource.status import AutoscalerStatus
from controller.vocabulary import Reason
from tests.cluster.workloads import an_autoscaler, an_hpa, hpas

NAMESPACE = "shop"
STARTUP_SECONDS = 20.0
_LOWEST, _HIGHEST = 2, 60


class PaperApi(KubeApi):
    """HPAs, by path; everything else that is written is counted and thrown away."""

    def __init__(self) -> None:  # no connection: the base class's is not called
        self.objects: dict[str, Json] = {}
        self.writes = 0
        self._version = 0

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """See `KubeApi`."""
        if path not in self.objects:
            raise NotFoundError(f"GET {path}: there is none", 404)
        return self.objects[path]

    def create(self, path: str, body: Json) -> Json:
        """See `KubeApi`."""
        self.writes += 1
        return body

    def apply(self, path: str, body: Json, *, manager: str, force: bool = True) -> Json:
        """See `KubeApi`; only what `MinReplicas` applies."""
        found = self._writable(path, body)
        assert manager == MANAGER
        record = body["metadata"].get("annotations", {}).get(RECORD)
        if record is None:
            found["metadata"]["annotations"].pop(RECORD, None)
        else:
            found["metadata"]["annotations"][RECORD] = record
        if "spec" in body:
            self.own(found, body["spec"]["minReplicas"], manager, "Apply")
        return self.changed(found)

    def merge(self, path: str, body: Json, *, manager: str) -> Json:
        """See `KubeApi`; only what `MinReplicas` merges."""
        found = self._writable(path, body)
        self.own(found, body["spec"]["minReplicas"], manager, "Update")
        return self.changed(found)

    def own(self, manifest: Json, lowest: int, manager: str, operation: str) -> None:
        """A minimum with its only owner."""
        manifest["spec"]["minReplicas"] = lowest
        fields: Json = {"f:spec": {"f:minReplicas": {}}}
        manifest["metadata"]["managedFields"] = [{"manager": manager, "operation": operation, "fieldsV1": fields}]

    def changed(self, manifest: Json) -> Json:
        """Its next version."""
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)
        return manifest

    def _writable(self, path: str, body: Json) -> Json:
        self.writes += 1
        found = self.get(path)
        if body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise ConflictError(f"{path} has changed", 409)
        return found


class PaperCluster:
    """See `controller.live.cycle.Cluster`."""

    def __init__(self) -> None:
        self.pods = PodBook()
        self.api = PaperApi()
        self._min_replicas = MinReplicas(self.api, wrote=self._keep)
        self._events = EventRecorder(self.api, controller="benchmark", instance="benchmark")
        self._resources: dict[Key, Resource] = {}
        self._hpas: dict[Key, Hpa] = {}
        self._running: dict[Key, list[Pod]] = {}
        self._serial = 0

    def resources(self) -> Iterable[Resource]:
        """See `Cluster`."""
        return list(self._resources.values())

    def hpas(self) -> Iterable[Hpa]:
        """See `Cluster`."""
        return list(self._hpas.values())

    def raise_floor(self, hpa: Hpa, floor: int, resource: Key) -> Hpa | None:
        """See `Cluster`."""
        return self._min_replicas.raise_to(hpa, floor, resource)

    def give_back(self, hpa: Hpa) -> Hpa | None:
        """See `Cluster`."""
        return self._min_replicas.give_back(hpa)

    def scale(self, resource: Resource, replicas: int) -> None:
        """See `Cluster`."""
        raise AssertionError("every target has an HPA")

    def write_status(self, resource: Resource, status: AutoscalerStatus) -> None:
        """See `Cluster`."""
        self.api.writes += 1
        self._resources[resource.key] = replace(resource, status=status)

    def tell(self, resource: Resource, kind: EventType, reason: Reason, note: str, now: datetime) -> None:
        """See `Cluster`."""
        regarding = {"uid": resource.uid, "name": resource.key.name, "namespace": resource.key.namespace}
        self._events.record(regarding, kind, reason.value, reason.value, note, now=now)

    def add(self, name: str, now: datetime) -> None:
        """A resource, with its target and HPA."""
        self._serial += 1
        key, meta = Key(NAMESPACE, name), {"namespace": NAMESPACE, "uid": f"uid-{self._serial}", "annotations": {}}
        made = an_autoscaler(name, demand={"query": "demand", "series": {"app": name}, "workload": name})
        made["metadata"] |= {**meta, "creationTimestamp": now.isoformat(), "generation": 1}
        self._resources[key] = Resource.from_manifest(made)
        hpa = an_hpa(name, lowest=_LOWEST, highest=_HIGHEST, target=f"{TARGET:g}")
        hpa["metadata"] |= meta
        self.api.own(hpa, _LOWEST, "kubectl", "Update")
        self.api.objects[_path(key)] = self.api.changed(hpa)
        self._running[key] = []

    def remove(self, name: str) -> None:
        """With all that belongs to it."""
        key = Key(NAMESPACE, name)
        for pod in self._running.pop(key):
            self.pods.seen("DELETED", pod, None)
        del self._resources[key], self.api.objects[_path(key)]
        self._hpas.pop(key, None)

    def revert(self, name: str) -> None:
        """As a GitOps tool does."""
        hpa = self.api.objects[_path(Key(NAMESPACE, name))]
        self.api.own(hpa, _LOWEST, "gitops", "Update")

    def scale_by(self, demand: Mapping[str, float], now: datetime) -> None:
        """Let every HPA look at its demand, and a run of a CronJob come and go."""
        for key, pods in self._running.items():
            hpa = self.api.objects[_path(key)]
            wanted = math.ceil(demand[key.name] / TARGET)
            wanted = min(max(wanted, hpa["spec"]["minReplicas"]), _HIGHEST)
            average = f"{round(1000 * demand[key.name] / max(len(pods), 1))}m"
            named = hpa["spec"]["metrics"][0]["external"]["metric"]
            current: Any = {"type": "External", "external": {"metric": named, "current": {"averageValue": average}}}
            hpa["status"] = {"currentReplicas": wanted, "desiredReplicas": wanted, "currentMetrics": [current]}
            self._follow(key, pods, wanted, now)
            self._keep(json.loads(json.dumps(self.api.changed(hpa))))  # as it comes out of a watch
        self._serial += 1
        run = self._pod(Key(NAMESPACE, f"report-{self._serial}"), "Job", now)
        self.pods.seen("ADDED", None, run)
        self.pods.seen("DELETED", run, None)

    def _follow(self, key: Key, pods: list[Pod], wanted: int, now: datetime) -> None:
        while len(pods) > wanted:
            self.pods.seen("DELETED", pods.pop(), None)
        while len(pods) < wanted:
            pods.append(self._pod(key, "Deployment", now))
            self.pods.seen("ADDED", None, pods[-1])

    def _pod(self, key: Key, kind: str, now: datetime) -> Pod:
        self._serial += 1
        target, ready = TargetKey(key.namespace, kind, key.name), now.timestamp()
        return Pod(f"pod-{self._serial}", target, ready - STARTUP_SECONDS, ready, False)

    def _keep(self, manifest: Json) -> None:
        hpa = reduce_hpa(manifest)
        self._hpas[hpa.key] = hpa


def _path(key: Key) -> str:
    return hpas(key.namespace, key.name)
