"""Ways in to the real API server; one of them through a gate that can be shut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.kube.api import KubeApi
from tests.cluster.launcher import Cluster, write_kubeconfig
from tests.servers.gate import Gate, a_gate


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[KubeApi]:
    """With all rights."""
    api = KubeApi.connect(kubeconfig=cluster.kubeconfig, agent="tests")
    yield api
    api.close()


@pytest.fixture
def gate(cluster: Cluster) -> Iterator[Gate]:
    """Open."""
    with a_gate() as gate:
        gate.turn(target=int(cluster.url.rpartition(":")[2]))
        yield gate


@pytest.fixture
def gated(cluster: Cluster, gate: Gate) -> Iterator[KubeApi]:
    """Another client, which the gate may cut off."""
    config = cluster.folder / f"kubeconfig-{gate.url.rpartition(':')[2]}"
    write_kubeconfig(config, gate.url.replace("http:", "https:"), cluster.certificates.ca, cluster.token)
    api = KubeApi.connect(kubeconfig=config, agent="gated", timeout_seconds=2)
    yield api
    api.close()
