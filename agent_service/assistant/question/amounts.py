"""Numbers and lengths of time as people write them, read exactly or refused.  Pure."""

from __future__ import annotations

import re
from datetime import timedelta

# A number that stands for itself: not part of a word, a date, a time of the clock, or a longer number.
NUMBER = r"(?<![\w.,:/-])-?\d+(?:[.,]\d+)*"
_MOST_DIGITS = 15  # that a float holds exactly
_LONGEST = timedelta(days=36_500)
_WORDS: dict[str, int] = dict(
    zip(
        ("a", "an", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
        (1, 1, *range(1, 13)),
        strict=True,
    )
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "month": 30 * 86_400}
_LONG_UNIT = r"(?:second|minute|hour|day|week|month|year)s?"
UNIT = rf"(?:{_LONG_UNIT}|secs?|s|mins?(?!imum|\s*(?:replicas?|pods?)\b)|m|hrs?|h|days?|d|wks?|w)(?![a-z_-])"
_COUNT = r"\d+(?:[.,]\d+)?"
_WRITTEN = "|".join(sorted(_WORDS, key=len, reverse=True))
# "1h30m", "2 hours and 30 minutes", "half an hour", "an hour and a half".
LENGTH = (
    rf"(?<![\w.,:/-])(?:{_COUNT}\s*{UNIT}|(?:half(?:\s+an?)?|a\s+quarter\s+of\s+an|{_WRITTEN})\s+{_LONG_UNIT}\b)"
    rf"(?:(?:\s*,\s*|\s+and\s+|\s*){_COUNT}\s*{UNIT})*(?:\s+and\s+a\s+(?:half|quarter)\b(?!\s+\w*(?:hour|minute)))?"
)
BARE_UNIT = rf"\b{_LONG_UNIT}\b"
_PIECE = re.compile(
    rf"({_COUNT})\s*({UNIT})|\b(half(?:\s+an?)?|a\s+quarter\s+of\s+an|{_WRITTEN})\s+({_LONG_UNIT})\b|"
    r"and\s+a\s+(half|quarter)",
    re.IGNORECASE,
)


class TimeError(ValueError):
    """An expression that means no time that can be looked at; its text says why, and what to write."""


class AmountError(ValueError):
    """A number that cannot be read in one way only; its text says what to write."""


def number(text: str) -> float:
    """Of "12", "-3", "7.5" or "1,200"; raises AmountError for "1,2" and for what no float holds."""
    whole, _, part = text.partition(".")
    if "," in part or "." in part or ("," in whole and not re.fullmatch(r"-?[1-9]\d{0,2}(?:,\d{3})+", whole)):
        raise AmountError(f"{_short(text)} can be read in more than one way; write it as 1200 or 1.2")
    digits = whole.replace(",", "")
    if len(digits.lstrip("-0")) > _MOST_DIGITS:
        raise AmountError(f"{_short(text)} is too large a number")
    return float(f"{digits}.{part or 0}")


def length(text: str) -> timedelta:
    """Of what LENGTH matches; raises TimeError."""
    seconds, last = 0.0, 0
    for found in _PIECE.finditer(text):
        if found[5]:
            seconds += last * (0.5 if found[5].lower() == "half" else 0.25)
            continue
        last = _unit_seconds(found[2] or found[4])
        seconds += _count(found[1] or found[3], text) * last
    return _bounded(seconds, text)


def one(unit: str) -> timedelta:
    """A second, a minute and so on, by its long name; a month is thirty days."""
    return timedelta(seconds=_unit_seconds(unit))


def _count(text: str, whole: str) -> float:
    lowered = " ".join(text.lower().split())
    if lowered.startswith("half"):
        return 0.5
    if "quarter" in lowered:
        return 0.25
    if lowered in _WORDS:
        return _WORDS[lowered]
    try:
        return number(text)
    except AmountError as error:
        raise TimeError(f"{_short(whole)}: {error}") from None


def _unit_seconds(unit: str) -> int:
    name = unit.lower()
    if name.startswith("year"):
        raise TimeError("nothing is kept for years; give weeks or days")
    return _SECONDS["month" if name.startswith("month") else name[0]]


def _bounded(seconds: float, text: str) -> timedelta:
    if not 0 < seconds <= _LONGEST.total_seconds():
        raise TimeError(f"{_short(text)} is no length of time that can be looked at; write one such as 2 hours")
    return timedelta(seconds=seconds)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
