"""Whether forecasts of a workload have earned to be acted on, from outcomes alone.  Pure.

Trust is lost at one threshold and regained at a stricter one, so that it does not flicker.  Nothing is held against a
forecast before there are enough outcomes to say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from predictor.messages import Trust, TrustReason, TrustState


@dataclass(frozen=True, slots=True)
class Record:
    """Outcomes over one window; a ratio is None when its denominator is zero."""

    pairs: int  # forecasts at the longest horizon whose outcome is known
    skill: float | None  # of the median, over persistence
    upper_level: float  # of the quantile of the highest demand that capacity is planned on
    upper_coverage: float | None
    resolved_alarms: int
    false_alarm_ratio: float | None


@dataclass(frozen=True, slots=True)
class TrustRule:
    """Thresholds.  `regain` is how much better than a threshold a distrusted workload must be."""

    min_pairs: int = 240
    min_skill: float = 0.0
    max_coverage_gap: float = 0.05  # coverage below its level; above it costs replicas, not requests
    min_alarms: int = 5
    max_false_alarm_ratio: float = 0.5
    regain: float = 0.02


def judge_trust(
    record: Record, *, is_warm: bool, window: str, before: TrustState | None = None, rule: TrustRule | None = None
) -> Trust:
    """Say whether to trust, and why.  before: the last verdict.  window: its name, for the message."""
    rule = rule or TrustRule()
    if not is_warm:
        return Trust(
            state=TrustState.UNPROVEN,
            reason=TrustReason.CALIBRATING,
            message="calibration is being rebuilt from history; the quantiles are the network's own until then",
        )
    if record.pairs < rule.min_pairs:
        return Trust(
            state=TrustState.UNPROVEN,
            reason=TrustReason.TOO_FEW_OUTCOMES,
            message=f"{record.pairs} outcomes in {window}, {rule.min_pairs} needed to judge",
        )
    margin = rule.regain if before is TrustState.DISTRUSTED else 0.0
    if record.skill is not None and record.skill < rule.min_skill + margin:
        return _distrust(
            TrustReason.WORSE_THAN_PERSISTENCE,
            f"no better than repeating the last value: skill {record.skill:.1%} over {record.pairs} outcomes "
            f"in {window}, more than {rule.min_skill + margin:.0%} needed",
        )
    if record.upper_coverage is not None:
        gap = record.upper_level - record.upper_coverage
        if gap > rule.max_coverage_gap - margin:
            return _distrust(
                TrustReason.POOR_COVERAGE,
                f"demand stayed below the {record.upper_level:.0%} quantile only {record.upper_coverage:.1%} of "
                f"{record.pairs} times in {window}",
            )
    allowed = rule.max_false_alarm_ratio - margin
    if record.resolved_alarms >= rule.min_alarms and (record.false_alarm_ratio or 0.0) > allowed:
        return _distrust(
            TrustReason.FALSE_ALARMS,
            f"{record.false_alarm_ratio:.0%} of {record.resolved_alarms} alarms in {window} were false, at most "
            f"{allowed:.0%} allowed",
        )
    skill = "" if record.skill is None else f"; skill over persistence {record.skill:.1%}"
    return Trust(
        state=TrustState.TRUSTED,
        reason=TrustReason.EARNED,
        message=f"{record.pairs} outcomes in {window}{skill}",
    )


def _distrust(reason: TrustReason, message: str) -> Trust:
    return Trust(state=TrustState.DISTRUSTED, reason=reason, message=message)
