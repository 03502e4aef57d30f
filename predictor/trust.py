"""Whether forecasts of a workload have earned to be acted on, from outcomes alone.  Pure.

Trust is lost at one threshold and regained at a stricter one, so that it does not flicker.  Nothing is held against a
forecast before there are enough outcomes to say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from predictor.messages import Outcomes, Trust, TrustReason, TrustState


@dataclass(frozen=True, slots=True)
class TrustRule:
    """Thresholds.  `regain` is how much better than a threshold a distrusted workload must be."""

    min_pairs: int = 240
    min_skill: float = 0.0
    max_coverage_gap: float = 0.05  # coverage below its level; above it costs replicas, not requests
    min_alarms: int = 5
    max_false_alarm_ratio: float = 0.5
    min_surges: int = 5
    min_surge_recall: float | None = None  # not judged: not every surge announces itself
    regain: float = 0.02


def judge_trust(outcomes: Outcomes, *, before: TrustState | None = None, rule: TrustRule | None = None) -> Trust:
    """Say whether to trust, and why.  before: the last verdict."""
    rule = rule or TrustRule()
    if not outcomes.is_warm:
        return Trust(
            state=TrustState.UNPROVEN,
            reason=TrustReason.CALIBRATING,
            message="calibration is being rebuilt from history; the quantiles are the network's own until then",
        )
    window = _span(outcomes.window_seconds)
    if outcomes.pairs < rule.min_pairs:
        return Trust(
            state=TrustState.UNPROVEN,
            reason=TrustReason.TOO_FEW_OUTCOMES,
            message=f"{outcomes.pairs} outcomes in {window}, {rule.min_pairs} needed to judge",
        )
    margin = rule.regain if before is TrustState.DISTRUSTED else 0.0
    found = (
        _by_skill(outcomes, rule.min_skill + margin, window)
        or _by_coverage(outcomes, rule.max_coverage_gap - margin, window)
        or _by_alarms(outcomes, rule, margin, window)
    )
    if found is not None:
        return found
    skill = "" if outcomes.skill is None else f"; skill over persistence {outcomes.skill:.1%}"
    return Trust(
        state=TrustState.TRUSTED, reason=TrustReason.EARNED, message=f"{outcomes.pairs} outcomes in {window}{skill}"
    )


def _span(seconds: int) -> str:
    """A window in words."""
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds} s"


def _by_skill(outcomes: Outcomes, lowest: float, window: str) -> Trust | None:
    if outcomes.skill is None or outcomes.skill >= lowest:
        return None
    return _distrust(
        TrustReason.WORSE_THAN_PERSISTENCE,
        f"no better than repeating the last value: skill {outcomes.skill:.1%} over {outcomes.pairs} outcomes "
        f"in {window}, at least {lowest:.0%} needed",
    )


def _by_coverage(outcomes: Outcomes, allowed: float, window: str) -> Trust | None:
    covered, pairs, level = outcomes.upper_covered, outcomes.upper_pairs, outcomes.upper_level
    if not pairs or level - covered / pairs <= allowed:
        return None
    return _distrust(
        TrustReason.POOR_COVERAGE,
        f"demand stayed below the {level:.0%} quantile only {covered} of {pairs} times ({covered / pairs:.1%}) "
        f"in {window}",
    )


def _by_alarms(outcomes: Outcomes, rule: TrustRule, margin: float, window: str) -> Trust | None:
    resolved, allowed = outcomes.hits + outcomes.false_alarms, rule.max_false_alarm_ratio - margin
    if resolved >= rule.min_alarms and outcomes.false_alarms > allowed * resolved:
        return _distrust(
            TrustReason.FALSE_ALARMS,
            f"{outcomes.false_alarms} of {resolved} alarms in {window} were false, at most {allowed:.0%} allowed",
        )
    if rule.min_surge_recall is None or outcomes.surges < rule.min_surges:
        return None
    lowest = min(rule.min_surge_recall + margin, 1.0)
    if outcomes.surges_caught < lowest * outcomes.surges:
        return _distrust(
            TrustReason.MISSED_SURGES,
            f"{outcomes.surges_caught} of {outcomes.surges} surges in {window} were foreseen, "
            f"at least {lowest:.0%} needed",
        )
    return None


def _distrust(reason: TrustReason, message: str) -> Trust:
    return Trust(state=TrustState.DISTRUSTED, reason=reason, message=message)
