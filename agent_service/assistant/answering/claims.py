"""What a text claims: numbers however they are written, instants, names with digits.  Pure.

Meant to miss nothing rather than to understand everything: what looks like a number is one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from agent_service.assistant.answering.number_words import VAGUE, spelled_numbers

UNIT_SECONDS = {
    "ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001,
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
    "d": 86_400, "day": 86_400, "days": 86_400, "w": 604_800, "week": 604_800, "weeks": 604_800,
}  # fmt: skip
_PERCENT = frozenset({"%", "percent", "pct"})
_ORDINAL = frozenset({"st", "nd", "rd", "th"})
_GLUED = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
_SCALES = {"thousand": 1e3, "mn": 1e6, "mio": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9, "trillion": 1e12}
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_NAMES = "sept|" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS)
_ISO_DAY = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?:[Tt](?=\d)|(?![\w-]))")
_SAID_DAY = re.compile(
    rf"(?<!\w)(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{_NAMES})\b\.?|"
    rf"(?P<month2>{_NAMES})\b\.? (?P<day2>\d{{1,2}})(?:st|nd|rd|th)?)(?!\w)(?:,? (?P<year>\d{{4}})(?!\w))?",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?<![\w:])(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d(?!\w))?(?:\s?([ap])\.?m\b\.?)?(?![\w:])",
    re.IGNORECASE,
)
_HOUR = re.compile(r"(?<![\w.:])(1[0-2]|[1-9])\s?([ap])\.?m\b\.?", re.IGNORECASE)
_APART = {*UNIT_SECONDS, *_SCALES, "percent", "pct"} - {"m", "w", "d"}  # units that may stand apart from their number
_UNITS = "|".join(sorted(_APART, key=len, reverse=True))
_NUMBER = re.compile(
    r"(?P<name>(?<![\w.])[^\W\d]\w*(?:[-.]\w+)*)"
    r"|(?P<id>(?<![\w.])(?!\d+[eE]\d+(?!\w))\d+[^\W\d]\w*\d\w*(?:[-.]\w+)*)"
    r"|(?P<version>(?<![\w.])\d+(?:\.\d+){2,}(?!\w))"
    r"|(?P<sign>(?<![\w)%])[-+])?(?P<digits>\d{1,3}(?:[,\u202f\u00a0']\d{3})+(?:\.\d+)?(?![\d])|\d+(?:[.,]\d+)?|\.\d+)"
    r"(?P<power>[eE][+-]?\d+(?!\w))?(?P<tail>%|[^\W\d_]+)?"
    rf"(?:[\s-]{{1,2}}(?P<unit>{_UNITS})(?!\w)|\s(?P<sign2>%))?"
)
_DOTTED_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}")
_FACTOR = re.compile(r"[x×](\d+(?:\.\d+)?)")
_RANK = re.compile(r"[pq](\d{1,2}(?:\.\d+)?)", re.IGNORECASE)
_SUPERSCRIPTS = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number.  `worth`: what its last digit is worth, 0.1 for 203.5 and 1000 for 17k."""

    text: str
    value: float
    worth: float = 1.0
    unit: str = ""  # "", "%", "th", or one of UNIT_SECONDS


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, or a time of the clock; an instant is two of these."""

    text: str
    day: tuple[int | None, int, int] | None = None  # year, month, day of the month
    clock: tuple[int, int, int | None] | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """A word with digits in it, or a comparison that is a number in disguise: good where evidence has it as it is."""

    text: str


Claim = Amount | Moment | Name


def cleaned(text: str) -> str:
    """With one way to write each character."""
    text = _SUPERSCRIPTS.sub(lambda found: f"^{found.group()}", text)
    text = unicodedata.normalize("NFKC", text.replace("\u202f", "'").replace("\u00a0", " "))
    text = "".join(each for each in text if unicodedata.category(each) != "Cf")
    return re.sub(r"[\u2010-\u2012\u2212\ufe63\uff0d]", "-", text)


def claims_in(text: str) -> Iterator[Claim]:
    """Of a text that is cleaned."""
    for pattern, read in ((_ISO_DAY, _iso_day), (_SAID_DAY, _said_day), (_CLOCK, _clock), (_HOUR, _hour)):
        for found in pattern.finditer(text):
            yield read(found)
        text = pattern.sub(" ", text)
    rest = []
    at = 0
    for found in _NUMBER.finditer(text):
        is_word = found["name"] is not None and not any(each.isdigit() for each in found["name"])
        if is_word:
            continue
        rest.append(text[at : found.start()])
        at = found.end()
        yield from _number(found)
    rest.append(text[at:])
    words = " ; ".join(rest)
    for spelled, value, unit in spelled_numbers(words):
        yield Amount(spelled, value, 1.0, _unit(unit))
    for vague in VAGUE.finditer(words):
        yield Name(vague.group().lower())


def _number(found: re.Match[str]) -> Iterator[Claim]:
    if found["name"] is not None:
        yield from _named(found["name"])
        return
    if found["id"] is not None:
        yield Name(found["id"])
        return
    if found["version"] is not None:
        dotted = _DOTTED_THOUSANDS.fullmatch(found["version"])
        value = float(found["version"].replace(".", "")) if dotted else 0.0
        yield Amount(found["version"], value) if dotted else Name(found["version"])
        return
    digits, power, tail = found["digits"], found["power"] or "", found["tail"] or ""
    if re.search(r"[,']\d{3}(?:\D|$)", digits) and re.fullmatch(r"\d{1,3}(?:[,']\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "").replace("'", "")
    digits = digits.replace(",", ".")
    decimals = len(digits.partition(".")[2])
    scale = 10.0 ** int(power[1:]) if power and abs(int(power[1:])) <= 300 else 1.0
    unit = found["unit"] or found["sign2"] or ""
    if tail in _GLUED:
        scale *= _GLUED[tail]
        tail = ""
    for word in (tail.lower(), unit.lower()):
        scale *= _SCALES.get(word, 1.0)
    told = next((_unit(word) for word in (tail, unit) if _unit(word)), "")
    value = float(digits) * scale * (-1 if found["sign"] == "-" else 1)
    yield Amount(found.group().strip(), value, 10.0**-decimals * scale, told)


def _named(name: str) -> Iterator[Claim]:
    if factor := _FACTOR.fullmatch(name):
        yield Amount(name, float(factor[1]), 10.0 ** -len(factor[1].partition(".")[2]))
    elif rank := _RANK.fullmatch(name):
        yield Amount(name, float(rank[1]), 10.0 ** -len(rank[1].partition(".")[2]), "th")
    else:
        yield Name(name)


def _unit(word: str) -> str:
    lowered = word.lower()
    if lowered in _PERCENT:
        return "%"
    if lowered in _ORDINAL:
        return "th"
    return lowered if lowered in UNIT_SECONDS else ""


def _iso_day(found: re.Match[str]) -> Moment:
    return Moment(found.group(), day=(int(found[1]), int(found[2]), int(found[3])))


def _said_day(found: re.Match[str]) -> Moment:
    month = (found["month"] or found["month2"]).lower()
    year = None if found["year"] is None else int(found["year"])
    return Moment(found.group(), day=(year, _month(month), int(found["day"] or found["day2"])))


def _month(name: str) -> int:
    return next(number for number, month in enumerate(_MONTHS, start=1) if month.startswith(name[:3]))


def _clock(found: re.Match[str]) -> Moment:
    second = None if found[3] is None else int(found[3])
    return Moment(found.group(), clock=(_on_24(int(found[1]), found[4]), int(found[2]), second))


def _hour(found: re.Match[str]) -> Moment:
    return Moment(found.group(), clock=(_on_24(int(found[1]), found[2]), 0, None))


def _on_24(hour: int, half: str | None) -> int:
    return hour if half is None else hour % 12 + (12 if half.lower() == "p" else 0)
