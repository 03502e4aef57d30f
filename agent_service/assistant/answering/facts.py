"""What a piece of evidence says: the other side of claims.  Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from agent_service.assistant.answering.claims import UNIT_SECONDS, Amount, Claim, Moment, Name, claims_in, cleaned
from agent_service.assistant.state import Evidence

_RATIOS = frozenset({"wape", "persistence_wape", "skill", "coverage", "level", "upper_level", "quantile", "share"})
_SHARE_OF_ROUNDING = 0.05  # 2.4 is no 2, 9.6 is a 10
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*")
_EPOCH = range(1_000_000_000, 5_000_000_000)


@dataclass(frozen=True, slots=True)
class Number:
    """A value with the name that it has, which carries its unit."""

    key: str
    value: float
    is_whole: bool  # as it was written: such a one is rounded by nobody


@dataclass(slots=True)
class Facts:
    """Of one or several pieces of evidence."""

    numbers: list[Number] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)  # of its texts
    instants: list[datetime] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def bear(self, claim: Claim) -> bool:
        """Whether the evidence says so."""
        if isinstance(claim, Name):
            return self.name(claim.text)
        if isinstance(claim, Moment):
            return any(_is_at(claim, at) for at in self.instants) or any(
                isinstance(each, Moment) and (each.day, each.clock) == (claim.day, claim.clock) for each in self.claims
            )
        return (
            any(_says(claim, number) for number in self.numbers)
            or any(isinstance(each, Amount) and _same(claim, each) for each in self.claims)
            or (not claim.text.replace(".", "").isdigit() and self.name(claim.text))  # an id that begins with a digit
        )

    def name(self, text: str) -> bool:
        """Whether a text of the evidence has this as a word of its own."""
        word = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE)
        return any(word.search(each) for each in self.texts)


def facts_of(evidence: Iterable[Evidence]) -> Facts:
    """Values, reasons why there is none, when it was asked; of a query that somebody wrote, its numbers too."""
    facts = Facts()
    for each in evidence:
        _read(facts, "", each.get("value"))
        _text(facts, each.get("error", ""))
        _text(facts, each.get("at", ""))
        if each.get("tool") == "promql":
            _text(facts, each["query"])
            shares = [claim.value for claim in facts.claims if isinstance(claim, Amount) and 0 < claim.value < 1]
            facts.numbers += [Number("quantile", share, is_whole=False) for share in shares]
    return facts


def _read(facts: Facts, key: str, value: Any) -> None:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        if math.isfinite(value):
            facts.numbers.append(Number(key, value, isinstance(value, int)))
    elif isinstance(value, str):
        _text(facts, value, key)
    elif isinstance(value, dict):
        for name, each in value.items():
            facts.texts.append(str(name))  # a label may be named; numbers in names are no values
            _read(facts, str(name), each)
    elif isinstance(value, list):
        if len(value) == 2 and isinstance(value[0], int | float) and isinstance(value[1], str) and value[0] in _EPOCH:
            facts.instants.append(datetime.fromtimestamp(value[0], UTC))  # a sample of Prometheus
            value = value[1:]
        for each in value:
            _read(facts, key, each)


def _text(facts: Facts, text: str, key: str = "") -> None:
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            facts.numbers.append(Number(key, number, text.lstrip("-").isdigit()))
        return
    facts.texts.append(cleaned(text))
    facts.claims.extend(claims_in(facts.texts[-1]))
    for found in _ISO.finditer(text):
        try:
            at = datetime.fromisoformat(found.group())
        except ValueError:
            continue
        facts.instants.append(at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))


def _is_at(claim: Moment, at: datetime) -> bool:
    if claim.day is not None:
        year, month, day = claim.day
        return (at.month, at.day) == (month, day) and year in (None, at.year)
    if claim.clock is None:
        return False
    hour, minute, second = claim.clock
    return (at.hour, at.minute) == (hour, minute) and second in (None, at.second)


def _same(claim: Amount, said: Amount) -> bool:
    """What a text of the evidence says, said again: in the same unit, or in another of time."""
    if claim.unit == said.unit or not (claim.unit and said.unit):
        return math.isclose(claim.value, said.value, rel_tol=1e-9)
    if claim.unit in UNIT_SECONDS and said.unit in UNIT_SECONDS:
        return math.isclose(claim.value * UNIT_SECONDS[claim.unit], said.value * UNIT_SECONDS[said.unit], rel_tol=1e-9)
    return False


def _says(claim: Amount, number: Number) -> bool:
    key, value = number.key.lower(), number.value
    is_share = key in _RATIOS or key.endswith("_ratio") or (not number.is_whole and abs(value) <= 1 and value % 1 != 0)
    if claim.unit == "%":
        return (is_share and _rounds(claim, 100 * value)) or ("percent" in key and _rounds(claim, value))
    if claim.unit == "th":
        return _equals(claim, number) or (is_share and _rounds(claim, 100 * value))
    if claim.unit in UNIT_SECONDS:
        seconds = _in_seconds(key, value)
        if seconds is None:
            return _equals(claim, number)
        return _rounds(claim, seconds / UNIT_SECONDS[claim.unit])
    return _equals(claim, number)


def _in_seconds(key: str, value: float) -> float | None:
    """None where the name has no unit of time."""
    if key.endswith("seconds"):
        return value
    if key.endswith("minutes"):
        return value * 60
    return value / 1000 if key.endswith(("_ms", "milliseconds")) else None


def _equals(claim: Amount, number: Number) -> bool:
    if number.is_whole and claim.worth <= 1:
        return claim.value == number.value
    return _rounds(claim, number.value)


def _rounds(claim: Amount, value: float) -> bool:
    """Whether a value is what is claimed, rounded to the digits that are shown."""
    distance = abs(claim.value - value)
    return distance <= claim.worth / 2 * (1 + 1e-9) and distance <= max(_SHARE_OF_ROUNDING * abs(value), 1e-9)
