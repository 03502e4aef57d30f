"""The forecast server: rate of reads, time of a cycle, memory, and time from start to ready.

Run it with `python -m benchmarks.api [--out FILE.md]`.  Reads are compared with a bare FastAPI route in the same run,
alternating, because absolute rates differ from machine to machine; the ratio counts.  Memory and start are those of a
process of its own, which reads a real Prometheus where there is one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI

from benchmarks.api_fleet import STEP, a_fleet, skip_replay
from predictor.forecaster import History
from predictor.server.app import create_app
from predictor.server.tokens import Tokens
from tests.servers.metric_servers import prometheus_2, running_prometheus
from tests.servers.processes import free_port, wait_until
from tests.servers.remote_write import push
from training.fit import FitSettings
from training.learning import LearningSettings, learn_model
from training.synthetic import SyntheticDemand, generate

DAYS = 11
CONNECTIONS = 8
REQUESTS = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of reads, alternating with the bare route")
    parser.add_argument("--cycles", type=int, default=9, help="timed for each size of fleet")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("api.md"))
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder))
        ratio, ours, bare, batch = measure_reads(model, chosen.rounds)
        fleets = [in_own_process(model, count, chosen.cycles) for count in (100, 1000, 10_000)]
        ready = measure_start(model, Path(folder), 100)
    lines = [
        "# API benchmark",
        "",
        "Printed by `python -m benchmarks.api`, one thread. Rates are medians over rounds in which our route and",
        "a bare FastAPI route took turns; cycles are medians, without what a metric server takes to answer.",
        "",
        "| forecast reads | |",
        "|---|---|",
        f"| `GET …/forecast` against a bare FastAPI route | {ratio:.2f} ({ours:,.0f} against {bare:,.0f} a second) |",
        f"| workloads a second through `POST /v1/forecast`, 1,000 at once | {batch:,.0f} |",
        "",
        "| workloads | cycle, s | slowest, s | memory, MB | while history is read, MB |",
        "|---|---|---|---|---|",
        *(
            "| {count:,.0f} | {cycle:.2f} | {slowest:.2f} | {memory:.0f} | {peak:.0f} |".format_map(row)
            for row in fleets
        ),
        "",
        f"From start to ready with 100 workloads in a real Prometheus (medians of {len(ready)}): "
        f"**{statistics.median(ready):.2f} s**."
        if ready
        else "No Prometheus here: start to ready was not measured.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    chosen.out.write_text(text)
    return 0


def make_model(folder: Path) -> Path:
    """A bundle of the usual size; speed does not depend on the weights."""
    series = generate(SyntheticDemand(), days=21, step_seconds=STEP, seed=0, end=datetime(2026, 1, 31, tzinfo=UTC))
    settings = LearningSettings(fit=FitSettings(updates=1, check_every=1))
    learn_model([History(series)], settings, folder / "model", now=datetime.now(UTC))
    return folder / "model"


# --- reads -------------------------------------------------------------------------------------------------------


def measure_reads(model: Path, rounds: int) -> tuple[float, float, float, float]:
    """Ratio of rates, our rate, the bare route's, and workloads a second in batches."""
    with ThreadPoolExecutor(2) as readers:
        fleet = a_fleet(model, 1000, readers)
        ours = create_app(fleet.settings, fleet, Tokens())
        bare = FastAPI()
        bare.add_api_route("/hello", _hello)
        ours_rates, bare_rates, batch_rates = [], [], []
        with serving(ours) as our_url, serving(bare) as bare_url, httpx.Client(timeout=60) as client:
            wait_until(lambda: client.get(f"{our_url}/readyz").status_code == 200, "the server is ready", 60)
            wait_until(lambda: not fleet.is_loading, "all history is read", 60)
            with fleet.lock:
                skip_replay(fleet)
            wait_until(lambda: fleet.snapshot.is_warm, "the replay is done", 60)
            for _ in range(rounds):
                ours_rates.append(asyncio.run(rate(f"{our_url}/v1/workloads/w7/forecast?window_max=true")))
                bare_rates.append(asyncio.run(rate(f"{bare_url}/hello")))
                begun = time.perf_counter()
                client.post(f"{our_url}/v1/forecast", json={"quantiles": [0.5, 0.95]}).raise_for_status()
                batch_rates.append(1000 / (time.perf_counter() - begun))
        ratios = [one / other for one, other in zip(ours_rates, bare_rates, strict=True)]
        median = statistics.median
        return median(ratios), median(ours_rates), median(bare_rates), median(batch_rates)


async def _hello() -> dict[str, str]:
    return {"hello": "world"}


async def rate(url: str) -> float:
    """Requests a second over keep-alive connections, by a client that costs as little as possible."""
    host, port = url.split("/")[2].split(":")
    path = "/" + url.split("/", 3)[3]
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    begun = time.perf_counter()
    await asyncio.gather(*(_ask(host, int(port), request, REQUESTS // CONNECTIONS) for _ in range(CONNECTIONS)))
    return REQUESTS / (time.perf_counter() - begun)


async def _ask(host: str, port: int, request: bytes, count: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for _ in range(count):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
    writer.close()


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The application in a thread, as `forescale serve` runs it."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


# --- cycles and memory -------------------------------------------------------------------------------------------


def in_own_process(model: Path, count: int, cycles: int) -> dict[str, float]:
    """Memory can only be told of a process that did nothing else."""
    command = [sys.executable, "-m", "benchmarks.api_fleet", str(model), str(count), str(cycles)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=_one_thread())
    row: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return row


# --- start -------------------------------------------------------------------------------------------------------


def measure_start(model: Path, folder: Path, count: int, repeats: int = 5) -> list[float]:
    """Seconds from the start of the command to the first 200 of /readyz."""
    if shutil.which("prometheus") is None:
        return []
    end = int(time.time()) // STEP * STEP
    timestamps = end - STEP * np.arange(DAYS * 1440 - 1, -1, -1, dtype=np.int64)
    wave, noise = 100 * (1.5 + np.sin(2 * np.pi * timestamps / 86_400)), np.random.default_rng(0)
    with running_prometheus(prometheus_2(), folder / "prometheus") as server:
        for at in range(count):
            values = noise.poisson(wave * (1 + at / count)).astype(np.float64)
            push(server.write_url, {"__name__": "demand", "app": f"w{at}"}, timestamps, values)
        config = folder / "forescale.yaml"
        config.write_text(
            f"prometheus: {{url: {server.url}}}\nmodel: {model}\n"
            'workloads: [{name: "{app}", query: "sum by (app) (demand)"}]\n'
        )
        return [start_once(config) for _ in range(repeats)]


def start_once(config: Path) -> float:
    """One start of the real command."""
    port = free_port()
    command = [sys.executable, "-m", "forescale", "serve", "--config", str(config), "--port", str(port)]
    begun = time.perf_counter()
    with subprocess.Popen(command, env=_one_thread(), stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                        return time.perf_counter() - begun
                except httpx.TransportError:
                    pass
                time.sleep(0.02)
            raise RuntimeError(f"forescale serve ended with {process.returncode}")
        finally:
            process.terminate()


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


if __name__ == "__main__":
    sys.exit(main())
