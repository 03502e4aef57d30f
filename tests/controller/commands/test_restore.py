"""`forescale controller restore` on the real API server, with no controller alive."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.actuators.min_replicas import MinReplicas
from controller.kube.api import KubeApi
from controller.kube.hpas import RECORD
from controller.resource.resource import Key
from forescale.cli import main
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import hpas
from tests.controller.actuators.owned_hpas import by_gitops, by_post, likeness, look

Run = Callable[..., int]


@pytest.fixture
def api(cluster: Cluster) -> KubeApi:
    """Of a controller that is no more by the time of the test."""
    return KubeApi.connect(kubeconfig=cluster.kubeconfig, agent="tests")


@pytest.fixture
def restore(cluster: Cluster, namespace: str) -> Run:
    """The command, in one namespace."""

    def run(*options: str) -> int:
        return main(["controller", "restore", f"--kubeconfig={cluster.kubeconfig}", "-n", namespace, *options])

    return run


def raised(api: KubeApi, namespace: str) -> None:
    """Two HPAs of different owners under a floor, and one that nobody touched."""
    by_post(api, namespace, "posted")
    by_gitops(api, namespace, "applied")
    by_post(api, namespace, "untouched")
    for name in ("posted", "applied"):
        MinReplicas(api).raise_to(look(api, namespace, name), 10, Key(namespace, name))


def test_every_floor_is_given_back_and_once_more_does_nothing(
    restore: Run, api: KubeApi, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    raised(api, namespace)

    assert restore("--all") == 0

    output = capsys.readouterr().out
    assert f"{namespace}/posted" in output
    assert "10 → 2" in output
    assert "restored" in output
    assert "untouched" not in output
    for name, manager in (("posted", "tests"), ("applied", "gitops")):
        spec, annotations, managed = likeness(api, namespace, name)
        assert (spec["minReplicas"], annotations) == (2, None)
        assert [who for who, _ in managed if who != manager] in ([], ["python"], ["OpenAPI-Generator"])
    assert restore("--all") == 0
    assert "there is nothing to restore" in capsys.readouterr().out


def test_a_dry_run_only_says_what_it_would_do(
    restore: Run, api: KubeApi, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    raised(api, namespace)
    before = [likeness(api, namespace, name) for name in ("posted", "applied")]

    assert restore("--all", "--dry-run", "--json") == 0

    assert json.loads(capsys.readouterr().out) == {
        "dryRun": True,
        "restored": [
            {"hpa": f"{namespace}/{name}", "from": 10, "to": 2, "error": None} for name in ("applied", "posted")
        ],
    }
    assert [likeness(api, namespace, name) for name in ("posted", "applied")] == before


def test_other_namespaces_are_left_alone(cluster: Cluster, restore: Run, api: KubeApi, namespace: str) -> None:
    by_post(api, "default", f"hpa-{namespace}")
    MinReplicas(api).raise_to(look(api, "default", f"hpa-{namespace}"), 10, Key("default", "agent"))

    assert restore("--all") == 0

    assert look(api, "default", f"hpa-{namespace}").is_raised
    api.delete(hpas("default", f"hpa-{namespace}"))


def test_a_damaged_record_is_cleared(restore: Run, api: KubeApi, namespace: str) -> None:
    raised(api, namespace)
    api.merge(hpas(namespace, "posted"), {"metadata": {"annotations": {RECORD: "{"}}}, manager="somebody")

    assert restore("--all") == 0

    assert look(api, namespace, "posted").min_replicas == 10
    assert not look(api, namespace, "posted").has_damaged_record


def test_undoing_everything_has_to_be_said(restore: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore() == 2

    assert "say so with --all" in capsys.readouterr().err


def test_what_could_not_be_given_back_is_named_and_the_rest_is_done(
    cluster: Cluster, api: KubeApi, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An account that may read HPAs and change only one of them."""
    raised(api, namespace)
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    group = {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"]}
    rules = [group | {"verbs": ["get", "list"]}, group | {"verbs": ["patch"], "resourceNames": ["applied"]}]
    cluster.admin.create(f"{rbac}/roles", {"metadata": {"name": "some"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "some"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": namespace}
    binding = {"metadata": {"name": "some"}, "roleRef": role, "subjects": [subject]}
    cluster.admin.create(f"{rbac}/rolebindings", binding)
    config: Path = cluster.kubeconfig_for("default", namespace)

    code = main(["controller", "restore", "--all", f"--kubeconfig={config}", "-n", namespace])

    assert code == 3
    said = capsys.readouterr().err
    assert "1 of 2 floors could not be given back" in said
    assert "give this account the rights" in said
    assert not look(api, namespace, "applied").is_raised
    assert look(api, namespace, "posted").is_raised
