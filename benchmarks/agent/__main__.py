"""The agent service: CPU of a run, throughput, latencies, memory and start, beside langgraph alone in the same run.

Run it with `python -m benchmarks.agent [--quick] [--out FILE.md]`.  The service has one core, its clients another; CPU
is what the kernel accounted to the service's process.  Wall-clock figures depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.agent import bare, trap
from benchmarks.agent.load import QUESTION, Result, drive
from benchmarks.agent.service import Service, service
from benchmarks.agent.workload import MODEL_SECONDS, TOKENS
from tests.servers.postgres import fresh_database, postgresql

ROUNDS = 3
AT_ONCE = 32
FAR_SECONDS = 0.002  # of a round trip to a database in another zone
Row = tuple[str, str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs, to see that it works")
    parser.add_argument("--out", type=Path, default=None, help="also write the table there")
    chosen = parser.parse_args(arguments)
    scale = 0.1 if chosen.quick else 1.0
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rows = [*starts(folder), *costs(folder, int(900 * scale)), *latencies(folder, int(1500 * scale))]
        rows += memory(folder, int(10_000 * scale))
        rows += fleet(folder, int(900 * scale))
    text = table(rows)
    print(text)
    if chosen.out is not None:
        chosen.out.write_text(text, encoding="utf-8")
    return 0


def starts(folder: Path) -> list[Row]:
    """CPU to ready, with bytecode and, in turn, without; the first start may write bytecode, and does not count."""
    used: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS + 1):
        for has_bytecode, seconds in used.items():
            # Without: Python is told to look for bytecode where there is none, and to leave none.
            told = {} if has_bytecode else {"PYTHONPYCACHEPREFIX": str(folder / "none"), "PYTHONDONTWRITEBYTECODE": "1"}
            store = f"sqlite:///{folder / f'start-{number}-{has_bytecode}.db'}"
            with service(store, folder, environment=told) as running:
                seconds.append(running.ready_cpu_seconds)
    medians = {has_bytecode: statistics.median(seconds[1:]) for has_bytecode, seconds in used.items()}
    return [
        ("CPU from start to ready, with bytecode", "≤ 0.9 s (aim 0.75)", f"{medians[True]:.2f} s"),
        ("… without bytecode", "", f"{medians[False]:.2f} s"),
    ]


def costs(folder: Path, runs: int) -> list[Row]:
    """CPU of a run, alternating between the service and langgraph alone."""
    rows: list[Row] = []
    for words, is_streamed, goal in (("wait", False, "≤ 5 ms"), (f"stream of {TOKENS} tokens", True, "≤ 8 ms")):
        ours, alone = [], []
        for number in range(ROUNDS):
            with service(f"sqlite:///{folder / f'cost-{is_streamed}-{number}.db'}", folder) as running:
                load(running, AT_ONCE, AT_ONCE, is_streamed=is_streamed)  # a warm-up
                before = running.cpu_seconds()
                result = load(running, runs // ROUNDS, AT_ONCE, is_streamed=is_streamed)
                ours.append(1000 * (running.cpu_seconds() - before) / len(result.seconds))
            alone.append(apart(bare.cpu_ms_per_run, folder, runs // ROUNDS, AT_ONCE, is_streamed=is_streamed))
        mean, bare_ms = statistics.median(ours), statistics.median(alone)
        rows.append(
            (f"CPU of a run: {words}, SQLite, `exit`", goal, f"{mean:.2f} ms ({ROUNDS} rounds of {runs // ROUNDS})")
        )
        rows.append((f"… langgraph alone: {words}", "", f"{bare_ms:.2f} ms"))
        rows.append((f"… what the service adds: {words}", "≤ 1.5 ms", f"{mean - bare_ms:+.2f} ms"))
    return rows


def latencies(folder: Path, runs: int) -> list[Row]:
    """At half of the slots, and with all of 64."""
    rows: list[Row] = []
    with service(f"sqlite:///{folder / 'half.db'}", folder) as running:
        load(running, AT_ONCE, 16)
        half = load(running, runs // 2, 16)
        slow, usual = 1000 * half.quantile(0.99), 1000 * half.quantile(0.5)
        measured = f"{slow / usual:.2f} ({slow:.0f} / {usual:.0f} ms)"
        rows.append(("P99 / P50 with 16 of 32 slots in use", "≤ 1.8", measured))
        streamed = load(running, runs // 4, 16, is_streamed=True)
        first = 1000 * statistics.median(streamed.first_token_seconds)
        cancelled = cancellations(running, 60)
        worst = f"{statistics.median(cancelled):.0f} ms, slowest of {len(cancelled)}: {max(cancelled):.0f} ms"
        rows.append(("From cancel to ended, HTTP included", "≤ 50 ms", worst))
        rows.append(("Median time to the first token, of which the model takes 65 ms", "", f"{first:.0f} ms"))
    with service(f"sqlite:///{folder / 'full.db'}", folder, "--slots", "64") as running:
        load(running, 64, 64)
        full = load(running, runs, 64)
        rows.append((f"Runs per second on one core, {1000 * MODEL_SECONDS:.0f} ms of model each, 64 slots", "≥ 150",
                     f"{full.runs_per_second:.0f} ({full.failures} failures of {runs})"))  # fmt: skip
    return rows


def cancellations(running: Service, count: int) -> list[float]:
    """Milliseconds of each cancel that waits, in the middle of a run."""
    took = []
    with httpx.Client(base_url=running.url) as http:
        for _ in range(count):
            asked = {"assistant_id": "bench", "input": QUESTION, "on_completion": "keep"}
            run = http.post("/runs", json=asked).json()
            time.sleep(0.05)
            began = time.perf_counter()
            path = f"/threads/{run['thread_id']}/runs/{run['run_id']}"
            http.post(f"{path}/cancel", params={"wait": "1"}).raise_for_status()
            took.append(1000 * (time.perf_counter() - began))
            assert http.get(path).json()["status"] == "interrupted"
    return took


def memory(folder: Path, runs: int) -> list[Row]:
    """Idle, and after many runs."""
    with service(f"sqlite:///{folder / 'memory.db'}", folder, "--slots", "64") as running:
        idle = running.rss_mb()
        readings = []
        for _ in range(4):
            load(running, runs // 4, 64)
            readings.append(running.rss_mb())
    course = ", ".join(f"{reading:.0f}" for reading in readings)
    return [
        ("RSS when ready", "≤ 110 MB", f"{idle:.0f} MB"),
        (f"RSS after each quarter of {runs} runs", "bounded", f"{course} MB"),
    ]


def fleet(folder: Path, runs: int) -> list[Row]:
    """On PostgreSQL: the service, and what langgraph's saver does with a pool when it is left as it comes."""
    rows: list[Row] = []
    with postgresql(folder / "postgres") as server:
        with service(fresh_database(server, "service"), folder) as running:
            load(running, AT_ONCE, AT_ONCE)
            before = running.cpu_seconds()
            result = load(running, runs, AT_ONCE)
            used = 1000 * (running.cpu_seconds() - before) / len(result.seconds)
        words = f"{used:.2f} ms, {result.runs_per_second:.0f} runs/s, median {1000 * result.quantile(0.5):.0f} ms"
        rows.append((f"PostgreSQL, `exit`, {AT_ONCE} at once", "", words))
        for away in (0.0, FAR_SECONDS):
            rows += lock(server, away, runs // 2)
    return rows


def lock(server: str, away_seconds: float, runs: int) -> list[Row]:
    """One lock around the pool and a semaphore in its place, in turn; the better of two counts."""
    paces: dict[str, trap.Pace] = {}
    for number, kind in enumerate((trap.one_lock, trap.semaphore) * 2):
        url = fresh_database(server, f"trap_{1000 * away_seconds:.0f}_{number}")
        with trap.far_away(url, away_seconds) as there:
            pace: trap.Pace = apart(kind, there if away_seconds else url, runs, 2 * AT_ONCE)
        best = paces.get(kind.__name__)
        if best is None or pace.runs_per_second > best.runs_per_second:
            paces[kind.__name__] = pace
    place = f"a round trip of {1000 * away_seconds:.0f} ms away" if away_seconds else "on this machine"
    rows: list[Row] = []
    for name, words in (("one_lock", "langgraph's saver as it comes"), ("semaphore", "with our semaphore")):
        pace = paces[name]
        told = (f"{pace.runs_per_second:.0f} runs/s, median {1000 * pace.median_seconds:.0f} ms at "
                f"{pace.cpu_ratio:.0%} CPU")  # fmt: skip
        rows.append((f"PostgreSQL {place}, `async`, {2 * AT_ONCE} at once, no service: {words}", "", told))
    return rows


def load(running: Service, runs: int, at_once: int, *, is_streamed: bool = False) -> Result:
    """From a process of its own, on the other core."""
    found: Result = apart(drive, running.url, runs, at_once, is_streamed=is_streamed)
    if not found.seconds:
        raise SystemExit(f"no run of {runs} succeeded; is the service's log in order?")
    return found


def apart(work: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """In a fresh process, whose memory and CPU are nobody else's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given, named)


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "# The agent service",
        "",
        f"Printed by `python -m benchmarks.agent` on {platform.machine()}, Python {platform.python_version()}: one",
        "core for the service, one for its clients. A run has four nodes and two calls of the simulated model.",
        "",
        "| figure | must | measured |",
        "|---|---|---|",
        *(f"| {name} | {goal} | {value} |" for name, goal, value in rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
