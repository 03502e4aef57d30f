from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.errors import SeriesError, SeriesGapError
from predictor.quality import (
    Quality,
    Reading,
    check_seasons,
    inspect,
    longest_gap,
    looks_like_counter,
    place_on_grid,
    trim,
)
from predictor.series import FloatArray, Series

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
START = int(NOON.timestamp())
NAN = float("nan")
DAY, WEEK = 86_400, 604_800


def placed(*samples: tuple[int, float], step_seconds: int = 60) -> Reading:
    """Samples given as (seconds after noon, demand)."""
    at, values = zip(*samples, strict=True)
    return place_on_grid("web", START + np.array(at), np.array(values, dtype=np.float64), step_seconds)


def some_demand(length: int = 300, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).poisson(100, length).astype(np.float64)


def inspected(
    values: FloatArray,
    *,
    now: datetime | None = None,
    max_missing_ratio: float = 0.2,
    is_rate: bool = False,
    suspected_counters: tuple[str, ...] = (),
) -> Quality:
    series = Series("web", NOON, 60, values)
    return inspect(
        Reading(series),
        now=now or series.end,
        season_seconds=(DAY, WEEK),
        max_missing_ratio=max_missing_ratio,
        is_rate=is_rate,
        suspected_counters=suspected_counters,
    )


def test_an_instant_without_a_sample_is_missing_and_not_zero() -> None:
    reading = placed((0, 5), (60, 6), (180, 8))

    np.testing.assert_array_equal(reading.series.values, [5, 6, NAN, 8])
    assert reading.series.start == NOON


@given(st.sets(st.integers(0, 500), min_size=2), st.sampled_from([1, 7, 60, 3600]))
def test_every_sample_is_found_again_at_its_instant(steps: set[int], step_seconds: int) -> None:
    ordered = np.array(sorted({*steps, min(steps) + 1}))
    values = np.arange(ordered.size, dtype=np.float64)

    series = place_on_grid("web", START + step_seconds * ordered, values, step_seconds).series

    np.testing.assert_array_equal(series.values[ordered - ordered[0]], values)
    assert series.missing == len(series) - ordered.size


def test_a_row_given_twice_is_dropped_and_counted() -> None:
    reading = placed((0, 5), (60, 6), (60, 6), (120, NAN), (120, NAN))

    assert reading.duplicates_dropped == 2
    np.testing.assert_array_equal(reading.series.values, [5, 6, NAN])
    assert "2 rows repeated" in reading.notes[0]


@pytest.mark.parametrize("second", [7.0, NAN])
def test_two_different_values_for_one_instant_are_an_error_that_names_the_first(second: float) -> None:
    with pytest.raises(SeriesError, match=r"12:01:00\+00:00 with 6 and (7|nan) \(sample 3\)"):
        placed((0, 5), (60, 6), (60, second))


def test_time_going_backwards_is_an_error_that_says_where() -> None:
    with pytest.raises(SeriesError, match=r"goes back from .*12:02:00.* to .*12:01:00.* \(sample 3\)"):
        placed((0, 1), (120, 2), (60, 3))


@pytest.mark.parametrize(
    ("apart", "said"),
    [
        (300, "300 s apart, not the stated 60 s; give --step 300"),
        (10, "10 s apart, not the stated 60 s; give --step 10, or put every 6 samples together"),
        (45, "45 s apart, not the stated 60 s; give --step 45, or resample to 60 s"),
        (86_400, "steps of 1 s to 3600 s can be forecast"),
    ],
)
def test_another_step_than_the_stated_one_is_named_with_what_to_do(apart: int, said: str) -> None:
    with pytest.raises(SeriesError, match=said):
        placed(*((apart * index, index % 3) for index in range(20)))


def test_a_finer_step_is_recognized_in_spite_of_gaps() -> None:
    with pytest.raises(SeriesError, match="10 s apart"):
        placed(*((10 * index, 1) for index in range(50) if index % 7))


def test_jitter_is_called_an_irregular_grid() -> None:
    with pytest.raises(SeriesError, match=r"no regular grid: most are 60 s apart, the one of .*12:03:01"):
        placed((0, 1), (60, 2), (120, 3), (181, 4), (241, 5), (301, 6))


def test_one_wrong_timestamp_does_not_cost_gigabytes() -> None:
    with pytest.raises(SeriesGapError, match="is one of the two timestamps wrong"):
        placed((0, 1), (1, 1), (10**9, 1), step_seconds=1)


@pytest.mark.parametrize(
    ("value", "said"), [(-1.0, "1 negative samples, the first is -1"), (np.inf, "1 infinite samples, the first")]
)
def test_impossible_demand_is_refused_with_its_instant(value: float, said: str) -> None:
    with pytest.raises(SeriesError, match=f"{said} at 2026-05-04T12:01:00.*sample 2"):
        placed((0, 1), (60, value))


def test_missing_samples_at_both_ends_are_no_gap() -> None:
    series = Series("web", NOON, 60, np.array([NAN, NAN, 1, NAN, 2, NAN]))

    reading = trim(Reading(series, covariates=np.arange(12.0).reshape(6, 2)))

    np.testing.assert_array_equal(reading.series.values, [1, NAN, 2])
    assert reading.series.start == NOON + timedelta(minutes=2)
    assert reading.covariates is not None
    assert reading.covariates[0].tolist() == [4, 5]


def test_gaps_are_masked_up_to_the_stated_share_and_told() -> None:
    values = some_demand(100)
    values[10:15] = values[40] = NAN

    quality = inspected(values)

    assert (quality.missing, quality.longest_gap_steps, quality.missing_ratio) == (6, 5, 0.06)
    assert "6 of 100 samples missing, longest gap 5 steps" in " ".join(quality.notes)


def test_gaps_beyond_the_stated_share_are_refused_with_counts() -> None:
    values = some_demand(100)
    values[10:41] = NAN

    with pytest.raises(SeriesGapError, match=r"31 of 100 .*31\.0%.*20% allowed.*31 steps from 2026-05-04T12:10"):
        inspected(values)
    assert inspected(values, max_missing_ratio=0.4).missing == 31


def test_a_series_that_ends_in_the_future_points_at_the_clocks() -> None:
    values = some_demand(10)

    with pytest.raises(SeriesError, match=r"300 s in the future.*clocks"):
        inspected(values, now=NOON + timedelta(minutes=4))


@pytest.mark.parametrize(
    ("days", "usable"), [(1.9, ()), (2, (DAY,)), (13.9, (DAY,)), (14, (DAY, WEEK)), (28, (DAY, WEEK))]
)
def test_a_season_needs_two_of_its_cycles(days: float, usable: tuple[int, ...]) -> None:
    seasons = check_seasons(int(days * DAY), (WEEK, DAY))

    assert seasons.usable_seconds == usable
    assert seasons.needed_seconds == {DAY: 2 * DAY, WEEK: 2 * WEEK}
    assert len(seasons.notes) == 2 - len(usable)


def test_a_history_too_short_for_the_week_says_what_the_week_needs() -> None:
    quality = inspected(some_demand(5 * 1440))

    assert quality.usable_season_seconds == (DAY,)
    (note,) = quality.notes
    assert note == (
        "5 days of history are too short for the season of 7 days, which needs 14 days; going on without it"
    )


def test_a_counter_without_rate_is_recognized_by_its_rises() -> None:
    counter = some_demand(600).cumsum()
    counter[400:] -= counter[400]  # a restart

    with pytest.raises(SeriesError, match=r"counter.*wrap it in rate\(...\)"):
        inspected(counter)
    assert inspected(counter, is_rate=True).samples == 600


@pytest.mark.parametrize(
    "values",
    [
        some_demand(),
        np.zeros(300),
        np.arange(100.0),  # too short to be sure
        np.repeat([0.0, 50.0, 0.0, 80.0], 75),  # batch jobs
        1000 + 500 * np.sin(np.linspace(0, 20, 3000)),
    ],
)
def test_demand_is_not_taken_for_a_counter(values: FloatArray) -> None:
    assert not looks_like_counter(values)


def test_a_metric_named_like_a_counter_needs_less_evidence() -> None:
    with pytest.raises(SeriesError, match=r"x_total is a counter.*sum\(rate\(x_total\[5m\]\)\)"):
        inspected(np.arange(30.0), suspected_counters=("x_total",))


def test_a_suspicion_that_the_data_contradict_is_only_a_note() -> None:
    quality = inspected(some_demand(), suspected_counters=("pods_total",))

    assert "pods_total looks like a counter" in quality.notes[0]


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_constant_demand_is_told(level: float) -> None:
    assert f"constant at {level:g}" in inspected(np.full(50, level)).notes[-1]


def test_nothing_observed_at_all_is_an_error() -> None:
    with pytest.raises(SeriesError, match="no sample was observed"):
        inspected(np.full(5, NAN))
    with pytest.raises(SeriesError, match="no samples at all"):
        place_on_grid("web", np.empty(0, dtype=np.int64), np.empty(0), 60)


def test_the_longest_gap_is_found_wherever_it_is() -> None:
    assert longest_gap(np.array([NAN, NAN, 1, NAN])) == (2, 0)
    assert longest_gap(np.array([1, 2.0]))[0] == 0
