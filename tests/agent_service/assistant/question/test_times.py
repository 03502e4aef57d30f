"""Instants and spans: read exactly, or refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.question.amounts import TimeError
from agent_service.assistant.question.times import When, when_in

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday


def on(text: str) -> datetime:
    """Of "24 10:03" in this November."""
    return datetime.strptime(f"2026-11-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("at 10:03", "24 10:03"),
        ("at 13:00", "23 13:00"),
        ("at 10:03 CET", "24 09:03"),
        ("at 10:03 cest", "24 08:03"),
        ("at 10:03 EST", "23 15:03"),
        ("at 10:03 PST", "23 18:03"),
        ("at 10:03 GMT", "24 10:03"),
        ("at 10:03Z", "24 10:03"),
        ("at 10:03+02:00", "24 08:03"),
        ("at 10:03 +0200", "24 08:03"),
        ("at 10:03:00-05:00", "23 15:03"),
        ("at 10:03 UTC+2", "24 08:03"),
        ("at 10:03 America/New_York", "23 15:03"),
        ("at 10:03 america/new_york", "23 15:03"),
        ("at 10:03 America/Argentina/Buenos_Aires", "23 13:03"),
        ("2026-11-24 10:03 CET", "24 09:03"),
        ("2026-11-24T10:03:00+01:00", "24 09:03"),
        ("2026-11-24T10:03Z", "24 10:03"),
        ("on Nov 23 at 10:03", "23 10:03"),
        ("on 23 November 2026 at 10:03", "23 10:03"),
        ("on the 23rd of Nov at 10:03", "23 10:03"),
        ("on November 23rd, 2026 10:03 UTC", "23 10:03"),
        ("on 23.11. at 10:03", "23 10:03"),
        ("on 23.11.2026 at 10:03", "23 10:03"),
        ("on 11/23 at 10:03", "23 10:03"),
        ("on 23/11/2026 10:03", "23 10:03"),
        ("on 11/11 at 10:03", "11 10:03"),
        ("on Monday at 10:03", "23 10:03"),
        ("on tuesday at 10:03", "24 10:03"),
        ("on Tuesday at 13:00", "17 13:00"),
        ("last Tue at 10:03", "17 10:03"),
        ("yesterday at 10:03", "23 10:03"),
        ("yesterday, why did it scale up at 10:03?", "23 10:03"),
        ("yesterday evening at 19:00", "23 19:00"),
        ("last night at 02:00", "24 02:00"),
        ("3 days ago at 10:03", "21 10:03"),
        ("at 10:03 EST yesterday", "23 15:03"),
        ("half an hour ago", "24 11:30"),
        ("an hour and a half ago", "24 10:30"),
        ("a quarter of an hour ago", "24 11:45"),
        ("2 hours and 30 minutes ago", "24 09:30"),
        ("1h30m ago", "24 10:30"),
        ("1h and 30 minutes ago", "24 10:30"),
        ("1.5h ago", "24 10:30"),
        ("two hours ago", "24 10:00"),
        ("5 minutes before 10:03", "24 09:58"),
        ("5 minutes after 10:03", "24 10:08"),
        ("at 10 o'clock", "24 10:00"),
        ("at 3pm", "23 15:00"),
        ("at 3:05 a.m.", "24 03:05"),
        ("at 14h", "23 14:00"),
        ("at 9h30", "24 09:30"),
        ("at noon", "24 12:00"),
        ("at midnight", "24 00:00"),
        ("at 1795514580", "24 10:03"),
        ("at 1795514580000", "24 10:03"),
        ("right now", "24 12:00"),
        ("from 3 to 5 replicas at 10:03", "24 10:03"),
    ],
)
def test_an_instant_is_read(text: str, at: str) -> None:
    assert when_in(f"why did it scale {text}", NOW) == When(at=on(at))


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("yesterday", "23 00:00", "24 00:00"),
        ("the day before yesterday", "22 00:00", "23 00:00"),
        ("today", "24 00:00", "24 12:00"),
        ("on Nov 23", "23 00:00", "24 00:00"),
        ("on 2026-11-20", "20 00:00", "21 00:00"),
        ("last Friday", "20 00:00", "21 00:00"),
        ("last night", "23 18:00", "24 06:00"),
        ("this morning", "24 06:00", "24 12:00"),
        ("yesterday afternoon", "23 12:00", "23 18:00"),
        ("on Monday evening", "23 18:00", "24 00:00"),
        ("this week", "23 00:00", "24 12:00"),
        ("in the last 3 hours", "24 09:00", "24 12:00"),
        ("during the past 30 min", "24 11:30", "24 12:00"),
        ("in the last hour", "24 11:00", "24 12:00"),
        ("over 2 hours", "24 10:00", "24 12:00"),
        ("over the last week", "17 12:00", "24 12:00"),
        ("between 10:00 and 11:00", "24 10:00", "24 11:00"),
        ("between 11:30 and 13:00", "24 11:30", "24 12:00"),
        ("from 10:00 to 11:00 CET yesterday", "23 09:00", "23 10:00"),
        ("10:00 - 11:00", "24 10:00", "24 11:00"),
        ("10:00–11:00 on Nov 23", "23 10:00", "23 11:00"),
        ("from 23:00 to 01:00", "23 23:00", "24 01:00"),
        ("from Nov 20 to Nov 21", "20 00:00", "22 00:00"),
        ("from yesterday 22:00 until 03:00", "23 22:00", "24 03:00"),
        ("since 10:00", "24 10:00", "24 12:00"),
        ("since 10:00 CET", "24 09:00", "24 12:00"),
        ("from 10:00", "24 10:00", "24 12:00"),
        ("after 10:00", "24 10:00", "24 12:00"),
        ("since yesterday", "23 00:00", "24 12:00"),
        ("since yesterday 14:00", "23 14:00", "24 12:00"),
        ("since 3 hours ago", "24 09:00", "24 12:00"),
    ],
)
def test_a_span_is_read(text: str, since: str, until: str) -> None:
    assert when_in(f"what changed {text}", NOW) == When(since=on(since), until=on(until))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("at 10.03", "write a time as 10:03"),
        ("at 10.03.", "write a time as 10:03"),
        ("at 1003", "write a time as 10:03"),
        ("at 10", "write a time as 10:03"),
        ("from 9 to 11", "write a time as 10:03"),
        ("9-10am", "is not exact; write 10:03"),
        ("at 24:30", "is no time of the clock"),
        ("at 13pm", "is no time of the clock"),
        ("at half past ten", "is not exact"),
        ("a couple of minutes ago", "is not exact"),
        ("over the weekend", "is not exact"),
        ("in the morning", "is not exact"),
        ("on the 23rd at 10:03", "is not exact"),
        ("in November", "is not exact"),
        ("1,5 hours ago", "can be read in more than one way"),
        ("on 11/12 at 10:03", "can be read as two days"),
        ("on 11.12.2026", "can be read as two days"),
        ("on 31/02/2026", "is no day"),
        ("at 2026-13-45", "is no time"),
        ("on Feb 29", "is not in every year"),
        ("10:00-11:00", "may be a span or an offset"),
        ("at 10:03 CST", "means more than one time zone"),
        ("at 10:03 ET", "means more than one time zone"),
        ("today CST", "means more than one time zone"),
        ("since yesterday IST", "means more than one time zone"),
        ("on Friday afternoon IST", "means more than one time zone"),
        ("since yesterday XYZ", "XYZ is no time zone"),
        ("since yesterday Europe/Pariss", "Europe/Pariss is no time zone"),
        ("since yesterday +25:00", "is no time zone"),
        ("at 10:03 XYZ", "XYZ is no time zone"),
        ("at 10:03 Berlin time", "Berlin time is no time zone"),
        ("at 10:03 Mars/Olympus", "Mars/Olympus is no time zone"),
        ("at 10:03+19:00", "is no time zone"),
        ("at 02:30 on 2026-03-29 Europe/Berlin", "no clock showed 02:30"),
        ("at 02:30 on 2026-10-25 Europe/Berlin", "twice"),
        ("at midnight on Nov 23", "its beginning or its end"),
        ("yesterday morning at 19:00", "is not in yesterday morning"),
        ("last evening", "write yesterday evening"),
        ("this hour", "is not clear"),
        ("at 10:03 and at 11:05", "is not clear to me as a time"),
        ("before 10:03", "is not clear to me as a time"),
        ("since the deploy", "is not clear to me as a time"),
        ("2 hours ago yesterday", "is not clear to me as a time"),
        ("2 hours ago at 10:03", "two times at once"),
        ("in 2 hours", "still to come"),
        ("tomorrow at 10:03", "still to come"),
        ("since 2027-01-01", "still to come"),
        ("from 11:00 yesterday to 10:00 on Nov 20", "ends before it begins"),
        ("99999999999 weeks ago", "is no length of time"),
        ("0 minutes ago", "is no length of time"),
        ("over the last 9999999999999 days", "is no length of time"),
        ("5000 weeks ago", "longer ago than anything is kept"),
        ("on 0001-01-01", "longer ago than anything is kept"),
        ("at 0001-01-01T00:00:00+05:00", "further away than anything is kept"),
        ("2 years ago", "give weeks or days"),
        (f"{'9' * 400} minutes ago", "too large a number"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(TimeError, match=re.escape(words)):
        when_in(f"why did it scale {text}", NOW)


@pytest.mark.parametrize(
    "text",
    [
        "why is it stuck at 17 replicas",
        "why does it run 24/7",
        "why 60 req/s",
        "why are 3/5 pods ready",
        "why do you hold the floor for so long",
        "what may the pods do, sat idle in the sun",
        "why wasn't it scaled earlier",
        "why did it drop from 9 to 5 replicas",
    ],
)
def test_what_is_no_time_is_left_alone(text: str) -> None:
    assert when_in(text, NOW) == When()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("in the next 10 minutes", When(ahead_seconds=600)),
        ("in half an hour", When(ahead_seconds=1800)),
        ("10 min", When(ahead_seconds=600)),
        ("5 minutes from now", When(ahead_seconds=300)),
        ("at 10:03", When(at=on("25 10:03"))),
        ("tomorrow", When(since=on("25 00:00"), until=on("26 00:00"))),
        ("on Monday", When(since=on("30 00:00"), until=datetime(2026, 12, 1, tzinfo=UTC))),
    ],
)
def test_a_question_of_the_future_looks_ahead(text: str, found: When) -> None:
    assert when_in(f"forecast {text}", NOW, ahead=True) == found


@given(hours=st.integers(0, 90), minutes=st.integers(1, 59))
def test_a_compound_length_is_the_sum_of_its_parts(hours: int, minutes: int) -> None:
    at = NOW - timedelta(hours=hours, minutes=minutes)

    for text in (f"{hours}h{minutes}m", f"{hours} hours and {minutes} minutes", f"{hours} h, {minutes} min"):
        assert when_in(f"{text} ago", NOW).at == at


@given(offset_minutes=st.integers(-14 * 60, 14 * 60), seconds_ago=st.integers(0, 100_000_000))
def test_every_offset_is_read(offset_minutes: int, seconds_ago: int) -> None:
    at = NOW - timedelta(seconds=seconds_ago)
    sign, minutes = ("-" if offset_minutes < 0 else "+"), abs(offset_minutes)
    local = (at + timedelta(minutes=offset_minutes)).strftime("%Y-%m-%dT%H:%M:%S")

    assert when_in(f"at {local}{sign}{minutes // 60:02d}:{minutes % 60:02d}", NOW).at == at


_WORDS = st.sampled_from(
    re.split(
        " +",
        "at on last next since from to and between ago before yesterday today Monday noon midnight 10:03 10:75 "
        "2026-11-24 0001-01-01 9999-12-31 11/23 23.11. Nov 23 CET XYZ Europe/Paris +02:00 -14:00 2 "
        "99999999999 hours half an week "
        "month tonight this morning now am 1795514580 9999999999999 T Z",
    )
)


@given(
    st.lists(_WORDS, max_size=8).map(" ".join), st.booleans(), st.sampled_from([NOW, datetime(2024, 2, 29, tzinfo=UTC)])
)
def test_words_of_time_in_any_order_mean_a_past_time_or_are_refused(text: str, ahead: bool, now: datetime) -> None:
    try:
        found = when_in(text, now, ahead=ahead)
    except TimeError:
        return
    if not ahead:
        assert found.at is None or found.at <= now
        assert found.since is None or (found.until is not None and found.since < found.until <= now)
