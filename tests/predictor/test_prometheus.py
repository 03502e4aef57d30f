"""The adapter against real servers: Prometheus 2, Prometheus 3 and VictoriaMetrics, each holding the same 28 days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import InputError, SeriesError
from predictor.prometheus import Answer, Prometheus, PrometheusAccess
from predictor.quality import inspect, trim
from tests.servers.fixtures import SAMPLES, STEP_SECONDS, Recorded
from tests.servers.metric_servers import MetricServer, prometheus_2, running_prometheus
from tests.servers.processes import free_port, wait_until

STEP = timedelta(seconds=STEP_SECONDS)
EXACT = 'last_over_time(demand{app="web"}[59s])'  # a sample or nothing: the window holds one instant


@pytest.fixture
def client(metric_server: MetricServer) -> Iterator[Prometheus]:
    with Prometheus(PrometheusAccess(metric_server.url)) as client:
        yield client


@pytest.fixture
def prometheus(filled_prometheus: MetricServer) -> Iterator[Prometheus]:
    with Prometheus(PrometheusAccess(filled_prometheus.url)) as client:
        yield client


def fetch_all(client: Prometheus, query: str, recorded: Recorded) -> Answer:
    return client.fetch(query, recorded.start, recorded.end, STEP_SECONDS)


def test_28_days_arrive_sample_by_sample_through_every_server(client: Prometheus, recorded: Recorded) -> None:
    series = fetch_all(client, EXACT, recorded).only().series

    assert (len(series), series.start, series.end) == (SAMPLES, recorded.start, recorded.end)
    np.testing.assert_array_equal(series.values, recorded.values)
    assert series.missing > 0, "the recording has gaps, and a gap is not zero"


def test_a_range_off_the_grid_gives_the_same_samples_at_the_same_instants(
    client: Prometheus, recorded: Recorded
) -> None:
    off = timedelta(seconds=17.3)

    series = client.fetch(EXACT, recorded.start + off, recorded.end + off, STEP_SECONDS).only().series

    assert series.start == recorded.start + STEP
    np.testing.assert_array_equal(series.values, recorded.values[1:])


def test_reading_on_where_the_last_read_ended_repeats_and_loses_nothing(client: Prometheus, recorded: Recorded) -> None:
    middle = recorded.end - 100 * STEP

    before = client.fetch(EXACT, middle - 50 * STEP, middle, STEP_SECONDS).only().series
    after = client.fetch(EXACT, before.end + STEP, recorded.end, STEP_SECONDS).only().series

    np.testing.assert_array_equal(np.concatenate([before.values, after.values]), recorded.values[-151:])


def test_another_step_thins_the_same_grid(client: Prometheus, recorded: Recorded) -> None:
    series = client.fetch(EXACT, recorded.start, recorded.end, 600).only().series

    first = int(np.argmax(recorded.timestamps % 600 == 0))
    np.testing.assert_array_equal(series.values, recorded.values[first::10])


def test_a_grouped_query_gives_every_series_in_one_request_by_name(client: Prometheus, recorded: Recorded) -> None:
    answer = client.fetch("sum by (app) (demand)", recorded.end - timedelta(days=1), recorded.end, STEP_SECONDS)

    assert [(one.name, one.labels) for one in answer.series] == [
        ("app=api", {"app": "api"}),
        ("app=web", {"app": "web"}),
    ]
    assert np.nanmean(answer.series[0].values) == pytest.approx(np.nanmean(answer.series[1].values) / 2, rel=0.02)


def test_a_rate_over_28_days_is_the_demand_that_was_counted(client: Prometheus, recorded: Recorded) -> None:
    query = 'sum(rate(http_requests_total{app="web"}[5m]))'

    series = fetch_all(client, query, recorded).only().series

    assert series.name == query
    both = np.isfinite(series.values) & np.isfinite(recorded.values)
    assert both.mean() > 0.95
    assert 60 * series.values[both].mean() == pytest.approx(recorded.values[both].mean(), rel=0.05)


def test_several_series_where_one_is_needed_are_listed(client: Prometheus, recorded: Recorded) -> None:
    answer = client.fetch("demand", recorded.end - STEP, recorded.end, STEP_SECONDS)

    with pytest.raises(InputError, match=r"2 series where one is expected: demand\{app=api\}; demand\{app=web\}"):
        answer.only()


def test_broken_promql_is_the_users_to_mend_in_the_servers_words(client: Prometheus, recorded: Recorded) -> None:
    with pytest.raises(InputError, match=r"refuses the query 'sum\(demand': .+; check the PromQL"):
        fetch_all(client, "sum(demand", recorded)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("http_request_total", "no metric http_request_total; did you mean http_requests_total"),
        ("sum(rate(stopped[5m]))", "stopped has no samples in this time"),
        ('demand{app="shop"}', "label matcher"),
    ],
)
def test_an_empty_answer_comes_with_its_likely_cause(
    client: Prometheus, recorded: Recorded, query: str, said: str
) -> None:
    start = recorded.end - timedelta(hours=6)

    assert client.fetch(query, start, recorded.end, STEP_SECONDS).readings == ()
    assert said in client.why_empty(query, start, recorded.end)


def test_a_counter_without_rate_is_recognized(client: Prometheus, recorded: Recorded) -> None:
    query = "sum(http_requests_total)"
    reading = trim(client.fetch(query, recorded.end - timedelta(days=1), recorded.end, STEP_SECONDS).only())

    with pytest.raises(SeriesError, match=r"http_requests_total is a counter.*wrap it in rate"):
        inspect(reading, now=recorded.end, season_seconds=(), suspected_counters=client.suspected_counters(query))
    assert client.suspected_counters("sum(rate(http_requests_total[5m]))") == ()


def test_a_counter_whose_name_does_not_say_so_is_known_from_metadata(prometheus: Prometheus) -> None:
    wait_until(lambda: prometheus.suspected_counters("sum(jobs_done)") == ("jobs_done",), "the counter was scraped")

    assert prometheus.suspected_counters("sum(rate(jobs_done[5m]))") == ()


def test_a_division_of_zero_by_zero_is_missing_and_told(prometheus: Prometheus, recorded: Recorded) -> None:
    query = 'demand{app="web"} * 0 / (demand{app="web"} * 0)'

    reading = prometheus.fetch(query, recorded.end - 9 * STEP, recorded.end, STEP_SECONDS).only()

    assert reading.series.missing == 10
    assert reading.notes[0].startswith("10 samples are NaN at the server")


def test_a_division_by_zero_is_refused_with_its_instant(client: Prometheus, recorded: Recorded) -> None:
    with pytest.raises(SeriesError, match=r"infinite samples, the first at 20\d\d-"):
        client.fetch('demand{app="web"} / 0', recorded.end - 9 * STEP, recorded.end, STEP_SECONDS)


def test_a_plain_selector_repeats_the_last_sample_for_up_to_five_minutes(
    client: Prometheus, metric_server: MetricServer, recorded: Recorded
) -> None:
    """Not ours to hide: docs/metric-history.md tells it."""
    series = client.fetch("stopped", recorded.day_end, recorded.day_end + 20 * STEP, STEP_SECONDS).only().series

    repeated = {"prometheus": 5, "prometheus3": 4, "victoria-metrics": 1}[metric_server.kind]
    assert np.isfinite(series.values).sum() == 1 + repeated
    assert np.unique(series.values[: 1 + repeated]).size == 1
    rate = client.fetch("rate(stopped[5m])", recorded.day_end, recorded.day_end + 20 * STEP, STEP_SECONDS)
    assert np.isnan(rate.only().series.values[6:]).all()


def test_nothing_later_than_now_is_asked_for(client: Prometheus, recorded: Recorded) -> None:
    now = recorded.end + timedelta(seconds=30)

    series = client.fetch("demand", recorded.end - 5 * STEP, recorded.end + 60 * STEP, STEP_SECONDS, now=now).series[0]

    assert series.end == recorded.end
    with pytest.raises(InputError, match="no full step"):
        client.fetch("demand", recorded.end + STEP, recorded.end + 2 * STEP, STEP_SECONDS, now=now)


def test_a_server_whose_clock_is_behind_is_told(prometheus: Prometheus, recorded: Recorded) -> None:
    answer = prometheus.fetch("demand", recorded.end, recorded.end + timedelta(hours=3), STEP_SECONDS)

    assert "in the future" in answer.warnings[0]
    assert fetch_all(prometheus, "demand", recorded).warnings == ()


def test_what_prometheus_3_warns_about_is_handed_on(filled_prometheus3: MetricServer, recorded: Recorded) -> None:
    with Prometheus(PrometheusAccess(filled_prometheus3.url)) as client:
        answer = client.fetch("rate(demand[5m])", recorded.end - STEP, recorded.end, STEP_SECONDS)

    assert "metric might not be a counter" in answer.warnings[0]


def test_a_partial_answer_is_told_because_the_server_warns(tmp_path: Path, recorded: Recorded) -> None:
    remote = f"remote_read: [{{url: 'http://127.0.0.1:{free_port()}/read', read_recent: true}}]"
    with (
        running_prometheus(prometheus_2(), tmp_path, config=remote) as server,
        Prometheus(PrometheusAccess(server.url)) as client,
    ):
        answer = client.fetch("up", recorded.end - STEP, recorded.end, STEP_SECONDS)

    assert answer.readings == ()
    assert "remote_read" in answer.warnings[0]
