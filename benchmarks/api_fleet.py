"""One fleet in a process of its own, since memory can only be told of a process that did nothing else.

Run by `benchmarks.api`: `python -m benchmarks.api_fleet MODEL COUNT CYCLES` prints one JSON object.  Demand is made up
before the clock runs; what a metric server takes to answer is not counted.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from predictor.fleet.fleet import Fleet
from predictor.series import Series
from predictor.server.app import create_app
from predictor.server.settings import settings_from
from predictor.server.tokens import Tokens

STEP = 60
_REPLAYED = 20  # steps: a whole replay takes minutes, and changes neither time nor memory of a cycle


class ManyWorkloads:
    """Demand of many workloads: a daily wave with counting noise, different for each."""

    is_synthetic = False

    def __init__(self, count: int) -> None:
        self._scales = np.linspace(0.5, 2.0, count)
        self._ready: dict[int, tuple[Series, ...]] = {}  # last step -> answer

    def prepare(self, last_step: int) -> None:
        """Make up the answer of the next cycle, which reads the last four steps."""
        self._ready = {last_step: self._make(last_step - 3, last_step, STEP)}

    def read(self, query: str, first_step: int, last_step: int, step_seconds: int) -> tuple[Series, ...]:
        """See `predictor.fleet.feed.Feed`."""
        known = self._ready.get(last_step)
        return known if known is not None else self._make(first_step, last_step, step_seconds)

    def _make(self, first_step: int, last_step: int, step_seconds: int) -> tuple[Series, ...]:
        steps = np.arange(first_step, last_step + 1)
        wave = 100 * (1.5 + np.sin(2 * np.pi * steps * step_seconds / 86_400))
        noise = np.random.default_rng(first_step)
        start = datetime.fromtimestamp(first_step * step_seconds, UTC)
        return tuple(
            Series(f"app=w{at}", start, step_seconds, noise.poisson(wave * scale).astype(np.float64), {"app": f"w{at}"})
            for at, scale in enumerate(self._scales)
        )

    def close(self) -> None:
        """Nothing to close."""


def a_fleet(model: Path, count: int, readers: ThreadPoolExecutor) -> Fleet:
    """All workloads of one query."""
    document = {
        "model": str(model),
        "settle_seconds": 0,
        "max_workloads": 100_000,
        "target_per_replica": 20,
        "workloads": [{"name": "{app}", "query": "demand"}],
        "server": {"requests_per_minute": 100_000_000},
    }
    return Fleet(settings_from(document, source="benchmark"), ManyWorkloads(count), readers)


def skip_replay(fleet: Fleet) -> None:
    """Replay only the last steps."""
    for group in fleet.groups:
        for unit in group.units:
            cohort = unit.cohort
            if cohort is not None and cohort.warming is not None:
                cohort.warming.step = max(cohort.warming.step, cohort.table.step - _REPLAYED)


def main() -> int:
    """Measure and print."""
    model, count, cycles = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    with ThreadPoolExecutor(2) as readers:
        fleet = a_fleet(model, count, readers)
        create_app(fleet.settings, fleet, Tokens())  # its memory counts as well
        now = datetime.now(UTC).replace(second=1, microsecond=0)
        fleet.cycle(now)
        while fleet.is_loading:
            fleet.collect(now)
            time.sleep(0.01)
        skip_replay(fleet)
        while fleet.warm(now):
            pass
        times = []
        for _ in range(cycles):
            now += timedelta(seconds=STEP)
            if isinstance(fleet.feed, ManyWorkloads):
                fleet.feed.prepare(int(now.timestamp() // STEP))
            begun = time.perf_counter()
            fleet.cycle(now)
            times.append(time.perf_counter() - begun)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    found = {
        "count": count,
        "cycle": statistics.median(times),
        "slowest": max(times),
        "memory": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "peak": _highest_megabytes(),
    }
    print(json.dumps(found))
    return 0


def _highest_megabytes() -> float:
    """Of this program; getrusage would count what its parent had before it was started."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
