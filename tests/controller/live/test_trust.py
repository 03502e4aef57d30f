"""Whether a resource's forecasts are followed: the server's counts by the user's own thresholds."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.live.trust import TrustJudge
from controller.resource.spec import TrustSpec
from controller.resource.status import AutoscalerStatus, Condition, ConditionType, Verdict
from predictor.messages import ForecastAnswer, Trust, TrustReason, TrustState
from tests.predictor.test_trust import outcomes


def an_answer(**changed: float) -> ForecastAnswer:
    """What the forecast server says, whose own verdict is good in any case."""
    trust = Trust(state=TrustState.TRUSTED, reason=TrustReason.EARNED, message="by its own thresholds")
    return ForecastAnswer(workload="web", status="ok", trust=trust, outcomes=outcomes(**changed))


def said(judge: TrustJudge, spec: TrustSpec, answer: ForecastAnswer) -> tuple[TrustState, TrustReason]:
    """State and reason."""
    found = judge.judge(spec, answer)
    assert found is not None
    return found.state, found.reason


def test_the_users_thresholds_decide_and_not_the_servers() -> None:
    answer = an_answer(skill=0.1)

    assert said(TrustJudge(), TrustSpec(), answer)[0] is TrustState.TRUSTED
    assert said(TrustJudge(), TrustSpec(min_skill=0.2), answer) == (
        TrustState.DISTRUSTED,
        TrustReason.WORSE_THAN_PERSISTENCE,
    )
    assert said(TrustJudge(), TrustSpec(min_surge_recall=0.95), answer)[1] is TrustReason.MISSED_SURGES
    assert said(TrustJudge(), TrustSpec(max_false_alarm_ratio=0.1), answer)[1] is TrustReason.FALSE_ALARMS
    assert said(TrustJudge(), TrustSpec(min_outcomes=5000), answer)[0] is TrustState.UNPROVEN


def test_lost_trust_is_regained_later_than_it_was_lost() -> None:
    judge, spec = TrustJudge(), TrustSpec(min_skill=0.2, regain=0.05)

    states = [said(judge, spec, an_answer(skill=skill))[0] for skill in (0.22, 0.19, 0.22, 0.26, 0.22)]

    assert [state is TrustState.TRUSTED for state in states] == [True, False, False, True, True]


def test_a_spell_without_a_verdict_does_not_wash_off_distrust() -> None:
    judge, spec = TrustJudge(), TrustSpec(min_skill=0.2, regain=0.05)
    said(judge, spec, an_answer(skill=0.1))

    assert said(judge, spec, an_answer(is_warm=False))[0] is TrustState.UNPROVEN
    assert said(judge, spec, an_answer(skill=0.22))[0] is TrustState.DISTRUSTED


def test_the_next_controller_goes_on_from_the_last_ones_verdict() -> None:
    lost = Condition(
        type=ConditionType.TRUSTED,
        status=Verdict.FALSE,
        reason="NotTrusted",
        last_transition_time=datetime(2026, 1, 1, tzinfo=UTC),
    )
    judge, spec = TrustJudge(), TrustSpec(min_skill=0.2, regain=0.05)

    judge.recall(AutoscalerStatus(conditions=[lost]))

    assert said(judge, spec, an_answer(skill=0.22))[0] is TrustState.DISTRUSTED


def test_nothing_known_is_no_verdict() -> None:
    assert TrustJudge().judge(TrustSpec(), None) is None
