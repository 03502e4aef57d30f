"""The cluster that other tests rely on is what it says it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from controller.kube.api import KubeApi
from controller.kube.errors import ForbiddenError, GoneError
from tests.cluster.admin import Admin
from tests.cluster.launcher import Cluster
from tests.cluster.metric_apis import start_prometheus_adapter, stop_prometheus_adapter
from tests.cluster.workloads import a_deployment, an_hpa, deployments, hpas, ready_pods, replicas
from tests.servers.http_stubs import answering
from tests.servers.metric_servers import MetricServer, prometheus_2, running_prometheus
from tests.servers.processes import wait_until

EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces"


def external_value(cluster: Cluster, namespace: str, metric: str, **params: str) -> str | None:
    """What an HPA would be told, None while there is nothing."""
    answer = cluster.admin.find(f"{EXTERNAL}/{namespace}/{metric}", **params)
    values = [] if answer is None else [item["value"] for item in answer["items"]]
    return values[0] if values else None


def is_gone(api: KubeApi, path: str, params: dict[str, str]) -> bool:
    """Whether a watch is refused with 410: as its answer, or as the first event of a stream that began well."""
    try:
        first = next(api.watch(path, params, patience_seconds=5))
    except GoneError:
        return True
    return bool(first["type"] == "ERROR" and first["object"]["code"] == httpx.codes.GONE)


@pytest.fixture
def queue_of_12(tmp_path: Path) -> Iterator[MetricServer]:
    """A Prometheus that scrapes a queue of 12 jobs."""
    exposition = b"# TYPE queue_length gauge\nqueue_length 12\n"
    with answering(exposition, type_="text/plain; version=0.0.4") as application:
        target = application.url.removeprefix("http://")
        config = f"scrape_configs: [{{job_name: jobs, static_configs: [{{targets: ['{target}']}}]}}]"
        with running_prometheus(prometheus_2(), tmp_path / "prometheus", config=config) as server:
            yield server


def test_the_real_hpa_controller_scales_to_a_raised_minimum_under_its_own_name(
    cluster: Cluster, namespace: str
) -> None:
    cluster.admin.create(deployments(namespace), a_deployment("agent"))
    cluster.admin.create(hpas(namespace), an_hpa("agent", lowest=2))
    wait_until(lambda: ready_pods(cluster, namespace) == 2, "the minimum is held", 30)

    cluster.admin.merge(hpas(namespace, "agent"), {"spec": {"minReplicas": 5}})

    wait_until(lambda: ready_pods(cluster, namespace) == 5, "the new minimum is held", 30)
    scalers = {
        event.user
        for event in cluster.audit()
        if event.namespace == namespace and event.subresource == "scale" and event.is_write
    }
    assert scalers == {"system:serviceaccount:kube-system:horizontal-pod-autoscaler"}


def test_a_restarted_controller_manager_goes_on(cluster: Cluster, namespace: str) -> None:
    cluster.restart_controller_manager(hpa_sync_seconds=1)

    cluster.admin.create(deployments(namespace), a_deployment("agent", replicas=3))

    wait_until(lambda: ready_pods(cluster, namespace) == 3, "the new one makes pods", 30)


def test_a_pod_is_ready_after_the_annotated_time_and_not_before(cluster: Cluster, namespace: str) -> None:
    cluster.admin.create(deployments(namespace), a_deployment("agent", replicas=4, startup_seconds=4))

    wait_until(lambda: ready_pods(cluster, namespace) == 4, "the pods are ready", 30)

    for pod in cluster.admin.items(f"/api/v1/namespaces/{namespace}/pods"):
        since = {
            each["type"]: datetime.fromisoformat(each["lastTransitionTime"]) for each in pod["status"]["conditions"]
        }
        # Kubernetes writes whole seconds.
        assert 3 <= (since["Ready"] - since["PodScheduled"]).total_seconds() <= 6


def test_nodes_are_kept_alive(cluster: Cluster) -> None:
    """Without leases they count as lost after a minute, and with them all their pods."""
    nodes = {each["metadata"]["name"] for each in cluster.admin.items("/api/v1/nodes")}
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

    wait_until(lambda: {each["metadata"]["name"] for each in cluster.admin.items(leases)} == nodes, "leases are held")


def test_the_audit_log_says_who_did_what(cluster: Cluster, namespace: str) -> None:
    cluster.admin.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "seen"}})

    (event,) = (each for each in cluster.audit() if each.namespace == namespace and each.name == "seen")
    assert (event.verb, event.resource, event.user, event.agent, event.code) == (
        "create", "configmaps", "admin", "tests", 201,
    )  # fmt: skip
    assert event.is_write
    assert event.is_success


def test_the_audit_log_shows_a_watch_once_and_while_it_lasts(cluster: Cluster, namespace: str) -> None:
    api = KubeApi.connect(kubeconfig=cluster.kubeconfig, agent="watcher")
    path = f"/api/v1/namespaces/{namespace}/configmaps"

    def watches() -> int:
        return sum(event.agent == "watcher" and event.verb == "watch" for event in cluster.audit())

    watch = api.watch(path, {"timeoutSeconds": "1"}, patience_seconds=5)
    next(watch)  # the ConfigMap that every namespace has
    while_it_lasts = watches()
    while next(watch, None):
        pass

    assert (while_it_lasts, watches()) == (1, 1)


def test_a_service_account_without_rights_is_refused_and_with_rights_is_let_in(
    cluster: Cluster, namespace: str
) -> None:
    api = KubeApi.connect(kubeconfig=cluster.kubeconfig_for("default", namespace), agent="tests")
    with pytest.raises(ForbiddenError, match=r"HTTP 403"):
        api.get(hpas(namespace))

    binding = {
        "metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    cluster.admin.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)

    def is_let_in() -> bool:
        try:
            return "items" in api.get(hpas(namespace))
        except ForbiddenError:
            return False

    wait_until(is_let_in, "its rights are known", 10)


def test_the_api_server_keeps_its_data_and_its_address_over_a_stop(cluster: Cluster, namespace: str) -> None:
    cluster.stop_api_server()
    with pytest.raises(httpx.TransportError):
        cluster.admin.get("/version")
    cluster.start_api_server()

    assert cluster.admin.get(f"/api/v1/namespaces/{namespace}")["status"]["phase"] == "Active"


def test_a_paused_api_server_keeps_callers_waiting_until_it_goes_on(cluster: Cluster, namespace: str) -> None:
    impatient = Admin(cluster.url, cluster.certificates.ca, cluster.token, timeout_seconds=0.5)

    cluster.pause_api_server()
    with pytest.raises(httpx.TimeoutException):
        impatient.get(f"/api/v1/namespaces/{namespace}")
    cluster.resume_api_server()

    assert impatient.get(f"/api/v1/namespaces/{namespace}")["metadata"]["name"] == namespace
    impatient.close()


def test_a_watch_from_before_a_compaction_is_refused(cluster: Cluster, namespace: str) -> None:
    api = KubeApi.connect(kubeconfig=cluster.kubeconfig, agent="tests")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    old = api.get(path)["metadata"]["resourceVersion"]
    for at in range(3):
        api.create(path, {"metadata": {"name": f"c{at}"}})
    from_old = {"resourceVersion": old, "timeoutSeconds": "1"}
    assert next(api.watch(path, from_old, patience_seconds=5))["type"] == "ADDED"

    cluster.compact()

    assert is_gone(api, path, from_old)


def test_prometheus_adapter_answers_with_what_prometheus_has(
    cluster: Cluster, namespace: str, queue_of_12: MetricServer
) -> None:
    rule = {
        "seriesQuery": "queue_length",
        "resources": {"namespaced": False},
        "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>})",
    }

    start_prometheus_adapter(cluster, queue_of_12.url, {"externalRules": [rule]})

    wait_until(lambda: external_value(cluster, namespace, "queue_length") == "12", "the queue is known", 30)
    stop_prometheus_adapter(cluster)
    assert not cluster.answers_for("external.metrics.k8s.io", "v1beta1")


def test_the_real_keda_scales_through_its_external_metrics(keda_cluster: Cluster, keda_namespace: str) -> None:
    keda_cluster.admin.create(deployments(keda_namespace), a_deployment("agent", replicas=1))
    always_4 = {"timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "desiredReplicas": "4"}
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "agent"},
        "spec": {"scaleTargetRef": {"name": "agent"}, "triggers": [{"type": "cron", "metadata": always_4}]},
    }

    keda_cluster.admin.create(f"/apis/keda.sh/v1alpha1/namespaces/{keda_namespace}/scaledobjects", scaled)

    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 4, "the HPA that KEDA made scales", 60)
    (hpa,) = keda_cluster.admin.items(hpas(keda_namespace))
    metric = hpa["spec"]["metrics"][0]["external"]["metric"]["name"]
    of_it = {"labelSelector": "scaledobject.keda.sh/name=agent"}
    assert external_value(keda_cluster, keda_namespace, metric, **of_it) == "4"
