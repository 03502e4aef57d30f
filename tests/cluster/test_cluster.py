"""The cluster that other tests rely on is what it says it is."""

from __future__ import annotations

from datetime import datetime

import httpx
import pytest

from controller.kube.api import KubeApi
from controller.kube.errors import GoneError
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import a_deployment, an_hpa, deployments, hpas, ready_pods
from tests.servers.processes import wait_until


def test_the_real_hpa_controller_scales_to_a_raised_minimum(cluster: Cluster, namespace: str) -> None:
    cluster.admin.create(deployments(namespace), a_deployment("agent"))
    cluster.admin.create(hpas(namespace), an_hpa("agent", lowest=2))
    wait_until(lambda: ready_pods(cluster, namespace) == 2, "the minimum is held", 30)

    cluster.admin.merge(hpas(namespace, "agent"), {"spec": {"minReplicas": 5}})

    wait_until(lambda: ready_pods(cluster, namespace) == 5, "the new minimum is held", 30)


def test_a_pod_starts_as_long_as_its_annotation_says(cluster: Cluster, namespace: str) -> None:
    cluster.admin.create(deployments(namespace), a_deployment("agent", replicas=1, startup_seconds=4))
    wait_until(lambda: ready_pods(cluster, namespace) == 1, "the pod is ready", 30)

    pod = cluster.admin.get(f"/api/v1/namespaces/{namespace}/pods")["items"][0]
    ready = next(each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    took = datetime.fromisoformat(ready["lastTransitionTime"]) - datetime.fromisoformat(
        pod["metadata"]["creationTimestamp"]
    )
    assert 3 <= took.total_seconds() <= 8


def test_the_audit_log_says_who_did_what(cluster: Cluster, namespace: str) -> None:
    cluster.admin.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "seen"}})

    wait_until(lambda: any(each.namespace == namespace and each.name == "seen" for each in cluster.audit()), "logged")

    event = next(each for each in cluster.audit() if each.namespace == namespace and each.name == "seen")
    assert (event.verb, event.resource, event.user, event.agent, event.code) == (
        "create", "configmaps", "admin", "tests", 201,
    )  # fmt: skip
    assert event.is_write
    assert event.is_success


def test_a_service_account_without_rights_is_refused(cluster: Cluster, namespace: str) -> None:
    api = KubeApi.connect(kubeconfig=cluster.kubeconfig_for("default", namespace), agent="tests")

    with pytest.raises(Exception, match=r"HTTP 403.*rbac"):
        api.get(hpas(namespace))


def test_the_api_server_keeps_its_data_over_a_stop(cluster: Cluster, namespace: str) -> None:
    cluster.stop_api_server()
    with pytest.raises(httpx.TransportError):
        cluster.admin.get("/version")
    cluster.start_api_server()

    assert cluster.admin.get(f"/api/v1/namespaces/{namespace}")["status"]["phase"] == "Active"


def test_a_watch_from_before_a_compaction_is_refused(cluster: Cluster, namespace: str) -> None:
    api = KubeApi.connect(kubeconfig=cluster.kubeconfig, agent="tests")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    old = api.get(path)["metadata"]["resourceVersion"]
    for at in range(3):
        api.create(path, {"metadata": {"name": f"c{at}"}})

    cluster.compact()
    cluster.stop_api_server()  # its own cache remembers what etcd has forgotten
    cluster.start_api_server()

    def is_gone() -> bool:
        try:
            first = next(iter(api.watch(path, {"resourceVersion": old, "timeoutSeconds": "2"}, patience_seconds=5)))
        except GoneError:
            return True
        except StopIteration:
            return False
        return bool(first["type"] == "ERROR" and first["object"]["code"] == 410)

    wait_until(is_gone, "the old version is gone", 20)


def test_keda_answers_for_external_metrics(keda_cluster: Cluster) -> None:
    assert keda_cluster.answers_for("external.metrics.k8s.io", "v1beta1")
    assert keda_cluster.admin.get("/apis/keda.sh/v1alpha1/scaledobjects")["items"] == []
