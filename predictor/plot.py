"""A forecast as a picture: recent demand, and the quantiles ahead.  Writes one PNG.

matplotlib is imported when a picture is made, not before: serving never pays for it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.forecast import MEDIAN, Forecast
from predictor.series import FloatArray, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Instants = npt.NDArray[np.datetime64]  # (time,), UTC

DEFAULT_HISTORY_HORIZONS = 8  # how much of the past stands beside the forecast
_BANDS = ((0.01, 0.99, 0.14), (0.05, 0.95, 0.22), (0.25, 0.75, 0.34))  # low, high, opacity; widest first
_PEAK_LEVEL = 0.95
_DEMAND, _FORECAST, _PEAK = "#39434d", "#0b62c4", "#b3261e"


def plot_forecast(series: Series, forecast: Forecast, path: Path, history_steps: int | None = None) -> None:
    """Write a PNG of the last `history_steps` samples up to the forecast's origin and of the forecast.

    Shown are the median, the central 50, 90 and 98 % bands as far as the forecast has such levels, and the 95 %
    quantile of the running maximum, which is what replicas are planned for.  Raises InputError when nothing of the
    series lies before the forecast, or the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    wanted = history_steps if history_steps is not None else DEFAULT_HISTORY_HORIZONS * forecast.horizon
    times, values = _recent(series, forecast, wanted)
    figure = Figure(figsize=(10, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen
    axes = figure.add_subplot()
    axes.plot(times, values, color=_DEMAND, linewidth=1.2, label="Demand")
    _draw_ahead(axes, forecast, float(values[-1]))
    _label(axes, forecast)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputError(f"{path}: cannot write the picture ({error.strerror}); choose another --plot") from error


def _recent(series: Series, forecast: Forecast, steps: int) -> tuple[Instants, FloatArray]:
    """The samples before the forecast, oldest first, with their instants; at least one."""
    if series.name != forecast.series:
        raise InputError(f"the forecast is of {forecast.series}, the series is {series.name}; give the forecast's own")
    last = min(series.index_of(forecast.issued_at), len(series) - 1)
    if last < 0 or steps < 1:
        raise InputError(
            f"{series.name}: no sample at or before {forecast.issued_at.isoformat()} to draw; "
            "give the series that the forecast was made from"
        )
    first = max(0, last + 1 - steps)
    return _instants([series.instant(i) for i in range(first, last + 1)]), series.values[first : last + 1]


def _instants(times: list[datetime]) -> Instants:
    """UTC as matplotlib likes it best."""
    return np.array([time.astimezone(UTC).replace(tzinfo=None) for time in times], dtype="datetime64[s]")


def _draw_ahead(axes: Axes, forecast: Forecast, present: float) -> None:
    """Bands and lines, each starting at the present demand so that nothing floats."""
    times = _instants([forecast.issued_at, *forecast.instants()])

    def column(quantiles: FloatArray, level: float) -> FloatArray:
        position = int(np.argmin(np.abs(np.asarray(forecast.levels) - level)))
        return np.concatenate([[present], quantiles[:, position]])

    for low, high, opacity in _BANDS:
        low_level, high_level = _nearest(forecast, low), _nearest(forecast, high)
        # A band is drawn only if both its levels are there, give or take: 0.998 must not pass for 0.99.
        if abs(high_level - high) > 0.005 or abs(low_level - low) > 0.05:
            continue
        axes.fill_between(
            times,
            column(forecast.path, low_level),
            column(forecast.path, high_level),
            color=_FORECAST,
            alpha=opacity,
            linewidth=0,
            label=f"q{low_level * 100:g} to q{high_level * 100:g}",
        )
    axes.plot(times, column(forecast.path, _nearest(forecast, MEDIAN)), color=_FORECAST, label="Median")
    peak = _nearest(forecast, _PEAK_LEVEL)
    axes.plot(times, column(forecast.peak, peak), color=_PEAK, linestyle="--", label=f"Peak so far, q{peak * 100:g}")


def _nearest(forecast: Forecast, level: float) -> float:
    return min(forecast.levels, key=lambda candidate: abs(candidate - level))


def _label(axes: Axes, forecast: Forecast) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    mark = "SYNTHETIC  " if forecast.is_synthetic else ""
    issued = forecast.issued_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    # A label from outside may hold a dollar sign, which would start a formula.
    name = forecast.series.replace("$", r"\$")
    axes.set_title(f"{mark}{name}\nissued {issued}, model {forecast.model}", loc="left", fontsize=10)
    now = date2num(_instants([forecast.issued_at]))[0]  # type: ignore[no-untyped-call]
    axes.axvline(now, color=_DEMAND, linewidth=0.8, linestyle=":")
    locator = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    axes.set_xlabel("time, UTC")
    axes.set_ylabel("demand, in the series' unit")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
