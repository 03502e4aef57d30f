"""Fixtures: each server once per session, filled with 28 days of a real trace that end about now; and a browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
import requests

from predictor.files import read_series_file
from predictor.quality import IntArray
from predictor.series import FloatArray
from tests.servers.http_stubs import answering
from tests.servers.metric_servers import (
    MetricServer,
    prometheus_2,
    prometheus_3,
    running_prometheus,
    running_victoria_metrics,
    victoria_metrics,
)
from tests.servers.processes import ROOT, find_program, wait_until
from tests.servers.remote_write import push

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STEP_SECONDS = 60
SAMPLES = 28 * 1440
_TRACE = ROOT.parent / "shared" / "traces" / "wsd_web_a.csv.gz"


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What the servers were filled with: requests per minute, NaN where nothing was recorded.

    demand{app="web"}            the samples themselves
    demand{app="api"}            half of them, and two minutes in three
    http_requests_total          the counter that would have counted them, {app="web"} and {app="api"}
    stopped                      the first day alone
    """

    timestamps: IntArray  # unix seconds, multiples of the step
    values: FloatArray

    @property
    def start(self) -> datetime:
        """Instant of the first sample."""
        return datetime.fromtimestamp(int(self.timestamps[0]), UTC)

    @property
    def end(self) -> datetime:
        """Instant of the last sample."""
        return self.start + timedelta(seconds=STEP_SECONDS * (SAMPLES - 1))

    @property
    def day_end(self) -> datetime:
        """Instant of the last sample of `stopped`."""
        return self.start + timedelta(seconds=STEP_SECONDS * 1439)


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    """28 days of a real web service where the trace is at hand, else of an invented one."""
    end = int(time.time()) // STEP_SECONDS * STEP_SECONDS - 10 * STEP_SECONDS
    timestamps = end - STEP_SECONDS * np.arange(SAMPLES - 1, -1, -1, dtype=np.int64)
    if _TRACE.is_file():
        return Recorded(timestamps, np.array(read_series_file(_TRACE, STEP_SECONDS).values[-SAMPLES:]))
    random = np.random.default_rng(7)
    day = np.sin(2 * np.pi * np.arange(SAMPLES) / 1440)
    values = random.poisson(1000 * (1.5 + day)).astype(np.float64)
    values[20_000:20_045] = np.nan
    return Recorded(timestamps, values)


@pytest.fixture(scope="session")
def filled_prometheus(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricServer]:
    """Debian's Prometheus 2, which also scrapes a counter whose name does not say that it is one."""
    program = prometheus_2()
    exposition = b"# TYPE jobs_done counter\njobs_done 12\n"
    with answering(exposition, type_="text/plain; version=0.0.4") as application:
        target = application.url.removeprefix("http://")
        config = f"scrape_configs: [{{job_name: jobs, static_configs: [{{targets: ['{target}']}}]}}]"
        folder = tmp_path_factory.mktemp("prometheus")
        with running_prometheus(program, folder, config=config) as server:
            fill(server, recorded)
            yield server


@pytest.fixture(scope="session")
def filled_prometheus3(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricServer]:
    """Prometheus 3."""
    program = prometheus_3()
    with running_prometheus(program, tmp_path_factory.mktemp("prometheus3"), kind="prometheus3") as server:
        fill(server, recorded)
        yield server


@pytest.fixture(scope="session")
def filled_victoria_metrics(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricServer]:
    """VictoriaMetrics."""
    program = victoria_metrics()
    with running_victoria_metrics(program, tmp_path_factory.mktemp("victoria-metrics")) as server:
        fill(server, recorded)
        requests.get(f"{server.url}/internal/force_flush", timeout=10)
        wait_until(lambda: _has_all(server, recorded), "VictoriaMetrics shows what was written")
        yield server


@pytest.fixture(params=["filled_prometheus", "filled_prometheus3", "filled_victoria_metrics"])
def metric_server(request: pytest.FixtureRequest) -> MetricServer:
    """Each of the three in turn."""
    server: MetricServer = request.getfixturevalue(request.param)
    return server


def fill(server: MetricServer, recorded: Recorded) -> None:
    """Write everything that `Recorded` lists."""
    counted = np.where(np.isnan(recorded.values), np.nan, np.nancumsum(recorded.values))
    api = np.where(np.arange(SAMPLES) % 3 == 0, np.nan, recorded.values / 2)
    for labels, values in (
        ({"__name__": "demand", "app": "web"}, recorded.values),
        ({"__name__": "demand", "app": "api"}, api),
        ({"__name__": "http_requests_total", "app": "web"}, counted),
        ({"__name__": "http_requests_total", "app": "api"}, counted / 2),
        ({"__name__": "stopped"}, np.nan_to_num(recorded.values[:1440], nan=1.0)),
    ):
        push(server.write_url, labels, recorded.timestamps[: values.size], values)


def _has_all(server: MetricServer, recorded: Recorded) -> bool:
    answer = requests.get(
        f"{server.url}/api/v1/query",
        params={"query": "sum(count_over_time(demand[29d]))", "time": str(recorded.end.timestamp())},
        timeout=10,
    )
    result = answer.json()["data"]["result"]
    wanted = int(np.isfinite(recorded.values).sum() + np.isfinite(recorded.values[np.arange(SAMPLES) % 3 != 0]).sum())
    return bool(result) and int(result[0]["value"][1]) == wanted


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one for all tests: Playwright's synchronous API can be started once per process.

    Skips where it is absent, unless FORESCALE_REQUIRE_SERVERS says that nothing may be skipped.
    """
    from playwright.sync_api import sync_playwright  # only where a browser is asked for

    program = find_program("chromium", how="apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
