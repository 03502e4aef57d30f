"""A whole real Kubernetes on loopback: etcd, API server, controller manager with the real HPA controller, scheduler.

Nodes and pods are simulated by KWOK; how long a pod takes to start is an annotation on it (see README.md).  Everything
else is the real thing, KEDA and prometheus-adapter included.
"""

from __future__ import annotations

import json
import secrets
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.cluster.admin import Admin, AuditEvent, Json, read_audit
from tests.cluster.certificates import Certificates, make_certificates
from tests.cluster.programs import Programs, built
from tests.servers.processes import free_port, wait_until

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
_NODE_SIZE = {"cpu": "64", "memory": "512Gi", "pods": "500"}


@dataclass(slots=True)
class Cluster:
    """One that runs."""

    folder: Path
    url: str
    kubeconfig: Path
    admin: Admin
    certificates: Certificates
    programs: Programs
    etcd_url: str
    token: str = field(repr=False)

    def audit(self) -> list[AuditEvent]:
        """Every request so far, oldest first."""
        return read_audit(self.folder / "audit.jsonl")

    def kubeconfig_for(self, account: str, namespace: str, *, seconds: int = 3600) -> Path:
        """A file that lets one in as a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        made = self.admin.create(path, {"spec": {"expirationSeconds": seconds}})
        target = self.folder / f"kubeconfig-{namespace}-{account}"
        write_kubeconfig(target, self.url, self.certificates.ca, made["status"]["token"])
        return target

    def stop_api_server(self) -> None:
        """Away at once, until it is started again; its data stay."""
        self.programs.kill("kube-apiserver")

    def start_api_server(self) -> None:
        """At the same address as before."""
        self.programs.again("kube-apiserver")
        self.programs.wait_until(self.is_ready, "the API server answers again")

    def pause_api_server(self) -> None:
        """It takes connections and answers nothing."""
        self.programs.signal("kube-apiserver", signal.SIGSTOP)

    def resume_api_server(self) -> None:
        """It goes on."""
        self.programs.signal("kube-apiserver", signal.SIGCONT)

    def compact(self) -> None:
        """Forget all history, so that watches from older versions get 410."""
        status = httpx.post(f"{self.etcd_url}/v3/maintenance/status", json={}, timeout=10).json()
        revision = status["header"]["revision"]
        done = httpx.post(
            f"{self.etcd_url}/v3/kv/compaction", json={"revision": revision, "physical": True}, timeout=30
        )
        done.raise_for_status()

    def is_ready(self) -> bool:
        """Whether the API server answers."""
        try:
            return self.admin.status_of("GET", "/readyz") == httpx.codes.OK
        except httpx.TransportError:
            return False

    def register_api_service(self, group: str, version: str, port: int, *, namespace: str = "kube-system") -> None:
        """Let a server on this loopback port answer for an API group.

        A Service of type ExternalName leads there: endpoints may not be loopback addresses.
        """
        name = f"aggregated-{group.replace('.', '-')}"
        self.admin.apply(
            f"/api/v1/namespaces/{namespace}/services/{name}",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
            },
        )
        self.admin.apply(
            f"/apis/apiregistration.k8s.io/v1/apiservices/{version}.{group}",
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{version}.{group}"},
                "spec": {
                    "group": group,
                    "version": version,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "insecureSkipTLSVerify": True,
                    "service": {"name": name, "namespace": namespace, "port": port},
                },
            },
        )

    def answers_for(self, group: str, version: str) -> bool:
        """Whether an API group is served."""
        return self.admin.status_of("GET", f"/apis/{group}/{version}") == httpx.codes.OK

    def close(self) -> None:
        """End everything."""
        self.admin.close()
        self.programs.close()


def start_cluster(folder: Path, *, nodes: int = 3, hpa_sync_seconds: float = 2.0) -> Cluster:
    """Some five seconds later."""
    folder.mkdir(parents=True, exist_ok=True)
    etcd, kubernetes, kwok = built("etcd"), built("kubernetes"), built("kwok")
    certificates, programs = make_certificates(folder / "pki"), Programs(folder)
    token, port = secrets.token_hex(16), free_port()
    url, kubeconfig = f"https://127.0.0.1:{port}", folder / "kubeconfig"
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (folder / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
    write_kubeconfig(kubeconfig, url, certificates.ca, token)
    etcd_url = f"http://127.0.0.1:{free_port()}"
    cluster = Cluster(
        folder, url, kubeconfig, Admin(url, certificates.ca, token), certificates, programs, etcd_url, token
    )
    try:
        _start_control_plane(cluster, etcd, kubernetes, port, hpa_sync_seconds)
        _start_nodes(cluster, kwok, nodes)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _start_control_plane(cluster: Cluster, etcd: Path, kubernetes: Path, port: int, hpa_sync_seconds: float) -> None:
    programs, pki = cluster.programs, cluster.certificates
    programs.start(
        "etcd",
        [
            str(etcd / "etcd"), "--data-dir=etcd", f"--listen-client-urls={cluster.etcd_url}",
            f"--advertise-client-urls={cluster.etcd_url}", f"--listen-peer-urls=http://127.0.0.1:{free_port()}",
            "--unsafe-no-fsync",
        ],
    )  # fmt: skip
    programs.start(
        "kube-apiserver",
        [
            str(kubernetes / "kube-apiserver"), f"--etcd-servers={cluster.etcd_url}", f"--secure-port={port}",
            "--bind-address=127.0.0.1", f"--advertise-address={_address()}",
            f"--tls-cert-file={pki.server[0]}", f"--tls-private-key-file={pki.server[1]}", f"--client-ca-file={pki.ca}",
            f"--requestheader-client-ca-file={pki.front_ca}", "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki.proxy[0]}", f"--proxy-client-key-file={pki.proxy[1]}",
            "--service-account-issuer=https://kubernetes.default",
            f"--service-account-key-file={pki.service_accounts[0]}",
            f"--service-account-signing-key-file={pki.service_accounts[1]}",
            "--service-cluster-ip-range=10.0.0.0/24", "--authorization-mode=RBAC", "--token-auth-file=tokens.csv",
            "--allow-privileged", "--audit-policy-file=audit-policy.yaml", "--audit-log-path=audit.jsonl",
            "--shutdown-delay-duration=0", "--endpoint-reconciler-type=none",
        ],
    )  # fmt: skip
    programs.wait_until(cluster.is_ready, "the API server answers")
    config = f"--kubeconfig={cluster.kubeconfig}"
    delegated = [
        config,
        f"--authentication-kubeconfig={cluster.kubeconfig}",
        f"--authorization-kubeconfig={cluster.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ]
    # All of its controllers: without node-lifecycle, for one, nodes keep their taint and pods stay pending.
    programs.start(
        "kube-controller-manager",
        [
            str(kubernetes / "kube-controller-manager"), *delegated, f"--secure-port={free_port()}", "--cert-dir=kcm",
            f"--service-account-private-key-file={pki.service_accounts[1]}", f"--root-ca-file={pki.ca}",
            f"--horizontal-pod-autoscaler-sync-period={hpa_sync_seconds}s",
            "--kube-api-qps=200", "--kube-api-burst=300", "--concurrent-horizontal-pod-autoscaler-syncs=10",
        ],
    )  # fmt: skip
    programs.start(
        "kube-scheduler",
        [
            str(kubernetes / "kube-scheduler"), *delegated, f"--secure-port={free_port()}", "--cert-dir=scheduler",
            "--kube-api-qps=200", "--kube-api-burst=300",
        ],
    )  # fmt: skip


def _start_nodes(cluster: Cluster, kwok: Path, nodes: int) -> None:
    stages = [f"--config={stage}" for stage in sorted((kwok / "stages").glob("*.yaml"))]
    cluster.programs.start(
        "kwok",
        [
            str(kwok / "kwok"), f"--kubeconfig={cluster.kubeconfig}", "--manage-all-nodes",
            f"--server-address=127.0.0.1:{free_port()}", *stages,
        ],
    )  # fmt: skip
    for at in range(nodes):
        size = {"allocatable": _NODE_SIZE, "capacity": _NODE_SIZE}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{at}"}, "status": size}
        cluster.admin.create("/api/v1/nodes", node)

    def all_ready() -> bool:
        found = cluster.admin.get("/api/v1/nodes")["items"]
        return all(
            any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", ()))
            for node in found
        )

    cluster.programs.wait_until(all_ready, "the nodes are ready")
    has_account = "/api/v1/namespaces/default/serviceaccounts/default"  # no pod can be created before it is there
    cluster.programs.wait_until(lambda: cluster.admin.find(has_account) is not None, "service accounts are made")


def start_keda(cluster: Cluster) -> None:
    """The real operator and metrics adapter.  Their gRPC port, 9666, is fixed: one on a machine at a time."""
    keda, admin, pki = built("keda"), cluster.admin, cluster.certificates
    admin.create("/api/v1/namespaces", {"metadata": {"name": "keda"}})
    for crd in sorted((keda / "crds").glob("*.yaml")):
        manifest = yaml.safe_load(crd.read_text())
        admin.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}", manifest)
    certificates = cluster.folder / "keda-pki"
    certificates.mkdir()
    for name, source in (("ca.crt", pki.ca), ("tls.crt", pki.server[0]), ("tls.key", pki.server[1])):
        (certificates / name).write_bytes(source.read_bytes())
    port = free_port()
    cluster.register_api_service("external.metrics.k8s.io", "v1beta1", port, namespace="keda")
    config = f"--kubeconfig={cluster.kubeconfig}"
    cluster.programs.start(
        "keda-operator",
        [
            str(keda / "keda-operator"), config, f"--cert-dir={certificates}",
            f"--metrics-bind-address=127.0.0.1:{free_port()}", f"--health-probe-bind-address=127.0.0.1:{free_port()}",
            "--enable-webhook-patching=false", "--enable-apiservice-patching=false",
        ],
        KEDA_CLUSTER_OBJECT_NAMESPACE="keda", POD_NAMESPACE="keda", WATCH_NAMESPACE="",
    )  # fmt: skip
    cluster.programs.start(
        "keda-adapter",
        [
            str(keda / "keda-adapter"), config, f"--authentication-kubeconfig={cluster.kubeconfig}",
            f"--authorization-kubeconfig={cluster.kubeconfig}", f"--lister-kubeconfig={cluster.kubeconfig}",
            f"--secure-port={port}", "--bind-address=127.0.0.1", f"--cert-dir={certificates}",
            f"--tls-cert-file={pki.server[0]}", f"--tls-private-key-file={pki.server[1]}",
            "--metrics-service-address=localhost:9666", f"--port={free_port()}",
        ],
        POD_NAMESPACE="keda", WATCH_NAMESPACE="",
    )  # fmt: skip
    cluster.programs.wait_until(
        lambda: cluster.answers_for("external.metrics.k8s.io", "v1beta1"), "KEDA answers for external metrics"
    )


def start_prometheus_adapter(cluster: Cluster, prometheus_url: str, config: Json, *, name: str = "adapter") -> None:
    """The real prometheus-adapter, answering for external metrics by these rules."""
    adapter, pki, port = built("prometheus-adapter"), cluster.certificates, free_port()
    file = cluster.folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config))
    cluster.programs.start(
        name,
        [
            str(adapter / "prometheus-adapter"), f"--lister-kubeconfig={cluster.kubeconfig}",
            f"--authentication-kubeconfig={cluster.kubeconfig}", f"--authorization-kubeconfig={cluster.kubeconfig}",
            f"--prometheus-url={prometheus_url}", f"--config={file}", f"--secure-port={port}",
            f"--tls-cert-file={pki.server[0]}", f"--tls-private-key-file={pki.server[1]}",
            "--metrics-relist-interval=5s", "--metrics-max-age=60s",
        ],
    )  # fmt: skip
    cluster.register_api_service("external.metrics.k8s.io", "v1beta1", port)
    wait_until(lambda: cluster.answers_for("external.metrics.k8s.io", "v1beta1"), "the adapter answers", 60)


def write_kubeconfig(path: Path, url: str, ca: Path, token: str) -> None:
    """For one user of one cluster."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(json.dumps(document))


def _address() -> str:
    """An address that is not loopback's, which the API server refuses to advertise; nobody connects to it."""
    return "192.0.2.1"
