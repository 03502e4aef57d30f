"""Manifests for tests, with only the interesting values to give."""

from __future__ import annotations

from typing import Any

from tests.cluster.admin import Json
from tests.cluster.launcher import Cluster


def deployments(namespace: str, name: str = "") -> str:
    """Path of the collection, or of one."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments{name and f'/{name}'}"


def hpas(namespace: str, name: str = "") -> str:
    """Path of the collection, or of one."""
    return f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers{name and f'/{name}'}"


def autoscalers(namespace: str, name: str = "") -> str:
    """Path of the collection, or of one."""
    return f"/apis/forescale.io/v1alpha1/namespaces/{namespace}/predictiveautoscalers{name and f'/{name}'}"


def a_deployment(name: str, *, replicas: int | None = None, startup_seconds: int = 0) -> Json:
    """Its pods are Ready so long after they were given to a node."""
    delays = {"pod-create": 0, "pod-ready": startup_seconds, "pod-delete": 0}
    annotations = {}
    for stage, seconds in delays.items():  # each has a delay of 1 to 6 s by itself
        annotations[f"{stage}.stage.kwok.x-k8s.io/delay"] = f"{seconds}s"
        annotations[f"{stage}.stage.kwok.x-k8s.io/jitter-delay"] = f"{seconds}s"
    spec: Json = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}, "annotations": annotations},
            "spec": {"containers": [{"name": "main", "image": "none"}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def an_hpa(name: str, *, lowest: int | None = 2, highest: int = 40, metric: str = "demand", target: str = "10") -> Json:
    """On the Deployment of the same name, by an external metric's average per replica."""
    spec: Json = {
        "maxReplicas": highest,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "metrics": [
            {
                "type": "External",
                "external": {
                    "metric": {"name": metric, "selector": {"matchLabels": {"app": name}}},
                    "target": {"type": "AverageValue", "averageValue": target},
                },
            }
        ],
    }
    if lowest is not None:
        spec["minReplicas"] = lowest
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": spec,
    }


def an_autoscaler(name: str, **changed: Any) -> Json:
    """Acts on the HPA of the Deployment of the same name; `changed` are fields of the spec."""
    spec: Json = {
        "scaleTargetRef": {"kind": "Deployment", "name": name},
        "demand": {"query": "sum by (app) (demand)", "series": {"app": name}, "stepSeconds": 1, "workload": name},
        "targetPerReplica": 10,
        "mode": "Active",
    }
    return {
        "apiVersion": "forescale.io/v1alpha1",
        "kind": "PredictiveAutoscaler",
        "metadata": {"name": name},
        "spec": spec | changed,
    }


def ready_pods(cluster: Cluster, namespace: str, name: str = "agent") -> int:
    """Of a Deployment."""
    found = cluster.admin.find(deployments(namespace, name))
    return 0 if found is None else int(found["status"].get("readyReplicas") or 0)


def replicas(cluster: Cluster, namespace: str, name: str = "agent") -> int:
    """That a Deployment was asked for."""
    return int(cluster.admin.get(deployments(namespace, name))["spec"]["replicas"])
