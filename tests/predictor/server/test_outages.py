"""A real metric server is killed, slowed down, emptied and brought back while programs go on asking the API."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import requests

from predictor.fleet.feed import PrometheusFeed
from predictor.server.settings import Settings
from tests.predictor.server.serving import Running, endless, serving, settings_of, wait_until_ready
from tests.servers.gate import Gate, a_gate
from tests.servers.metric_servers import (
    MetricServer,
    prometheus_2,
    running_prometheus,
    running_victoria_metrics,
    victoria_metrics,
)
from tests.servers.processes import wait_until
from tests.servers.remote_write import push

APPS = ("api", "web")
HISTORY_SECONDS = 3200
PATHS = (
    "/v1/workloads",
    "/v1/workloads/web/forecast?window_max=true",
    "/v1/workloads/api/forecast",
    "/v1/workloads/web/history",
    "/v1/workloads/web/accuracy",
    "/v1/workloads/web/alarms",
    "/metrics",
    "/livez",
    "/readyz",
)
Start = Callable[[ExitStack, Path], MetricServer]


def start_prometheus(stack: ExitStack, folder: Path) -> MetricServer:
    return stack.enter_context(running_prometheus(prometheus_2(), folder))


def start_victoria_metrics(stack: ExitStack, folder: Path) -> MetricServer:
    return stack.enter_context(running_victoria_metrics(victoria_metrics(), folder))


@contextmanager
def writing(gate: Gate) -> Iterator[None]:
    """A sample of each app every second, from a while ago on; what cannot be written now is written later."""
    done, begun, written = threading.Event(), threading.Event(), int(time.time()) - HISTORY_SECONDS

    def write() -> None:
        nonlocal written
        while not done.wait(0.25):
            now, port = int(time.time()), gate.target
            if now <= written or port is None:
                continue
            steps = np.arange(written + 1, now + 1, dtype=np.int64)
            # AssertionError: it is shutting down, and says 503.
            with contextlib.suppress(requests.exceptions.RequestException, AssertionError):
                for at, app in enumerate(APPS):
                    url = f"http://127.0.0.1:{port}/api/v1/write"
                    push(url, {"__name__": "demand", "app": app}, steps, endless(steps, 1 + at / 4))
                written = now
                begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert begun.wait(60), "the first samples are written"
        yield
    finally:
        done.set()
        thread.join()


@dataclass(slots=True)
class Load:
    """Asks for everything, again and again, and counts what comes."""

    url: str
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def ask(self, done: threading.Event) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while not done.is_set():
                for path in PATHS:
                    try:
                        self.statuses[(path, client.get(path).status_code)] += 1
                    except httpx.TransportError as error:
                        self.broken.append(f"{path}: {error!r}")
                    time.sleep(0.02)  # a steady load rather than a race for the processor


@contextmanager
def loading(url: str) -> Iterator[Load]:
    load, done = Load(url), threading.Event()
    threads = [threading.Thread(target=load.ask, args=(done,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        done.set()
        for thread in threads:
            thread.join()


def settings(model: Path, gate: Gate) -> Settings:
    return settings_of(
        model,
        prometheus={"url": gate.url, "timeout_seconds": 30},
        settle_seconds=2,
        workloads=[{"name": "{app}", "query": "avg by (app) (last_over_time(demand[2s]))", "target_per_replica": 20}],
    )


def statuses(running: Running) -> list[str]:
    return [one["status"] for one in running.http.get("/v1/workloads").json()["workloads"]]


def forecast_of_web(running: Running) -> dict[str, Any]:
    told: dict[str, Any] = running.http.get("/v1/workloads/web/forecast").json()
    return told


def cycles_until_recovered(running: Running) -> int:
    """How many cycles end before every workload has a fresh forecast."""
    first = running.fleet.snapshot.cycle
    wait_until(lambda: statuses(running) == ["ok", "ok"], "every workload is forecast again", 30)
    assert forecast_of_web(running)["issued_at"] is not None
    return running.fleet.snapshot.cycle - first


def resident_megabytes() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.timeout(400)
@pytest.mark.parametrize("start", [start_prometheus, start_victoria_metrics])
def test_no_outage_of_the_metric_server_is_one_of_the_api(model: Path, tmp_path: Path, start: Start) -> None:
    with ExitStack() as servers, a_gate() as gate:
        life = servers.enter_context(ExitStack())
        server = start(life, tmp_path / "data")
        gate.turn(target=server.process.port)
        wanted = settings(model, gate)
        with writing(gate), serving(wanted, PrometheusFeed(wanted.prometheus.access({}))) as running:  # type: ignore[union-attr]
            wait_until_ready(running)
            wait_until(lambda: statuses(running) == ["ok", "ok"], "both workloads are forecast", 60)
            running.wait_until_warm()
            with loading(running.url) as load:
                before, threads = resident_megabytes(), threading.active_count()

                # Killed, and started again with its data.
                gate.turn(target=None)
                life.close()
                wait_until(lambda: statuses(running) == ["unavailable"] * 2, "old forecasts are not given out", 30)
                # Too old comes first where a slow cycle has yet to learn why.
                wait_until(lambda: forecast_of_web(running)["reason"] == "SourceFailed", "the reason is known", 30)
                assert forecast_of_web(running)["path"] == []
                assert running.http.get("/readyz").status_code == 200
                server = start(servers, tmp_path / "data")
                gate.turn(target=server.process.port)
                after_kill = cycles_until_recovered(running)

                # Ten seconds for every answer.
                gate.turn(target=server.process.port, delay_seconds=10)
                wait_until(lambda: statuses(running) == ["unavailable"] * 2, "old forecasts are not given out", 40)
                gate.turn(target=server.process.port)
                after_slowness = cycles_until_recovered(running)

                # Another server, which knows nothing; what is written meanwhile goes there too.
                empty = start(servers, tmp_path / "empty")
                gate.turn(target=empty.process.port)
                time.sleep(3)
                assert running.http.get("/v1/workloads").status_code == 200
                gate.turn(target=server.process.port)
                after_emptiness = cycles_until_recovered(running)

                grown = resident_megabytes() - before
                assert threading.active_count() <= threads + 4

            assert load.broken == []
            wrong = {key: count for key, count in load.statuses.items() if key[1] != 200}
            assert wrong == {}, "an outage behind the API showed as an error of the API"
            assert sum(load.statuses.values()) > 200
            # The cycle under way may have begun before the server was back.
            assert max(after_kill, after_slowness, after_emptiness) <= 2
            assert grown < 60
