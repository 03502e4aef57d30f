from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.errors import InputError, SeriesError, SourceError
from predictor.prometheus_answer import MAX_POINTS, Collector, Grid, name_of

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
AT = int(NOON.timestamp())


def a_row(*samples: tuple[float, str], **labels: str) -> dict[str, object]:
    return {"metric": labels, "values": [list(sample) for sample in samples]}


def a_collector(length: int = 4) -> Collector:
    return Collector(Grid(AT, length, 60), "sum(x)", "http://server")


@given(st.integers(1, 200_000), st.sampled_from([1, 15, 60, 3600]))
def test_requests_cover_every_instant_exactly_once_and_none_is_too_long(length: int, step_seconds: int) -> None:
    grid = Grid(AT, length, step_seconds)
    step = timedelta(seconds=step_seconds)
    expected = grid.instant(0)

    for first, last in grid.requests():
        assert first == expected
        assert (last - first) // step + 1 <= MAX_POINTS
        expected = last + step

    assert expected == grid.instant(length)


def test_a_range_is_moved_inwards_onto_multiples_of_the_step() -> None:
    grid = Grid.covering(NOON + timedelta(seconds=7.2), NOON + timedelta(seconds=259), 60)

    assert (grid.instant(0), grid.length) == (NOON + timedelta(seconds=60), 4)
    assert Grid.covering(NOON, NOON, 60).length == 1


def test_a_range_without_a_single_step_is_refused() -> None:
    with pytest.raises(InputError, match="no full step of 60 s"):
        Grid.covering(NOON + timedelta(seconds=1), NOON + timedelta(seconds=59), 60)


def test_answers_are_put_together_by_label_set_and_absent_instants_stay_missing() -> None:
    collector = a_collector()
    collector.add([a_row((AT, "1"), (AT + 60, "2"), app="web"), a_row((AT, "9"), app="api")])
    collector.add([a_row((AT + 180, "4"), app="web")])

    api, web = (reading.series for reading in collector.readings())

    assert (api.name, web.name, web.labels) == ("app=api", "app=web", {"app": "web"})
    np.testing.assert_array_equal(web.values, [1, 2, np.nan, 4])


def test_nan_from_the_server_is_missing_and_noted() -> None:
    collector = a_collector()
    collector.add([a_row((AT, "NaN"), (AT + 60, "2"))])

    (reading,) = collector.readings()

    assert reading.series.missing == 3
    assert "1 samples are NaN at the server" in reading.notes[0]


@pytest.mark.parametrize("value", ["+Inf", "-3"])
def test_impossible_demand_names_its_series_and_instant(value: str) -> None:
    collector = a_collector()
    collector.add([a_row((AT + 60, value), app="web")])

    with pytest.raises(SeriesError, match=r"app=web: 1 .* at 2026-05-04T12:01"):
        collector.readings()


@pytest.mark.parametrize("at", [AT + 30, AT - 60, AT + 240])
def test_an_instant_that_was_not_asked_for_is_not_moved_silently(at: int) -> None:
    with pytest.raises(SourceError, match="other instants than it was asked for"):
        a_collector().add([a_row((at, "1"))])


@pytest.mark.parametrize(
    "rows",
    [None, 5, ["x"], [{"metric": {}}], [{"metric": {}, "values": [["now", "1"]]}], [{"metric": 1, "values": []}]],
)
def test_rows_of_another_shape_are_not_a_bug_of_ours(rows: Any) -> None:
    with pytest.raises(SourceError, match="not as the Prometheus API does"):
        a_collector().add(rows)


def test_native_histograms_are_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="histogram_count"):
        a_collector().add([{"metric": {}, "histograms": []}])


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ((), "sum(x)"),
        ((("__name__", "up"),), "up"),
        ((("__name__", "up"), ("job", "a b")), "up{job=a b}"),
        ((("app", "web"), ("path", 'a,b="c"')), 'app=web,path="a,b=\\"c\\""'),
    ],
)
def test_a_series_is_named_by_its_labels(labels: tuple[tuple[str, str], ...], name: str) -> None:
    assert name_of(labels, "sum(x)") == name
