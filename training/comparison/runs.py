"""Every policy's steps in a Parquet file, so that anyone can recompute the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predictor.errors import InputError
from training.comparison.policies import Row
from training.simulator.study import Case


def write_runs(path: Path, cases: Sequence[tuple[str, Case, Sequence[Row]]]) -> None:
    """One row per series, policy and simulated step of the test span; raises InputError when it cannot be written."""
    writer = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, case, rows in cases:
            for row in rows:
                table = _table(name, case, row)
                writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
                writer.write_table(table)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another --runs") from error
    finally:
        if writer is not None:
            writer.close()


def _table(name: str, case: Case, row: Row) -> pa.Table:
    world, run, part = case.world, row.run, slice(case.test_step, None)
    seconds = world.start.timestamp() + np.arange(case.test_step, len(world)) * world.settings.step_seconds
    count = len(seconds)

    def same(text: str) -> pa.Array:
        return pa.array([text] * count).dictionary_encode()

    return pa.table(
        {
            "series": same(name),
            "policy": same(row.policy.key),
            "tuning": same(row.tuning.value),
            "time": pa.array((seconds * 1000).astype(np.int64), pa.timestamp("ms", tz="UTC")),
            "is_observed": pa.array(world.arrivals.is_observed[part]),
            "requests": pa.array(world.arrivals.requests[part]),
            "floor": pa.array(run.steering.floor[part]),
            "replicas_asked": pa.array(run.steering.asked[part]),
            "replicas_ready": pa.array(run.ready[part]),
            "replicas_paid": pa.array(run.paid[part]),
            "has_opinion": pa.array(run.steering.has_opinion[part]),
            "served": pa.array(run.served[part]),
            "late": pa.array(run.late[part]),
            "timed_out": pa.array(run.timed_out[part]),
            "backlog": pa.array(run.backlog[part]),
            "wait_seconds": pa.array(run.wait_seconds[part]),
        }
    )
