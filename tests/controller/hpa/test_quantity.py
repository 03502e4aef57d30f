from __future__ import annotations

import pytest

from controller.hpa.quantity import parse_nano, to_float, to_milli
from predictor.errors import InputError


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("75m", 75),
        ("1500m", 1500),
        ("2Gi", 2 * 2**30 * 1000),
        ("1.5Gi", 3 * 2**29 * 1000),
        ("1k", 1_000_000),
        ("3M", 3 * 10**9),
        ("2", 2000),
        ("0.5", 500),
        (".5", 500),
        ("5.", 5000),
        ("+1", 1000),
        ("-1", -1000),
        ("1e3", 1_000_000),
        ("5E-1", 500),
        ("8P", 8 * 10**18),
        ("100u", 1),
        ("1001u", 2),
        ("1n", 1),
        (2, 2000),
        (0.25, 250),
        ("0", 0),
    ],
)
def test_a_quantity_is_counted_in_milli_units_and_rounded_up(text: object, milli: int) -> None:
    assert to_milli(parse_nano(text, "spec.x")) == milli


def test_what_is_finer_than_a_billionth_is_rounded_away_from_zero() -> None:
    assert (parse_nano("0.1n", "x"), parse_nano("-0.1n", "x")) == (1, -1)


@pytest.mark.parametrize(
    "raw", ["", "m", "1 m", "1mm", "1ki", "1K", "0x1", "1e", "1e999", "nan", "٣", "1m\n", None, True, [1]]
)
def test_what_is_no_quantity_is_refused_with_its_place(raw: object) -> None:
    with pytest.raises(InputError, match=r"spec\.x is .* no quantity; give a number such as 75m"):
        parse_nano(raw, "spec.x")


def test_a_quantity_beyond_what_the_controller_counts_is_refused() -> None:
    with pytest.raises(InputError, match="more than the controller can count"):
        parse_nano("8Ei", "x")


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("50m", 0.05), ("0.05", 0.05), ("1", 1.0), ("1500", 1500.0)])
def test_a_float_is_made_of_the_canonical_digits(text: str, value: float) -> None:
    assert to_float(parse_nano(text, "x")) == value


def test_a_float_may_differ_from_the_literal_in_its_last_bit_as_it_does_in_the_controller() -> None:
    assert to_float(parse_nano("36m", "x")) == 36 * 1e-3
    assert to_float(parse_nano("0.036", "x")) == 36 * 1e-3
    assert 36 * 1e-3 != 0.036
