"""Cuts a text into words of time and other words.  Pure.

Every word of time has a letter for its kind, so that times.py reads what they make together with patterns of letters.
What looks like a time and is none that can be read exactly raises TimeError here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from agent_service.assistant.question import amounts, zones
from agent_service.assistant.question.amounts import TimeError
from agent_service.assistant.question.days import MONTHS, PARTS, WEEKDAYS, Day, by_numbers

OTHER = "x"


@dataclass(frozen=True, slots=True)
class Word:
    """kind: one letter.

    D day, C clock, Z zone, L length, E instant, N now, R "this week"; a ago, b before, f after, s since, r from,
    t to, w between, l last, n next, o over, i in, h ahead, & and, x anything else.
    """

    kind: str
    text: str
    value: Day | time | tzinfo | timedelta | datetime | None = None


_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = (
    r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
)
_TH = r"(?:st|nd|rd|th)?"
_PART = "|".join(PARTS)
_KEYWORDS = {
    "ago": "a", "back": "a", "before": "b", "after": "f", "since": "s", "from": "r", "to": "t", "until": "t",
    "till": "t", "through": "t", "-": "t", "–": "t", "—": "t", "and": "&", "&": "&", "between": "w", "last": "l",
    "past": "l", "previous": "l", "next": "n", "coming": "n", "following": "n", "over": "o", "for": "o",
    "during": "o", "within": "o", "in": "i", "ahead": "h", "now": "N", "currently": "N",
}  # fmt: skip
_FILLERS = frozenset(("at", "on", "around", "about", "roughly", "approximately", "the", "of", *",;.?!()@"))
_LEADS_TO_TIME = frozenset(("at", "around", "about", "since", "from", "until", "till", "by", "between"))
_CAPITALS = frozenset(  # that may follow a time in a text written in capitals
    (
        "ON",
        "IN",
        "AT",
        "AND",
        "TO",
        "THE",
        "FOR",
        "OF",
        "OR",
        "WHY",
        "WHAT",
        "HOW",
        "TODAY",
        "IS",
        "WAS",
        "DID",
        "UP",
        "HPA",
        "KEDA",
        "SLO",
        "SLA",
        "CPU",
        "RPS",
        "QPS",
        "API",
        "VPA",
        "P99",
        "P95",
    )
)
_OF_MANY_ZONES = frozenset(("cst", "ist", "bst", "ast", "sst", "et", "ct", "mt", "pt"))
_RULES: tuple[tuple[str, str], ...] = (
    ("epoch", rf"(?<![\w.,-])\d{{10}}(?:\d{{3}})?(?![\w.,]*\d)(?!\s*{amounts.UNIT})"),
    ("iso", r"(?<![\w.-])(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:t(?=\d)|(?![\w/-]))"),
    ("slashes", r"(?<![\w/.-])(\d{1,2})/(\d{1,2})(?:/(\d{4}))?(?![\w/]|\s*(?:replicas?|pods?)\b)"),
    ("dots", r"(?<![\w/.-])(\d{1,2})\.(\d{1,2})\.(\d{4})?(?![\w.])"),
    (
        "named",
        (
            rf"\b(?:(\d{{1,2}}){_TH}\s+(?:of\s+)?({_MONTH})\b\.?|({_MONTH})\.?\s+(\d{{1,2}}){_TH}(?![\w:]|\s*[ap]\.?m\b))"
            r"(?:,?\s+(\d{4})\b)?"
        ),
    ),
    ("weekday", rf"\b({_WEEKDAY})\b\.?(?:\s+({_PART})\b)?"),
    ("part", rf"\b(this|yesterday|today|tomorrow|last)\s+({_PART})\b"),
    ("day", r"\b(?:the\s+)?(?:day\s+before\s+yesterday|today|yesterday|tomorrow|tonight)(?:['’]s)?\b"),
    ("this", r"\bthis\s+(?:week|month)\b"),
    ("now", r"\b(?:(?:just|right)\s+now|at\s+the\s+moment)\b"),
    ("ahead", r"\bfrom\s+now\b"),
    (
        "clock",
        (
            r"(?<![\d.:/_a-su-z])(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})\d*)?)?"
            r"(?:\s*([ap])\.?m\b\.?|\s*(?:h|hrs|uhr)\b)?(?![\d:])"
        ),
    ),
    ("hour", r"(?<![\w.:/])(\d{1,2})(?:\s*([ap])\.?m\b\.?|\s*o['’]?\s?clock\b|\s*uhr\b)"),
    ("french", r"(?<![\w.:/])(?:(?<=at )(\d{1,2})h\b|(\d{1,2})h([0-5]\d)\b)"),
    ("noon", r"\b(?:noon|midday|midnight)\b"),
    ("offset", r"(?:\b(?:utc|gmt)\s?)?[+-]\d{1,2}(?::?\d{2})?(?![\w:])"),
    ("place", r"(?<![\w/.-])[a-z][\w+-]*(?:/[a-z][\w+-]*)+"),
    ("length", amounts.LENGTH),
    ("unit", amounts.BARE_UNIT),
    (
        "vague",
        (
            rf"\b(?:a\s+)?(?:couple\s+(?:of\s+)?|few\s+|several\s+|some\s+)(?:{amounts.BARE_UNIT})|\bhalf\s+past\b|"
            rf"\bquarter\s+(?:past|to)\b|\bweekends?\b|\b(?:{_PART})s?\b|\bovernight\b|\bfortnights?\b|\b\d+(?:st|nd|rd|th)\b|"
            r"\b\d{1,2}\s*(?:-|–|to|and)\s*\d{1,2}(?:\s*[ap]\.?m\b|:\d)|"
            rf"\bo['’]clock\b|\b(?:in|on|of|last|since)\s+{_MONTH}\b(?!\.?\s*\d)|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days\b"
        ),
    ),
    (
        "bare",
        (
            r"(?<![\w.:/-])\d{1,4}(?:\.\d{2})?(?![\w:/%.]*\w)(?!\s*(?:%|percent|replicas?|pods?|per|requests?|req|rps|runs?|k)\b|\s+(?:to|and|-)\s+\d+\s*(?:replicas?|pods?)\b)"
        ),
    ),
    ("word", r"[^\W\d_][\w'’/-]*|\d[\w.,:/-]*\w|\S"),
)
_LEXER = re.compile("|".join(f"(?P<{name}>{_groups})" for name, _groups in _RULES), re.IGNORECASE)
_ALONE = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _RULES}


def words_of(text: str) -> list[Word]:
    """In order, without fillers; raises TimeError."""
    return _Reader(text).read()


class _Reader:
    """Goes through a text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[Word] = []
        self._before = ""  # the word before, lower-case, fillers too
        self._is_beside = False  # the word before is in self._words
        self._is_iso = False  # the last day was followed by a T

    def read(self) -> list[Word]:
        """All words that are no fillers."""
        for found in _LEXER.finditer(self._text):
            rule = str(found.lastgroup)
            alone = _ALONE[rule].match(self._text, found.start())  # once more, for the groups of this rule
            assert alone is not None  # noqa: S101 - the same pattern has matched here
            reads: Callable[[re.Match[str]], Word] = getattr(self, f"_{rule}")
            word = reads(alone)
            if word.kind:
                self._words.append(word)
            self._before, self._is_beside = alone.group().lower(), bool(word.kind)
        return self._words

    @property
    def _after_clock(self) -> bool:
        return bool(self._words) and self._words[-1].kind in ("C", "E")

    def _epoch(self, found: re.Match[str]) -> Word:
        seconds = int(found.group()) / (1000 if len(found.group()) == 13 else 1)
        return Word("E", found.group(), datetime.fromtimestamp(seconds, UTC))

    def _iso(self, found: re.Match[str]) -> Word:
        self._is_iso = found.group()[-1:].lower() == "t"
        year, month, day = (int(each) for each in found.groups())
        if not (1 <= month <= 12 and 1 <= day <= 31):
            raise TimeError(f"{found.group()} is no time; write one as 2026-11-24T10:03:00Z")
        return Word("D", found.group(), Day(found.group(), year=year, month=month, day=day))

    def _slashes(self, found: re.Match[str]) -> Word:
        if found.group() == "24/7" and self._before != "on":
            return Word(OTHER, found.group())
        year = None if found[3] is None else int(found[3])
        return Word("D", found.group(), by_numbers(found.group(), int(found[1]), int(found[2]), year))

    def _dots(self, found: re.Match[str]) -> Word:
        if found[3] is None and self._before != "on":  # "at 10.03." may be a time, at the end of a sentence
            return self._bare(found)
        year = None if found[3] is None else int(found[3])
        return Word("D", found.group(), by_numbers(found.group(), int(found[1]), int(found[2]), year))

    def _named(self, found: re.Match[str]) -> Word:
        month = MONTHS.index((found[2] or found[3]).lower()[:3]) + 1
        day, year = int(found[1] or found[4]), None if found[5] is None else int(found[5])
        return Word("D", found.group(), by_numbers(found.group(), month, day, year, month_first=True))

    def _weekday(self, found: re.Match[str]) -> Word:
        name = found[1]
        is_short = not name.lower().endswith("day")
        if is_short and not name[0].isupper() and self._before not in {"on", "since", "last", "from", "until", "to"}:
            return Word(OTHER, name)  # "pods sat idle", "the sun"
        is_last, is_next = self._takes("l"), self._takes("n")
        weekday = WEEKDAYS.index(name.lower()[:3])
        part = (found[2] or "").lower()
        return Word(
            "D", found.group(), Day(found.group(), weekday=weekday, is_last=is_last, is_next=is_next, part=part)
        )

    def _takes(self, kind: str) -> bool:
        """Whether the word before is of a kind; then it belongs to what comes."""
        if not self._words or self._words[-1].kind != kind:
            return False
        del self._words[-1]
        return True

    def _part(self, found: re.Match[str]) -> Word:
        when, part = found[1].lower(), found[2].lower()
        ahead = {"yesterday": -1, "tomorrow": 1, "last": -1}.get(when, 0)
        if when == "last" and part != "night":
            raise TimeError(f"{found.group()} is not clear; write yesterday {part}")
        return Word("D", found.group(), Day(found.group(), days_ahead=ahead, part=part))

    def _day(self, found: re.Match[str]) -> Word:
        text = found.group().lower()
        ahead = -2 if "before" in text else -1 if "yesterday" in text else 1 if "tomorrow" in text else 0
        return Word("D", found.group(), Day(found.group(), days_ahead=ahead, part="night" if "night" in text else ""))

    def _this(self, found: re.Match[str]) -> Word:
        return Word("R", found.group())

    def _now(self, found: re.Match[str]) -> Word:
        return Word("N", found.group())

    def _ahead(self, found: re.Match[str]) -> Word:
        return Word("h", found.group())

    def _clock(self, found: re.Match[str]) -> Word:
        fraction = int((found[4] or "").ljust(6, "0"))
        return self._time(found.group(), int(found[1]), int(found[2]), int(found[3] or 0), fraction, found[5])

    def _hour(self, found: re.Match[str]) -> Word:
        return self._time(found.group(), int(found[1]), 0, 0, 0, found[2])

    def _french(self, found: re.Match[str]) -> Word:
        return self._time(found.group(), int(found[1] or found[2]), int(found[3] or 0), 0, 0, None)

    def _noon(self, found: re.Match[str]) -> Word:
        is_midnight = found.group().lower() == "midnight"
        return Word("C", found.group().lower(), time(0 if is_midnight else 12))

    def _time(self, text: str, hour: int, minute: int, second: int, fraction: int, half: str | None) -> Word:
        text = text.strip()
        if half is not None:
            if not 1 <= hour <= 12:
                raise TimeError(f"{text} is no time of the clock; write one as 15:03")
            hour = hour % 12 + (12 if half.lower() == "p" else 0)
        if hour > 23 or minute > 59 or second > 59:
            raise TimeError(f"{text} is no time of the clock; write one as 10:03, from 00:00 to 23:59")
        return Word("C", text, time(hour, minute, second, fraction))

    def _offset(self, found: re.Match[str]) -> Word:
        text = found.group()
        is_day_of = self._in_time and re.search(r":|\d{4}", text)  # "today +2 replicas" is no zone
        if not self._after_clock and not is_day_of and not text.lower().startswith(("utc", "gmt")):
            return Word(OTHER, text)
        clock = self._words[-1].text if self._words else ""
        if text.startswith("-") and ":" in text and not self._is_iso and clock.count(":") < 2:
            raise TimeError(f"{clock}{text} may be a span or an offset; write from 10:00 to 11:00, or a time in UTC")
        if text.startswith("-") and re.fullmatch(r"-\d{1,2}", text):
            raise TimeError(f"{clock}{text} is not clear; write from 10:00 to 11:00, or a time in UTC")
        return Word("Z", text, zones.offset(text))

    def _place(self, found: re.Match[str]) -> Word:
        text = found.group()
        if zones.is_place(text):
            return Word("Z", text, zones.place(text))
        if self._in_time and text[0].isupper():
            raise zones.unknown(text)
        return Word(OTHER, text)

    def _length(self, found: re.Match[str]) -> Word:
        return Word("L", found.group(), amounts.length(found.group()))

    def _unit(self, found: re.Match[str]) -> Word:
        if self._before in {"last", "past", "previous", "next", "coming"}:
            return Word("L", found.group(), amounts.one(found.group()))
        if self._before in {"this", "each", "every"}:
            raise TimeError(f"{self._before} {found.group()} is not clear; write today, or the last 2 hours")
        return Word(OTHER, found.group())

    def _vague(self, found: re.Match[str]) -> Word:
        raise TimeError(f"{found.group()} is not exact; write 10:03, 20 minutes ago, yesterday, or 2026-11-24 10:03")

    def _bare(self, found: re.Match[str]) -> Word:
        if self._before in _LEADS_TO_TIME:
            text = found.group().rstrip(".")
            raise TimeError(
                f"{self._before} {text} is not clear: write a time as 10:03, a day as 2026-11-24, replicas as "
                "17 replicas"
            )
        return Word(OTHER, found.group())

    def _word(self, found: re.Match[str]) -> Word:
        text, lowered = found.group(), found.group().lower()
        if lowered in _FILLERS:
            return Word("", text)
        if re.match(r"\d[\d.,/-]*:\d|\d+h\d|\d+/\d+/\d", lowered):
            raise TimeError(f"{text[:40]} is no time that can be read; write one as 10:03, or 2026-11-24T10:03:00Z")
        if lowered in zones.ABBREVIATIONS and (self._in_time or text.isupper()):
            return Word("Z", text, zones.abbreviated(text))
        if self._in_time and self._is_beside:
            if lowered in _OF_MANY_ZONES and (len(text) > 2 or text.isupper()):
                raise TimeError(f"{text} means more than one time zone; write one such as America/Chicago, or -06:00")
            if re.fullmatch(r"[A-Z]{2,5}", text) and text not in _CAPITALS:
                raise zones.unknown(text)
            after = self._text[found.end() :].split(maxsplit=1)
            if after and after[0].lower().startswith("time"):
                raise zones.unknown(f"{text} time")
        return Word(_KEYWORDS.get(lowered, OTHER), text)

    @property
    def _in_time(self) -> bool:
        return bool(self._words) and self._words[-1].kind in ("C", "D", "E")
