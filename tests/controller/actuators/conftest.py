"""A namespace and a way in for all tests of a file: each makes objects of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.kube.api import KubeApi
from tests.cluster.fixtures import a_namespace
from tests.cluster.launcher import Cluster


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[KubeApi]:
    """The API server, with all rights."""
    api = KubeApi.connect(kubeconfig=cluster.kubeconfig, agent="tests")
    yield api
    api.close()


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[str]:
    """A namespace."""
    with a_namespace(cluster) as name:
        yield name
