"""Invented demand for a first try without a Prometheus: a documented, seeded statistical model.  Pure.

It is a model of traffic, not a recording, and everything made from it says so (`Series.is_synthetic`).
One step's expected demand is

    mean * shape(working day or day off, with jobs) * trend * level shift * exp(noise) * (1 + bursts)

and the sample is an over-dispersed count around it.  Missing minutes are taken out last.

**Time.**  Durations are told in minutes of a day of 1440 minutes.  `day_seconds` stretches or shrinks that
day and everything in it, so a "day" of 24 minutes at a step of 1 s has the same 1440 samples, and the same
statistics, as a real one at 60 s.  Days are counted from the Unix epoch; with real days, weekday and time of
day are those of UTC.

**Reproducible piecewise.**  All randomness of a day is seeded by (seed, day), never by its place in the
output.  More `days` therefore extend the series into the past, a later `end` into the future, and every
instant that two calls share has the same value in both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.series import FloatArray, Series

MINUTES_PER_DAY = 1440
REAL_DAY_SECONDS = 86_400
_EPOCH_WEEKDAY = 3  # day 0 of the Unix epoch was a Thursday
_SATURDAY = 5
_NOISE_MEMORY_DAYS = 2  # noise older than this is forgotten, so that a day depends on a bounded past


@dataclass(frozen=True, slots=True)
class Plateau:
    """Demand that rises, stays and falls at set times: a part of the daily shape, or a scheduled job.

    Times are minutes after midnight; an end beyond 1440 lies in the next day.
    """

    start_minute: float  # half of the rise is done here
    end_minute: float  # half of the fall is done here
    rise_minutes: float  # from 12 % to 88 % of the height
    fall_minutes: float  # from 88 % to 12 %
    height: float  # share of `requests_per_day` spread evenly over the day

    def at(self, minute: FloatArray) -> FloatArray:
        """Height at each minute after this day's midnight, (time,)."""
        rise = _sigmoid((minute - self.start_minute) * 4 / self.rise_minutes)
        fall = _sigmoid((self.end_minute - minute) * 4 / self.fall_minutes)
        return self.height * rise * fall


# Two peaks, the climbs steeper than the descents: an office morning, an afternoon, a longer evening.
# Columns: start, end, rise, fall, height.
WORKING_DAY = (
    Plateau(490, 725, 50, 110, 1.0),
    Plateau(800, 1050, 80, 160, 0.85),
    Plateau(1130, 1375, 90, 180, 1.05),
)
DAY_OFF = (
    Plateau(590, 1080, 150, 300, 0.6),
    Plateau(1120, 1370, 120, 200, 0.75),
)
# Foreseeable by anybody who remembers yesterday, invisible to a forecast that only repeats the present.
EVERY_DAY_JOBS = (
    Plateau(150, 195, 7, 10, 0.7),  # a nightly batch
    Plateau(330, 355, 5, 12, 0.45),  # a morning export
)
WORKING_DAY_JOBS = (
    Plateau(545, 575, 9, 25, 0.55),  # a newsletter at five past nine
    Plateau(780, 800, 8, 20, 0.6),  # everybody's job at one
)


@dataclass(frozen=True, slots=True)
class SyntheticDemand:
    """The statistical model's parameters; the defaults resemble a mid-sized web service.

    A `_ratio` is relative to the demand it acts on, unless the comment says otherwise.
    """

    name: str = "demand"  # the series is called "synthetic-" and this
    requests_per_day: float = 1.5e6  # of a day of height 1; the default days average 0.85 and 0.66

    # Shape
    night_height: float = 0.3  # demand that is always there, in units of `Plateau.height`
    working_day: Sequence[Plateau] = WORKING_DAY  # Monday to Friday
    day_off: Sequence[Plateau] = DAY_OFF  # Saturday, Sunday, holidays
    every_day_jobs: Sequence[Plateau] = EVERY_DAY_JOBS
    working_day_jobs: Sequence[Plateau] = WORKING_DAY_JOBS
    job_jitter_minutes: float = 1.5  # standard deviation of a job's start
    job_jitter_ratio: float = 0.12  # standard deviation of the log of a job's height

    # Slow change
    trend_ratio: float = 0.12  # demand swings between 1 - ratio and 1 + ratio of its mean
    trend_period_days: float = 84.0  # of one full swing
    level_shift_ratio: float = 0.2  # a tenant comes, and leaves again
    level_shift_every_days: int = 17  # between coming and leaving
    holiday_every_days: int = 23  # one working day in so many has the shape of a day off

    # Noise of the expected demand: two Ornstein-Uhlenbeck processes in log space
    slow_noise_ratio: float = 0.06  # stationary standard deviation of the log
    slow_noise_minutes: float = 300.0  # after this, correlation has fallen to 1/e
    fast_noise_ratio: float = 0.035
    fast_noise_minutes: float = 12.0

    # Counting noise
    dispersion: float = 3.0  # variance / mean of a step's count given its expectation; 1 is Poisson

    # Bursts: unannounced, up fast and down slowly
    bursts_per_day: float = 1.2  # mean of a Poisson law
    burst_ratio: float = 0.5  # median height above the demand of that moment
    burst_spread: float = 0.6  # standard deviation of the log of the height
    burst_rise_minutes: float = 3.0  # time constant
    burst_decay_minutes: float = 20.0  # time constant

    # What the monitoring missed
    short_gaps_per_day: float = 0.7  # mean of a Poisson law
    short_gap_minutes: float = 2.0  # mean length, at least one step
    long_gap_every_days: int = 13
    long_gap_minutes: float = 50.0

    def __post_init__(self) -> None:
        if not self.requests_per_day > 0:
            raise InputError(f"requests_per_day is {self.requests_per_day:g}; it must be above zero")
        if not self.dispersion > 1:
            raise InputError(f"dispersion is {self.dispersion:g}; use more than 1, 1.01 is all but Poisson")
        if not -1 < self.trend_ratio < 1:
            raise InputError(f"trend_ratio is {self.trend_ratio:g}; it must lie between -1 and 1")
        for setting in ("level_shift_every_days", "holiday_every_days", "long_gap_every_days"):
            if getattr(self, setting) < 1:
                raise InputError(f"{setting} is {getattr(self, setting)}; it must be at least 1 day")


def generate(
    spec: SyntheticDemand,
    *,
    days: int,
    step_seconds: int,
    seed: int,
    end: datetime,
    day_seconds: int = REAL_DAY_SECONDS,
) -> Series:
    """Return `days` days of counts per step, the last sample at or just before `end`.

    A sample counts the requests of the step that ends at its instant.  Raises InputError when a day is not a
    whole number of steps.
    """
    if days < 1:
        raise InputError(f"{days} days of synthetic demand asked for; ask for at least 1")
    if step_seconds < 1 or day_seconds % step_seconds or day_seconds < 2 * step_seconds:
        raise InputError(
            f"a day of {day_seconds} s is not a whole number of steps of {step_seconds} s; "
            "choose a step that divides the day"
        )
    per_day = day_seconds // step_seconds
    last = int(end.timestamp()) // step_seconds  # number of the last step since the epoch
    first = last - days * per_day + 1
    first_day, last_day = first // per_day, last // per_day
    calendar = range(first_day, last_day + 1)
    noise = _noise(spec, seed, calendar, per_day)
    whole = np.concatenate([_day(spec, seed, day, per_day, noise[day - first_day]) for day in calendar])
    offset = first - first_day * per_day
    start = end - timedelta(seconds=end.timestamp() - first * step_seconds)
    return Series(
        name=f"synthetic-{spec.name}",
        start=start.replace(microsecond=0),
        step_seconds=step_seconds,
        values=whole[offset : offset + days * per_day],
        labels={"generator": "forescale", "seed": str(seed)},
        is_synthetic=True,
    )


class _Stream(IntEnum):
    """Independent sources of chance: changing one part of the model leaves the others' draws alone."""

    COUNTS = 1
    SLOW_NOISE = 2
    FAST_NOISE = 3
    BURSTS = 4
    JOBS = 5
    SHORT_GAPS = 6
    LONG_GAPS = 7
    HOLIDAYS = 8
    SHIFTS = 9


def _random(seed: int, stream: _Stream, number: int) -> np.random.Generator:
    """The source for one day or block, whatever the span asked for."""
    return np.random.default_rng([abs(seed), int(stream), abs(number), int(seed < 0), int(number < 0)])


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)), dtype=np.float64)


def _day(spec: SyntheticDemand, seed: int, day: int, per_day: int, noise: FloatArray) -> FloatArray:
    """Counts of one day, (step,), NaN where missing."""
    minute = (np.arange(per_day, dtype=np.float64) + 0.5) * (MINUTES_PER_DAY / per_day)
    slow = _trend(spec, day + minute / MINUTES_PER_DAY) * _level(spec, seed, day, minute)
    shape = _shape(spec, seed, day, minute)
    bursts = 1 + _bursts(spec, seed, day, minute)
    expected = spec.requests_per_day / per_day * shape * slow * np.exp(noise) * bursts
    # A Poisson count whose rate is gamma distributed is negative binomial.
    random, excess = _random(seed, _Stream.COUNTS, day), spec.dispersion - 1
    counts = random.poisson(random.gamma(expected / excess, excess)).astype(np.float64)
    counts[_missing(spec, seed, day, minute)] = np.nan
    return counts


def _is_day_off(spec: SyntheticDemand, seed: int, day: int) -> bool:
    if (day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY:
        return True
    block = day // spec.holiday_every_days
    chosen = int(_random(seed, _Stream.HOLIDAYS, block).integers(spec.holiday_every_days))
    holiday = block * spec.holiday_every_days + chosen
    while (holiday + _EPOCH_WEEKDAY) % 7 >= _SATURDAY:  # a holiday on a weekend would not show
        holiday += 1
    return day == holiday


def _shape(spec: SyntheticDemand, seed: int, day: int, minute: FloatArray) -> FloatArray:
    """Daily shape and jobs; neighbouring days' plateaus reach over midnight, so there is no jump there."""
    total = np.full(minute.shape, spec.night_height)
    for other in (day - 1, day, day + 1):
        local = minute - (other - day) * MINUTES_PER_DAY
        is_off = _is_day_off(spec, seed, other)
        for plateau in spec.day_off if is_off else spec.working_day:
            total += plateau.at(local)
        random = _random(seed, _Stream.JOBS, other)
        for job in (*spec.every_day_jobs, *(() if is_off else spec.working_day_jobs)):
            late, height = random.normal(0, spec.job_jitter_minutes), random.normal(0, spec.job_jitter_ratio)
            total += math.exp(height) * job.at(local - late)
    return total


def _trend(spec: SyntheticDemand, day: FloatArray) -> FloatArray:
    swing = np.sin(2 * np.pi * day / spec.trend_period_days)
    return np.asarray(1 + spec.trend_ratio * swing, dtype=np.float64)


def _level(spec: SyntheticDemand, seed: int, day: int, minute: FloatArray) -> FloatArray:
    """Raised by the shift in every second block of days, from a moment of the block's first day on."""
    block, into = divmod(day, spec.level_shift_every_days)
    moment = float(_random(seed, _Stream.SHIFTS, block).uniform(0, MINUTES_PER_DAY))
    has_come = np.full(minute.shape, block % 2 == 1)
    if into == 0:
        has_come = np.where(minute >= moment, has_come, ~has_come)
    return np.where(has_come, 1 + spec.level_shift_ratio, 1.0)


def _noise(spec: SyntheticDemand, seed: int, calendar: range, per_day: int) -> FloatArray:
    """Log noise of every day, (day, step), as if each had run on from `_NOISE_MEMORY_DAYS` days before.

    Starting every day at the same distance is what makes a day independent of the span asked for; the jump at
    midnight is what is left of noise two days old, far below the counting noise.
    """
    minutes = MINUTES_PER_DAY / per_day
    total = np.zeros((len(calendar), per_day))
    for stream, deviation, memory in (
        (_Stream.SLOW_NOISE, spec.slow_noise_ratio, spec.slow_noise_minutes),
        (_Stream.FAST_NOISE, spec.fast_noise_ratio, spec.fast_noise_minutes),
    ):
        wanted = range(calendar[0] - _NOISE_MEMORY_DAYS, calendar[-1] + 1)
        shocks = np.stack([_random(seed, stream, day).standard_normal(per_day) for day in wanted])
        keep = math.exp(-minutes / memory)
        shocks *= deviation * math.sqrt(1 - keep**2)
        state = np.zeros(len(calendar))
        for age in range(_NOISE_MEMORY_DAYS, -1, -1):
            rows = shocks[_NOISE_MEMORY_DAYS - age : len(wanted) - age]
            for step in range(per_day):
                state = keep * state + rows[:, step]
                if age == 0:
                    total[:, step] += state
    return total


def _bursts(spec: SyntheticDemand, seed: int, day: int, minute: FloatArray) -> FloatArray:
    """Extra demand relative to the expected one; yesterday's late bursts reach into today."""
    total = np.zeros(minute.shape)
    for other in (day - 1, day):
        random = _random(seed, _Stream.BURSTS, other)
        for _ in range(int(random.poisson(spec.bursts_per_day))):
            begin = random.uniform(0, MINUTES_PER_DAY) + (other - day) * MINUTES_PER_DAY
            height = spec.burst_ratio * math.exp(random.normal(0, spec.burst_spread))
            age = np.maximum(minute - begin, 0.0)
            decay, rise = np.exp(-age / spec.burst_decay_minutes), np.exp(-age / spec.burst_rise_minutes)
            total += height * (decay - rise)
    return total


def _missing(spec: SyntheticDemand, seed: int, day: int, minute: FloatArray) -> npt.NDArray[np.bool_]:
    """Which steps of the day were not observed, (step,)."""
    step = minute[1] - minute[0]
    random = _random(seed, _Stream.SHORT_GAPS, day)
    gaps = [
        (random.uniform(0, MINUTES_PER_DAY), max(step, random.exponential(spec.short_gap_minutes)))
        for _ in range(int(random.poisson(spec.short_gaps_per_day)))
    ]
    block = day // spec.long_gap_every_days
    random = _random(seed, _Stream.LONG_GAPS, block)
    if day - block * spec.long_gap_every_days == int(random.integers(spec.long_gap_every_days)):
        length = min(max(step, spec.long_gap_minutes), MINUTES_PER_DAY)
        gaps.append((random.uniform(0, MINUTES_PER_DAY - length), length))
    lost = np.zeros(minute.shape, dtype=bool)
    for begin, length in gaps:
        # Half a step either way, so that the shortest gap always hits a sample.
        lost |= (minute >= begin - step / 2) & (minute < begin + length - step / 2)
    return lost
