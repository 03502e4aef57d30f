"""The `Metric` actuator: the shipped examples on the real prometheus-adapter and the real KEDA."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from tests.cluster.admin import Json
from tests.cluster.fixtures import a_namespace
from tests.cluster.launcher import Cluster
from tests.cluster.metric_apis import start_prometheus_adapter
from tests.cluster.workloads import a_deployment, autoscalers, deployments, hpas, replicas
from tests.controller.live.world import ADAPTER_RULES, APP, World, a_cautious_autoscaler, a_world, an_exact_hpa
from tests.servers.metric_servers import MetricServer, prometheus_2, running_prometheus
from tests.servers.processes import ROOT, free_port, wait_until

EXAMPLES = ROOT / "manifests" / "examples"


def example(name: str, kind: str) -> Json:
    """One document of a file."""
    documents: list[Json] = list(yaml.safe_load_all((EXAMPLES / name).read_text(encoding="utf-8")))
    return next(each for each in documents if each["kind"] == kind)


@pytest.fixture(scope="module")
def world(cluster: Cluster, far_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """With an adapter that knows the example's metric too."""
    with (
        a_namespace(cluster) as namespace,
        a_world(cluster, namespace, tmp_path_factory.mktemp("metric"), far_model) as world,
    ):
        shipped = yaml.safe_load(example("metric-prometheus-adapter.yaml", "ConfigMap")["data"]["config.yaml"])
        rules = {"externalRules": ADAPTER_RULES["externalRules"] + shipped["externalRules"]}
        start_prometheus_adapter(cluster, world.prometheus.url, rules)
        yield world


def following_hpa() -> Json:
    """The tests' HPA with the example's metric beside its own."""
    manifest = an_exact_hpa("agent")
    shipped = example("metric-prometheus-adapter.yaml", "HorizontalPodAutoscaler")["spec"]["metrics"]
    manifest["spec"]["metrics"] += [each for each in shipped if each["type"] == "External"]
    return manifest


def test_an_hpa_follows_the_recommendation_beside_its_own_metric_and_is_let_go_without_one(world: World) -> None:
    admin = world.cluster.admin
    admin.apply(hpas(world.namespace, "agent"), following_hpa(), manager="tests")
    admin.create(autoscalers(world.namespace), a_cautious_autoscaler(actuator="Metric", mode="Observe"))
    wait_until(lambda: (world.autoscaler.get("status", {}).get("floor") or 0) > 2, "it says what it would hold", 60)
    labels = {"namespace": world.namespace, "name": "agent"}
    assert world.leader().metric("forescale_recommended_replicas", **labels) == 0.0, "Observe moves nothing"

    bounds = {"minReplicas": 30}
    changed = {"mode": "Active", "bounds": bounds}
    admin.merge(autoscalers(world.namespace, "agent"), {"spec": changed})

    wait_until(lambda: replicas(world.cluster, world.namespace, APP) >= 30, "the HPA follows", 60)
    assert replicas(world.cluster, world.namespace, "alone") < 30
    assert world.hpa["spec"]["minReplicas"] == 2, "nothing is written to the HPA"
    # A late scrape on a busy machine may look like a surge for a while; the recommendation would stay.
    wait_until(
        lambda: (world.autoscaler["status"].get("hpaAloneReplicas") or 30) < 30,
        "the twin does not follow our own metric",
        120,
    )

    admin.merge(autoscalers(world.namespace, "agent"), {"spec": {"paused": True}})
    wait_until(lambda: replicas(world.cluster, world.namespace, APP) < 25, "its own metric decides again", 90)


class Exported:
    """What a controller and a workload export, scraped every second."""

    def __init__(self, namespace: str) -> None:
        registry = CollectorRegistry()
        self._namespace = namespace
        self.recommended = Gauge(
            "forescale_recommended_replicas", "As the controller's.", ["namespace", "name"], registry=registry
        )
        self.demand = Gauge("demand", "Of the workload.", registry=registry)
        self.port = free_port()
        self._server, self._thread = start_http_server(self.port, addr="127.0.0.1", registry=registry)

    def show(self, *, recommended: int, demand: float) -> None:
        """From now on."""
        self.recommended.labels(self._namespace, "agent").set(recommended)
        self.demand.set(demand)

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def exported(keda_namespace: str) -> Iterator[Exported]:
    """Nothing asked for yet."""
    found = Exported(keda_namespace)
    found.show(recommended=0, demand=0.0)
    yield found
    found.close()


@pytest.fixture
def prometheus(exported: Exported, tmp_path: Path) -> Iterator[MetricServer]:
    """Scrapes it as the documents say: with honor_labels."""
    config = (
        f"scrape_configs: [{{job_name: forescale, honor_labels: true, "
        f"static_configs: [{{targets: ['127.0.0.1:{exported.port}']}}]}}]"
    )
    with running_prometheus(prometheus_2(), tmp_path / "prometheus", config=config) as found:
        yield found


def a_scaled_object(namespace: str, url: str, *, lowest: int) -> Json:
    """The example's, with a short memory, and a gauge in place of the user's own query."""
    manifest = example("metric-keda.yaml", "ScaledObject")
    manifest["metadata"]["namespace"] = namespace
    yours, ours = (each["metadata"] for each in manifest["spec"]["triggers"])
    yours.update(serverAddress=url, query="max(demand)")
    ours.update(serverAddress=url, query=ours["query"].replace('"shop"', f'"{namespace}"'))
    quick = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    manifest["spec"] |= {
        "minReplicaCount": lowest,
        "pollingInterval": 1,
        "cooldownPeriod": 5,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": quick}},
    }
    return manifest


def test_keda_follows_the_recommendation_and_its_absence_lowers_nothing(
    keda_cluster: Cluster, keda_namespace: str, exported: Exported, prometheus: MetricServer
) -> None:
    admin = keda_cluster.admin
    admin.create(deployments(keda_namespace), a_deployment("agent"))
    path = f"/apis/keda.sh/v1alpha1/namespaces/{keda_namespace}/scaledobjects"
    admin.create(path, a_scaled_object(keda_namespace, prometheus.url, lowest=2))

    exported.show(recommended=0, demand=50.0)
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 4, "the user's trigger decides", 60)
    exported.show(recommended=9, demand=50.0)
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 9, "the recommendation is followed", 60)
    exported.show(recommended=0, demand=50.0)
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 4, "the user's trigger decides again", 60)


def test_keda_wakes_a_sleeping_target_for_a_recommendation_and_not_without_one(
    keda_cluster: Cluster, keda_namespace: str, exported: Exported, prometheus: MetricServer
) -> None:
    admin = keda_cluster.admin
    admin.create(deployments(keda_namespace), a_deployment("agent", replicas=1))
    path = f"/apis/keda.sh/v1alpha1/namespaces/{keda_namespace}/scaledobjects"
    admin.create(path, a_scaled_object(keda_namespace, prometheus.url, lowest=0))

    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 0, "without load it goes to sleep", 60)
    exported.show(recommended=3, demand=0.0)
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 3, "it is woken up ahead of the load", 60)
