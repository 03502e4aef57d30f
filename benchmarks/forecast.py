"""Accuracy, calibration and alarms on real 1-minute traces, against simple baselines, LightGBM and DLinear.

Every trace: the first 70 % trains and validates, the last 30 % is judged, every minute an origin, with the settings
that `forescale train` has by default.  Run it with

    python -m benchmarks.forecast [--traces DIR] [--seeds 2] [--only NAME ...] [--out FILE.md]

It prints and writes Markdown; each trace takes about a minute per seed on one core.
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

from benchmarks.outcomes import Outcome, best_simple
from benchmarks.rivals import Task, fit_dlinear, fit_lightgbm
from benchmarks.tables import tables
from predictor import scores
from predictor.files import read_series_file
from predictor.forecast import level_index
from predictor.forecaster import Forecaster, History
from predictor.scores import AnyFloat
from training import card as c
from training.dataset import make_example
from training.evaluation import Rolled, roll
from training.fit import FitSettings
from training.judging import score_card
from training.learning import LearningSettings, learn_model
from training.session import model_facts

TRAIN_SHARE = 0.7
COVERAGE_LEVELS = (0.5, 0.75, 0.9, 0.95, 0.99)
COVERAGE_STEPS = (5, 15)


def measure(path: Path, seed: int) -> Outcome:
    """Train, roll and judge everything on one trace."""
    series = read_series_file(path, 60)
    history = History(series)
    cut = int(len(series) * TRAIN_SHARE)
    settings = LearningSettings(fit=FitSettings(seed=seed))
    with tempfile.TemporaryDirectory() as directory:
        known = history.until(cut, settings.horizon)
        started = time.perf_counter()
        learn_model([known], settings, Path(directory) / "model", now=datetime.now(UTC))
        train_seconds = time.perf_counter() - started
        forecaster = Forecaster.load(Path(directory) / "model")
    test = cut + settings.horizon
    rolled = roll(forecaster, history, test)
    facts = c.SeriesFacts(series.name, "", 60, series.start, series.end, len(series), series.missing, False)
    card = score_card(rolled, facts, model_facts(forecaster.bundle))
    example = make_example(
        forecaster.schema, series, validation_ratio=1 - (1 - settings.validation_ratio) * cut / len(series)
    )
    task = Task(example, cut, slice(test, len(series)))
    rivals = {
        "lightgbm": fit_lightgbm(task, seed),
        "dlinear": fit_dlinear(task, seed, context=forecaster.schema.context),
    }
    medians: dict[str, AnyFloat] = {
        "lstm": rolled.issued()[0].median()[:, -1],
        "lstm_raw": rolled.issued()[1].median()[:, -1],
    }
    medians |= {key: points[rolled.test, -1] for key, points in rolled.points.items()}
    medians |= {key: result.median for key, result in rivals.items()}
    return Outcome(
        trace=series.name,
        seed=seed,
        origins=len(rolled.path[rolled.test]),
        wape=_wapes(rolled.path[rolled.test, -1], medians),
        coverage_gap=_worst_gap(rolled, 0),
        coverage_gap_untied=_worst_gap(rolled, 0, untied=True),
        coverage_gap_raw=_worst_gap(rolled, 1),
        alarms={a.forecaster: (a.surges, a.caught, a.hits + a.false_alarms, a.false_alarms) for a in card.alarms},
        seconds={"lstm": train_seconds} | {key: result.seconds for key, result in rivals.items()},
    )


def _wapes(actual: AnyFloat, medians: dict[str, AnyFloat]) -> dict[str, float]:
    """WAPE of everybody on the pairs that everybody but the weekly forecast has."""
    known = np.isfinite(actual) & np.all([np.isfinite(f) for key, f in medians.items() if key != "seasonal_7d"], axis=0)
    errors = {key: scores.point_error(actual[known], forecast[known]).wape for key, forecast in medians.items()}
    return {key: value for key, value in errors.items() if value is not None}


def _worst_gap(rolled: Rolled, which: int, *, untied: bool = False) -> float:
    """Worst distance of a promised level from what was kept, over the peak head's levels and steps."""
    peak = rolled.issued()[which].peak
    gaps = []
    for h in COVERAGE_STEPS:
        for level in COVERAGE_LEVELS:
            quantile = peak[:, h - 1, level_index(rolled.levels, level)]
            count = scores.coverage(rolled.peak[rolled.test, h - 1], quantile)
            gaps.append((count.gap(level) or 0.0) if untied else abs(count.covered / count.pairs - level))
    return max(gaps)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every trace and seed, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, default=Path(__file__).parents[2] / "shared" / "traces")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of traces")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("forecast.md"))
    parser.add_argument("--json", type=Path, help="also write every outcome")
    chosen = parser.parse_args(arguments)
    paths = [
        p for p in sorted(chosen.traces.glob("*.csv.gz")) if not chosen.only or p.name.split(".")[0] in chosen.only
    ]
    if not paths:
        print(f"no traces (*.csv.gz: timestamp,requests) in {chosen.traces}; give --traces DIR", file=sys.stderr)
        return 2
    work = [(path, seed) for path in paths for seed in range(chosen.seeds)]
    outcomes = []
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for outcome in pool.map(measure, *zip(*work, strict=True)):
            outcomes.append(outcome)
            ratio = outcome.wape["lstm"] / best_simple(outcome.wape)
            print(
                f"{outcome.trace} seed {outcome.seed}: {ratio:.3f} of the best simple forecast's error", file=sys.stderr
            )
    text = tables(outcomes)
    print(text)
    chosen.out.write_text(text)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
