"""The examples that are shipped, on the real API server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from controller.resource.crd import definition
from tests.cluster.admin import Json
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import autoscalers, hpas
from tests.servers.processes import ROOT, wait_until

EXAMPLES = sorted((ROOT / "manifests" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_accepted_as_it_is(file: Path, cluster: Cluster, namespace: str) -> None:
    crd = definition()
    cluster.admin.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}", crd)
    wait_until(lambda: cluster.admin.status_of("GET", "/apis/forescale.io/v1alpha1/predictiveautoscalers") == 200, "")
    collections = {
        "PredictiveAutoscaler": autoscalers(namespace),
        "HorizontalPodAutoscaler": hpas(namespace),
        "ConfigMap": f"/api/v1/namespaces/{namespace}/configmaps",
    }
    documents: list[Json] = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    # ScaledObjects are applied where KEDA is: test_metric and test_keda.
    assert {each["kind"] for each in documents} <= collections.keys() | {"ScaledObject"}
    assert "PredictiveAutoscaler" in {each["kind"] for each in documents}

    for each in documents:
        if each["kind"] in collections:
            each["metadata"]["namespace"] = namespace
            created = cluster.admin.create(f"{collections[each['kind']]}?fieldValidation=Strict", each)
            assert created["metadata"]["name"] == each["metadata"]["name"]
