from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from predictor import messages as m
from predictor.errors import SourceError
from tests.predictor.server.serving import EndlessFeed, Running, serving, settings_of, wait_until_ready
from tests.servers.processes import wait_until


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Running]:
    """Two workloads, warm."""
    with serving(settings_of(model), EndlessFeed(("api", "web"))) as running:
        wait_until_ready(running)
        running.wait_until_warm()
        yield running


def problem(response: httpx.Response) -> m.Problem:
    assert response.headers["content-type"] == "application/problem+json"
    told = m.Problem.model_validate(response.json())
    assert told.status == response.status_code
    return told


def test_the_overview_tells_what_is_expected_how_sure_and_how_right(server: Running) -> None:
    listed = m.WorkloadList.model_validate(server.http.get("/v1/workloads").json())

    assert [one.name for one in listed.workloads] == ["api", "web"]
    for one in listed.workloads:
        assert one.status == "ok"
        assert one.demand is not None
        assert one.expected is not None
        assert one.expected.peak_upper >= one.expected.peak_median
        assert one.expected.replicas is not None
        assert one.expected.replicas >= 1
        assert one.score is not None
        assert one.score.pairs > 300
        assert one.trust.state in m.TrustState
        assert one.freshness.age_seconds is not None


def test_a_forecast_has_as_many_rows_as_steps_and_columns_as_levels(server: Running) -> None:
    answer = m.ForecastAnswer.model_validate(
        server.http.get(
            "/v1/workloads/web/forecast", params={"quantiles": "0.5,0.9", "horizon": 3, "window_max": True}
        ).json()
    )

    assert answer.levels == [0.5, 0.9]
    assert len(answer.path) == len(answer.times) == 3
    assert answer.window_max is not None
    assert all(len(row) == 2 and row[0] <= row[1] for row in (*answer.path, *answer.window_max))
    assert answer.issued_at is not None
    assert (answer.times[0] - answer.issued_at).total_seconds() == 1
    assert answer.model is not None
    assert answer.trust is not None
    assert answer.calibration is not None
    assert answer.calibration.is_warm


def test_many_workloads_come_in_one_call_in_the_order_asked(server: Running) -> None:
    asked = {"workloads": ["web", "nobody", "api"], "quantiles": [0.5], "horizon_seconds": 2}

    batch = m.ForecastBatch.model_validate(server.http.post("/v1/forecast", json=asked).json())

    assert [one.workload for one in batch.forecasts] == ["web", "nobody", "api"]
    assert [one.status for one in batch.forecasts] == ["ok", "unavailable", "ok"]
    assert batch.forecasts[1].reason is m.Unavailable.UNKNOWN_WORKLOAD
    assert batch.forecasts[1].path == []


def test_all_workloads_come_when_none_is_named(server: Running) -> None:
    batch = m.ForecastBatch.model_validate(server.http.post("/v1/forecast", json={}).json())

    assert [one.workload for one in batch.forecasts] == ["api", "web"]


def test_the_single_and_the_batched_forecast_are_the_same(server: Running) -> None:
    while True:  # until both are of the same cycle
        batch = m.ForecastBatch.model_validate(server.http.post("/v1/forecast", json={"workloads": ["web"]}).json())
        single = m.ForecastAnswer.model_validate(
            server.http.get("/v1/workloads/web/forecast", params={"window_max": True}).json()
        )
        if single.issued_at == batch.forecasts[0].issued_at:
            break

    assert single.path == batch.forecasts[0].path
    assert single.window_max == batch.forecasts[0].window_max


def test_history_is_what_came_beside_what_was_expected(server: Running) -> None:
    history = m.History.model_validate(server.http.get("/v1/workloads/web/history").json())

    count = len(history.times)
    assert count > 200
    assert len(history.demand) == count
    assert all(len(row) == count for row in history.forecasts.path)
    assert history.replicas is not None
    assert len(history.replicas.recommended) == count
    both = [
        (low, actual, high)
        for low, actual, high in zip(history.forecasts.path[0], history.demand, history.forecasts.path[2], strict=True)
        if low is not None and actual is not None and high is not None
    ]
    inside = sum(low <= actual <= high for low, actual, high in both) / len(both)
    assert len(both) > 150
    assert inside > 0.6  # the model's outermost levels are 0.1 and 0.9


def test_history_can_be_cut_to_a_range(server: Running) -> None:
    times = m.History.model_validate(server.http.get("/v1/workloads/web/history").json()).times
    start, end = times[-30].isoformat(), times[-21].isoformat()

    cut = m.History.model_validate(
        server.http.get("/v1/workloads/web/history", params={"start": start, "end": end}).json()
    )

    assert cut.times == times[-30:-20]


def test_accuracy_has_a_count_beside_every_ratio(server: Running) -> None:
    path = "/v1/workloads/web/accuracy?window=600"
    wait_until(lambda: server.http.get(path).json()["live_origins"] > 0, "a forecast was made since the replay")
    found = m.Accuracy.model_validate(server.http.get(path).json())

    assert [row.horizon_seconds for row in found.by_horizon] == [1, 2, 3, 4, 5]
    assert all(
        row.pairs > 100 and row.wape is not None and row.persistence_wape is not None for row in found.by_horizon
    )
    assert {(row.head, row.level) for row in found.coverage} == {
        (head, level) for head in ("path", "window_max") for level in (0.1, 0.5, 0.9)
    }
    for row in found.coverage:
        assert row.coverage == pytest.approx(row.covered / row.pairs)
    assert found.origins > found.live_origins
    assert found.alarms is not None


def test_alarms_are_told_one_by_one(server: Running) -> None:
    found = m.Alarms.model_validate(server.http.get("/v1/workloads/web/alarms", params={"window": 600}).json())

    assert found.target_per_replica == 20
    assert not found.is_target_derived
    assert all(alarm.asked > alarm.held for alarm in found.alarms)


def test_models_tell_where_they_come_from_and_who_uses_them(server: Running) -> None:
    models = m.Models.model_validate(server.http.get("/v1/models").json()).models

    assert len(models) == 1
    assert models[0].workloads == ["api", "web"]
    assert models[0].training_series == ["web"]
    assert server.http.post("/v1/models/reload").json() == {"changed": [], "unchanged": ["model"], "refused": []}


def test_who_asks_again_with_the_tag_gets_no_second_copy(server: Running) -> None:
    for path in ("/v1/workloads/web/forecast", "/v1/models", "/"):
        while True:
            first = server.http.get(path)
            again = server.http.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
            if again.status_code == 304 or server.http.get(path).headers["etag"] == first.headers["etag"]:
                break  # else a cycle ended in between
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == first.headers["etag"]


def test_large_answers_are_compressed_for_who_takes_it(server: Running) -> None:
    plain = server.http.get("/v1/workloads/web/history", headers={"Accept-Encoding": "identity"})
    small = server.http.get("/v1/workloads/web/history", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(plain.content) / 2
    assert small.json()["workload"] == "web"


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/workloads/nobody/forecast", 404, "no workload nobody"),
        ("GET", "/v1/workloads/nobody/history", 404, "no workload nobody"),
        ("GET", "/v1/workloads/web/forecast?horizon=900", 422, "give 1 to 5 s"),
        ("GET", "/v1/workloads/web/forecast?quantiles=0.95", 422, "choose among these"),
        ("GET", "/v1/workloads/web/forecast?quantiles=much", 422, "query.quantiles"),
        ("GET", "/v1/workloads/web/accuracy?window=0", 422, "query.window"),
        ("GET", "/v1/workloads/web/history?start=2026-01-01T00:00", 422, "no time zone"),
        ("GET", "/v1/workloads/web/history?start=2027-01-02T00:00Z&end=2027-01-01T00:00Z", 422, "start lies after end"),
        ("GET", "/v1/nothing", 404, "/openapi.json lists the paths"),
        ("GET", "/page/../settings.py", 404, "nothing here"),
        ("GET", "/page/%2e%2e/settings.py", 404, "no such page"),
        ("DELETE", "/v1/workloads", 405, "does not take that method"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    server: Running, method: str, path: str, status: int, words: str
) -> None:
    response = server.http.request(method, path)

    assert response.status_code == status
    assert words in problem(response).detail


def test_a_body_that_is_not_asked_for_is_refused_without_repeating_it(server: Running) -> None:
    response = server.http.post("/v1/forecast", json={"workloads": ["web"], "password": "hunter2-hunter2"})

    told = problem(response)
    assert response.status_code == 422
    assert told.errors is not None
    assert told.errors[0]["field"] == "body.password"
    assert "hunter2" not in response.text


def test_events_tell_of_every_cycle_and_of_the_forecasts_asked_for(server: Running) -> None:
    events: list[tuple[str, str, str]] = []
    with server.http.stream("GET", "/v1/events", params={"workload": "web"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        current: dict[str, str] = {}
        for line in stream.iter_lines():
            if line:
                name, _, value = line.partition(":")
                current[name] = value.strip()
            elif "data" in current:
                events.append((current["event"], current["id"], current["data"]))
                current = {}
            if len(events) == 4:
                break

    assert [kind for kind, _, _ in events] == ["forecast", "cycle", "forecast", "cycle"]
    told = m.ForecastAnswer.model_validate(json.loads(events[0][2]))
    assert told.workload == "web"
    assert told.window_max is not None
    first, second = (m.CycleEvent.model_validate(json.loads(events[index][2])) for index in (1, 3))
    assert second.cycle > first.cycle
    assert first.available == 2


def test_metrics_tell_what_is_expected_and_never_a_zero_for_what_is_not_known(server: Running) -> None:
    server.http.get("/v1/workloads/web/forecast")
    server.http.get("/v1/workloads/nobody/forecast")

    text = server.http.get("/metrics").text

    assert 'forescale_forecast_demand{horizon_seconds="5",quantile="0.5",workload="web"}' in text
    assert 'forescale_forecast_window_max_demand{horizon_seconds="1",quantile="0.5",workload="api"}' in text
    assert 'forescale_score_pairs{horizon_seconds="5",workload="web"}' in text
    assert 'forescale_trust{state="' in text
    assert "forescale_cycle_duration_seconds_count" in text
    assert 'route="/v1/workloads/{name}/forecast"' in text
    assert "nobody" not in text  # paths that do not exist make no series


def test_the_schema_has_an_example_for_every_forecast_path(server: Running) -> None:
    schema = server.http.get("/openapi.json").json()

    for path, method in (
        ("/v1/workloads", "get"),
        ("/v1/workloads/{name}/forecast", "get"),
        ("/v1/forecast", "post"),
        ("/v1/workloads/{name}/accuracy", "get"),
    ):
        answer = schema["paths"][path][method]["responses"]["200"]["content"]["application/json"]
        assert "example" in answer
    m.ForecastAnswer.model_validate(
        schema["paths"]["/v1/workloads/{name}/forecast"]["get"]["responses"]["200"]["content"]["application/json"][
            "example"
        ]
    )


def test_every_answer_forbids_what_a_page_has_no_need_of(server: Running) -> None:
    for path in ("/", "/v1/workloads", "/v1/nothing", "/livez", "/metrics"):
        headers = server.http.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_a_source_that_is_away_is_no_error_of_the_api(model: Path) -> None:
    feed = EndlessFeed(failing={"*": SourceError("http://prometheus:9090: cannot be reached")})
    settings = settings_of(model, workloads=[{"name": "web", "query": "demand"}])
    with serving(settings, feed) as running:
        wait_until(lambda: running.http.get("/v1/workloads").json()["cycle"] >= 1, "a cycle has ended")

        ready = running.http.get("/readyz")
        answer = running.http.get("/v1/workloads/web/forecast")
        past = running.http.get("/v1/workloads/web/accuracy")

        assert ready.status_code == 503
        assert "cannot be reached" in ready.json()["detail"]
        assert running.http.get("/livez").status_code == 200
        assert answer.status_code == 200
        told = m.ForecastAnswer.model_validate(answer.json())
        assert (told.status, told.reason, told.path) == ("unavailable", m.Unavailable.SOURCE_FAILED, [])
        assert past.status_code == 503  # nothing is known of a past that was never read
        assert "cannot be reached" in problem(past).detail

        feed.failing.clear()
        wait_until_ready(running)
        assert running.http.get("/v1/workloads/web/forecast").json()["status"] == "ok"
