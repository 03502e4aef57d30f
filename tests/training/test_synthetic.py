from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from predictor.errors import InputError
from predictor.series import FloatArray, Series
from training.synthetic import EVERY_DAY_JOBS, SyntheticDemand, generate

MONDAY_NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SUNDAY_LAST_MINUTE = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


def demand(
    spec: SyntheticDemand | None = None,
    *,
    days: int = 28,
    step_seconds: int = 60,
    seed: int = 7,
    end: datetime = MONDAY_NOON,
    day_seconds: int = 86_400,
) -> Series:
    return generate(
        spec or SyntheticDemand(),
        days=days,
        step_seconds=step_seconds,
        seed=seed,
        end=end,
        day_seconds=day_seconds,
    )


def quiet(**changes: float) -> SyntheticDemand:
    """A model with nothing but shape and counting noise, to look at one part at a time."""
    nothing: dict[str, float] = {
        "slow_noise_ratio": 0.0,
        "fast_noise_ratio": 0.0,
        "bursts_per_day": 0.0,
        "trend_ratio": 0.0,
        "level_shift_ratio": 0.0,
        "short_gaps_per_day": 0.0,
        "long_gap_every_days": 1_000_000,
        "holiday_every_days": 1_000_000,
        "job_jitter_minutes": 0.0,
        "job_jitter_ratio": 0.0,
    }
    return SyntheticDemand(**(nothing | changes))  # type: ignore[arg-type]


def correlation(values: FloatArray, lag: int) -> float:
    now, then = values[lag:], values[:-lag]
    both = np.isfinite(now) & np.isfinite(then)
    return float(np.corrcoef(now[both], then[both])[0, 1])


def change_over(values: FloatArray, steps: int) -> float:
    """WAPE of persistence `steps` ahead."""
    error = np.abs(values[steps:] - values[:-steps])
    return float(np.nansum(error) / np.nansum(values[steps:][np.isfinite(error)]))


def test_the_same_seed_gives_the_same_demand_and_another_seed_another() -> None:
    assert np.array_equal(demand(days=3).values, demand(days=3).values, equal_nan=True)
    assert not np.array_equal(demand(days=3).values, demand(days=3, seed=8).values, equal_nan=True)


def test_more_days_reach_into_the_past_and_change_nothing_else() -> None:
    short, long = demand(days=3), demand(days=5)

    assert long.end == short.end == MONDAY_NOON
    assert np.array_equal(long.values[-len(short) :], short.values, equal_nan=True)


def test_a_later_end_reaches_into_the_future_and_changes_nothing_else() -> None:
    earlier, later = demand(days=3), demand(days=4, end=MONDAY_NOON + timedelta(days=1))

    assert later.start == earlier.start
    assert np.array_equal(later.values[: len(earlier)], earlier.values, equal_nan=True)


def test_it_says_that_it_is_synthetic() -> None:
    series = demand(days=1)

    assert series.is_synthetic
    assert series.name.startswith("synthetic")
    assert series.labels["seed"] == "7"


def test_the_last_sample_is_at_or_just_before_the_end() -> None:
    series = demand(days=2, end=MONDAY_NOON + timedelta(seconds=59, microseconds=5))

    assert series.end == MONDAY_NOON
    assert len(series) == 2 * 1440


def test_four_weeks_at_the_defaults_look_like_a_service() -> None:
    values = demand().values

    assert 300 < np.nanmean(values) < 3000
    assert 0.08 < change_over(values, 15) < 0.15
    assert correlation(values, 1440) > 0.7
    assert correlation(values, 7 * 1440) > correlation(values, 3 * 1440 + 720)
    assert 0.001 < np.isnan(values).mean() < 0.01
    assert np.array_equal(values[np.isfinite(values)], np.round(values[np.isfinite(values)]))


def test_counts_vary_more_than_poisson_by_the_stated_dispersion() -> None:
    spec = quiet(dispersion=4.0)
    days = demand(spec, days=28, end=MONDAY_NOON).values.reshape(4, 7, 1440)

    # The same weekday has the same expectation in every week, so what differs is counting noise.
    dispersion = (days.var(axis=0, ddof=1) / days.mean(axis=0)).mean()

    assert dispersion == pytest.approx(4.0, rel=0.05)


def test_a_weekend_is_lower_than_a_working_day_and_a_holiday_is_like_a_sunday() -> None:
    sums = demand(quiet(), days=7, end=SUNDAY_LAST_MINUTE).values.reshape(7, 1440).sum(axis=1)
    holidays = demand(quiet(holiday_every_days=1), days=7, end=SUNDAY_LAST_MINUTE).values.reshape(7, 1440).sum(axis=1)

    assert sums[5:].max() < 0.9 * sums[:5].min()
    assert holidays[:5].max() < 1.05 * sums[5:].max()


def test_a_scheduled_job_comes_every_day_at_its_time() -> None:
    batch = EVERY_DAY_JOBS[0]
    minute = int(batch.start_minute)
    days = demand(quiet(), days=7, end=SUNDAY_LAST_MINUTE).values.reshape(7, 1440)

    before = days[:, minute - 30 : minute - 10].mean(axis=1)
    during = days[:, minute + 10 : minute + 30].mean(axis=1)

    assert (during > 2 * before).all()


def test_the_level_shift_comes_and_goes_at_its_stated_distance() -> None:
    spec = quiet(level_shift_ratio=0.5, level_shift_every_days=14)
    weeks = demand(spec, days=56).values.reshape(8, 7 * 1440).mean(axis=1)

    assert weeks.max() / weeks.min() == pytest.approx(1.5, rel=0.02)
    assert (np.abs(np.diff(weeks)) > 0.1 * weeks.min()).sum() >= 3


def test_a_burst_rises_faster_than_it_falls() -> None:
    calm, bursty = demand(quiet(), days=14), demand(quiet(bursts_per_day=0.5, burst_spread=0.0), days=14)
    extra = np.convolve(bursty.values - calm.values, np.ones(5) / 5, "same")
    top = int(np.argmax(extra[100:-100])) + 100

    rise = top - np.flatnonzero(extra[:top] < 0.3 * extra[top])[-1]
    fall = np.flatnonzero(extra[top:] < 0.3 * extra[top])[0]

    assert 0 < rise < fall


def test_a_day_of_24_minutes_at_one_second_has_the_same_statistics() -> None:
    real, fast = demand(), demand(step_seconds=1, day_seconds=1440)

    assert len(fast) == len(real)
    assert fast.end - fast.start == timedelta(seconds=28 * 1440 - 1)
    assert np.nanmean(fast.values) == pytest.approx(np.nanmean(real.values), rel=0.2)
    assert change_over(fast.values, 15) == pytest.approx(change_over(real.values, 15), rel=0.2)
    assert correlation(fast.values, 1440) > 0.7


def test_a_coarser_step_counts_more_per_step_and_the_same_per_day() -> None:
    fine, coarse = demand(quiet(), days=7), demand(quiet(), days=7, step_seconds=300)

    assert coarse.values.sum() == pytest.approx(fine.values.sum(), rel=0.01)


@pytest.mark.parametrize(("days", "step_seconds"), [(0, 60), (1, 7), (1, 86_400)])
def test_an_impossible_grid_is_refused_with_what_to_do(days: int, step_seconds: int) -> None:
    with pytest.raises(InputError, match=r"ask for|choose a step"):
        demand(days=days, step_seconds=step_seconds)


def test_counts_that_are_not_over_dispersed_are_refused() -> None:
    with pytest.raises(InputError, match="all but Poisson"):
        SyntheticDemand(dispersion=1.0)


def test_generating_needs_no_torch() -> None:
    program = "import sys, training.synthetic; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
