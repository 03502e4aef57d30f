"""Numbers that are spelled out in English.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SMALL = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "dozen": 12,
}  # fmt: skip
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_WORD = "|".join(sorted((*_SMALL, *_LARGE), key=len, reverse=True))
_RUN = re.compile(
    rf"\b(?P<run>(?:{_WORD})(?:(?:[\s-]+and)?[\s-]+(?:{_WORD}))*)\b(?:[\s-]+(?P<unit>[a-z]+)|\s*(?P<sign>%))?",
    re.IGNORECASE,
)
# "One" is mostly no number: "one of them", "the new one".  It is where something is counted, or said to be so many.
_COUNTS = re.compile(
    r"(?:replica|pod|workload|autoscaler|alarm|surge|minute|hour|second|day|week|percent|change|decision|forecast|run|"
    r"request|time|step|series|node)s?",
    re.IGNORECASE,
)
_SAYS = re.compile(r"\b(?:is|was|were|be|to|from|at|by|equals|only|just|exactly)\s+$", re.IGNORECASE)
# Comparisons that are computed: no evidence says them unless it has the word.
VAGUE = re.compile(
    r"\b(?:doubl(?:e[sd]?|ing)|twice|thrice|tripl(?:e[sd]?|ing)|quadrupl(?:e[sd]?|ing)|half|halv(?:e[sd]?|ing)|"
    r"(?:a|one|two|three)[\s-](?:thirds?|quarters?)|(?:two|three|four|five|ten|hundred|many)[\s-]?fold|"
    r"dozens|hundreds|thousands|millions|billions)\b",
    re.IGNORECASE,
)


def spelled_numbers(text: str) -> Iterator[tuple[str, float, str]]:
    """Words, value, and the word after it, which may be its unit."""
    for found in _RUN.finditer(text):
        words = re.findall(_WORD, found["run"].lower())
        unit = found["unit"] or found["sign"] or ""
        if words == ["one"] and not _is_count(text, found, unit):
            continue
        yield found["run"], _value(words), unit


def _is_count(text: str, found: re.Match[str], unit: str) -> bool:
    after = text[found.end("run") :].lstrip(" -")
    if unit:
        return _COUNTS.fullmatch(unit) is not None
    return _SAYS.search(text[: found.start()]) is not None and (not after or after[0] in ".,;:!?")


def _value(words: list[str]) -> float:
    total, current = 0, 0
    for word in words:
        if word == "hundred":
            current = max(current, 1) * 100
        elif word in _LARGE:
            total += max(current, 1) * _LARGE[word]
            current = 0
        elif word == "dozen":
            current = max(current, 1) * 12
        else:
            current += _SMALL[word]
    return float(total + current)
