"""Raw samples to a Series, and what was found on the way.  Pure: bad data is named, never repaired silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from predictor.errors import SeriesError, SeriesGapError
from predictor.series import MAX_STEP_SECONDS, MIN_STEP_SECONDS, FloatArray, Series

DEFAULT_MAX_MISSING = 0.2
CYCLES_NEEDED = 2  # one cycle to learn from and one to see whether it comes back
_DAY_SECONDS = 86_400
_MOST_STEPS_PER_SAMPLE = 100  # beyond, one wrong timestamp would cost gigabytes of NaN
_ALWAYS_ALLOWED_STEPS = 100_000
_COUNTER_CHANGES = 120  # fewer rises say nothing about monotony ...
_COUNTER_FALLS = 0.01  # share of changes that are falls: resets
_SUSPECT_CHANGES = 10  # ... unless the query already looks like a counter without rate()
_SUSPECT_FALLS = 0.1

IntArray = npt.NDArray[np.int64]
Place = Callable[[int], str]  # how the source calls its sample number i


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A series as its source gave it, with leading indicators on the same grid and what was noticed while reading."""

    series: Series
    covariates: FloatArray | None = None  # (time, covariate)
    duplicates_dropped: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quality:
    """What was found in one series; `notes` are sentences for people."""

    samples: int
    missing: int
    longest_gap_steps: int
    duplicates_dropped: int
    usable_season_seconds: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def missing_ratio(self) -> float:
        """Share of samples not observed."""
        return self.missing / self.samples if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class Seasons:
    """Which seasonal periods a history is long enough for."""

    usable_seconds: tuple[int, ...]  # shortest first
    needed_seconds: dict[int, int]  # period -> history it takes
    notes: tuple[str, ...]  # one for each period that is left out


def place_on_grid(
    name: str,
    timestamps: IntArray,
    values: FloatArray,
    step_seconds: int,
    *,
    covariates: FloatArray | None = None,
    place: Place = lambda index: f"sample {index + 1}",
) -> Reading:
    """Put samples (unix seconds, demand) on the regular grid of the stated step; instants without a sample become NaN.

    covariates: (time, covariate), goes the same way.  Raises SeriesError naming the first sample at fault.
    """
    if timestamps.size == 0:
        raise SeriesError(f"{name}: no samples at all; check the file or the query")
    refuse_impossible_samples(name, timestamps, values, place)
    refuse_unordered(name, timestamps, place)
    table = values[:, None] if covariates is None else np.column_stack([values, covariates])
    kept = _without_repeats(name, timestamps, table, place)
    timestamps, table = timestamps[kept], table[kept]
    refuse_other_step(name, timestamps, step_seconds)
    index = (timestamps - timestamps[0]) // step_seconds
    length = int(index[-1]) + 1
    if length > _ALWAYS_ALLOWED_STEPS + _MOST_STEPS_PER_SAMPLE * index.size:
        at = int(np.argmax(np.diff(index)))
        raise SeriesGapError(
            f"{name}: {index.size} samples over {length} steps; between {_when(timestamps[at])} and "
            f"{_when(timestamps[at + 1])} there are none; is one of the two timestamps wrong?"
        )
    grid = np.full((length, table.shape[1]), np.nan)
    grid[index] = table
    dropped = values.size - kept.size
    notes = (f"{dropped} rows repeated the one before and were dropped",) if dropped else ()
    series = Series(name, datetime.fromtimestamp(int(timestamps[0]), UTC), step_seconds, grid[:, 0])
    return Reading(series, None if covariates is None else grid[:, 1:], dropped, notes)


def refuse_impossible_samples(name: str, timestamps: IntArray, values: FloatArray, place: Place) -> None:
    """Raise when demand is infinite or negative, saying when."""
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise SeriesError(
            f"{name}: {infinite.size} infinite samples, the first at {_when(timestamps[infinite[0]])} "
            f"({place(int(infinite[0]))}); a division by zero gives these: filter them at the source"
        )
    negative = np.flatnonzero(values < 0)
    if negative.size:
        raise SeriesError(
            f"{name}: {negative.size} negative samples, the first is {values[negative[0]]:g} at "
            f"{_when(timestamps[negative[0]])} ({place(int(negative[0]))}); demand cannot be negative: "
            "use rate() on counters, not deriv() or delta()"
        )


def refuse_unordered(name: str, timestamps: IntArray, place: Place) -> None:
    """Raise when time goes backwards: silently sorted, two files or two time zones in one would pass for one series."""
    back = np.flatnonzero(np.diff(timestamps) < 0)
    if back.size:
        at = int(back[0])
        raise SeriesError(
            f"{name}: time goes back from {_when(timestamps[at])} to {_when(timestamps[at + 1])} ({place(at + 1)}), "
            f"{back.size} times in all; sort by timestamp, and give local times with their zone"
        )


def refuse_other_step(name: str, timestamps: IntArray, step_seconds: int) -> None:
    """Raise when ordered timestamps are not `step_seconds` apart, naming the step that they do have."""
    if timestamps.size < 2:
        return
    apart, counts = np.unique(np.diff(timestamps), return_counts=True)
    common = int(np.gcd.reduce(apart))  # the widest grid on which every sample lies
    if common == step_seconds:
        return
    usual = int(apart[np.argmax(counts)])
    if common != usual and common % step_seconds:
        off = int(timestamps[np.flatnonzero((timestamps - timestamps[0]) % usual)[0]])
        raise SeriesError(
            f"{name}: the samples are on no regular grid: most are {usual} s apart, the one of {_when(off)} is not "
            f"on that grid; resample to {step_seconds} s"
        )
    if not MIN_STEP_SECONDS <= common <= MAX_STEP_SECONDS:
        advice = f"steps of {MIN_STEP_SECONDS} s to {MAX_STEP_SECONDS} s can be forecast: use a finer source"
    elif step_seconds % common == 0:
        advice = (
            f"give --step {common}, or put every {step_seconds // common} samples together first "
            "(the sum of counts, the mean of rates)"
        )
    elif common % step_seconds == 0:
        advice = f"give --step {common}: nothing is known about the time between them"
    else:
        advice = f"give --step {common}, or resample to {step_seconds} s"
    raise SeriesError(f"{name}: the samples are {common} s apart, not the stated {step_seconds} s; {advice}")


def trim(reading: Reading) -> Reading:
    """Without the missing samples at both ends: before the first scrape there was no demand to miss."""
    seen = np.flatnonzero(np.isfinite(reading.series.values))
    if not seen.size:
        return reading
    first, last = int(seen[0]), int(seen[-1]) + 1
    covariates = None if reading.covariates is None else reading.covariates[first:last]
    return Reading(reading.series.between(first, last), covariates, reading.duplicates_dropped, reading.notes)


def inspect(
    reading: Reading,
    *,
    now: datetime,
    season_seconds: Sequence[int],
    max_missing_ratio: float = DEFAULT_MAX_MISSING,
    is_rate: bool = False,
    suspected_counters: Sequence[str] = (),
) -> Quality:
    """Raise when the series cannot be used; otherwise say what is worth knowing about it.

    is_rate: the query takes a rate itself, so that a steady rise is demand and not a counter.
    suspected_counters: metrics that the query uses without a rate although they look like counters.
    """
    series = reading.series
    values = np.asarray(series.values)
    if series.missing == len(series):
        raise SeriesError(f"{series.name}: no sample was observed; check the query and the time range")
    ahead = int((series.end - now).total_seconds())
    if ahead > series.step_seconds:
        raise SeriesError(
            f"{series.name}: the last sample is {ahead} s in the future ({series.end.isoformat()}); "
            "check the clocks, or the time zone of the file"
        )
    gap, gap_start = longest_gap(values)
    if series.missing_ratio > max_missing_ratio:
        raise SeriesGapError(
            f"{series.name}: {series.missing} of {len(series)} samples missing ({series.missing_ratio:.1%}), "
            f"{max_missing_ratio:.0%} allowed; the longest gap is {gap} steps from "
            f"{series.instant(gap_start).isoformat()}: check the scrape job, read fewer --days, or raise --max-missing"
        )
    if suspected_counters and looks_like_counter(values, is_suspected=True):
        named = ", ".join(suspected_counters)
        raise SeriesError(
            f"{series.name}: {named} is a counter, its value only ever rises and is not demand; "
            f"wrap it in rate(...): sum(rate({suspected_counters[0]}[5m]))"
        )
    if not is_rate and looks_like_counter(values):
        raise SeriesError(
            f"{series.name}: the values only ever rise but for resets, so this is a counter and not demand; "
            "wrap it in rate(...): sum(rate(metric[5m])), or in a file take the difference of rows"
        )
    notes = list(reading.notes)
    if suspected_counters:
        notes.append(f"{', '.join(suspected_counters)} looks like a counter and is used without rate(); is that meant?")
    seasons = check_seasons(len(series) * series.step_seconds, season_seconds)
    notes += seasons.notes
    if series.missing:
        notes.append(f"{series.missing} of {len(series)} samples missing, longest gap {gap} steps; masked, not guessed")
    seen = values[np.isfinite(values)]
    if seen.max() == seen.min():
        notes.append(f"demand is constant at {seen[0]:g}: there is nothing to forecast; is it the right query?")
    return Quality(len(series), series.missing, gap, reading.duplicates_dropped, seasons.usable_seconds, tuple(notes))


def check_seasons(span_seconds: int, season_seconds: Sequence[int]) -> Seasons:
    """Tell for which seasonal periods a history is long enough, and what the others would need.

    Forecasts fall back to the periods that are left; to none of them when the history is shorter than two of any.
    """
    needed = {season: CYCLES_NEEDED * season for season in sorted(season_seconds)}
    usable = tuple(season for season, need in needed.items() if span_seconds >= need)
    notes = tuple(
        f"{_days(span_seconds)} of history are too short for the season of {_days(season)}, which needs {_days(need)}; "
        f"going on without it{'' if usable else ', like any forecast that knows no season'}"
        for season, need in needed.items()
        if season not in usable
    )
    return Seasons(usable, needed, notes)


def longest_gap(values: FloatArray) -> tuple[int, int]:
    """Length of the longest run of missing samples, and the index where it begins."""
    known = np.flatnonzero(np.isfinite(np.concatenate([[0.0], values, [0.0]])))
    apart = np.diff(known)
    at = int(np.argmax(apart))
    return int(apart[at]) - 1, int(known[at])


def looks_like_counter(values: FloatArray, *, is_suspected: bool = False) -> bool:
    """Whether values rise whenever they change, but for rare resets.

    Demand falls about as often as it rises; a counter falls only when a process restarts.
    """
    seen = values[np.isfinite(values)]
    change = np.diff(seen)
    rises, falls = int((change > 0).sum()), int((change < 0).sum())
    enough, allowed = (_SUSPECT_CHANGES, _SUSPECT_FALLS) if is_suspected else (_COUNTER_CHANGES, _COUNTER_FALLS)
    return rises >= enough and falls <= allowed * (rises + falls)


def _without_repeats(name: str, timestamps: IntArray, table: FloatArray, place: Place) -> IntArray:
    """Indices of the rows to keep: a row given twice is one row, two different rows for one instant are an error."""
    is_repeat = np.diff(timestamps) == 0
    same = (table[1:] == table[:-1]) | (np.isnan(table[1:]) & np.isnan(table[:-1]))
    conflicts = np.flatnonzero(is_repeat & ~same.all(axis=1))
    if conflicts.size:
        at = int(conflicts[0])
        raise SeriesError(
            f"{name}: {conflicts.size} instants have several values, the first is {_when(timestamps[at])} with "
            f"{table[at, 0]:g} and {table[at + 1, 0]:g} ({place(at + 1)}); keep one row per instant, or add them up"
        )
    return np.flatnonzero(np.concatenate([[True], ~is_repeat]))


def _days(seconds: int) -> str:
    return f"{seconds / _DAY_SECONDS:.3g} days" if seconds >= _DAY_SECONDS / 10 else f"{seconds} s"


def _when(timestamp: int) -> str:
    return datetime.fromtimestamp(int(timestamp), UTC).isoformat()
