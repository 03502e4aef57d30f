"""Instants and spans as people write them.  Pure: now is an argument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_UNIT_SECONDS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86_400,
    "day": 86_400,
    "w": 604_800,
    "week": 604_800,
}
_UNITS = r"(seconds?|secs?|s|minutes?|mins?|m|hours?|h|days?|d|weeks?|w)"
_ISO = re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?\s*(?:Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE)
_AGO = re.compile(rf"\b(\d+(?:\.\d+)?|an?)\s*{_UNITS}\s+ago\b", re.IGNORECASE)
_CLOCK = re.compile(
    r"\b(?:at|around|since|from)?\s*\b([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\s*(am|pm)?"
    r"\s*(utc|z|[A-Z][a-z]+/[A-Z][A-Za-z_]+)?\b",
    re.IGNORECASE,
)
_HOUR = re.compile(r"\b(1[0-2]|[1-9])\s*(am|pm)\b", re.IGNORECASE)
_SPAN = re.compile(
    rf"\b(?:last|past|previous|over|for|next|in)\s+(?:the\s+)?(?:last\s+)?(\d+(?:\.\d+)?|an?)?\s*{_UNITS}\b",
    re.IGNORECASE,
)


class TimeError(ValueError):
    """An expression that means no instant that can be looked at; its text says why."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant that a question names."""

    at: datetime
    text: str  # as it was written


def moment_in(text: str, now: datetime) -> Moment | None:
    """The first instant that a text names, None without one; raises TimeError for one in the future.

    Times of the clock are UTC unless a zone follows, and mean today, or yesterday when today's is still to come.
    """
    found = _ISO.search(text)
    if found is not None:
        return _past(Moment(_iso(found.group().strip()), found.group().strip()), now)
    found = _AGO.search(text)
    if found is not None:
        return Moment(now - timedelta(seconds=_seconds(found[1], found[2])), found.group())
    text = _HOUR.sub(r"\1:00 \2", text)
    found = _CLOCK.search(text)
    if found is not None:
        return _past(_clock(found, text, now), now)
    if re.search(r"\bnow\b", text, re.IGNORECASE):
        return Moment(now, "now")
    return None


def span_seconds_in(text: str) -> int | None:
    """A length of time that a text names, such as "last 2 hours"; None without one."""
    found = _SPAN.search(text)
    if found is not None:
        return round(_seconds(found[1] or "1", found[2]))
    for word, seconds in (("today", 86_400), ("yesterday", 172_800), ("this week", 604_800)):
        if re.search(rf"\b{word}\b", text, re.IGNORECASE):
            return seconds
    return None


def _iso(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(re.sub(r"\s*(z)$", "+00:00", text, flags=re.IGNORECASE))
    except ValueError:
        raise TimeError(f"{text} is no time; write it as 2026-11-24T10:03:00Z") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _clock(found: re.Match[str], text: str, now: datetime) -> Moment:
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    half, zone_name = (found[4] or "").lower(), found[5]
    if half:
        if not 1 <= hour <= 12:
            raise TimeError(f"{found.group().strip()} is no time of the clock")
        hour = hour % 12 + (12 if half == "pm" else 0)
    zone: ZoneInfo | None = None
    if zone_name and zone_name.lower() not in ("utc", "z"):
        try:
            zone = ZoneInfo(zone_name)
        except (KeyError, ValueError, OSError):
            raise TimeError(f"{zone_name} is no time zone that is known here; write one such as Europe/Paris") from None
    local = now.astimezone(zone or UTC)
    at = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
    if re.search(r"\byesterday\b", text, re.IGNORECASE) or (
        at > local and not re.search(r"\btoday\b|\btomorrow\b", text, re.IGNORECASE)
    ):
        at -= timedelta(days=1)
    elif re.search(r"\btomorrow\b", text, re.IGNORECASE):
        at += timedelta(days=1)
    return Moment(at.astimezone(UTC), found.group().strip())


def _past(moment: Moment, now: datetime) -> Moment:
    if moment.at > now:
        raise TimeError(f"{moment.text} is still to come; ask for the forecast instead")
    return moment


def _seconds(count: str, unit: str) -> float:
    number = 1.0 if count.lower() in ("a", "an") else float(count)
    name = unit.lower()
    return number * _UNIT_SECONDS[name if name in _UNIT_SECONDS else name.rstrip("s")]
