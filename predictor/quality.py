"""Raw samples to a Series, and what was found on the way.  Pure: bad data is named, never repaired silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from predictor.errors import SeriesError, SeriesGapError
from predictor.series import FloatArray, Series

DEFAULT_MAX_MISSING = 0.2
_COUNTER_SAMPLES = 120  # fewer say nothing about monotony
_COUNTER_RISING = 0.5  # share of steps that rise
_COUNTER_FALLING = 0.005  # share of steps that fall: resets


@dataclass(frozen=True, slots=True)
class Quality:
    """What was found in one series; `notes` are sentences for people."""

    samples: int
    missing: int
    longest_gap_steps: int
    usable_season_seconds: tuple[int, ...]
    notes: tuple[str, ...]


def to_series(
    name: str, timestamps: npt.NDArray[np.int64], values: FloatArray, step_seconds: int, *, is_synthetic: bool = False
) -> Series:
    """Put samples (unix seconds, demand) on the regular grid of the stated step; absent instants become NaN."""
    if timestamps.size == 0:
        raise SeriesError(f"{name}: no samples at all; check the file or the query")
    change = np.diff(timestamps)
    if (change < 0).any():
        at = int(np.flatnonzero(change < 0)[0])
        raise SeriesError(
            f"{name}: timestamps go back from {_when(timestamps[at])} to {_when(timestamps[at + 1])} (sample {at + 2}); "
            "sort the rows by timestamp"
        )
    if (change == 0).any():
        at = int(np.flatnonzero(change == 0)[0])
        raise SeriesError(
            f"{name}: {int((change == 0).sum())} duplicate timestamps, the first is {_when(timestamps[at])}; "
            "keep one row per instant, or aggregate the query with sum by"
        )
    off = (timestamps - timestamps[0]) % step_seconds != 0
    usual = int(np.median(change)) if change.size else step_seconds
    if off.any() or usual > step_seconds:
        raise SeriesError(
            f"{name}: samples are {usual} s apart, not the stated {step_seconds} s; "
            f"give --step {usual} or resample the data"
        )
    index = (timestamps - timestamps[0]) // step_seconds
    grid = np.full(int(index[-1]) + 1, np.nan)
    grid[index] = values
    return Series(name, datetime.fromtimestamp(int(timestamps[0]), UTC), step_seconds, grid, is_synthetic=is_synthetic)


def trim(series: Series) -> Series:
    """Without the missing samples at both ends: before the first scrape there was no demand to miss."""
    seen = np.flatnonzero(np.isfinite(series.values))
    return series.between(int(seen[0]), int(seen[-1]) + 1) if seen.size else series


def inspect(
    series: Series,
    *,
    now: datetime,
    season_seconds: Sequence[int],
    max_missing_ratio: float = DEFAULT_MAX_MISSING,
    is_rate: bool = False,
) -> Quality:
    """Raise when the series cannot be used; otherwise say what is worth knowing about it.

    is_rate: the query takes a rate itself, so that a steady rise is demand and not a counter.
    """
    values = np.asarray(series.values)
    if series.missing == len(series):
        raise SeriesError(f"{series.name}: no sample was observed; check the query and the time range")
    if series.end > now:
        ahead = int((series.end - now).total_seconds())
        if ahead > series.step_seconds:
            raise SeriesError(
                f"{series.name}: the last sample is {ahead} s in the future ({series.end.isoformat()}); "
                "check the clocks, or the time zone of the file"
            )
    gap = longest_gap(values)
    if series.missing_ratio > max_missing_ratio:
        raise SeriesGapError(
            f"{series.name}: {series.missing} of {len(series)} samples missing ({series.missing_ratio:.1%}, longest gap "
            f"{gap} steps), {max_missing_ratio:.0%} allowed; check the scrape job or raise --max-missing"
        )
    if not is_rate and looks_like_counter(values):
        raise SeriesError(
            f"{series.name}: the values only ever rise, so this is a counter and not demand; "
            "wrap it: sum(rate(metric[5m]))"
        )
    usable, notes = _seasons(series, season_seconds)
    if series.missing:
        notes.append(f"{series.missing} of {len(series)} samples missing, longest gap {gap} steps; masked, not guessed")
    seen = values[np.isfinite(values)]
    if seen.max() == seen.min():
        notes.append(f"demand is constant at {seen[0]:g}: there is nothing to forecast")
    return Quality(len(series), series.missing, gap, usable, tuple(notes))


def longest_gap(values: FloatArray) -> int:
    """Length of the longest run of missing samples."""
    known = np.flatnonzero(np.isfinite(np.concatenate([[0.0], values, [0.0]])))
    return int(np.diff(known).max()) - 1


def looks_like_counter(values: FloatArray) -> bool:
    """Whether values rise all the time but for rare resets."""
    seen = values[np.isfinite(values)]
    if seen.size < _COUNTER_SAMPLES:
        return False
    change = np.diff(seen)
    return bool((change > 0).mean() > _COUNTER_RISING and (change < 0).mean() <= _COUNTER_FALLING)


def _seasons(series: Series, season_seconds: Sequence[int]) -> tuple[tuple[int, ...], list[str]]:
    """The seasonal periods that two whole cycles were seen of, and a sentence for each other one."""
    span = len(series) * series.step_seconds
    usable = tuple(season for season in sorted(season_seconds) if span >= 2 * season)
    notes = [
        f"{span / 86400:.1f} days are too short for the {season / 86400:g}-day season, which needs {2 * season / 86400:g}; "
        "it is left out"
        for season in sorted(season_seconds)
        if season not in usable
    ]
    return usable, notes


def _when(timestamp: int) -> str:
    return datetime.fromtimestamp(int(timestamp), UTC).isoformat()
