"""How many simulated weeks a second the simulator does on one core, in 15-second steps, warmed up.

Three ways, in the same run and on the same week of generated demand: the HPA twin step by step, the twin with the live
`decide` above it, and a sweep of 400 settings in arrays (weeks of one setting).  Run it with

    python -m benchmarks.simulator [--repeats 5] [--out FILE.md]

It prints and writes Markdown: medians over the repeats, with the slowest and the fastest.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from predictor.forecast import DEFAULT_LEVELS, IssuedForecasts
from predictor.surges import target_per_replica
from training.simulator.arrivals import spread_arrivals
from training.simulator.cluster import ClusterSettings
from training.simulator.control import ForecastFeed, Stage, steer
from training.simulator.knobs import FloorKnobs, HpaKnobs, Knobs, hpa_space
from training.simulator.run import figures, simulate
from training.simulator.sweep import sweep
from training.simulator.world import World
from training.synthetic import SyntheticDemand, generate

SWEPT = 400
DAYS = 7


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("simulator.md"))
    chosen = parser.parse_args(arguments)
    end = datetime(2026, 3, 2, tzinfo=UTC)
    series = generate(SyntheticDemand(), days=DAYS, step_seconds=60, seed=0, end=end)
    values = np.nan_to_num(series.values)
    settings = ClusterSettings(capacity_per_replica=target_per_replica(values, 60) / 60)
    world = World(series.start, 60, settings, spread_arrivals(values, 60, settings), max_replicas=100)
    peak = np.repeat(values[:, None, None] * 1.1, 15, axis=1) * np.linspace(0.8, 1.3, len(DEFAULT_LEVELS))
    issued = IssuedForecasts("web", np.arange(len(values)), DEFAULT_LEVELS, peak.astype("f4"), peak.astype("f4"))
    feed = ForecastFeed(issued, 0, np.ones(len(world), dtype=np.int32))
    knobs = hpa_space(30)[:SWEPT]
    whole = slice(None)
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "HPA twin, pods and queue": (lambda: figures(simulate(world, steer(world, [Stage(0, Knobs())])), whole), 1),
        "the live `decide` above it": (
            lambda: figures(
                simulate(world, steer(world, [Stage(0, Knobs(HpaKnobs(1.0), FloorKnobs(0.95, 0.9, 60)))], feed)), whole
            ),
            1,
        ),
        f"a sweep of {len(knobs)} settings, per setting": (lambda: sweep(world, knobs), len(knobs)),
    }
    weeks = len(world) * settings.step_seconds / (7 * 86400)
    lines = [
        "# Speed of the simulator\n",
        "`python -m benchmarks.simulator` wrote this: one core, steps of 15 s, a week of generated demand.\n",
        "| what | weeks per second, median | slowest | fastest |",
        "|---|---|---|---|",
    ]
    for name, (work, count) in ways.items():
        work()
        rates = []
        for _ in range(chosen.repeats):
            started = time.perf_counter()
            work()
            rates.append(weeks * count / (time.perf_counter() - started))
        lines.append(f"| {name} | {statistics.median(rates):.2f} | {min(rates):.2f} | {max(rates):.2f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    chosen.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
