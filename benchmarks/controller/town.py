"""A real cluster with many Deployments, HPAs and PredictiveAutoscalers, a real Prometheus, and one controller."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.controller.answers import TARGET
from benchmarks.controller.servers import Stage, serving
from tests.cluster.launcher import Cluster, start_cluster
from tests.cluster.metric_apis import EXTERNAL_METRICS
from tests.cluster.programs import lasting_port
from tests.cluster.workloads import a_deployment, an_autoscaler, an_hpa, autoscalers, deployments, hpas
from tests.controller.live.world import Controller, a_controller, install
from tests.servers.metric_servers import MetricServer, prometheus_2, running_prometheus
from tests.servers.processes import free_port

NAMESPACE = "bench"
NAME = "bench"  # the controller's identity
_NODES = 20
_STARTUP_SECONDS = 2
_HIGHEST = 10
_MAKERS = 8
_AT_ONCE = 150  # more would still be starting when patience ends
_HPA_SYNC_SECONDS = 15.0
_SCRAPES = """
scrape_configs:
- {{job_name: demand, scrape_interval: 5s, static_configs: [{{targets: ['127.0.0.1:{demand}']}}]}}
- {{job_name: controller, scrape_interval: 15s, static_configs: [{{targets: ['127.0.0.1:{controller}']}}]}}
"""


@dataclass(slots=True)
class Town:
    """All of it, running."""

    cluster: Cluster
    prometheus: MetricServer
    stage: Stage
    controller: Controller
    cpu: int  # the one core that the controller may use
    names: list[str] = field(default_factory=list)

    def grow(self, count: int) -> None:
        """Until there are so many of each kind, with all pods Ready; every other resource has a query of its own."""
        new = [f"w{at}" for at in range(len(self.names), count)]
        self.stage.replicas |= dict.fromkeys(new, 2)
        with ThreadPoolExecutor(_MAKERS) as makers:
            for begin in range(0, len(new), _AT_ONCE):
                part = new[begin : begin + _AT_ONCE]
                list(makers.map(self._make_target, part))
                self._wait_for_pods(len(self.names) + begin + len(part))
            list(makers.map(self._make_resource, new))
        self.names += new

    def _wait_for_pods(self, count: int) -> None:
        self.cluster.programs.wait_until(lambda: self.ready() >= count, f"{count} Deployments have a pod")

    def ready(self) -> int:
        """Deployments with a Ready pod."""
        found = self.cluster.admin.items(deployments(NAMESPACE))
        return sum(bool(each.get("status", {}).get("readyReplicas")) for each in found)

    def pods(self) -> int:
        """That are there."""
        return len(self.cluster.admin.items(f"/api/v1/namespaces/{NAMESPACE}/pods"))

    def raise_share(self, at: int, share: float) -> None:
        """Let the forecasts of the next part of the resources ask for one replica more; `at` counts the parts."""
        size = max(round(len(self.names) * share), 1)
        for offset in range(size):
            self.stage.replicas[self.names[(at * size + offset) % len(self.names)]] += 1

    def start(self) -> float:
        """The controller, on one core; gives the instant."""
        begun = time.monotonic()
        self.controller.start()
        return begun

    def _make_target(self, name: str) -> None:
        admin = self.cluster.admin
        admin.create(deployments(NAMESPACE), a_deployment(name, replicas=1, startup_seconds=_STARTUP_SECONDS))
        admin.create(hpas(NAMESPACE), an_hpa(name, lowest=1, highest=_HIGHEST, target=f"{TARGET:g}"))

    def _make_resource(self, name: str) -> None:
        shared = {"query": "sum by (app) (demand)", "series": {"app": name}}
        demand: dict[str, Any] = shared if int(name[1:]) % 2 else {"query": f'sum(demand{{app="{name}"}})'}
        made = an_autoscaler(name, demand=demand | {"workload": name}, targetPerReplica=TARGET)
        self.cluster.admin.create(autoscalers(NAMESPACE), made)


@contextmanager
def a_town(folder: Path, cycle_seconds: float) -> Iterator[Town]:
    """Without resources yet, and with the controller not started."""
    with ExitStack() as stack:
        stage, port = Stage(), free_port()
        scraped = stack.enter_context(serving(stage.scraped))
        config = _SCRAPES.format(demand=scraped, controller=port)
        prometheus = stack.enter_context(running_prometheus(prometheus_2(), folder / "prometheus", config=config))
        cluster = start_cluster(folder / "cluster", nodes=_NODES, hpa_sync_seconds=_HPA_SYNC_SECONDS)
        stack.callback(cluster.close)
        external = lasting_port()
        stack.enter_context(serving(stage.external, certificate=cluster.certificates.server, port=external))
        cluster.register_api_service(*EXTERNAL_METRICS, external)
        cluster.programs.wait_until(lambda: cluster.answers_for(*EXTERNAL_METRICS), "HPAs can read demand")
        install(cluster)
        cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        cluster.programs.wait_until(lambda: cluster.admin.find(account) is not None, "pods can be made")
        controller = a_controller(
            cluster, NAME, prometheus.url, f"http://127.0.0.1:{scraped}", folder,
            f"--cycle={cycle_seconds:g}", f"--hpa-sync={_HPA_SYNC_SECONDS:g}", "--downscale-stabilization=300",
            "--lease-seconds=15", port=port,
        )  # fmt: skip
        cpu = max(os.sched_getaffinity(0))
        controller.command = ["taskset", "-c", str(cpu), *controller.command]
        yield Town(cluster, prometheus, stage, controller, cpu)
        if controller.process is not None and controller.process.poll() is None:
            controller.kill()


class Progress:
    """A line on stderr for every step of a long run."""

    def __init__(self) -> None:
        self._begun, self._lock = time.monotonic(), threading.Lock()

    def __call__(self, text: str) -> None:
        """Say what is done now."""
        with self._lock:
            print(f"{time.monotonic() - self._begun:6.0f} s  {text}", file=sys.stderr, flush=True)
