"""Trust: earned and lost by outcomes, each threshold from a minimum count on, and regained at a stricter one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.messages import Outcomes, TrustReason, TrustState
from predictor.trust import TrustRule, judge_trust

RULE = TrustRule(min_pairs=100, min_alarms=5, min_surges=5, min_surge_recall=0.5, regain=0.05)


def outcomes(**changed: Any) -> Outcomes:
    """Of a workload that has earned trust."""
    sound: dict[str, Any] = {
        "window_seconds": 259_200, "is_warm": True, "pairs": 1000, "skill": 0.3, "upper_level": 0.95,
        "upper_pairs": 1000, "upper_covered": 950, "hits": 10, "false_alarms": 2, "surges": 10, "surges_caught": 9,
    }  # fmt: skip
    return Outcomes(**(sound | changed))


LOST: dict[TrustReason, dict[str, Any]] = {
    TrustReason.WORSE_THAN_PERSISTENCE: {"skill": -0.01},
    TrustReason.POOR_COVERAGE: {"upper_covered": 899},
    TrustReason.FALSE_ALARMS: {"hits": 4, "false_alarms": 5},
    TrustReason.MISSED_SURGES: {"surges_caught": 4},
}
NEARLY: dict[TrustReason, dict[str, Any]] = {  # within the thresholds, not within the stricter ones
    TrustReason.WORSE_THAN_PERSISTENCE: {"skill": 0.04},
    TrustReason.POOR_COVERAGE: {"upper_covered": 905},
    TrustReason.FALSE_ALARMS: {"hits": 11, "false_alarms": 10},
    TrustReason.MISSED_SURGES: {"surges": 100, "surges_caught": 52},
}


def test_a_sound_record_is_trusted() -> None:
    found = judge_trust(outcomes(), rule=RULE)

    assert (found.state, found.reason) == (TrustState.TRUSTED, TrustReason.EARNED)
    assert found.message == "1000 outcomes in 3 days; skill over persistence 30.0%"


@pytest.mark.parametrize("reason", LOST, ids=lambda reason: reason.value)
def test_each_threshold_loses_trust_and_says_its_counts(reason: TrustReason) -> None:
    found = judge_trust(outcomes(**LOST[reason]), rule=RULE)

    assert (found.state, found.reason) == (TrustState.DISTRUSTED, reason)
    assert any(digit.isdigit() for digit in found.message)


@pytest.mark.parametrize("reason", NEARLY, ids=lambda reason: reason.value)
def test_lost_trust_takes_more_to_regain_than_kept_trust_to_keep(reason: TrustReason) -> None:
    nearly = outcomes(**NEARLY[reason])

    assert judge_trust(nearly, before=TrustState.TRUSTED, rule=RULE).state is TrustState.TRUSTED
    assert judge_trust(nearly, before=TrustState.DISTRUSTED, rule=RULE).reason is reason
    assert judge_trust(outcomes(), before=TrustState.DISTRUSTED, rule=RULE).state is TrustState.TRUSTED


@pytest.mark.parametrize(
    "few",
    [{"hits": 0, "false_alarms": 4}, {"surges": 4, "surges_caught": 0}, {"upper_pairs": 0, "upper_covered": 0}],
)
def test_too_few_outcomes_are_held_against_nobody(few: dict[str, int]) -> None:
    assert judge_trust(outcomes(**few), rule=RULE).state is TrustState.TRUSTED


def test_without_enough_outcomes_there_is_no_verdict_either_way() -> None:
    found = judge_trust(outcomes(pairs=99, skill=-1.0), rule=RULE)

    assert (found.state, found.reason) == (TrustState.UNPROVEN, TrustReason.TOO_FEW_OUTCOMES)


def test_while_calibration_is_rebuilt_there_is_no_verdict() -> None:
    assert judge_trust(outcomes(is_warm=False), rule=RULE).reason is TrustReason.CALIBRATING


def test_recall_is_judged_only_where_a_threshold_is_given() -> None:
    assert judge_trust(outcomes(surges_caught=0)).state is TrustState.TRUSTED


@given(
    skill=st.none() | st.floats(-1, 1),
    covered=st.integers(0, 1000),
    hits=st.integers(0, 50),
    false_alarms=st.integers(0, 50),
    caught=st.integers(0, 10),
)
def test_whoever_is_trusted_after_losing_trust_would_not_have_lost_it(
    skill: float | None, covered: int, hits: int, false_alarms: int, caught: int
) -> None:
    seen = outcomes(
        skill=skill, upper_covered=covered, hits=hits, false_alarms=false_alarms, surges_caught=caught
    )  # fmt: skip

    if judge_trust(seen, before=TrustState.DISTRUSTED, rule=RULE).state is TrustState.TRUSTED:
        assert judge_trust(seen, before=TrustState.TRUSTED, rule=RULE).state is TrustState.TRUSTED
