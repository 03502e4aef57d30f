"""The real KEDA and the real prometheus-adapter.  Either answers for external metrics: one of them in a cluster."""

from __future__ import annotations

import yaml

from tests.cluster.admin import Json
from tests.cluster.launcher import Cluster, delegated
from tests.cluster.programs import built, lasting_port

EXTERNAL_METRICS = ("external.metrics.k8s.io", "v1beta1")
_ADAPTER = "prometheus-adapter"


def start_keda(cluster: Cluster) -> None:
    """The operator and its metrics adapter."""
    keda, admin, pki = built("keda"), cluster.admin, cluster.certificates
    admin.create("/api/v1/namespaces", {"metadata": {"name": "keda"}})
    for crd in sorted((keda / "crds").glob("*.yaml")):
        manifest = yaml.safe_load(crd.read_text())
        admin.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}", manifest)
    certificates = cluster.folder / "keda-pki"
    certificates.mkdir()
    for name, source in (("ca.crt", pki.ca), ("tls.crt", pki.server[0]), ("tls.key", pki.server[1])):
        (certificates / name).write_bytes(source.read_bytes())
    config, port, between = cluster.kubeconfig_of("keda"), lasting_port(), lasting_port()
    cluster.programs.start(
        "keda-operator",
        [
            str(keda / "keda-operator"), f"--kubeconfig={config}", f"--cert-dir={certificates}",
            f"--metrics-service-bind-address=127.0.0.1:{between}",
            f"--metrics-bind-address=127.0.0.1:{lasting_port()}",
            f"--health-probe-bind-address=127.0.0.1:{lasting_port()}",
            "--enable-webhook-patching=false", "--enable-apiservice-patching=false",
        ],
        KEDA_CLUSTER_OBJECT_NAMESPACE="keda", POD_NAMESPACE="keda", WATCH_NAMESPACE="",
    )  # fmt: skip
    cluster.programs.start(
        "keda-adapter",
        [
            str(keda / "keda-adapter"), f"--kubeconfig={config}", *delegated(cluster, "keda", port=port),
            f"--lister-kubeconfig={config}", f"--cert-dir={certificates}",
            f"--tls-cert-file={pki.server[0]}", f"--tls-private-key-file={pki.server[1]}",
            f"--metrics-service-address=localhost:{between}", f"--port={lasting_port()}",
        ],
        POD_NAMESPACE="keda", WATCH_NAMESPACE="",
    )  # fmt: skip
    _register(cluster, port, "KEDA answers for external metrics")


def start_prometheus_adapter(cluster: Cluster, prometheus_url: str, config: Json) -> None:
    """Answers by the `externalRules` of this configuration; a second call replaces what the first one started."""
    adapter, pki, port = built("prometheus-adapter"), cluster.certificates, lasting_port()
    file = cluster.folder / f"{_ADAPTER}.yaml"
    file.write_text(yaml.safe_dump(config))
    if _ADAPTER in cluster.programs.running:
        cluster.programs.kill(_ADAPTER)
    cluster.programs.start(
        _ADAPTER,
        [
            str(adapter / "prometheus-adapter"), f"--lister-kubeconfig={cluster.kubeconfig_of(_ADAPTER)}",
            *delegated(cluster, _ADAPTER, port=port), f"--prometheus-url={prometheus_url}", f"--config={file}",
            f"--tls-cert-file={pki.server[0]}", f"--tls-private-key-file={pki.server[1]}",
            "--metrics-relist-interval=1s", "--metrics-max-age=60s",
        ],
    )  # fmt: skip
    _register(cluster, port, "prometheus-adapter answers for external metrics")


def stop_prometheus_adapter(cluster: Cluster) -> None:
    """And take its API away with it, since one that does not answer holds up the deletion of namespaces."""
    cluster.unregister_api_service(*EXTERNAL_METRICS)
    cluster.programs.kill(_ADAPTER)


def _register(cluster: Cluster, port: int, what: str) -> None:
    cluster.register_api_service(*EXTERNAL_METRICS, port)
    cluster.programs.wait_until(lambda: cluster.answers_for(*EXTERNAL_METRICS), what)
