"""Whether an answer stands on its evidence."""

from __future__ import annotations

import pytest

from agent_service.assistant.answering.evidence import cites_evidence, faults_of
from agent_service.assistant.state import Evidence

EVIDENCE: list[Evidence] = [
    {"id": "E1", "tool": "decision", "source": "controller", "query": "q", "at": "2026-11-24T12:00:00Z",
     "value": {"floor": 100, "demand": 203.456, "level": 0.95, "window_seconds": 86400, "reason": "held 4 of 12",
               "at": "2026-11-24T10:03:00Z", "steps": [1, 2, 3], "peaks": {"77": 1.5}, "resource": "shop-2/agent-v3",
               "count": 1, "short_minutes": 2.4, "skill": -1.5, "share": 1.0, "leadSeconds": 120.0}},
    {"id": "E2", "tool": "forecast", "source": "forecasts", "query": "q", "at": "2026-11-24T12:00:00Z", "value": None,
     "error": "the forecast API did not answer within 5 s"},
    {"id": "E3", "tool": "promql", "source": "prometheus", "query": "histogram_quantile(0.99, agent_x)",
     "at": "2026-11-24T12:00:00Z",
     "value": {"kind": "vector", "count": 1, "series": [
         {"metric": {"pod": "agent-7d9f4-xk2p"}, "value": [1795521600, "1.234567e+06"]}]}},
]  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        "The floor was 100 [E1].",
        "the floor was ~100 [E1]",
        "The floor was **100** [E1].",
        "The floor was 100 (E1).",
        "The floor was 100 [e1].",
        "The floor was 100 [E1; E1].",
        "The floor was 100 [E1][E1].",
        "The floor was 100 [E1, E2].",
        "The floor was 100. [E1] Demand was 203. [E1]",
        "The floor was one hundred [E1].",
        "At 10:03 the floor was 100 and demand 203.5 [E1].",
        "At 10:03:00 UTC on 2026-11-24 the floor was 100 [E1].",
        "On 24 November, at 10:03 am, the floor was 100 [E1].",
        "At 2026-11-24T10:03:00Z the floor was 100 [E1].",
        "Demand was about 203 [E1]. The forecast could not be asked [E2].",
        "Demand was 203,5 [E1].",
        "Demand was 203.46 req/s [E1].",
        "It planned for the 95 % quantile [E1].",
        "It planned for the 95th percentile [E1].",
        "It planned for p95 [E1].",
        "The level is 0.95 [E1].",
        "Over 24 hours [E1] nothing changed.",
        "A window of 1 day or 24 h [E1].",
        "A 24-hour window [E1].",
        "It takes 2 minutes, that is 120 s [E1].",
        "2.4 minutes were short [E1].",
        "It held 4 of 12 [E1].",
        "Skill is -150 % [E1].",
        "Skill is −150 % [E1].",
        "All of it: 100 % [E1].",
        "1. The floor was 100 [E1].\n2. Demand was 203 [E1].",
        "- The floor was 100 [E1].\n* Demand was 203 [E1].",
        "There is no forecast.",
        "It did not answer within 5 s [E2].",
        "One of them is new, and no one knows why.",
        "See shop-2/agent-v3.",
        "Pod agent-7d9f4-xk2p runs 1234567 [E3].",
        "Pod agent-7d9f4-xk2p runs 1.2 million, or 1235k [E3].",
        "At the 99th percentile it was 1,234,567 [E3].",
        "Evidence E1 says so.",
    ],
)
def test_what_is_in_the_evidence_that_is_cited_stands(answer: str) -> None:
    assert faults_of(answer, EVIDENCE) == []


@pytest.mark.parametrize(
    "answer",
    [
        "The floor was 100.",
        "The floor was ninety-nine.",
        "The floor was one.",
        "The floor was 1.",
        "Nothing scaled, 0 times.",
        "One replica was added.",
        "A dozen replicas.",
        "The floor was 17k.",
        "It will need 20replicas.",
        "Latency was 250ms.",
        "It took 30s.",
        "The floor was 17-20 replicas.",
        "The floor was 17–20 replicas.",
        "It went from 5/12 to 9/12.",
        "Demand is x40.",
        "Demand is ×40.",
        "Demand is 1e6.",
        "It cost €50bn.",
        "It cost 1.000.000.",
        "It cost 1 000 000.",
        "The floor was ²⁰.",
        "The floor was １７.",
        "The floor was 1\u200b7.",
        "The 95th of all.",
        "At 23:59 it failed.",
        "At 11 pm it failed.",
        "On 2031-01-01 it failed.",
        "On 3 May it failed.",
        "It was −100.",
        "v99 runs now.",
        "The floor doubled.",
        "Half of them failed.",
    ],
)
def test_a_number_however_it_is_written_needs_evidence(answer: str) -> None:
    assert any("numbers without evidence" in fault for fault in faults_of(answer, EVIDENCE))


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("The floor was 98 [E1].", "98 is not in E1"),
        ("The floor was 102 [E1].", "102 is not in E1"),
        ("The floor was 100.4 [E1].", "100.4 is not in E1"),
        ("The floor was 0.1k [E3].", "0.1k is not in E3"),
        ("Replicas: 24 [E1].", "24 is not in E1"),
        ("Replicas: 3.39 [E1].", "3.39 is not in E1"),
        ("3.391 minutes [E1].", "3.391 minutes is not in E1"),
        ("Demand was 204 [E1].", "204 is not in E1"),
        ("Demand was 203.4 [E1].", "203.4 is not in E1"),
        ("Two minutes were short: 2 minutes [E3].", "2 minutes is not in E3"),
        ("There were 3 pods [E3].", "3 is not in E3"),
        ("77 [E1].", "77 is not in E1"),
        ("Demand was 1,203 [E1].", "1,203 is not in E1"),
        ("Demand was -203.5 [E1].", "-203.5 is not in E1"),
        ("It was −100 [E1].", "-100 is not in E1"),
        ("100 % of the time [E3].", "100 % is not in E3"),
        ("Roughly 96 percent [E1].", "96 percent is not in E1"),
        ("Up to 100-203 or 100-300 [E1].", "300 is not in E1"),
        ("It was 101/203 [E1].", "101 is not in E1"),
        ("5.6e1 [E1].", "5.6e1 is not in E1"),
        ("At 10:04 the floor was 100 [E1].", "10:04 is not in E1"),
        ("On 2026-11-25 the floor was 100 [E1].", "2026-11-25 is not in E1"),
        ("Twelve and thirteen [E1].", "thirteen is not in E1"),
        ("The floor doubled to 100 [E1].", "doubled is not in E1"),
        ("The floor was 100 [E9].", "E9 is no evidence"),
        ("The floor was 100 [E2].", "100 is not in E2"),
        ("The floor was 100 [E1]. Demand was 400.", "numbers without evidence: Demand was 400"),
        ("3. The floor was 100 [E1].", "numbers without evidence: 3."),
    ],
)
def test_what_is_not_there_does_not_stand(answer: str, fault: str) -> None:
    assert any(fault in each for each in faults_of(answer, EVIDENCE)), faults_of(answer, EVIDENCE)


QUESTION = "what if the target were 60 over the last 7 hours, at 09:15?"


@pytest.mark.parametrize(
    "answer",
    ["You asked for 60.", "With the 60 you asked for, the floor would be 100 [E1].", "At 09:15 the floor was 100 [E1].",
     "Over the last 7 hours the floor was 100 [E1]."],
)  # fmt: skip
def test_what_the_person_gave_is_repeated_as_his(answer: str) -> None:
    assert faults_of(answer, EVIDENCE, QUESTION) == []
    assert faults_of(answer, EVIDENCE) != []


@pytest.mark.parametrize("answer", ["The target is 60.", "The target is 60 [E1].", "It lasted 7 hours."])
def test_what_the_person_gave_is_no_finding(answer: str) -> None:
    assert faults_of(answer, EVIDENCE, QUESTION) != []


def test_an_answer_cites_what_was_found_not_what_was_not() -> None:
    assert cites_evidence("So it is [E1].", EVIDENCE)
    assert not cites_evidence("A flash crowd hit the checkout page.", EVIDENCE)
    assert not cites_evidence("It could not be found out [E2].", EVIDENCE)
    assert not cites_evidence("So it is [E9].", EVIDENCE)
