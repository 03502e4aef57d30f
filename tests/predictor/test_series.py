from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from predictor.errors import SeriesError
from predictor.series import Series

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def a_series(*values: float, start: datetime = NOON, step_seconds: int = 60) -> Series:
    return Series("web", start, step_seconds, np.array(values))


def test_a_series_knows_the_instant_of_every_sample() -> None:
    series = a_series(1, 2, 3)

    assert series.end == NOON + timedelta(minutes=2)
    assert series.timestamps().tolist() == [int(NOON.timestamp()) + offset for offset in (0, 60, 120)]
    assert [series.index_of(NOON + timedelta(seconds=seconds)) for seconds in (-1, 0, 59, 60)] == [-1, 0, 0, 1]


def test_missing_samples_are_counted_and_never_zero() -> None:
    series = a_series(1, np.nan, 3, np.nan)

    assert (series.missing, series.missing_ratio) == (2, 0.5)


def test_a_start_in_another_zone_is_kept_in_utc() -> None:
    series = a_series(1, start=NOON.astimezone(timezone(timedelta(hours=5))))

    assert series.start == NOON
    assert series.start.utcoffset() == timedelta(0)


def test_the_samples_of_a_series_cannot_be_changed_behind_its_back() -> None:
    values = np.array([1.0, 2.0])
    series = Series("web", NOON, 60, values)

    values[0] = 99

    assert series.values[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 99


@pytest.mark.parametrize(
    ("values", "step_seconds", "start", "said"),
    [
        ((1.0, -2.0), 60, NOON, "1 negative samples, the first is -2 at index 1"),
        ((1.0, np.inf), 60, NOON, "1 infinite samples"),
        ((1.0,), 0, NOON, "step of 0 s"),
        ((1.0,), 3601, NOON, "step of 3601 s"),
        ((1.0,), 60, NOON.replace(tzinfo=None), "has no time zone"),
    ],
)
def test_what_cannot_be_demand_is_refused_with_a_reason(
    values: tuple[float, ...], step_seconds: int, start: datetime, said: str
) -> None:
    with pytest.raises(SeriesError, match=said):
        a_series(*values, step_seconds=step_seconds, start=start)
