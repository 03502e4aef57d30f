"""Sets replicas through the scale subresource, of whatever kind, where no HPA exists."""

from __future__ import annotations

import threading
import time

from controller.kube.api import KubeApi
from controller.kube.errors import ConflictError, KubeError
from controller.resource.resource import Resource

MANAGER = "forescale"
# A rollout changes a Deployment's version several times within a tenth of a second; waits grow to 0.6 s together.
_ATTEMPTS = 8
_STEP_SECONDS = 0.02


class Scale:
    """Reads and writes scales."""

    def __init__(self, api: KubeApi) -> None:
        """api: guarded by leadership."""
        self._api = api
        self._plurals: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def set(self, resource: Resource, replicas: int) -> bool:
        """Whether replicas had to be changed; raises KubeError.

        The version that was read is insisted on, and read anew while nobody else has changed the replicas: every pod
        that becomes Ready changes the version too.
        """
        path = f"{self._path(resource)}/scale"
        now = self._api.get(path)
        found = now.get("spec", {}).get("replicas", 0)
        if found == replicas:
            return False
        for attempt in range(_ATTEMPTS):
            version = now["metadata"]["resourceVersion"]
            try:
                body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}
                self._api.merge(path, body, manager=MANAGER)
            except ConflictError:
                time.sleep(_STEP_SECONDS * (attempt + 1))
                now = self._api.get(path)
                if attempt == _ATTEMPTS - 1 or now.get("spec", {}).get("replicas", 0) != found:
                    raise
            else:
                return True
        raise AssertionError("unreachable")

    def _path(self, resource: Resource) -> str:
        ref = resource.spec.scale_target_ref
        root = f"/apis/{ref.api_version}" if "/" in ref.api_version else f"/api/{ref.api_version}"
        return f"{root}/namespaces/{resource.key.namespace}/{self._plural(root, ref.kind)}/{ref.name}"

    def _plural(self, root: str, kind: str) -> str:
        """The collection of a kind, asked of the API server once."""
        with self._lock:
            if (root, kind) not in self._plurals:
                kinds = self._api.get(root).get("resources") or []
                scalable = {each["name"].partition("/")[0] for each in kinds if each["name"].endswith("/scale")}
                found = [each["name"] for each in kinds if each["kind"] == kind and each["name"] in scalable]
                if not found:
                    raise KubeError(f"{kind} of {root} has no scale subresource; choose a kind that has one")
                self._plurals[(root, kind)] = found[0]
            return self._plurals[(root, kind)]
