"""Fixtures: a real cluster per test process, a namespace per test."""

from __future__ import annotations

import fcntl
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.launcher import Cluster, start_cluster, start_keda


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Simulated nodes; an HPA sync every 2 seconds."""
    running = start_cluster(tmp_path_factory.mktemp("cluster"))
    yield running
    running.close()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh one."""
    yield from _a_namespace(cluster)


@pytest.fixture(scope="session")
def keda_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With the real KEDA, whose port is fixed: test processes take turns."""
    with (Path(tempfile.gettempdir()) / "forescale-keda.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = start_cluster(tmp_path_factory.mktemp("keda-cluster"))
        try:
            start_keda(running)
            yield running
        finally:
            running.close()


@pytest.fixture
def keda_namespace(keda_cluster: Cluster) -> Iterator[str]:
    """A fresh one, in the cluster with KEDA."""
    yield from _a_namespace(keda_cluster)


def _a_namespace(cluster: Cluster) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    cluster.programs.wait_until(lambda: cluster.admin.find(account) is not None, "the namespace is usable")
    yield name
    cluster.admin.delete(f"/api/v1/namespaces/{name}")  # goes on in the background
