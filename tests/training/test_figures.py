from __future__ import annotations

from tests.training.cards import a_card
from training.figures import training_chart


def test_every_look_at_the_validation_span_lies_within_the_training_charts_axis() -> None:
    card = a_card()

    chart = training_chart(card, "s")

    assert chart is not None
    updates = [x for line in chart.lines for x, _ in line.points]
    assert updates
    assert chart.x.low <= min(updates)
    assert max(updates) <= chart.x.high
