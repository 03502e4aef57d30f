"""Findings as evidence, and whether an answer stands on it.  Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agent_service.assistant.state import Evidence
from agent_service.assistant.tools import Finding

_CITED = re.compile(r"\[(E\d+(?:\s*,\s*E\d+)*)\]")
# A number on its own: not part of a name, a version, an id or a date's middle.
_NUMBER = re.compile(r"(?<![\w.:/-])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w:/-])|(?<![\w.:/-])-?\d+(?:\.\d+)?(?![\w:/-])")
_CLOCK = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b|\b\d{4}-\d\d-\d\d\S*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n+")
_HARMLESS = frozenset({0.0, 1.0})  # "one of them", "not once": everywhere, and rarely a claim
_TOLERANCE = 0.02  # rounding for people


def gathered(findings: Iterable[Finding], first: int = 1) -> list[Evidence]:
    """Numbered from `first`."""
    told: list[Evidence] = []
    for number, finding in enumerate(findings, start=first):
        each: Evidence = {
            "id": f"E{number}",
            "source": finding.source,
            "query": finding.query,
            "at": finding.at.isoformat(),
            "value": finding.value,
        }
        if finding.error is not None:
            each["error"] = finding.error
        told.append(each)
    return told


def faults_of(answer: str, evidence: Sequence[Evidence], question: str = "") -> list[str]:
    """What in an answer does not stand on evidence; empty when all of it does.

    Every number has to be in the evidence that its sentence cites, rounded as people round, as it is or as a
    percentage.  Numbers that the person gave may be repeated.
    """
    known = {each["id"]: each for each in evidence}
    given = set(_numbers_in(question))
    faults: list[str] = []
    for sentence in _SENTENCE.split(answer):
        cited = [name.strip() for group in _CITED.findall(sentence) for name in group.split(",")]
        faults += [f"{name} is no evidence" for name in cited if name not in known]
        bare = _CLOCK.sub(" ", _CITED.sub(" ", sentence))
        claims = [number for number in _numbers_in(bare) if number not in _HARMLESS and number not in given]
        if not claims:
            continue
        if not cited:
            faults.append(f"numbers without evidence: {sentence.strip()[:120]}")
            continue
        found = {value for name in cited if name in known for value in _values(known[name].get("value"))}
        faults += [f"{claim:g} is not in {', '.join(cited)}" for claim in claims if not _is_in(claim, found)]
    return faults


def _numbers_in(text: str) -> Iterator[float]:
    for match in _NUMBER.finditer(text):
        yield float(match.group().replace(",", ""))


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, str):
        yield from _numbers_in(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _numbers_in(str(key))
            yield from _values(each)
    elif isinstance(value, list):
        yield len(value)
        for each in value:
            yield from _values(each)


def _is_in(claim: float, found: Iterable[float]) -> bool:
    return any(math.isclose(claim, said, rel_tol=_TOLERANCE, abs_tol=5e-4) for value in found for said in _ways(value))


def _ways(value: Any) -> Iterator[float]:
    """How people may say a value: as it is; a ratio as a percentage; seconds as minutes, hours or days."""
    yield value
    if isinstance(value, float) and abs(value) <= 1:  # a count of one is no hundred percent
        yield 100 * value
    if value >= 60:
        yield value / 60
        yield value / 3600
        yield value / 86_400
