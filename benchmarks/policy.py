"""What prediction buys: replica-hours at equal risk, on real 1-minute traces, against a tuned HPA and an oracle.

Every trace with a mean of at least 20 requests a minute, scaled so that the training span's 99.9th percentile needs 30
replicas; the first 70 % trains, knobs are chosen on the week before the test span at half of the target violation, the
last 30 % is judged in 15-second steps.  Two kinds of figures: *hindsight* frontiers, tuned on the test span itself for
every family alike with the same search, and *frozen* knobs.  Run it with

    python -m benchmarks.policy [--traces DIR] [--startups 60 120 300] [--full 120] [--only NAME ...] [--out FILE.md]

The LSTM and its placebo (the forecast of 37 hours before) run at every start-up time, the other forecasters and their
placebos at `--full`.  It prints and writes Markdown; on two cores a trace takes a few minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.policy_cells import Cell, FrozenRun
from benchmarks.policy_tables import tables
from predictor.files import read_series_file
from predictor.forecaster import Forecaster, History
from training.fit import FitSettings
from training.learning import LearningSettings, learn_model
from training.simulator.control import Stage, Steering
from training.simulator.forecasters import SIMPLE, Source
from training.simulator.policies import SHIPPED, hpa, static
from training.simulator.prepare import Forecasts, Question, issue_all, make_case
from training.simulator.run import figures, simulate
from training.simulator.study import (
    Case,
    Searched,
    frozen_knobs,
    frozen_stages,
    oracle_tally,
    rechosen_stages,
    search_all,
    steer_hpa,
    steer_predictive,
    steer_schedule,
)

TRAIN_SHARE = 0.7
MIN_MEAN = 20.0  # requests per minute


def measure(path: Path, startups: Sequence[float], full: float, seed: int) -> list[Cell]:
    """Train on one trace and study every start-up time."""
    started = time.perf_counter()
    series = read_series_file(path, 60)
    if np.nanmean(series.values) < MIN_MEAN:
        return []
    history, train_end = History(series), int(len(series) * TRAIN_SHARE)
    settings = LearningSettings(fit=FitSettings(seed=seed))
    with tempfile.TemporaryDirectory() as directory:
        learn_model(
            [history.until(train_end, settings.horizon)], settings, Path(directory) / "m", now=datetime.now(UTC)
        )
        forecasts = issue_all(Forecaster.load(Path(directory) / "m"), history, train_end + settings.horizon)
    cells = []
    for startup in startups:
        cells.append(study(history, forecasts, startup, train_end, everybody=startup == full, seed=seed))
        print(
            f"{series.name}: {startup:g} s done after {time.perf_counter() - started:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return cells


def study(
    history: History, forecasts: Forecasts, startup: float, train_end: int, *, everybody: bool, seed: int
) -> Cell:
    """One trace at one start-up time."""
    case = make_case(history, forecasts, Question(startup_seconds=startup, seed=seed), train_end=train_end)
    sources = (Source.LSTM, *(s for s in SIMPLE if everybody and s in forecasts.issued))
    found = search_all(case, sources, sources)
    best_hpa = frozen_knobs(case, found["hpa"])
    alone = steer_hpa(case, [Stage(0, best_hpa)])
    rechosen = steer_hpa(case, rechosen_stages(case, found["hpa"]))
    frozen = {
        "hpa": _run(case, alone),
        "hpa_shipped": _run(case, hpa(SHIPPED, shipped=True)(case.world)),
        "static_peak": _run(case, static(int(np.ceil(np.nanmax(case.training) / case.world.capacity)))(case.world)),
        "hpa_schedule": _run(case, steer_schedule(case, frozen_knobs(case, found["schedule"]))),
    }
    for source in sources:
        knobs = frozen_knobs(case, found[source.value])
        frozen[source.value] = _run(case, steer_predictive(case, frozen_stages(case, knobs), source, alone.asked))
    stages = rechosen_stages(case, found[Source.LSTM.value])
    predictive = steer_predictive(case, stages, Source.LSTM, rechosen.asked)
    test = slice(case.test_step, None)
    oracle_hours = float(oracle_tally(case).replica_hours(case.test_blocks)[0])
    return Cell(
        trace=history.series.name,
        startup_seconds=startup,
        seed=seed,
        target=case.target_violation,
        tuning_days=(case.test_sample - case.first_sample) / 1440,
        test_days=(len(history.series) - case.test_sample) / 1440,
        peak_ratio=case.peak_demand(slice(0, case.test_step)) / case.peak_demand(test),
        oracle_hours=oracle_hours,
        hindsight={name: _hindsight(case, one) for name, one in found.items()},
        settings={name: len(one.hindsight.knobs) for name, one in found.items()},
        frozen=frozen,
        rechosen={"hpa": _run(case, rechosen), "lstm": _run(case, predictive)},
    )


def _hindsight(case: Case, searched: Searched) -> list[float | None]:
    """Cheapest replica-hours at each goal; None where no setting keeps it."""
    hours = searched.hindsight.tally.replica_hours(case.test_blocks)
    found = [searched.hindsight.cheapest(goal) for goal in case.test_goals()]
    return [None if index is None else float(hours[index]) for index in found]


def _run(case: Case, steering: Steering) -> FrozenRun:
    result = figures(simulate(case.world, steering), slice(case.test_step, None))
    return FrozenRun(
        result.violation, result.replica_hours, result.p99_wait, result.utilization, result.no_opinion_ratio
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every trace, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, default=Path(__file__).parents[2] / "shared" / "traces")
    parser.add_argument("--startups", type=float, nargs="+", default=[60.0, 120.0, 300.0])
    parser.add_argument("--full", type=float, default=120.0, help="start-up time at which every forecaster runs")
    parser.add_argument("--only", nargs="*", help="names of traces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("policy.md"))
    parser.add_argument("--json", type=Path, help="also write every cell")
    chosen = parser.parse_args(arguments)
    paths = [
        p for p in sorted(chosen.traces.glob("*.csv.gz")) if not chosen.only or p.name.split(".")[0] in chosen.only
    ]
    if not paths:
        print(f"no traces (*.csv.gz: timestamp,requests) in {chosen.traces}; give --traces DIR", file=sys.stderr)
        return 2
    paths.sort(key=lambda path: -path.stat().st_size)  # the longest first, so that no core waits at the end
    cells: list[Cell] = []
    with ProcessPoolExecutor(chosen.jobs) as pool:
        futures = [pool.submit(measure, path, chosen.startups, chosen.full, chosen.seed) for path in paths]
        for future in futures:
            cells += future.result()
            if chosen.json:
                chosen.json.write_text(json.dumps([asdict(cell) for cell in cells], indent=1))
    text = tables(cells)
    print(text)
    chosen.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
