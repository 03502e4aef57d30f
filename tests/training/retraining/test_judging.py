from __future__ import annotations

from dataclasses import replace

import pytest

from training.retraining.judging import MIN_PAIRS, Judged, Trial, Verdict, decide


def judged(loss: float | None, pairs: int = 2000) -> Judged:
    return Judged(pairs=pairs, loss=loss, wape=0.1, coverage=0.95)


def trial(challenger: float, champion: float | None, *, name: str = "web", nothing: float = 1.0) -> Trial:
    return Trial(name, judged(challenger), judged(nothing), None if champion is None else judged(champion))


def test_a_better_challenger_is_promoted() -> None:
    decision = decide([trial(0.8, 1.0)], min_gain_ratio=0.01, broken=None)

    assert decision.verdict is Verdict.PROMOTE
    assert decision.loss_ratio == pytest.approx(0.8)


@pytest.mark.parametrize("loss", [0.995, 1.0, 1.3])
def test_a_challenger_that_is_not_better_by_enough_is_not(loss: float) -> None:
    assert decide([trial(loss, 1.0, nothing=9.0)], min_gain_ratio=0.01, broken=None).verdict is Verdict.KEEP


def test_a_gain_on_most_does_not_pay_for_harm_to_one() -> None:
    trials = [trial(0.5, 1.0, name="a"), trial(0.5, 1.0, name="b"), trial(1.2, 1.0, name="c", nothing=9.0)]

    decision = decide(trials, min_gain_ratio=0.01, broken=None)

    assert decision.verdict is Verdict.KEEP
    assert "c would become worse" in decision.reason


def test_a_large_workload_does_not_drown_the_others() -> None:
    # Losses are relative to each workload's own mean demand, and ratios are averaged geometrically.
    trials = [trial(50.0, 48.0, name="large", nothing=99.0), trial(0.08, 0.1, name="small")]

    assert decide(trials, min_gain_ratio=0.01, broken=None).verdict is Verdict.PROMOTE


def test_a_broken_champion_is_replaced_whatever_the_score() -> None:
    decision = decide([trial(2.0, None)], min_gain_ratio=0.01, broken="model.onnx: hash does not match")

    assert decision.verdict is Verdict.PROMOTE
    assert "hash does not match" in decision.reason


def test_a_challenger_that_repeating_the_present_would_beat_is_not_promoted() -> None:
    decision = decide([trial(1.2, 2.0)], min_gain_ratio=0.01, broken=None)

    assert decision.verdict is Verdict.KEEP
    assert "repeating the last value" in decision.reason


def test_too_few_outcomes_decide_nothing() -> None:
    few = replace(trial(0.1, 1.0), challenger=judged(0.1, pairs=MIN_PAIRS - 1))

    assert decide([few], min_gain_ratio=0.01, broken=None).verdict is Verdict.KEEP
