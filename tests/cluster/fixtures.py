"""Fixtures: a real cluster per test process, a namespace per test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.launcher import Cluster, start_cluster
from tests.cluster.metric_apis import start_keda


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Simulated nodes; an HPA sync every 2 seconds."""
    running = start_cluster(tmp_path_factory.mktemp("cluster"))
    yield running
    running.close()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh one."""
    with a_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="session")
def keda_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another one, with the real KEDA."""
    running = start_cluster(tmp_path_factory.mktemp("keda-cluster"))
    try:
        start_keda(running)
        yield running
    finally:
        running.close()


@pytest.fixture
def keda_namespace(keda_cluster: Cluster) -> Iterator[str]:
    """A fresh one, in the cluster with KEDA."""
    with a_namespace(keda_cluster) as name:
        yield name


@contextmanager
def a_namespace(cluster: Cluster) -> Iterator[str]:
    """For as long as the block."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"  # no pod can be created before it is there
    cluster.programs.wait_until(lambda: cluster.admin.find(account) is not None, f"namespace {name} is usable")
    yield name
    cluster.mend()
    cluster.admin.delete(f"/api/v1/namespaces/{name}")  # goes on in the background
