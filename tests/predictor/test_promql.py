from __future__ import annotations

import pytest

from predictor.promql import find_metrics, repeats_last_sample


def uses(query: str) -> dict[str, bool]:
    return {use.name: use.is_rated for use in find_metrics(query)}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(rate(x_total[5m]))", {"x_total": True}),
        ('sum by (a, b) (rate(x_total{a="}(", b!~"y{1,2}"}[5m] offset 1h))', {"x_total": True}),
        ("sum(x_total) by (job)", {"x_total": False}),
        ("count by (y) (x_total)", {"x_total": True}),
        ("a_total / on(host) group_left(rack) b", {"a_total": False, "b": False}),
        ("sum(irate(a_total[1m])) + b_total", {"a_total": True, "b_total": False}),
        ('sum(increase({__name__="a_total", x="y"}[1m]))', {"a_total": True}),
        ('{"with.dots_total", job="b"}', {"with.dots_total": False}),
        ("max_over_time(shop:requests:rate5m[5m]) or vector(0)", {"shop:requests:rate5m": False}),
        ("rate(x_total[5m:1m] @ end()) > bool 1e3 unless on() Inf # y_total", {"x_total": True}),
        ("sum(rate(x_count[5m]", {"x_count": True}),  # broken: the server says so
        ("", {}),
    ],
)
def test_metrics_are_found_with_what_is_made_of_them(query: str, expected: dict[str, bool]) -> None:
    assert uses(query) == expected


def test_a_name_tells_a_counter_unless_it_is_a_recording_rule() -> None:
    names = {use.name: use.looks_like_counter for use in find_metrics("a_total + b_bucket + c + job:d_total")}

    assert names == {"a_total": True, "b_bucket": True, "c": False, "job:d_total": False}


def test_only_a_query_without_a_window_repeats_samples() -> None:
    assert repeats_last_sample('sum(queue{name="[5m]"})')
    assert not repeats_last_sample("sum(rate(x_total[5m]))")
