from __future__ import annotations

import pytest

from training.wording import count, duration, level_name, number, percent, points


def test_shares_are_percentages_with_a_real_minus_sign() -> None:
    assert percent(0.08342) == "8.3 %"
    assert percent(-0.2) == "−20.0 %"
    assert percent(0.2, 0, signed=True) == "+20 %"
    assert percent(-0.00001, signed=True) == "0.0 %"
    assert points(0.0042) == "0.4 pp"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.4561, "0.456"), (-1.2345, "−1.23"), (74.21, "74.2"), (1234.567, "1,235")],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 s"), (60, "1 min"), (90, "1.5 min"), (900, "15 min"), (3600, "1 h"), (604_800, "7 d")],
)
def test_durations_take_the_largest_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_does_not_exist_is_a_dash() -> None:
    assert {percent(None), points(None), count(None), number(None), duration(None)} == {"–"}


def test_levels_and_counts_are_short() -> None:
    assert (level_name(0.998), level_name(0.5), count(10_080)) == ("q99.8", "q50", "10,080")
