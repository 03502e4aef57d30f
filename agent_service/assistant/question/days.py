"""Days and times of the clock as people write them, made into instants.  Pure: now is an argument.

A day without its year, a weekday and a time of the clock are the latest past ones, or the next ones where a question
looks ahead. Parts of a day: morning 06-12, afternoon 12-18, evening 18-24, night 18-06.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from agent_service.assistant.question.amounts import TimeError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ONE_DAY = timedelta(days=1)
PARTS = {
    "morning": (timedelta(hours=6), timedelta(hours=12)),
    "afternoon": (timedelta(hours=12), timedelta(hours=18)),
    "evening": (timedelta(hours=18), _ONE_DAY),
    "night": (timedelta(hours=18), timedelta(hours=30)),
}


@dataclass(frozen=True, slots=True)
class Day:
    """One that a text names; what is None was not said."""

    text: str
    days_ahead: int | None = None  # of today: -1 for yesterday
    weekday: int | None = None  # Monday is 0
    year: int | None = None
    month: int | None = None
    day: int | None = None
    is_last: bool = False  # "last Friday": not today
    is_next: bool = False
    part: str = ""

    def date_near(self, local: datetime, clock: time | None, *, ahead: bool) -> date:
        """Which date this is for somebody whose clock shows local; clock: the time of that day that is meant."""
        today = local.date()
        if self.days_ahead is not None:
            return today + timedelta(days=self.days_ahead)
        ahead = ahead or self.is_next
        if self.weekday is not None:
            found = today + timedelta(days=(self.weekday - today.weekday()) % 7)
            return self._turn(found, [found - 7 * _ONE_DAY, found, found + 7 * _ONE_DAY], local, clock, ahead)
        if self.year is not None:
            return self._date(self.year)
        if (self.month, self.day) == (2, 29):
            raise TimeError(f"{self.text} is not in every year: write it as 2028-02-29")
        years = [self._date(today.year + step) for step in (-1, 0, 1)]
        return self._turn(years[1], years, local, clock, ahead)

    def _turn(self, usual: date, turns: list[date], local: datetime, clock: time | None, ahead: bool) -> date:
        """Of dates that come again: the latest that has begun, or the first that has not passed."""
        here = local.replace(tzinfo=None)

        def begins(each: date) -> datetime:
            return datetime.combine(each, clock or time())

        if ahead:
            over = time.max if clock is None and not self.is_next else (clock or time())
            return next((each for each in turns if datetime.combine(each, over) >= here), usual)
        past = [each for each in turns if begins(each) <= here and not (self.is_last and each == here.date())]
        return past[-1] if past else usual

    def _date(self, year: int) -> date:
        try:
            return date(year, self.month or 0, self.day or 0)
        except ValueError:
            raise TimeError(f"{self.text} is no day; write one as 2026-11-24") from None

    def span(self, on: date, zone: tzinfo) -> tuple[datetime, datetime]:
        """First instant of this day, or of its part, and the first one after it."""
        first, last = PARTS.get(self.part, (timedelta(), _ONE_DAY))
        return _shifted(on, first, zone), _shifted(on, last, zone)


def by_numbers(text: str, first: int, second: int, year: int | None, *, month_first: bool | None = None) -> Day:
    """Of 11/23 or 23.11.; raises TimeError where either number could be the month."""
    if month_first is None and first <= 12 and second <= 12 and first != second:
        raise TimeError(f"{text} can be read as two days; write it as {year or 2026}-11-24, or as Nov 24")
    is_month_first = second > 12 if month_first is None else month_first
    month, day = (first, second) if is_month_first else (second, first)
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise TimeError(f"{text} is no day; write one as 2026-11-24")
    return Day(text, year=year, month=month, day=day)


def instant(on: date, clock: time, zone: tzinfo) -> datetime:
    """In UTC; raises TimeError for what no clock there showed, or showed twice."""
    wall = datetime.combine(on, clock, zone)
    try:
        found, later = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
        back = found.astimezone(zone)
    except (OverflowError, ValueError):
        raise TimeError(f"{on} is further away than anything is kept") from None
    if back.replace(tzinfo=None) != wall.replace(tzinfo=None):
        raise TimeError(f"no clock showed {clock:%H:%M} on {on} in {zone}: it was put forward; write the time in UTC")
    if found != later:
        raise TimeError(f"clocks showed {clock:%H:%M} twice on {on} in {zone}; write the time in UTC")
    return found


def _shifted(on: date, by: timedelta, zone: tzinfo) -> datetime:
    try:
        whole = datetime.combine(on, time()) + by
        return whole.replace(tzinfo=zone).astimezone(UTC)
    except (OverflowError, ValueError):
        raise TimeError(f"{on} is further away than anything is kept") from None
