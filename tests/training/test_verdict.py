from __future__ import annotations

from dataclasses import replace

import pytest

from tests.training.cards import a_card, some_alarms, without_extras
from training.verdict import Outcome, verdict, worst_coverage


def test_a_clear_win_is_recommended_and_names_the_baseline_it_beat() -> None:
    found = verdict(a_card())

    assert (found.outcome, found.recommended) == (Outcome.YES, True)
    assert found.sentence == (
        "Yes: the LSTM is off by 8.2 % of demand 15 min ahead, 27 % less than the best simple forecast, "
        "Yesterday's shape at today's level (11.3 %); it caught 26 of 32 surges, with 4 of 35 alarms false."
    )
    assert "10,051 pairs" in found.reasons[0]
    assert "+24.1 % to +30.9 %" in found.reasons[0]


@pytest.mark.parametrize("wape", [0.1125, 0.113, 0.1135])
def test_a_tie_goes_to_the_baseline_which_needs_no_training(wape: float) -> None:
    found = verdict(a_card(wapes={"lstm": wape}, interval=None, alarms=()))

    assert (found.outcome, found.recommended) == (Outcome.NO, False)
    assert "no better than a simple forecast" in found.sentence


def test_a_gain_that_may_be_luck_is_a_tie() -> None:
    found = verdict(a_card(wapes={"lstm": 0.105}, interval=(-0.02, 0.15), alarms=()))

    assert found.outcome is Outcome.NO
    assert "no better" in found.sentence


def test_a_loss_sends_the_reader_to_the_baseline() -> None:
    found = verdict(a_card(wapes={"lstm": 0.131}, interval=None))

    assert not found.recommended
    assert found.sentence.startswith("No: the LSTM is off by 13.1 % of demand 15 min ahead, worse than")
    assert "Yesterday's shape at today's level (11.3 %); use that" in found.sentence


def test_a_tie_in_accuracy_with_much_better_alarms_is_worth_having() -> None:
    alarms = (
        some_alarms("lstm", level=0.5, surges=30, caught=27, false_alarms=3),
        some_alarms("level_adjusted", surges=30, caught=18, false_alarms=12),
    )

    found = verdict(a_card(wapes={"lstm": 0.112}, interval=None, alarms=alarms))

    assert found.outcome is Outcome.YES
    assert "its alarms are clearly better" in found.sentence


def test_better_alarms_do_not_excuse_worse_accuracy() -> None:
    alarms = (
        some_alarms("lstm", level=0.5, surges=30, caught=27, false_alarms=3),
        some_alarms("level_adjusted", surges=30, caught=18, false_alarms=12),
    )

    assert verdict(a_card(wapes={"lstm": 0.13}, interval=None, alarms=alarms)).outcome is Outcome.NO


def test_worse_alarms_spoil_a_win_in_accuracy() -> None:
    alarms = (
        some_alarms("lstm", level=0.5, surges=30, caught=12, false_alarms=12),
        some_alarms("level_adjusted", surges=30, caught=24, false_alarms=4),
    )

    found = verdict(a_card(alarms=alarms))

    assert found.outcome is Outcome.NO
    assert "alarms are worse" in found.sentence


def test_without_a_surge_accuracy_decides_and_the_alarms_are_called_unproven() -> None:
    alarms = (some_alarms("lstm", level=0.5, surges=0, caught=0, false_alarms=0),)

    found = verdict(a_card(alarms=alarms))

    assert found.recommended
    assert found.sentence.endswith("; the test span had no surge, so its alarms are unproven.")


def test_a_handful_of_surges_neither_helps_nor_harms() -> None:
    alarms = (
        some_alarms("lstm", level=0.5, surges=3, caught=0, false_alarms=2),
        some_alarms("level_adjusted", surges=3, caught=3, false_alarms=0),
    )

    found = verdict(a_card(alarms=alarms))

    assert found.recommended
    assert "too few to judge its alarms" in found.sentence


def test_too_few_pairs_give_no_answer_and_say_how_many_are_needed() -> None:
    found = verdict(a_card(pairs=700))

    assert (found.outcome, found.recommended) == (Outcome.UNCLEAR, False)
    assert "only 700 pairs" in found.sentence
    assert "1,296 are needed" in found.sentence


def test_a_forecast_that_repeats_the_present_is_never_recommended() -> None:
    found = verdict(a_card(repeats_the_present=True))

    assert found.outcome is Outcome.NO
    assert "only repeats the present" in found.sentence
    assert any(reason.startswith("Shift test") for reason in found.reasons)


def test_a_quantile_that_breaks_its_promise_is_a_reason_to_be_careful() -> None:
    card = a_card()
    worst = worst_coverage(card)
    assert worst is not None
    broken = replace(card, coverage=(replace(worst, level=0.95, covered=int(0.9 * worst.pairs)),))

    assert any("q95 of the peak within" in reason and "5.0 pp" in reason for reason in verdict(broken).reasons)
    assert not any(reason.startswith("Calibration") for reason in verdict(card).reasons)


def test_a_card_with_nothing_but_accuracy_can_be_judged() -> None:
    assert verdict(without_extras(a_card())).outcome is Outcome.YES


def test_a_card_without_any_baseline_gives_no_answer() -> None:
    card = a_card()
    alone = replace(card, forecasters=card.forecasters[:2])

    assert verdict(alone).outcome is Outcome.UNCLEAR
