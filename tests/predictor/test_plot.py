from __future__ import annotations

import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import InputError
from predictor.forecast import DEFAULT_LEVELS, Forecast
from predictor.plot import plot_forecast
from predictor.series import Series

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_series(*, name: str = "web", samples: int = 240, end: datetime = NOON) -> Series:
    values = 100 + 20 * np.sin(np.arange(samples) / 20)
    values[-30:-25] = np.nan
    return Series(name, end - timedelta(minutes=samples - 1), 60, values)


def a_forecast(
    *, name: str = "web", levels: tuple[float, ...] = DEFAULT_LEVELS, horizon: int = 15, is_synthetic: bool = False
) -> Forecast:
    steps, spread = np.arange(1, horizon + 1)[:, None], np.asarray(levels)[None, :] - 0.5
    path = 100 + steps + 2 * np.sqrt(steps) * 12 * spread
    peak = np.maximum.accumulate(path, axis=0) + 3
    return Forecast(name, NOON, 60, levels, path, peak, "3f9c2a71b0de", is_synthetic)


def size(picture: Path) -> tuple[int, int]:
    """Width and height out of a PNG's header."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", head[16:])
    return int(width), int(height)


@pytest.mark.parametrize(
    ("levels", "horizon"), [(DEFAULT_LEVELS, 15), ((0.5,), 1), ((0.1, 0.5, 0.9), 60), ((0.01, 0.5, 0.99), 5)]
)
def test_a_forecast_becomes_a_picture(tmp_path: Path, levels: tuple[float, ...], horizon: int) -> None:
    picture = tmp_path / "forecast.png"

    plot_forecast(a_series(), a_forecast(levels=levels, horizon=horizon), picture)

    assert size(picture) == (1200, 576)


def test_generated_demand_and_odd_names_change_the_picture_and_break_nothing(tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain.png", tmp_path / "marked.png"

    plot_forecast(a_series(name="cost_$x^2$_{"), a_forecast(name="cost_$x^2$_{"), plain)
    plot_forecast(a_series(name="cost_$x^2$_{"), a_forecast(name="cost_$x^2$_{", is_synthetic=True), marked)

    assert plain.read_bytes() != marked.read_bytes()


def test_demand_after_the_forecast_was_made_is_not_shown(tmp_path: Path) -> None:
    known, later = tmp_path / "known.png", tmp_path / "later.png"
    long = a_series(samples=300, end=NOON + timedelta(minutes=60))
    short = long.between(0, 240)

    plot_forecast(short, a_forecast(), known)
    plot_forecast(long, a_forecast(), later)

    assert known.read_bytes() == later.read_bytes()


def test_a_series_that_begins_after_the_forecast_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sample at or before"):
        plot_forecast(a_series(end=NOON + timedelta(days=1)), a_forecast(), tmp_path / "never.png")


def test_a_forecast_of_another_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the forecast is of api"):
        plot_forecast(a_series(name="web"), a_forecast(name="api"), tmp_path / "never.png")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write the picture"):
        plot_forecast(a_series(), a_forecast(), tmp_path / "absent" / "forecast.png")


def test_importing_it_does_not_import_matplotlib() -> None:
    program = "import sys, predictor.plot; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
