"""Findings as evidence, and whether an answer stands on it.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from agent_service.assistant.answering.claims import UNIT_SECONDS, Claim, Moment, Name, claims_in, cleaned
from agent_service.assistant.answering.facts import Facts, facts_of
from agent_service.assistant.looking.tools import Finding
from agent_service.assistant.state import Evidence

_CITED = re.compile(r"[\[(]\s*(E\d+(?:\s*(?:[,;&]|and)\s*E\d+)*)\s*[\])]", re.IGNORECASE)
_ID = re.compile(r"E\d+", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_BULLET = re.compile(r"^\s*(?:[-*•·]\s+)?(?:(\d{1,2})[.)]\s+)?")
# What the person gave may be told again where it is said to be his.
_QUOTES = re.compile(r"\b(?:you(?:r)?|as asked|was asked|were asked|the question)\b", re.IGNORECASE)


def gathered(findings: Iterable[Finding], first: int = 1) -> list[Evidence]:
    """Numbered from `first`."""
    told: list[Evidence] = []
    for number, finding in enumerate(findings, start=first):
        each: Evidence = {
            "id": f"E{number}",
            "tool": finding.tool,
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

    Every number, however written, has to be in the evidence that its sentence cites: whole numbers as they are, others
    rounded to the digits shown, shares as percentages where they are shares, seconds as minutes or hours where the name
    says seconds.  So have days and times of the clock.  What the person gave may be repeated where the sentence says
    that it is his ("you asked for 60"); a time or span of his also beside evidence, since it says what is told about.
    """
    known = {each["id"]: each for each in evidence}
    everything, given = facts_of(evidence), list(claims_in(cleaned(question)))
    asked = Facts(texts=[cleaned(question)], claims=given)
    faults: list[str] = []
    for sentence in _sentences(cleaned(answer)):
        cited = _cited(sentence)
        faults += [f"{name} is no evidence" for name in cited if name not in known]
        bare = _CITED.sub(" ", sentence)
        claims = [
            claim
            for claim in claims_in(bare)
            if not _is_free(claim, bare, everything, asked, known, is_cited=bool(cited))
        ]
        if not claims:
            continue
        if not cited:
            faults.append(f"numbers without evidence: {sentence.strip()[:120]}")
            continue
        facts = facts_of(known[name] for name in dict.fromkeys(cited) if name in known)
        faults += [f"{claim.text} is not in {', '.join(cited)}" for claim in claims if not facts.bear(claim)]
    return faults


def cites_evidence(answer: str, evidence: Sequence[Evidence]) -> bool:
    """Whether anything that was found is pointed to at all."""
    found = {each["id"] for each in evidence if "error" not in each}
    return any(name in found for name in _cited(cleaned(answer)))


def _is_free(
    claim: Claim, sentence: str, everything: Facts, asked: Facts, known: dict[str, Evidence], *, is_cited: bool
) -> bool:
    """Whether a claim needs no evidence of its own."""
    if isinstance(claim, Name):  # a workload's name is no claim, wherever it stands
        return claim.text.upper() in known or everything.name(claim.text) or asked.name(claim.text)
    if not asked.bear(claim):
        return False
    is_time = isinstance(claim, Moment) or claim.unit in UNIT_SECONDS
    return _QUOTES.search(sentence) is not None or (is_time and is_cited)


def _cited(text: str) -> list[str]:
    return [name.upper() for group in _CITED.findall(text) for name in _ID.findall(group)]


def _sentences(text: str) -> Iterator[str]:
    """Without the numbers of a numbered list, as long as they count up from one."""
    count = 0
    for line in text.splitlines():
        bullet = _BULLET.match(line)
        start = 0
        if bullet is not None:
            number = None if bullet[1] is None else int(bullet[1])
            if number is None:
                start = bullet.end()
            elif number in (count + 1, 1):
                count, start = number, bullet.end()
        yield from _SENTENCE.split(line[start:])
