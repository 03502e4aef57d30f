"""Every issued quantile beside what came, as Parquet, so that anyone can recompute every score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.evaluation import Rolled


def write_forecasts(path: Path, rolls: Sequence[Rolled]) -> None:
    """Write the judged origins of every series; see docs/scores.md for the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    try:
        for rolled in rolls:
            calibrated, _ = rolled.issued()
            series = rolled.history.series
            stamps = series.timestamps()
            origins, horizon = calibrated.origins, rolled.horizon
            steps = np.tile(np.arange(1, horizon + 1), len(origins))
            issued_at = np.repeat(stamps[origins], horizon)
            for head, quantiles, actual in (
                ("step", calibrated.path, rolled.path[rolled.test]),
                ("peak", calibrated.peak, rolled.peak[rolled.test]),
            ):
                flat = quantiles.reshape(-1, len(rolled.levels))
                columns = {
                    "series": pa.array([series.name] * len(steps)).dictionary_encode(),
                    "head": pa.array([head] * len(steps)).dictionary_encode(),
                    "issued_at": pa.array(issued_at * 1000, pa.timestamp("ms", tz="UTC")),
                    "horizon_step": pa.array(steps, pa.int16()),
                    "target_time": pa.array(
                        (issued_at + steps * series.step_seconds) * 1000, pa.timestamp("ms", tz="UTC")
                    ),
                    "actual": pa.array(actual.reshape(-1), pa.float64(), from_pandas=True),
                } | {f"q{level:g}": pa.array(flat[:, at]) for at, level in enumerate(rolled.levels)}
                table = pa.table(columns)
                writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
                writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
