"""Repeated windows in local time, also on the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.spec import Cron
from predictor.errors import InputError

HOUR = timedelta(hours=1)


def a_cron(expression: str = "30 8 * * 1-5", *, seconds: int = 3600, zone: str = "Europe/Paris") -> Cron:
    return Cron("morning", expression, seconds, zone, min_replicas=5)


def open_minutes(cron: Cron, day: datetime, hours: int = 24) -> list[str]:
    """UTC minutes of a day at which the window begins, and at which it has ended."""
    was, edges = False, []
    for minute in range(60 * hours):
        at = day + timedelta(minutes=minute)
        is_open = cron.concerns(at, at)
        if is_open != was:
            edges.append(f"{at:%H:%M}")
        was = is_open
    return edges


@pytest.mark.parametrize(
    ("day", "edges"),
    [
        (datetime(2026, 3, 2, tzinfo=UTC), ["07:30", "08:30"]),  # a Monday in winter
        (datetime(2026, 7, 6, tzinfo=UTC), ["06:30", "07:30"]),  # and in summer
        (datetime(2026, 3, 1, tzinfo=UTC), []),  # a Sunday
    ],
)
def test_a_window_follows_the_wall_clock(day: datetime, edges: list[str]) -> None:
    assert open_minutes(a_cron(), day) == edges


@pytest.mark.parametrize(
    ("day", "edges"),
    [
        (datetime(2026, 3, 28, 12, tzinfo=UTC), ["07:30", "08:30"]),  # the night before clocks go forward, then after
        (datetime(2026, 10, 24, 12, tzinfo=UTC), ["06:30", "07:30"]),  # and back
    ],
)
def test_before_and_after_a_change_of_clocks_it_is_the_same_wall_clock(day: datetime, edges: list[str]) -> None:
    before = open_minutes(a_cron("30 8 * * *"), day - timedelta(hours=12))
    after = open_minutes(a_cron("30 8 * * *"), day + timedelta(hours=12))

    assert before == edges
    assert after != before, "UTC is another by an hour"


def test_a_begin_that_the_clock_skips_or_shows_twice_is_a_window_of_its_full_length_once_or_more() -> None:
    cron = a_cron("30 2 * * *", seconds=1800)
    skipped = open_minutes(cron, datetime(2026, 3, 29, tzinfo=UTC), 12)  # 02:30 is not there
    twice = open_minutes(cron, datetime(2026, 10, 25, tzinfo=UTC), 12)  # and is there twice

    for edges in (skipped, twice):
        assert edges, "no day is left out"
        assert len(edges) % 2 == 0


def test_a_window_may_be_longer_than_its_period() -> None:
    always = a_cron("0 * * * *", seconds=7200, zone="UTC")

    assert open_minutes(always, datetime(2026, 3, 2, tzinfo=UTC)) == ["00:00"]


def test_a_window_is_seen_one_lead_before_it_begins() -> None:
    begin = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
    cron = a_cron()

    assert cron.concerns(begin - timedelta(minutes=2), begin)
    assert not cron.concerns(begin - timedelta(minutes=2), begin - timedelta(seconds=1))
    assert cron.concerns(begin + HOUR - timedelta(seconds=1), begin + HOUR)
    assert not cron.concerns(begin + HOUR, begin + HOUR)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"expression": "every morning"}, "is no cron expression"),
        ({"expression": "61 8 * * *"}, "is no cron expression"),
        ({"expression": "0 0 30 2 *"}, "Bad day-of-month"),
        ({"zone": "Europe/Atlantis"}, "unknown time zone 'Europe/Atlantis'"),
        ({"zone": "Europe"}, "unknown time zone 'Europe'"),
        ({"zone": "../../etc/passwd"}, "unknown time zone"),
        ({"seconds": 59}, "lasts 59 s; give 60 to 604800, a week"),
        ({"seconds": 604801}, "lasts 604801 s"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as refused:
        a_cron(**changed)

    assert words in str(refused.value)


@given(
    st.integers(0, 2 * 365 * 1440), st.sampled_from([60, 1800, 3600, 86400, 604800]),
    st.sampled_from(["*/20 * * * *", "30 8 * * 1-5", "0 0 1 * *", "30 2 * * *"]),
    st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)  # fmt: skip
def test_a_longer_look_ahead_never_sees_less(minute: int, seconds: int, expression: str, zone: str) -> None:
    cron = a_cron(expression, seconds=seconds, zone=zone)
    begin = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)

    seen = [cron.concerns(begin, begin + timedelta(minutes=minutes)) for minutes in (0, 5, 60, 600)]

    assert seen == sorted(seen)
