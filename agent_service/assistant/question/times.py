"""Instants and spans as people write them.  Pure: now is an argument.

Read exactly, or refused in words that say how to write it: a time that is half understood would have another one's
story told. Without a zone a time is UTC; a day alone is all of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo

from agent_service.assistant.question.amounts import TimeError
from agent_service.assistant.question.days import Day, instant
from agent_service.assistant.question.time_words import OTHER, Word, words_of

_OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
_POINT = "(?:LaCZ?|CZ?La|La|L[bf](?:DZ?CZ?|CZ?DZ?|CZ?|E)|DZ?CZ?|CZ?DZ?|CZ?|DZ?|EZ?|N)"
# Which words of time belong together, by their letters (see Word); the first that is found is meant.
_SPANS = tuple(
    (name, re.compile(letters))
    for name, letters in (
        ("between", f"w({_POINT})[&t]({_POINT})"),
        ("between", f"r?({_POINT})t({_POINT})"),
        ("since", f"(?<!L)[srf]({_POINT})"),
        ("this", "s?R"),
        ("ahead", "[io]?n(L)|i(L)|(L)h"),
        ("last", "[ios]?l(L)|o(L)"),
    )
)
_SINGLE = re.compile(f"({_POINT})")
_LEFT = re.compile(r"[DCZLEabR]|[sfw](?=x|$)")


@dataclass(frozen=True, slots=True)
class When:
    """What a text says of time: an instant, or a span, or how far ahead; all None when it says nothing."""

    at: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    ahead_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class _Point:
    """The words of one instant or day."""

    day: Day | None = None
    clock: time | None = None
    clock_text: str = ""
    zone: tzinfo | None = None
    epoch: datetime | None = None
    is_now: bool = False
    length: timedelta | None = None
    relation: str = ""  # of the length: a ago, b before, f after


def when_in(text: str, now: datetime, *, ahead: bool = False) -> When:
    """ahead: a question of what is to come; else what lies ahead raises TimeError, as does what cannot be read."""
    words = words_of(text)
    letters = "".join(word.kind for word in words)
    for name, pattern in _SPANS:
        found = pattern.search(letters)
        if found is None:
            continue
        rest = _without(words, found)
        if name == "this":
            _all_read(rest)
            return _this(next(word.text for word in words if word.kind == "R"), now)
        if name in ("ahead", "last"):
            length = next(word.value for word in words[found.start() : found.end()] if word.kind == "L")
            assert isinstance(length, timedelta)  # noqa: S101 - of kind L
            _all_read(rest)
            return _length(length, now, is_ahead=name == "ahead", ahead=ahead)
        points = [_point(words[found.start(group) : found.end(group)]) for group in range(1, pattern.groups + 1)]
        points, rest = _completed(points, rest)
        _all_read(rest)
        return _between(points, now, ahead=ahead)
    found = _SINGLE.search(letters)
    if found is None:
        bare = [word for word in words if word.kind == "L"]
        if ahead and len(bare) == 1 and isinstance(bare[0].value, timedelta):
            _all_read([word for word in words if word.kind != "L"])
            return _length(bare[0].value, now, is_ahead=True, ahead=True)  # "forecast, 10 min"
        _all_read(words)
        return When()
    points, rest = _completed([_point(words[found.start() : found.end()])], _without(words, found))
    _all_read(rest)
    return _single(points[0], now, ahead=ahead)


def _without(words: list[Word], found: re.Match[str]) -> list[Word]:
    return [*words[: found.start()], Word(OTHER, ""), *words[found.end() :]]


def _point(words: list[Word]) -> _Point:
    point = _Point()
    for word in words:
        match word.kind, word.value:
            case "D", Day() as day:
                point = replace(point, day=day)
            case "C", time() as clock:
                point = replace(point, clock=clock, clock_text=word.text)
            case "Z", tzinfo() as zone:
                point = replace(point, zone=zone)
            case "E", datetime() as epoch:
                point = replace(point, epoch=epoch)
            case "L", timedelta() as length:
                point = replace(point, length=length)
            case (("a" | "b" | "f"), _):
                point = replace(point, relation=word.kind)
            case _:
                point = replace(point, is_now=True)
    return point


def _completed(points: list[_Point], rest: list[Word]) -> tuple[list[_Point], list[Word]]:
    """A day, a time or a zone that stands elsewhere in the text belongs to them, when they have none."""
    left: list[Word] = []
    for word in rest:
        first = points[0]
        if word.kind == "D" and all(each.day is None and each.epoch is None for each in points) and first.clock:
            points = [replace(first, day=_point([word]).day), *points[1:]]
        elif word.kind == "C" and len(points) == 1 and first.day is not None and first.clock is None:
            points = [replace(first, clock=_point([word]).clock, clock_text=word.text)]
        elif word.kind == "Z" and all(each.zone is None for each in points):
            points = [replace(each, zone=_point([word]).zone) for each in points]
        elif word.kind == "N" and first.day is None and first.clock is None and not first.is_now:
            continue  # "what is it now, compared with"
        else:
            left.append(word)
    return points, left


def _all_read(rest: list[Word]) -> None:
    """Raises TimeError for words of time that were not understood."""
    letters = "".join(word.kind for word in rest)
    found = _LEFT.search(letters)
    if found is None:
        return
    words = " ".join(word.text for word in rest[found.start() : found.end() + 1] if word.text)
    raise TimeError(
        f'"{words}" is not clear to me as a time; write one instant (at 10:03, 20 minutes ago, '
        "2026-11-24 10:03 CET) or one span (yesterday, the last 3 hours, between 10:00 and 11:00)"
    )


def _single(point: _Point, now: datetime, *, ahead: bool) -> When:
    if point.day is not None and point.clock is None:
        since, until = _day(point, now, ahead=ahead)
        return _span(since, until, point.day.text, now, ahead=ahead)
    return When(at=_checked(_at(point, now, ahead=ahead), _text(point), now, ahead=ahead))


def _between(points: list[_Point], now: datetime, *, ahead: bool) -> When:
    """Of one point: since then until now."""
    first = points[0]
    if len(points) == 1:
        if first.is_now:
            raise TimeError("since now has nothing in it yet; write since 10:00, or the last 3 hours")
        since = _day(first, now, ahead=False)[0] if first.day and first.clock is None else _at(first, now, ahead=False)
        return _span(since, now, f"since {_text(first)}", now, ahead=ahead)
    last = points[1]
    zone = first.zone or last.zone
    first, last = replace(first, zone=zone), replace(last, zone=last.zone or zone)
    if first.day is None and last.day is not None and first.clock is not None and last.clock is not None:
        first, last = replace(first, day=last.day), replace(last, day=None)  # "from 10:00 to 11:00 yesterday"
    whole = first.day is not None and first.clock is None
    since = _day(first, now, ahead=ahead)[0] if whole else _at(first, now, ahead=ahead)
    if last.day is not None and last.clock is None:
        until = _day(last, now, ahead=ahead)[1]
    elif last.clock is not None and last.day is None and not last.relation:
        local = since.astimezone(last.zone or UTC)
        until = instant(local.date(), last.clock, last.zone or UTC)
        if until <= since:
            until = instant(local.date() + timedelta(days=1), last.clock, last.zone or UTC)
    else:
        until = _at(last, now, ahead=ahead)
    text = f"from {_text(first)} to {_text(last)}"
    if until <= since:
        raise TimeError(f"{text} ends before it begins; write the earlier one first, with its day: 2026-11-24 10:00")
    return _span(since, until, text, now, ahead=ahead)


def _span(since: datetime, until: datetime, text: str, now: datetime, *, ahead: bool) -> When:
    _checked(since, text, now, ahead=ahead)
    until = until if ahead else min(until, now)
    if until <= since:
        raise TimeError(f"{text} has nothing in it yet; ask for an earlier time")
    return When(since=since, until=until)


def _day(point: _Point, now: datetime, *, ahead: bool) -> tuple[datetime, datetime]:
    zone, day = point.zone or UTC, point.day
    assert day is not None  # noqa: S101 - see where it is called
    try:
        return day.span(day.date_near(now.astimezone(zone), None, ahead=ahead), zone)
    except OverflowError:
        raise TimeError(f"{day.text} is further away than anything is kept") from None


def _at(point: _Point, now: datetime, *, ahead: bool) -> datetime:
    zone = point.zone or UTC
    if point.is_now or point.epoch is not None:
        return point.epoch or now
    if point.relation == "a" and point.length is not None:
        if point.clock is None:
            return now - point.length
        if point.length % timedelta(days=1):
            raise TimeError(f"{_text(point)} is two times at once; write only one of them")
        return instant((now.astimezone(zone) - point.length).date(), point.clock, zone)
    at = _of_clock(point, now, ahead=ahead)
    if point.length is None:
        return at
    return at - point.length if point.relation == "b" else at + point.length


def _of_clock(point: _Point, now: datetime, *, ahead: bool) -> datetime:
    zone, clock, day = point.zone or UTC, point.clock, point.day
    assert clock is not None  # noqa: S101 - the patterns let no point of relations be without one
    local = now.astimezone(zone)
    if day is None:
        at = instant(local.date(), clock, zone)
        step = timedelta(days=1 if ahead and at < now else -1 if not ahead and at > now else 0)
        return instant(local.date() + step, clock, zone) if step else at
    if point.clock_text == "midnight":
        raise TimeError(f"midnight of {day.text} is its beginning or its end; write 00:00 with the day")
    on = day.date_near(local, clock, ahead=ahead)
    if not day.part:
        return instant(on, clock, zone)
    first, last = day.span(on, zone)
    for date in (on, on + timedelta(days=1)):
        at = instant(date, clock, zone)
        if first <= at < last:
            return at
    raise TimeError(f"{point.clock_text} is not in {day.text}; write the day as a date: 2026-11-24 10:03")


def _this(text: str, now: datetime) -> When:
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    is_week = "week" in text.lower()
    since = midnight - timedelta(days=midnight.weekday() if is_week else midnight.day - 1)
    return _span(since, now, text, now, ahead=False)


def _length(length: timedelta, now: datetime, *, is_ahead: bool, ahead: bool) -> When:
    if ahead:
        if not is_ahead:
            raise TimeError("a forecast is of what is to come; ask why it scaled, or how good the forecast was, then")
        return When(ahead_seconds=round(length.total_seconds()))
    if is_ahead:
        raise TimeError("that is still to come; ask for the forecast instead")
    return When(since=_checked(now - length, "that span", now, ahead=False), until=now)


def _checked(at: datetime, text: str, now: datetime, *, ahead: bool) -> datetime:
    if at > now and not ahead:
        raise TimeError(f"{text} is still to come; ask for the forecast instead")
    if at < _OLDEST:
        raise TimeError(f"{text} is longer ago than anything is kept")
    return at


def _text(point: _Point) -> str:
    day = "" if point.day is None else point.day.text
    ago = {"a": " ago", "b": " before", "f": " after"}.get(point.relation, "")
    length = "" if point.length is None else f"{point.length}{ago}"
    return " ".join(part for part in (length, day, point.clock_text) if part) or "that time"
