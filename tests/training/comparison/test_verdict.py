from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from training.comparison.facts import Answer, Interval
from training.comparison.verdict import Evidence, Standing, answer

GOOD = Evidence(
    target=0.001,
    hpa=Standing("HPA, tuned", 1000.0, 0.0008),
    lstm=Standing("Predictive, LSTM", 700.0, 0.0009),
    simple=(Standing("Predictive, level-adjusted seasonal", 850.0, 0.0009),),
    saving=Interval(0.3, 0.25, 0.35, 7),
    gap=0.8,
    placebo_gap=0.0,
    no_opinion_ratio=0.0,
    test_days=7.0,
    is_synthetic=False,
)


def test_a_clear_gain_at_equal_risk_is_worth_using() -> None:
    said, headline, reasons = answer(GOOD)

    assert said is Answer.USE
    assert "30.0 % fewer replica-hours" in headline
    assert "25.0 % to 35.0 %" in " ".join(reasons)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"saving": Interval(0.02, -0.03, 0.06, 7)}, "within noise"),
        ({"saving": Interval(-0.02, -0.05, 0.01, 7)}, "saves nothing: 2.0 % more"),
        ({"saving": None}, "too short"),
        ({"gap": 0.05}, "hardly helps"),
        ({"gap": 0.5, "placebo_gap": 0.45}, "hardly helps"),
        ({"simple": (Standing("Predictive, level-adjusted seasonal", 690.0, 0.0009),)}, "not needed"),
    ],
)
def test_the_hpa_stays_where_prediction_does_not_pay(changes: dict[str, Any], why: str) -> None:
    said, headline, reasons = answer(replace(GOOD, **changes))

    assert said is Answer.KEEP
    assert why in headline
    assert "replica-hours than the HPA" in reasons[-1]
    assert not any(why in reason for reason in reasons)


def test_a_simple_forecast_that_breaks_the_promise_is_no_rival() -> None:
    cheap = Standing("Predictive, level-adjusted seasonal", 600.0, 0.01)

    assert answer(replace(GOOD, simple=(cheap,)))[0] is Answer.USE


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"lstm": Standing("Predictive, LSTM", 700.0, 0.0021)}, "less well than it was tuned for"),
        ({"no_opinion_ratio": 0.4}, "no opinion"),
        ({"test_days": 2.0}, "read more --days"),
        ({"is_synthetic": True}, "generated"),
    ],
)
def test_doubtful_figures_are_observed_first(changes: dict[str, Any], why: str) -> None:
    said, headline, _ = answer(replace(GOOD, **changes))

    assert said is Answer.OBSERVE
    assert why in headline


def test_violating_no_more_than_the_hpa_is_no_doubt() -> None:
    both = replace(GOOD, hpa=Standing("HPA", 1000.0, 0.004), lstm=Standing("LSTM", 700.0, 0.0045))

    assert answer(both)[0] is Answer.USE
