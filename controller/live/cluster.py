"""The cluster as the cycle wants it: watches to look at, guarded writes to act with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controller.actuators.min_replicas import MinReplicas
from controller.actuators.scale import Scale
from controller.kube import hpas, pods
from controller.kube.api import Json, KubeApi
from controller.kube.events import EventRecorder, EventType
from controller.kube.hpas import Hpa, reduce_hpa
from controller.kube.pods import Pod, PodBook, reduce_pod
from controller.kube.reflector import Reflector
from controller.resource.base import API_VERSION, GROUP, KIND, PLURAL, VERSION
from controller.resource.resource import Key, Resource
from controller.resource.status import AutoscalerStatus
from controller.vocabulary import Reason
from predictor.errors import InputError

log = logging.getLogger("forescale.cluster")

RESOURCES = f"/apis/{GROUP}/{VERSION}/{PLURAL}"


class WatchedCluster:
    """One cluster, or one namespace of it."""

    def __init__(self, api: KubeApi, writer: KubeApi, *, identity: str, namespace: str | None = None) -> None:
        """writer: the same API under the guard of leadership."""
        self.pods = PodBook()
        self.news = threading.Event()  # something changed that a cycle should look at soon
        self._writer = writer
        self._resources: Reflector[Resource] = Reflector(
            api, scoped(RESOURCES, namespace), self._reduce, seen=self._notice
        )
        self._hpas: Reflector[Hpa] = Reflector(api, scoped(hpas.COLLECTION, namespace), reduce_hpa)
        self._pods: Reflector[Pod] = Reflector(
            api, scoped(pods.COLLECTION, namespace), reduce_pod, params=pods.PARAMS, seen=self.pods.seen
        )
        self._events = EventRecorder(writer, controller=f"{GROUP}/controller", instance=identity)
        self._min_replicas = MinReplicas(writer, wrote=self._hpas.put)
        self._scale = Scale(writer)
        self.unreadable: dict[Key, str] = {}  # resources whose spec we do not understand

    @property
    def reflectors(self) -> Mapping[str, Reflector[Any]]:
        """By what they watch."""
        return {"predictiveautoscalers": self._resources, "horizontalpodautoscalers": self._hpas, "pods": self._pods}

    def start(self) -> None:
        """Begin to watch."""
        for reflector in self.reflectors.values():
            reflector.start()

    def stop(self) -> None:
        """End the watches."""
        for reflector in self.reflectors.values():
            reflector.stop()

    @property
    def is_synced(self) -> bool:
        """Whether everything was listed once."""
        return all(reflector.is_synced for reflector in self.reflectors.values())

    def resources(self) -> Iterable[Resource]:
        """See `Cluster`."""
        return self._resources.all()

    def hpas(self) -> Iterable[Hpa]:
        """See `Cluster`."""
        return self._hpas.all()

    def raise_floor(self, hpa: Hpa, floor: int, resource: Key) -> Hpa | None:
        """See `Cluster`."""
        return self._min_replicas.raise_to(hpa, floor, resource)

    def give_back(self, hpa: Hpa) -> Hpa | None:
        """See `Cluster`."""
        return self._min_replicas.give_back(hpa)

    def scale(self, resource: Resource, replicas: int) -> None:
        """See `Cluster`."""
        self._scale.set(resource, replicas)

    def write_status(self, resource: Resource, status: AutoscalerStatus) -> None:
        """See `Cluster`."""
        body: Json = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": resource.key.name, "namespace": resource.key.namespace, "uid": resource.uid},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        path = f"{scoped(RESOURCES, resource.key.namespace)}/{resource.key.name}/status"
        self._writer.apply(path, body, manager=f"{hpas.MANAGER}-status")

    def tell(self, resource: Resource, kind: EventType, reason: Reason, note: str, now: datetime) -> None:
        """See `Cluster`."""
        regarding = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": resource.key.namespace,
            "name": resource.key.name,
            "uid": resource.uid,
        }
        self._events.record(regarding, kind, reason.value, reason.value, note, now=now)

    def _notice(self, kind: str, before: Resource | None, after: Resource | None) -> None:
        """What users write is worth a cycle at once; what we write into a status is not."""
        if before is None or after is None or before.generation != after.generation:
            self.news.set()

    def _reduce(self, manifest: Json) -> Resource | None:
        key = Key(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        try:
            found = Resource.from_manifest(manifest)
        except InputError as error:
            if self.unreadable.get(key) != str(error):
                log.warning("%s", error)
            self.unreadable[key] = str(error)
            return None
        self.unreadable.pop(key, None)
        return found


def scoped(path: str, namespace: str | None) -> str:
    """A collection of every namespace, or of one."""
    if namespace is None:
        return path
    root, _, plural = path.rpartition("/")
    return f"{root}/namespaces/{namespace}/{plural}"
