"""Whether one resource's forecasts are followed: the server's outcomes, judged by the resource's own thresholds."""

from __future__ import annotations

from controller.resource.spec import TrustSpec
from controller.resource.status import AutoscalerStatus, ConditionType, Verdict
from predictor.messages import ForecastAnswer, Trust, TrustState
from predictor.trust import TrustRule, judge_trust


class TrustJudge:
    """Remembers the last verdict, since lost trust is regained at a stricter threshold."""

    def __init__(self) -> None:
        self._before: TrustState | None = None

    def recall(self, status: AutoscalerStatus) -> None:
        """Go on from the verdict of the controller before this one."""
        for condition in status.conditions:
            if condition.type == ConditionType.TRUSTED and condition.status is Verdict.FALSE:
                self._before = TrustState.DISTRUSTED

    def judge(self, spec: TrustSpec, answer: ForecastAnswer | None) -> Trust | None:
        """The verdict now; None while nothing is known of the workload.

        A failing server's last answer stands, as its last forecast does: outcomes do not change by the minute.
        """
        if answer is None:
            return None
        trust = (
            answer.trust
            if answer.outcomes is None
            else judge_trust(answer.outcomes, before=self._before, rule=rule_of(spec))
        )
        if trust is not None and trust.state is not TrustState.UNPROVEN:
            self._before = trust.state
        return trust


def rule_of(spec: TrustSpec) -> TrustRule:
    """The user's thresholds as the judge wants them."""
    return TrustRule(
        min_pairs=spec.min_outcomes,
        min_skill=spec.min_skill,
        max_coverage_gap=spec.max_coverage_gap,
        min_alarms=spec.min_alarms,
        max_false_alarm_ratio=spec.max_false_alarm_ratio,
        min_surges=spec.min_surges,
        min_surge_recall=spec.min_surge_recall,
        regain=spec.regain,
    )
