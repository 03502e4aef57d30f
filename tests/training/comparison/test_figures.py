from __future__ import annotations

from dataclasses import replace

from tests.training.comparison.comparisons import LSTM, a_bare_comparison, a_comparison
from training.comparison.facts import Frontier, FrontierPoint
from training.comparison.figures import frontier_chart, pictures_of, replica_chart, stairs, timeline_chart


def test_a_staircase_leaves_out_what_repeats_and_keeps_gaps() -> None:
    assert stairs([(0, 2.0), (1, 2.0), (2, 3.0), (3, 3.0), (4, None), (5, 1.0)]) == [
        (0, 2.0), (2, 2.0), (2, 3.0), (4, 3.0), (4, None), (5, None), (5, 1.0), (5, 1.0),
    ]  # fmt: skip
    assert stairs([]) == []


def test_a_frontier_never_rises_and_reaches_the_riskiest_end() -> None:
    points = tuple(FrontierPoint(v, h) for v, h in ((0.0, 500.0), (1e-7, 480.0), (1e-3, 400.0), (0.5, 10.0)))
    told = replace(a_comparison(), frontiers=(Frontier(LSTM, 9, points),))

    chart = frontier_chart(told, "k")

    assert chart is not None
    (line,) = [line for line in chart.lines if line.name == LSTM.title]
    assert line.points[0] == (-5.0, 480.0)  # both are left of the axis; the cheaper one is to be had
    assert line.points[-1] == (-1.0, 400.0)
    costs = [y for _, y in line.points if y is not None]
    assert costs == sorted(costs, reverse=True)


def test_frozen_knobs_the_target_and_foresight_are_marked_on_the_frontier() -> None:
    chart = frontier_chart(a_comparison(), "k")

    assert chart is not None
    assert {"Your target, 0.100 %", "Perfect foresight"} <= {line.name for line in chart.lines}
    assert [symbol.name.split(":")[0] for symbol in chart.symbols] == [
        "LSTM, knobs chosen before", "HPA as shipped", "HPA, knobs chosen before", "HPA + schedule, chosen before",
    ]  # fmt: skip


def test_the_replica_chart_shows_the_telling_three_over_the_need() -> None:
    chart = replica_chart(a_comparison(), "k")

    assert chart is not None
    assert [line.name for line in chart.lines] == ["Predictive, LSTM", "HPA, tuned", "Perfect foresight"]
    assert [band.name for band in chart.bands] == ["Needed"]


def test_the_time_line_counts_what_it_shows() -> None:
    told = a_comparison()
    chart = timeline_chart(told, "k")

    assert chart is not None
    assert len(chart.symbols) == len(told.timeline)
    assert "1 unresolved alarm," in chart.description
    assert "4 false alarms," in chart.description


def test_nothing_is_drawn_where_there_is_nothing() -> None:
    assert pictures_of(a_bare_comparison(), "k") == []
