"""A small world for the controller: a real cluster, real HPAs on a real adapter, Prometheus, forecast server.

A step is a second and a day four minutes.  `agent` is pre-scaled, `alone` has the same HPA on the same demand and
nobody who helps it.  The controllers are processes of their own, under the rights that are shipped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cramjam
import httpx
import numpy as np
import requests
import yaml

from controller.resource.crd import definition
from predictor.fleet.feed import PrometheusFeed
from predictor.forecast import IntArray
from predictor.series import FloatArray
from tests.cluster.admin import Json
from tests.cluster.launcher import Cluster
from tests.cluster.metric_apis import start_prometheus_adapter
from tests.cluster.workloads import a_deployment, an_autoscaler, an_hpa, autoscalers, deployments, hpas
from tests.predictor.server.serving import Running, endless, serving, settings_of, wait_until_ready
from tests.servers.gate import Gate, a_gate
from tests.servers.metric_servers import MetricServer, prometheus_2, running_prometheus
from tests.servers.processes import ROOT, free_port, wait_until
from tests.servers.remote_write import write_request

TARGET = 10.0  # demand per replica
APP = "agent"
QUERY = "sum by (app) (last_over_time(demand[3s]))"
HISTORY_SECONDS = 3200
LEASE_SECONDS = 3.0
ACCOUNT, HOME = "forescale-controller", "forescale"
ADAPTER_RULES: dict[str, list[Json]] = {
    "externalRules": [
        {
            "seriesQuery": 'demand{app!=""}',
            # Smooth: two HPAs that look at different moments of one noisy load would not hold the same.
            "metricsQuery": "sum(avg_over_time(demand{<<.LabelMatchers>>}[10s]))",
            "resources": {"namespaced": False},
        }
    ]
}


class Demand:
    """Writes a sample every second, from a while ago on; a test may change what comes, or stop it."""

    def __init__(self) -> None:
        self.port: int | None = None
        self.value: float | None = None  # instead of the daily wave
        self.is_silent = False
        self._counted, self._resets = 0.0, False
        self._done, self._begun = threading.Event(), threading.Event()
        self._written = int(time.time()) - HISTORY_SECONDS
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Until the first samples are written."""
        self._thread.start()
        assert self._begun.wait(60), "the first samples are written"

    def close(self) -> None:
        """End."""
        self._done.set()
        self._thread.join()

    def reset_counter(self) -> None:
        """`requests_total` starts again from nothing, as when a process does."""
        self._resets = True

    def _run(self) -> None:
        while not self._done.wait(0.2):
            now, port = int(time.time()), self.port
            if now <= self._written or port is None:
                continue
            steps = np.arange(self._written + 1, now + 1, dtype=np.int64)
            if self.is_silent:
                self._written = now
                continue
            values = endless(steps) if self.value is None else np.full(len(steps), self.value)
            counted = self._counted + np.cumsum(endless(steps))
            if self._resets:
                counted, self._resets = np.cumsum(endless(steps)), False
            with contextlib.suppress(requests.exceptions.RequestException):
                if self._write(port, "demand", steps, values) and self._write(port, "requests_total", steps, counted):
                    self._written, self._counted = now, float(counted[-1])
                    self._begun.set()

    def _write(self, port: int, name: str, steps: IntArray, values: FloatArray) -> bool:
        body = cramjam.snappy.compress_raw(write_request({"__name__": name, "app": APP}, steps, values))
        answer = requests.post(
            f"http://127.0.0.1:{port}/api/v1/write",
            data=bytes(body),
            headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
            timeout=10,
        )
        return bool(answer.status_code == httpx.codes.NO_CONTENT)


@dataclass(slots=True)
class Controller:
    """One process of `forescale controller run`."""

    name: str
    port: int
    keda_port: int
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Anew, with a log that goes on."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command],
                stderr=output,
                stdout=output,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
            )

    def kill(self) -> None:
        """Without a chance to say goodbye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As a pod is stopped; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def leads(self) -> bool:
        """Whether it may write."""
        return self.metric("forescale_controller_leading") == 1.0

    def metric(self, metric: str, /, **labels: str) -> float | None:
        """One value of its own metrics; None without it."""
        try:
            text = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text
        except httpx.TransportError:
            return None
        for line in text.splitlines():
            is_it = line.partition("{")[0].partition(" ")[0] == metric
            if is_it and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rpartition(" ")[2])
        return None


@dataclass(slots=True)
class World:
    """Everything, running."""

    cluster: Cluster
    namespace: str
    folder: Path
    prometheus: MetricServer
    metric_gate: Gate
    forecast_gate: Gate
    forecasts: Running
    model: Path
    demand: Demand
    controllers: list[Controller]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def autoscaler(self) -> Json:
        """The resource as it is."""
        return self.cluster.admin.get(autoscalers(self.namespace, "agent"))

    @property
    def hpa(self) -> Json:
        """Of the pre-scaled Deployment."""
        return self.cluster.admin.get(hpas(self.namespace, "agent"))

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of one condition."""
        for each in self.autoscaler.get("status", {}).get("conditions", ()):
            if each["type"] == kind:
                return each["status"], each["reason"]
        return "", ""

    @property
    def is_raised(self) -> bool:
        """Whether a floor is in force."""
        return bool(self.hpa["spec"]["minReplicas"] > 2)

    @property
    def is_recorded(self) -> bool:
        """Whether the user's value is noted on the HPA, to be given back."""
        return "forescale.io/original-min-replicas" in self.hpa["metadata"].get("annotations", {})

    def is_given_back(self, lowest: int) -> bool:
        """Whether the user's value is in force; the record is the last that goes."""
        return bool(self.hpa["spec"]["minReplicas"] == lowest and not self.is_recorded)

    def leader(self) -> Controller:
        """The one that leads; waits for it."""
        found: list[Controller] = []

        def somebody_leads() -> bool:
            found[:] = [one for one in self.controllers if one.process and one.process.poll() is None and one.leads()]
            return len(found) == 1

        wait_until(somebody_leads, "one controller leads", 30)
        return found[0]


def install(cluster: Cluster) -> None:
    """The definition and the rights, as they are shipped."""
    crd = definition()
    cluster.admin.apply(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}", crd)
    paths = {
        "Namespace": "/api/v1/namespaces",
        "ServiceAccount": f"/api/v1/namespaces/{HOME}/serviceaccounts",
        "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "Role": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HOME}/roles",
        "RoleBinding": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HOME}/rolebindings",
    }
    for manifest in shipped_rights():
        cluster.admin.apply(f"{paths[manifest['kind']]}/{manifest['metadata']['name']}", manifest)
    wait_until(
        lambda: cluster.admin.status_of("GET", "/apis/forescale.io/v1alpha1/predictiveautoscalers") == 200,
        "the definition is served",
    )


def shipped_rights() -> list[dict[str, Any]]:
    """manifests/controller/rbac.yaml."""
    text = (ROOT / "manifests" / "controller" / "rbac.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def a_controller(
    cluster: Cluster, name: str, prometheus_url: str, forecasts_url: str, folder: Path, *more: str, port: int = 0
) -> Controller:
    """Not started yet."""
    port, keda_port = port or free_port(), free_port()
    config = cluster.kubeconfig_for(ACCOUNT, HOME, seconds=7200)
    command = [
        sys.executable, "-m", "forescale", "controller", "run", f"--kubeconfig={config}",
        f"--prometheus={prometheus_url}", f"--forecasts={forecasts_url}", "--cycle=1", "--hpa-sync=2",
        "--downscale-stabilization=5", f"--lease-seconds={LEASE_SECONDS}", f"--lease-namespace={HOME}",
        "--host=127.0.0.1", f"--port={port}", f"--identity={name}", "--keda-host=127.0.0.1",
        f"--keda-port={keda_port}", *more,
    ]  # fmt: skip
    return Controller(name, port, keda_port, command, folder / f"controller-{name}.log")


@contextmanager
def a_world(
    cluster: Cluster,
    namespace: str,
    folder: Path,
    model: Path,
    *,
    controllers: int = 1,
    startup_seconds: int = 3,
    lowest: int = 2,
    has_hpas: bool = True,
) -> Iterator[World]:
    """Ready: forecasts are calibrated, and the HPAs scale; without them nobody answers for external metrics yet."""
    with ExitStack() as stack:
        metric_gate, forecast_gate = stack.enter_context(a_gate()), stack.enter_context(a_gate())
        ports = [free_port() for _ in range(controllers)]
        targets = ", ".join(f"'127.0.0.1:{port}'" for port in ports)
        config = f"scrape_configs: [{{job_name: controller, static_configs: [{{targets: [{targets}]}}]}}]"
        prometheus = stack.enter_context(running_prometheus(prometheus_2(), folder / "prometheus", config=config))
        demand = Demand()
        demand.port = prometheus.process.port
        demand.start()
        stack.callback(demand.close)
        metric_gate.turn(target=prometheus.process.port)
        wanted = settings_of(
            model,
            prometheus={"url": metric_gate.url},
            settle_seconds=1,
            workloads=[{"name": "{app}", "query": QUERY, "target_per_replica": TARGET}],
        )
        assert wanted.prometheus is not None
        running = stack.enter_context(serving(wanted, PrometheusFeed(wanted.prometheus.access({}))))
        wait_until_ready(running)
        running.wait_until_warm()
        forecast_gate.turn(target=int(running.url.rpartition(":")[2]))
        install(cluster)
        if has_hpas:  # around the gate: what the HPA alone would hold is known even while we are blind
            start_prometheus_adapter(cluster, prometheus.url, ADAPTER_RULES)
        for name in (APP, "alone"):
            cluster.admin.create(deployments(namespace), a_deployment(name, startup_seconds=startup_seconds))
            if has_hpas:
                cluster.admin.create(hpas(namespace), an_exact_hpa(name, lowest=lowest))
        ours = [
            a_controller(cluster, f"c{at}", metric_gate.url, forecast_gate.url, folder, port=port)
            for at, port in enumerate(ports)
        ]
        world = World(cluster, namespace, folder, prometheus, metric_gate, forecast_gate, running, model, demand, ours)
        for one in ours:
            one.start()
            stack.callback(one.kill)
        yield world


def an_exact_hpa(name: str, *, lowest: int = 2) -> Json:
    """Without tolerance and with a short memory, so that two on the same demand hold the same."""
    manifest = an_hpa(name, lowest=lowest, target=str(int(TARGET)))
    manifest["spec"]["metrics"][0]["external"]["metric"]["selector"] = {"matchLabels": {"app": APP}}
    rules = {"policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}], "tolerance": "0"}
    manifest["spec"]["behavior"] = {
        "scaleDown": {**rules, "stabilizationWindowSeconds": 5},
        "scaleUp": {"policies": [{"type": "Pods", "value": 40, "periodSeconds": 1}], "tolerance": "0"},
    }
    return manifest


def a_cautious_autoscaler(**changed: Any) -> Json:
    """Compressed in time like everything else."""
    spec: dict[str, Any] = {
        "demand": {"query": QUERY, "series": {"app": APP}, "stepSeconds": 1, "workload": APP},
        "targetPerReplica": TARGET,
        "quantile": 0.9,
        "lead": {"type": "Measured", "startupSeconds": 6, "metricDelaySeconds": 1},
        "guardrails": {
            "staleAfterSeconds": 8,
            "holdSeconds": 6,
            "scaleDownWindowSeconds": 5,
            "releaseRatioPerMinute": 1,
            "collapseRatio": 0,  # looks back an hour: fifteen days here
        },
        # A model that was trained in seconds, on days of minutes, is nothing to judge trust by.
        "trust": {"minOutcomes": 20, "maxFalseAlarmRatio": 1, "maxCoverageGap": 0.5, "minSkill": -1},
    }
    return an_autoscaler("agent", **(spec | changed))
