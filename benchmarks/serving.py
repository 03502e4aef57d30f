"""How long a forecast takes, features included, on one thread: alone and in a batch of 1000 workloads.

Run it with `python -m benchmarks.serving [--out FILE.md]`.  The torch network is timed beside onnxruntime in the same
run, alternating, because absolute times differ from machine to machine; medians over many rounds are printed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from predictor.features import Window, build_window
from predictor.forecaster import Forecaster, History
from predictor.series import Series
from training.fit import FitSettings
from training.learning import LearningSettings, learn_model
from training.network import NetworkShape, QuantileLSTM
from training.synthetic import SyntheticDemand, generate

CHUNK = 128  # as the forecaster has it


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="rounds at batch 1; a tenth of it at 1000")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("serving.md"))
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    series = generate(SyntheticDemand(), days=28, step_seconds=60, seed=0, end=datetime(2026, 1, 31, tzinfo=UTC))
    with tempfile.TemporaryDirectory() as directory:
        settings = LearningSettings(fit=FitSettings(updates=1, check_every=1))  # speed does not depend on the weights
        learn_model([History(series)], settings, Path(directory) / "model", now=datetime.now(UTC))
        forecaster = Forecaster.load(Path(directory) / "model")
    lines = [
        "| batch | whole forecast, ms each | features | onnxruntime | the network in torch |",
        "|---|---|---|---|---|",
    ]
    for batch in (1, 1000):
        rounds = chosen.rounds if batch == 1 else max(chosen.rounds // 10, 5)
        cells = " | ".join(f"{value:.3f}" for value in _measure(forecaster, series, batch, rounds))
        lines.append(f"| {batch} | {cells} |")
    text = (
        "# Serving benchmark\n\nMedians, one thread. Printed by `python -m benchmarks.serving`.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    print(text)
    chosen.out.write_text(text)
    return 0


def _measure(forecaster: Forecaster, series: Series, batch: int, rounds: int) -> tuple[float, float, float, float]:
    """Median milliseconds per forecast: all of it, features, onnxruntime, and the same network in torch."""
    schema, card = forecaster.schema, forecaster.bundle.card
    scales = np.linspace(0.5, 2, batch)
    histories = [History(replace(series, name=f"w{i}", values=series.values * scale)) for i, scale in enumerate(scales)]
    card.offsets.update({history.series.name: 10.0 for history in histories})  # type: ignore[attr-defined]
    values = np.stack([np.asarray(h.series.values)[-schema.history_steps :] for h in histories])
    first, offset = np.zeros(batch, dtype=np.int64), np.full(batch, 10.0)

    def features() -> Window:
        return build_window(schema, values[:CHUNK], first[:CHUNK], offset[:CHUNK], schema.context, 1)

    window = features()
    inputs = (window.steps, window.origin[:, 0], window.ahead[:, 0])
    shape = NetworkShape(inputs[0].shape[-1], inputs[1].shape[-1], inputs[2].shape[-1], schema.horizon, card.levels)
    network, tensors = QuantileLSTM(shape).eval(), tuple(torch.from_numpy(array) for array in inputs)

    def in_torch() -> None:
        with torch.no_grad():
            network(*tensors)

    once = len(inputs[0])
    tasks: list[tuple[Callable[[], object], int]] = [
        (lambda: forecaster.network_quantiles(histories), batch),
        (features, once),
        (lambda: forecaster.runtime.run(*inputs), once),
        (in_torch, once),
    ]
    times: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for (task, count), record in zip(tasks, times, strict=True):
            started = time.perf_counter()
            task()
            record.append((time.perf_counter() - started) * 1000 / count)
    a, b, c, d = (statistics.median(record) for record in times)
    return a, b, c, d


if __name__ == "__main__":
    sys.exit(main())
