"""One real comparison of a short history, made by the command, for all tests of this folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forescale.cli import main
from tests.builders import DAY, daily_demand

LEVELS = "0.05,0.5,0.9,0.99"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of twelve short days, a model of its first eight, and a comparison on the rest."""
    folder = tmp_path_factory.mktemp("compared")
    steps = 12 * DAY
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=steps + 60)
    stamps = [(start + timedelta(seconds=i)).isoformat() for i in range(steps)]
    values = daily_demand(steps)
    values[2500:2510] = np.nan
    pd.DataFrame({"timestamp": stamps, "requests": values}).to_csv(folder / "web.csv", index=False)
    source = ["--series", str(folder / "web.csv")]
    learning = ["--step", "1", "--seasons", f"{DAY}s", "--horizon", "8", "--levels", LEVELS, "--updates", "40"]
    assert main(["train", *source, "--out", str(folder / "model"), "--holdout", "0.33", *learning]) == 0
    assert (
        main(
            [
                *("compare", *source, "--model", str(folder / "model"), "--startup-seconds", "3", "--quick"),
                *("--target-violation", "0.01", "--replica-cost-per-hour", "0.5", "--jobs", "1"),
                *("--json", str(folder / "comparison.json"), "--html", str(folder / "comparison.html")),
                *("--runs", str(folder / "runs.parquet")),
            ]
        )
        == 0
    )
    return folder
