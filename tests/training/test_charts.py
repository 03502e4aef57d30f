from __future__ import annotations

from xml.etree import ElementTree

import pytest

from training.charts import Axis, Band, Chart, Line, Symbol, draw, legend, nice_ticks, thin


def a_chart(line: Line | None = None) -> Chart:
    return Chart(
        "k",
        "Demand <now>",
        "What & why",
        Axis("time", [0.0, 1.0, 2.0, 3.0], lambda x: f"{x:g}", 0, 3),
        Axis("rps", [0.0, 5.0, 10.0], lambda y: f"{y:g}", 0, 10),
        lines=[line or Line("demand", "c-actual", [(0, 1.0), (1, None), (2, 3.0), (3, 4.0)])],
        bands=[Band("band", "c-model", [(0, 0.0), (1, None), (2, 1.0)], [(0, 1.0), (1, 2.0), (2, 3.0)])],
        symbols=[Symbol("mark", "c-bad", shape, 1, 5) for shape in ("triangle", "diamond", "cross", "circle")],
        names={"mark": ("c-bad", "cross")},
    )


def test_a_chart_is_well_formed_and_escapes_its_words() -> None:
    drawn = ElementTree.fromstring(draw(a_chart(), 360, 240))  # noqa: S314 (we wrote it)

    assert drawn.findtext("title") == "Demand <now>"
    assert drawn.findtext("desc") == "What & why"


def test_a_missing_value_breaks_the_line_and_the_band() -> None:
    drawn = ElementTree.fromstring(draw(a_chart(), 360, 240))  # noqa: S314
    paths = {node.get("class"): node.get("d") or "" for node in drawn.iter("path")}

    assert paths["line c-actual"].count("M") == 2
    assert paths["band c-model"].count("Z") == 2


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (-0.3, 0.4, [-0.4, -0.2, 0, 0.2, 0.4]),
        (0, 1730, [0, 500, 1000, 1500, 2000]),
        (5, 5, [5, 6, 7, 8, 9, 10]),
    ],
)
def test_ticks_are_round_and_reach_around_the_data(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_thinning_averages_and_keeps_gaps() -> None:
    points = [(0.0, 1.0), (1.0, 3.0), (2.0, None), (3.0, None), (4.0, 5.0)]

    assert thin(points, 3) == [(0.5, 2.0), (2.5, None), (4.0, 5.0)]
    assert thin(points, 5) == points


def test_everything_drawn_is_in_the_legend() -> None:
    assert [name for name, _ in legend(a_chart())] == ["demand", "band", "mark"]
