"""Pure parts of the page, run where they belong: in a browser."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.predictor.server.page.conftest import Open


def run(open_page: Open, module: str, expression: str, *given: Any) -> Any:
    """The value of an expression over the exports `m` of a module."""
    page = open_page(waits=False)
    return page.evaluate(
        f"async (given) => {{ const m = await import('/page/{module}'); return {expression}; }}", given
    )


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_events_are_read_whole_however_the_stream_is_cut(open_page: Open, size: int) -> None:
    stream = (
        ': hello\n\nevent: cycle\nid: 7\ndata: {"a":\ndata: 1}\n\nevent:forecast\r\ndata:é\r\n\r\nid: 9\n\nretry: 3\n\n'
    )

    told = run(
        open_page,
        "stream.js",
        "(() => { const told = []; const feed = m.eventParser((event) => told.push(event));"
        " const [text, size] = given; for (let at = 0; at < text.length; at += size) feed(text.slice(at, at + size));"
        " return told; })()",
        stream,
        size,
    )

    assert told == [
        {"event": "cycle", "data": '{"a":\n1}', "id": "7"},
        {"event": "forecast", "data": "é", "id": "7"},
    ]


def a_past(first: int, demand: list[float | None]) -> dict[str, Any]:
    times = [f"2026-11-24T12:{first + at:02}:00Z" for at in range(len(demand))]
    return {
        "workload": "a",
        "step_seconds": 60,
        "times": times,
        "demand": demand,
        "forecasts": {"horizon_seconds": 900, "levels": [0.5], "path": [demand]},
        "replicas": {"needed": demand, "recommended": demand, "observed": None},
    }


@pytest.mark.parametrize(
    ("known", "news", "since", "joined"),
    [
        (a_past(0, [1, 2, 3]), a_past(2, [4, 5]), 0, [1, 2, 4, 5]),  # a late sample has become known
        (a_past(0, [1, 2, 3]), a_past(2, [3, 5]), 2, [3, 5]),  # the window has moved on
        (a_past(0, [1, 2]), a_past(2, [3]), 1, [2, 3]),
        (a_past(0, [1, 2]), a_past(0, [7, 8, 9]), 0, [7, 8, 9]),
        (a_past(0, [1, 2]), a_past(5, []), 0, []),
    ],
)
def test_news_of_the_past_replaces_what_it_covers(
    open_page: Open, known: dict[str, Any], news: dict[str, Any], since: int, joined: list[float]
) -> None:
    merged = run(
        open_page,
        "history.js",
        "m.merge(given[0], given[1], Date.parse(given[2]))",
        known,
        news,
        f"2026-11-24T12:{since:02}:00Z",
    )

    assert merged["demand"] == merged["forecasts"]["path"][0] == merged["replicas"]["needed"] == joined
    assert len(merged["times"]) == len(joined)


def test_numbers_are_text_with_their_unit(open_page: Open) -> None:
    wanted = {
        "m.number(null)": "–",
        "m.number(0)": "0",
        "m.number(0.012345)": "0.01235",
        "m.number(371.26)": "371.3",
        "m.number(12345.6)": "12,346",
        "m.percent(null)": "–",
        "m.percent(-0.041)": "−4.1\u00a0%",
        "m.level(0.998)": "99.8\u00a0%",
        "m.span(990)": "16.5\u00a0min",
        "m.span(86400)": "24\u00a0h",
        "m.span(259200)": "3\u00a0d",
        "m.span(45)": "45\u00a0s",
        "m.age(59.9)": "59\u00a0s",
        "m.age(-1)": "0\u00a0s",
        "m.age(200000)": "2\u00a0d",
        "m.counted(1, 'pair')": "1\u00a0pair",
        "m.counted(4291, 'pair')": "4,291\u00a0pairs",
    }

    told = run(open_page, "format.js", f"[{', '.join(wanted)}]")

    assert dict(zip(wanted, told, strict=True)) == wanted


def test_bands_are_pairs_of_levels_around_the_median_the_widest_first(open_page: Open) -> None:
    bands = run(
        open_page,
        "fan_chart.js",
        "given.map(m.bandsOf)",
        [0.5, 0.95],
        [0.1, 0.5, 0.9],
        [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99],
    )

    assert bands == [[], [[0, 2]], [[0, 8], [2, 6], [3, 5]]]


def test_a_sparkline_leaves_gaps_open(open_page: Open) -> None:
    path = run(open_page, "sparkline.js", "m.sparkPath([1, 2, null, 2, 1])")

    assert path.count("M") == 2
    assert run(open_page, "sparkline.js", "m.sparkPath([null, 3, null])") == ""


@pytest.mark.parametrize(
    ("hash_", "route"),
    [
        ("", ["overview", None, None]),
        ("#/?q=a", ["overview", None, None]),
        ("#/workloads/a.b?window=3d", ["workload", "a.b", "3d"]),
        ("#/workloads/a%2Fb?window=9y", ["workload", "a/b", "24h"]),
        ("#/workloads/%E0%A4%A", ["workload", "%E0%A4%A", "24h"]),
        ("#/elsewhere", ["unknown", None, None]),
    ],
)
def test_addresses_are_read_leniently(open_page: Open, hash_: str, route: list[str | None]) -> None:
    made = "(({ view, name, window }) => [view, name ?? null, window ?? null])"

    assert run(open_page, "router.js", f"{made}(m.parseRoute({json.dumps(hash_)}))") == route
