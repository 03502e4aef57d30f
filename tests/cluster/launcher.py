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

from tests.cluster.admin import Admin
from tests.cluster.audit import AuditEvent, AuditLog
from tests.cluster.certificates import Certificates, make_certificates
from tests.cluster.programs import Programs, built, lasting_port

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
# Each has a name of its own, so that the audit log tells them apart.  The rights of those of Kubernetes come with it.
_CONTROLLER_MANAGER, _SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
_WITH_ALL_RIGHTS = ("admin", "kwok", "keda", "prometheus-adapter")
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
    token: str = field(repr=False)  # the admin's
    audit_log: AuditLog = field(repr=False)

    def audit(self) -> list[AuditEvent]:
        """Every request so far, oldest first."""
        return self.audit_log.read()

    def kubeconfig_of(self, user: str) -> Path:
        """Of one of the cluster's own programs."""
        return self.folder / f"kubeconfig-{user.rpartition(':')[2]}"

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

    def restart_controller_manager(self, *, hpa_sync_seconds: float | None = None) -> None:
        """A new one, which has forgotten its HPAs' recommendations; without a number, the interval stays."""
        changed = [] if hpa_sync_seconds is None else [_hpa_sync(hpa_sync_seconds)]
        self.programs.kill("kube-controller-manager")
        self.programs.again("kube-controller-manager", *changed)

    def mend(self) -> None:
        """Bring back an API server that a failed test left stopped or paused."""
        if "kube-apiserver" in self.programs.running:
            self.resume_api_server()
        else:
            self.start_api_server()

    def compact(self) -> None:
        """Forget all history, so that watches and pages from older versions get 410.

        The API server is restarted for it: its own cache remembers what etcd has forgotten.
        """
        asked = httpx.post(f"{self.etcd_url}/v3/maintenance/status", json={}, timeout=10)
        revision = asked.raise_for_status().json()["header"]["revision"]
        wish = {"revision": revision, "physical": True}
        httpx.post(f"{self.etcd_url}/v3/kv/compaction", json=wish, timeout=30).raise_for_status()
        self.stop_api_server()
        self.start_api_server()

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

    def unregister_api_service(self, group: str, version: str) -> None:
        """As long as a registered API does not answer, no namespace can be deleted."""
        self.admin.delete(f"/apis/apiregistration.k8s.io/v1/apiservices/{version}.{group}")

    def answers_for(self, group: str, version: str) -> bool:
        """Whether an API group is served."""
        return self.admin.status_of("GET", f"/apis/{group}/{version}") == httpx.codes.OK

    def close(self) -> None:
        """End everything."""
        self.admin.close()
        self.programs.close()


def start_cluster(folder: Path, *, nodes: int = 3, hpa_sync_seconds: float = 2.0) -> Cluster:
    """Ready some four seconds later."""
    etcd, kubernetes, kwok = built("etcd"), built("kubernetes"), built("kwok")
    folder.mkdir(parents=True, exist_ok=True)
    certificates, programs = make_certificates(folder / "pki"), Programs(folder)
    port = lasting_port()
    url = f"https://127.0.0.1:{port}"
    tokens = {user: secrets.token_hex(16) for user in (*_WITH_ALL_RIGHTS, _CONTROLLER_MANAGER, _SCHEDULER)}
    cluster = Cluster(
        folder=folder,
        url=url,
        kubeconfig=folder / "kubeconfig-admin",
        admin=Admin(url, certificates.ca, tokens["admin"]),
        certificates=certificates,
        programs=programs,
        etcd_url=f"http://127.0.0.1:{lasting_port()}",
        token=tokens["admin"],
        audit_log=AuditLog(folder / "audit.jsonl"),
    )
    rows = [
        f"{token},{user},{user},{'system:masters' if user in _WITH_ALL_RIGHTS else ''}\n"
        for user, token in tokens.items()
    ]
    (folder / "tokens.csv").write_text("".join(rows))
    for user, token in tokens.items():
        write_kubeconfig(cluster.kubeconfig_of(user), url, certificates.ca, token)
    (folder / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
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
            f"--advertise-client-urls={cluster.etcd_url}", f"--listen-peer-urls=http://127.0.0.1:{lasting_port()}",
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
            "--audit-log-maxsize=100000",  # megabytes: one file, from which `audit` reads on
            "--shutdown-delay-duration=0", "--endpoint-reconciler-type=none",
        ],
    )  # fmt: skip
    programs.wait_until(cluster.is_ready, "the API server answers")
    # All of its controllers: without node-lifecycle, for one, nodes keep their taint and pods stay pending.
    programs.start(
        "kube-controller-manager",
        [
            str(kubernetes / "kube-controller-manager"), *delegated(cluster, _CONTROLLER_MANAGER),
            "--leader-elect=false", "--cert-dir=kcm", "--use-service-account-credentials",
            f"--service-account-private-key-file={pki.service_accounts[1]}", f"--root-ca-file={pki.ca}",
            "--kube-api-qps=200", "--kube-api-burst=300", "--concurrent-horizontal-pod-autoscaler-syncs=10",
            _hpa_sync(hpa_sync_seconds),
        ],
    )  # fmt: skip
    programs.start(
        "kube-scheduler",
        [
            str(kubernetes / "kube-scheduler"), *delegated(cluster, _SCHEDULER), "--leader-elect=false",
            "--cert-dir=scheduler", "--kube-api-qps=200", "--kube-api-burst=300",
        ],
    )  # fmt: skip


def _start_nodes(cluster: Cluster, kwok: Path, nodes: int) -> None:
    stages = [f"--config={stage}" for stage in sorted((kwok / "stages").glob("*.yaml"))]
    cluster.programs.start(
        "kwok",
        [
            str(kwok / "kwok"), f"--kubeconfig={cluster.kubeconfig_of('kwok')}", "--manage-all-nodes",
            "--node-lease-duration-seconds=40",  # else nodes count as lost after a minute, and their pods as not Ready
            f"--server-address=127.0.0.1:{lasting_port()}", *stages,
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


def delegated(cluster: Cluster, user: str, *, port: int | None = None) -> list[str]:
    """Arguments of a server that asks the API server who may call it."""
    config = cluster.kubeconfig_of(user)
    return [
        *([f"--kubeconfig={config}"] if user in (_CONTROLLER_MANAGER, _SCHEDULER) else []),
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={lasting_port() if port is None else port}",
    ]


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


def _hpa_sync(seconds: float) -> str:
    return f"--horizontal-pod-autoscaler-sync-period={seconds}s"


def _address() -> str:
    """An address that is not loopback's, which the API server refuses to advertise; nobody connects to it."""
    return "192.0.2.1"
