"""HPAs on the real API server as users of all kinds leave them, and what they look like."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from controller.kube.api import Json, KubeApi
from controller.kube.hpas import LAST_APPLIED, MANAGER, Hpa, reduce_hpa
from tests.cluster.workloads import an_hpa, hpas

Maker = Callable[[KubeApi, str, str], None]  # in a namespace, with a name


def by_post(api: KubeApi, namespace: str, name: str) -> None:
    """Written as a whole, with a minimum of 2."""
    api.create(hpas(namespace), an_hpa(name, lowest=2))


def by_post_without_minimum(api: KubeApi, namespace: str, name: str) -> None:
    """The API server fills in 1."""
    api.create(hpas(namespace), an_hpa(name, lowest=None))


def by_update_of_somebody(api: KubeApi, namespace: str, name: str) -> None:
    """One manager made it, another has set the minimum."""
    by_post(api, namespace, name)
    api.merge(hpas(namespace, name), {"spec": {"minReplicas": 3}}, manager="somebody")


def by_gitops(api: KubeApi, namespace: str, name: str) -> None:
    """Applied server-side, as Flux and Argo CD do."""
    api.apply(hpas(namespace, name), an_hpa(name, lowest=2), manager="gitops")


def by_gitops_without_minimum(api: KubeApi, namespace: str, name: str) -> None:
    """Applied without a minimum: nobody owns the 1 that is in force."""
    api.apply(hpas(namespace, name), an_hpa(name, lowest=None), manager="gitops")


def by_two_gitops(api: KubeApi, namespace: str, name: str) -> None:
    """Two managers apply the same minimum, and own it together."""
    by_gitops(api, namespace, name)
    api.apply(hpas(namespace, name), an_hpa(name, lowest=2), manager="platform")


def by_gitops_and_somebody(api: KubeApi, namespace: str, name: str) -> None:
    """Somebody has taken the minimum from the tool that applied it."""
    by_gitops(api, namespace, name)
    api.merge(hpas(namespace, name), {"spec": {"minReplicas": 4}}, manager="somebody")


def by_kubectl(api: KubeApi, namespace: str, name: str) -> None:
    """Applied client-side: by an update, with what was applied in an annotation."""
    manifest = an_hpa(name, lowest=2)
    manifest["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(manifest)}
    api.create(hpas(namespace), manifest)


MAKERS: tuple[Maker, ...] = (
    by_post,
    by_post_without_minimum,
    by_update_of_somebody,
    by_gitops,
    by_gitops_without_minimum,
    by_two_gitops,
    by_gitops_and_somebody,
    by_kubectl,
)


def a_name() -> str:
    return f"hpa-{secrets.token_hex(4)}"


def look(api: KubeApi, namespace: str, name: str) -> Hpa:
    """As the controller sees it."""
    return reduce_hpa(api.get(hpas(namespace, name)))


def likeness(api: KubeApi, namespace: str, name: str) -> tuple[Json, Any, Any]:
    """All that users see of it: the spec, annotations, and who owns what."""
    found = api.get(hpas(namespace, name))
    managed = {
        (each["manager"], each["operation"]): each["fieldsV1"]
        for each in found["metadata"]["managedFields"]
        if not each.get("subresource")
    }
    annotations = found["metadata"].get("annotations") or None
    return found["spec"], annotations, managed


def is_ours(api: KubeApi, namespace: str, name: str) -> bool:
    """Whether we are the only owner of the minimum."""
    return [owner.manager for owner in look(api, namespace, name).owners] == [MANAGER]
