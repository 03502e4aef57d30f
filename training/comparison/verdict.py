"""Use it, observe first, or keep your HPA: the answer and its reasons, from figures alone.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from training.comparison.facts import Answer, Interval
from training.wording import percent

LEAST_GAP = 0.1  # of the distance to perfect foresight; less is grid noise
LEAST_DAYS = 3.0  # of test span; fewer say little about rare surges
KEEPS_TARGET = 2.0  # times the target that a policy may violate and still be said to keep it
BESIDE_HPA = 1.2  # or times what the HPA violates
MOST_SILENCE = 0.25  # share of time without an opinion beyond which a policy has hardly been tried


@dataclass(frozen=True, slots=True)
class Standing:
    """A policy's frozen result, as far as the verdict looks at it."""

    title: str
    replica_hours: float
    violation: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the answer is made from."""

    target: float  # violation
    hpa: Standing
    lstm: Standing
    simple: tuple[Standing, ...]  # the same policy with simple forecasters
    saving: Interval | None  # of the LSTM policy over the HPA
    gap: float | None  # closed in hindsight, at the target
    placebo_gap: float | None
    no_opinion_ratio: float
    test_days: float
    is_synthetic: bool


def answer(evidence: Evidence) -> tuple[Answer, str, tuple[str, ...]]:
    """The answer, its headline and every reason."""
    against = _against(evidence)
    saved = 1 - evidence.lstm.replica_hours / evidence.hpa.replica_hours if evidence.hpa.replica_hours else 0.0
    lstm, hpa = evidence.lstm, evidence.hpa
    facts = (
        f"{percent(abs(saved))} {'fewer' if saved >= 0 else 'more'} replica-hours than the HPA tuned in the same way "
        f"({lstm.replica_hours:,.0f} against {hpa.replica_hours:,.0f}), with {percent(lstm.violation, 3)} of requests "
        f"late against {percent(hpa.violation, 3)}"
    )
    if against:
        return Answer.KEEP, f"Keep your HPA: {against[0]}.", (*_sentences(against[1:]), _sentence(facts))
    doubts = _doubts(evidence)
    if doubts:
        return Answer.OBSERVE, f"Observe first: {doubts[0]}.", (*_sentences(doubts[1:]), _sentence(facts))
    return Answer.USE, f"Use it: {facts}.", _sentences(_support(evidence))


def _against(evidence: Evidence) -> list[str]:
    """Why prediction does not pay here."""
    reasons = []
    saving, gap = evidence.saving, evidence.gap
    if saving is None:
        reasons.append("the test span is too short to tell a gain from noise")
    elif saving.value <= 0:
        reasons.append(
            f"it saves nothing: {percent(-saving.value)} more replica-hours, between {percent(-saving.high)} and "
            f"{percent(-saving.low)} when the {saving.days} days are drawn anew"
        )
    elif saving.low <= 0:
        reasons.append(
            f"the gain is within noise: {percent(saving.value)} of the replica-hours, between {percent(saving.low)} "
            f"and {percent(saving.high)} when the {saving.days} days are drawn anew"
        )
    if gap is not None and gap - (evidence.placebo_gap or 0.0) < LEAST_GAP:
        reasons.append(
            f"at this risk the forecast hardly helps: even with knobs chosen in hindsight it closes {percent(gap, 0)} "
            "of the distance to perfect foresight, and a forecast of another time "
            f"{percent(evidence.placebo_gap or 0.0, 0)}"
        )
    rivals = [simple for simple in evidence.simple if _does_as_well(simple, evidence)]
    if rivals:
        best = min(rivals, key=lambda rival: rival.replica_hours)
        gain = 1 - best.replica_hours / evidence.hpa.replica_hours
        reasons.append(
            f"the LSTM is not needed: {best.title} does as well ({best.replica_hours:,.0f} replica-hours against "
            f"{evidence.lstm.replica_hours:,.0f}, {percent(best.violation, 3)} late) and would save {percent(gain)} "
            "itself"
        )
    return reasons


def _does_as_well(simple: Standing, evidence: Evidence) -> bool:
    """Cheaper than the LSTM and the HPA, and no riskier than was asked for."""
    cheapest = min(evidence.lstm.replica_hours, evidence.hpa.replica_hours)
    return simple.replica_hours <= cheapest and simple.violation <= max(evidence.target, evidence.lstm.violation)


def _doubts(evidence: Evidence) -> list[str]:
    """Why the figures should be watched before they are trusted."""
    reasons = []
    worst = max(KEEPS_TARGET * evidence.target, BESIDE_HPA * evidence.hpa.violation)
    if evidence.lstm.violation > worst:
        reasons.append(
            "it is cheaper but kept the promise less well than it was tuned for: "
            f"{percent(evidence.lstm.violation, 3)} late for a target of {percent(evidence.target, 3)}, and the HPA "
            f"{percent(evidence.hpa.violation, 3)}"
        )
    if evidence.no_opinion_ratio > MOST_SILENCE:
        reasons.append(
            f"for {percent(evidence.no_opinion_ratio, 0)} of the time it had no opinion, because demand left "
            "everything that the knobs were chosen on"
        )
    if evidence.test_days < LEAST_DAYS:
        reasons.append(f"only {evidence.test_days:.1f} days were judged; read more --days")
    if evidence.is_synthetic:
        reasons.append("the demand is generated, not yours; compare on your own history")
    return reasons


def _support(evidence: Evidence) -> list[str]:
    """What speaks for it."""
    reasons = []
    saving, gap = evidence.saving, evidence.gap
    if saving is not None:
        reasons.append(
            f"the saving is {percent(saving.low)} to {percent(saving.high)} when the {saving.days} days are drawn anew "
            "(90 % interval)"
        )
    if gap is not None:
        reasons.append(
            f"in hindsight it closes {percent(gap, 0)} of the distance from a tuned HPA to perfect foresight; a "
            f"forecast of another time closes {percent(evidence.placebo_gap or 0.0, 0)}"
        )
    reasons += [
        f"{simple.title} needs {simple.replica_hours:,.0f} replica-hours with {percent(simple.violation, 3)} late"
        for simple in evidence.simple
    ]
    return reasons


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _sentences(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(_sentence(text) for text in texts)
