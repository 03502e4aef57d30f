"""Whether an answer stands on its evidence."""

from __future__ import annotations

import pytest

from agent_service.assistant.evidence import faults_of
from agent_service.assistant.state import Evidence

EVIDENCE: list[Evidence] = [
    {"id": "E1", "source": "controller", "query": "q", "at": "2026-11-24T12:00:00Z",
     "value": {"floor": 17, "demand": 203.456, "level": 0.95, "window_seconds": 86400, "reason": "held 4 of 12",
               "steps": [{}]}},
    {"id": "E2", "source": "forecasts", "query": "q", "at": "2026-11-24T12:00:00Z", "value": None, "error": "away"},
]  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        "The floor was 17 [E1].",
        "At 10:03 the floor was 17 and demand 203.5 [E1].",
        "Demand was about 203 [E1]. The forecast could not be asked [E2].",
        "It planned for the 95 % quantile [E1].",
        "Over 24 hours [E1] nothing changed.",
        "It held 4 of 12 [E1].",
        "There is no forecast.",
        "You asked for 60: that is not what it is.",
        "One thing, and 1 more.",
        "See shop-2/agent-v3 on 2026-11-24.",
    ],
)
def test_numbers_that_are_in_the_evidence_that_is_cited_stand(answer: str) -> None:
    assert faults_of(answer, EVIDENCE, "what if it were 60?") == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("The floor was 18 [E1].", "18 is not in E1"),
        ("The floor was 17.", "numbers without evidence"),
        ("The floor was 17 [E3].", "E3 is no evidence"),
        ("The floor was 17 [E2].", "17 is not in E2"),
        ("The floor was 17 [E1]. Demand was 400.", "numbers without evidence: Demand was 400"),
        ("Demand was 1,203 [E1].", "1203 is not in E1"),
        ("100 % of the time [E1].", "100 is not in E1"),
        ("Demand was -203.5 [E1].", "-203.5 is not in E1"),
    ],
)
def test_numbers_that_are_not_there_do_not(answer: str, fault: str) -> None:
    assert any(fault in each for each in faults_of(answer, EVIDENCE))
