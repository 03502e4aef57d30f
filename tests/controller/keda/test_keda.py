"""The shipped example with the real KEDA: a floor raises, wakes and lets go; its absence changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from controller.keda.board import OpinionBoard
from controller.keda.server import ScalerServer
from tests.cluster.admin import Json
from tests.cluster.fixtures import a_namespace
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import a_deployment, autoscalers, deployments, hpas, replicas
from tests.controller.keda.clients import a_ref, a_scaler, an_acting_resource, asking
from tests.controller.keda.test_scaler import files_of
from tests.controller.live.world import ACCOUNT, APP, HOME, World, a_cautious_autoscaler, a_world
from tests.servers.processes import ROOT, wait_until

QUICK = {"scaleDown": {"stabilizationWindowSeconds": 0}, "scaleUp": {"tolerance": "0"}}
ALWAYS_4 = {"timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "desiredReplicas": "4"}


def a_scaled_object(port: int, *, lowest: int = 2, others: tuple[Json, ...] = ()) -> Json:
    """The example's, quick, with other triggers beside ours."""
    text = (ROOT / "manifests" / "examples" / "keda.yaml").read_text(encoding="utf-8")
    manifest: Json = next(each for each in yaml.safe_load_all(text) if each["kind"] == "ScaledObject")
    del manifest["metadata"]["namespace"]
    spec = manifest["spec"]
    ours = next(each for each in spec["triggers"] if each["type"] == "external-push")
    ours["metadata"]["scalerAddress"] = f"localhost:{port}"
    spec |= {
        "minReplicaCount": lowest, "pollingInterval": 2, "cooldownPeriod": 4, "triggers": [*others, ours],
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": QUICK}},
    }  # fmt: skip
    return manifest


def create(cluster: Cluster, namespace: str, manifest: Json) -> None:
    cluster.admin.create(f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects", manifest)


@pytest.fixture
def board() -> OpinionBoard:
    """Empty."""
    return OpinionBoard(3600.0)


@pytest.fixture
def server(board: OpinionBoard) -> Iterator[ScalerServer]:
    """With the board."""
    with a_scaler(board) as found:
        yield found


def test_a_floor_raises_what_another_trigger_asks_for_and_its_absence_lowers_nothing(
    keda_cluster: Cluster, keda_namespace: str, board: OpinionBoard, server: ScalerServer
) -> None:
    keda_cluster.admin.create(deployments(keda_namespace), a_deployment(APP))
    cron = {"type": "cron", "metadata": ALWAYS_4}
    create(keda_cluster, keda_namespace, a_scaled_object(server.port, others=(cron,)))
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 4, "the other trigger decides", 60)

    board.follow([an_acting_resource(9, namespace=keda_namespace)])
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 9, "the floor is held", 60)
    board.follow([an_acting_resource(10, namespace=keda_namespace)])
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 10, "a tenth more is not let go", 60)
    board.follow([])
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 4, "the other trigger decides again", 60)


def test_a_floor_wakes_a_sleeping_target_and_its_end_lets_it_sleep(
    keda_cluster: Cluster, keda_namespace: str, board: OpinionBoard, server: ScalerServer
) -> None:
    keda_cluster.admin.create(deployments(keda_namespace), a_deployment(APP, replicas=1))
    manifest = a_scaled_object(server.port, lowest=0)
    manifest["spec"]["pollingInterval"] = 3600  # only a push can wake it up
    create(keda_cluster, keda_namespace, manifest)
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 0, "without an opinion it sleeps", 60)

    board.follow([an_acting_resource(3, namespace=keda_namespace)])
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 3, "it is awake", 60)
    path = f"/apis/keda.sh/v1alpha1/namespaces/{keda_namespace}/scaledobjects/agent"
    keda_cluster.admin.merge(path, {"spec": {"pollingInterval": 2}})  # to sleep takes a poll after the cool-down
    board.follow([])
    wait_until(lambda: replicas(keda_cluster, keda_namespace) == 0, "it sleeps again", 90)


def test_keda_is_answered_over_tls_with_certificates_on_both_sides(
    keda_cluster: Cluster, keda_namespace: str, board: OpinionBoard, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificate, key = files_of(authority.issue_cert("localhost"), tmp_path)
    ca = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(str(ca))
    theirs, admin = authority.issue_cert("keda"), keda_cluster.admin
    secret = {
        "caCert": ca.read_text(),
        "tlsClientCert": theirs.cert_chain_pems[0].bytes().decode(),
        "tlsClientKey": theirs.private_key_pem.bytes().decode(),
    }
    meta = {"name": "scaler"}
    admin.create(f"/api/v1/namespaces/{keda_namespace}/secrets", {"metadata": meta, "stringData": secret})
    refs = [{"parameter": name, "name": "scaler", "key": name} for name in secret]
    authentication = {
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": meta,
        "spec": {"secretTargetRef": refs},
    }  # fmt: skip
    admin.create(f"/apis/keda.sh/v1alpha1/namespaces/{keda_namespace}/triggerauthentications", authentication)
    admin.create(deployments(keda_namespace), a_deployment(APP))
    board.follow([an_acting_resource(6, namespace=keda_namespace)])
    with a_scaler(board, certificate=certificate, key=key, client_ca=ca) as server:
        manifest = a_scaled_object(server.port)
        trigger = manifest["spec"]["triggers"][0]
        trigger["metadata"]["enableTLS"] = "true"
        trigger["authenticationRef"] = {"name": "scaler"}
        create(keda_cluster, keda_namespace, manifest)

        wait_until(lambda: replicas(keda_cluster, keda_namespace) == 6, "the floor is held", 60)


@pytest.fixture(scope="module")
def world(keda_cluster: Cluster, far_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two controllers, of which one leads."""
    folder = tmp_path_factory.mktemp("keda")
    with (
        a_namespace(keda_cluster) as namespace,
        a_world(keda_cluster, namespace, folder, far_model, controllers=2, has_hpas=False) as world,
    ):
        yield world


def floors(world: World) -> list[float]:
    """What each controller answers."""
    found = []
    for one in world.controllers:
        with asking(one.keda_port) as client:
            found.append(client.floor(a_ref(namespace=world.namespace)))
    return found


def test_the_controller_scales_through_keda_also_after_its_leader_died(world: World) -> None:
    cluster, admin = world.cluster, world.cluster.admin
    spec: dict[str, Any] = {"actuator": "KEDA", "bounds": {"minReplicas": 5}}
    admin.create(autoscalers(world.namespace), a_cautious_autoscaler(**spec))
    wait_until(lambda: world.condition("Ready") == ("False", "NoHPA"), "it says that a ScaledObject is missing", 60)

    # KEDA asks the one that stands by: what it answers is the leader's.
    leader = world.leader()
    standby = next(one for one in world.controllers if one is not leader)
    create(cluster, world.namespace, a_scaled_object(standby.keda_port))

    wait_until(lambda: world.condition("Acting") == ("True", "Raised"), "it acts", 60)
    wait_until(lambda: min(floors(world)) >= 5, "both answer", 30)
    wait_until(lambda: replicas(cluster, world.namespace, APP) >= 5, "the floor is held", 60)
    (hpa,) = [each for each in admin.items(hpas(world.namespace)) if each["metadata"]["name"] == "keda-hpa-agent"]
    assert hpa["spec"]["minReplicas"] == 2, "KEDA's own HPA is left alone"
    writes = [each for each in cluster.audit() if each.user.endswith(f"{HOME}:{ACCOUNT}") and each.is_write]
    assert [each for each in writes if each.resource == "horizontalpodautoscalers"] == []

    leader.kill()
    wait_until(standby.leads, "the other leads", 60)
    with asking(standby.keda_port) as client:
        assert client.floor(a_ref(namespace=world.namespace)) >= 5, "no opinion was lost in between"
    admin.merge(autoscalers(world.namespace, "agent"), {"spec": {"paused": True}})
    wait_until(lambda: replicas(cluster, world.namespace, APP) == 2, "a pause lets go of it", 60)
