"""Replicas of a real Deployment, StatefulSet or ReplicationController without an HPA."""

from __future__ import annotations

import pytest

from controller.actuators.scale import Scale
from controller.kube.api import Json, KubeApi
from controller.kube.errors import ConflictError, KubeError, NotFoundError
from controller.resource.resource import Resource
from tests.cluster.workloads import a_deployment, an_autoscaler, deployments


def a_resource(namespace: str, name: str = "agent", kind: str = "Deployment", version: str = "apps/v1") -> Resource:
    manifest = an_autoscaler(
        name, scaleTargetRef={"apiVersion": version, "kind": kind, "name": name}, actuator="Scale",
        bounds={"maxReplicas": 9},
    )  # fmt: skip
    manifest["metadata"]["namespace"] = namespace
    return Resource.from_manifest(manifest)


def test_replicas_are_set_and_what_is_there_already_is_not_written(api: KubeApi, shop: str) -> None:
    api.create(deployments(shop), a_deployment("agent", replicas=2))
    scale = Scale(api)

    assert scale.set(a_resource(shop), 5)
    written = api.get(deployments(shop, "agent"))
    assert written["spec"]["replicas"] == 5
    assert not scale.set(a_resource(shop), 5)
    assert scale.set(a_resource(shop), 0)

    assert api.get(deployments(shop, "agent"))["spec"]["replicas"] == 0


@pytest.mark.parametrize(("kind", "version"), [("StatefulSet", "apps/v1"), ("ReplicationController", "v1")])
def test_any_kind_with_a_scale_is_scaled(kind: str, version: str, api: KubeApi, shop: str) -> None:
    manifest = a_deployment("other", replicas=1) | {"apiVersion": version, "kind": kind}
    if kind == "ReplicationController":
        manifest["spec"]["selector"] = manifest["spec"]["selector"]["matchLabels"]
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    plural = f"{root}/namespaces/{shop}/{kind.lower()}s"
    api.create(plural, manifest)

    assert Scale(api).set(a_resource(shop, "other", kind, version), 3)

    assert api.get(f"{plural}/other")["spec"]["replicas"] == 3


def test_a_kind_without_a_scale_is_refused_in_words(api: KubeApi, shop: str) -> None:
    with pytest.raises(KubeError, match="DaemonSet of /apis/apps/v1 has no scale subresource; choose a kind"):
        Scale(api).set(a_resource(shop, kind="DaemonSet"), 3)


def test_a_target_or_a_group_that_is_not_there_is_told(api: KubeApi, shop: str) -> None:
    with pytest.raises(NotFoundError, match="absent"):
        Scale(api).set(a_resource(shop, "absent"), 3)
    with pytest.raises(NotFoundError, match=r"/apis/argoproj\.io/v1alpha1"):
        Scale(api).set(a_resource(shop, kind="Rollout", version="argoproj.io/v1alpha1"), 3)


class Meddled(KubeApi):
    """Somebody writes between our look and our write, as often as told."""

    def __init__(self, api: KubeApi, path: str, body: Json, times: int = 1) -> None:
        self.api, self.path, self.body, self.times = api, path, body, times

    def get(self, path: str, params: object = None) -> Json:
        return self.api.get(path)

    def merge(self, path: str, body: Json, *, manager: str) -> Json:
        if self.times:
            self.times -= 1
            theirs = {"metadata": {"annotations": {"written": str(self.times)}}, **self.body}
            self.api.merge(self.path, theirs, manager="somebody")
        return self.api.merge(path, body, manager=manager)


def test_replicas_that_somebody_else_sets_meanwhile_are_not_overwritten_unseen(api: KubeApi, shop: str) -> None:
    path = deployments(shop, "meddled")
    api.create(deployments(shop), a_deployment("meddled", replicas=2))

    with pytest.raises(ConflictError):
        Scale(Meddled(api, path, {"spec": {"replicas": 7}})).set(a_resource(shop, "meddled"), 5)

    assert api.get(path)["spec"]["replicas"] == 7


def test_the_many_changes_of_a_rollout_do_not_keep_replicas_from_being_set(api: KubeApi, shop: str) -> None:
    path = deployments(shop, "busy")
    api.create(deployments(shop), a_deployment("busy", replicas=2))

    assert Scale(Meddled(api, path, {}, times=5)).set(a_resource(shop, "busy"), 5)

    assert api.get(path)["spec"]["replicas"] == 5
