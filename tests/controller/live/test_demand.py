"""Demand of many workloads from a real Prometheus: few requests, and nothing unknown ever becomes a zero."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest

from controller.live.demand import DemandReader, Found, Wanted, together
from controller.live.prometheus_pool import PrometheusPool
from controller.resource.resource import Key
from predictor.prometheus import PrometheusAccess
from tests.servers.gate import a_gate
from tests.servers.metric_servers import MetricServer, prometheus_2, running_prometheus
from tests.servers.processes import free_port, wait_until
from tests.servers.remote_write import push

APPS = 30
BY_APP = "sum by (app) (last_over_time(live_demand[1h]))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricServer]:
    """`live_demand` of app-0 to app-29 is 100, 101 and so on; it was 1000 more half an hour ago."""
    with running_prometheus(prometheus_2(), tmp_path_factory.mktemp("prometheus")) as server:
        now = int(time.time())
        instants = np.array([now - 1800, now - 5], dtype=np.int64)
        for at in range(APPS):
            values = np.array([1100.0 + at, 100.0 + at])
            push(server.write_url, {"__name__": "live_demand", "app": f"app-{at}"}, instants, values)
        yield server


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def a_reader(url: str, threads: Executor, *, timeout_seconds: float = 10.0) -> DemandReader:
    access = PrometheusAccess(url, timeout_seconds=timeout_seconds, retries=0)
    return DemandReader(PrometheusPool(access), threads)


def key(at: int) -> Key:
    return Key("shop", f"app-{at}")


def of_app(at: int, query: str = BY_APP) -> Wanted:
    return Wanted(query, (("app", f"app-{at}"),))


def read_one(server: MetricServer, threads: Executor, wanted: Wanted) -> Found:
    return a_reader(server.url, threads).read({key(0): wanted})[key(0)]


def test_workloads_of_one_query_are_read_by_one_request(server: MetricServer, threads: Executor) -> None:
    reader = a_reader(server.url, threads)

    found = reader.read({key(at): of_app(at) for at in range(APPS)})

    assert found == {key(at): Found(100.0 + at) for at in range(APPS)}
    assert reader.requests == 1


def test_however_many_queries_there_are_requests_stay_few(server: MetricServer, threads: Executor) -> None:
    reader = a_reader(server.url, threads)
    wanted = {
        Key("shop", f"{at}-{factor}"): of_app(at, f"{factor} * {BY_APP} # times {factor}")
        for at in range(APPS)
        for factor in range(1, 21)
    }

    found = reader.read(wanted)

    assert reader.requests == 8
    for at in range(APPS):
        for factor in range(1, 21):
            assert found[Key("shop", f"{at}-{factor}")] == Found(factor * (100.0 + at))


@pytest.mark.parametrize(
    ("query", "words", "is_at_fault"),
    [
        ("live_demand{app='app-99'}", "no series now", False),
        ("0 * live_demand{app='app-0'} / 0", "gives nan now; is something divided by 0", False),
        ("live_demand{app='app-0'} / 0", "gives inf now", False),
        ("live_demand{app=~'app-[01]'}", "2 series where one is needed; add them up with sum(...)", True),
        ("-live_demand{app='app-0'}", "gives -100 now, and demand is never negative", True),
        ("sum(live_demand", "parse error", True),
    ],
)
def test_what_is_not_known_is_told_and_is_no_zero(
    query: str, words: str, is_at_fault: bool, server: MetricServer, threads: Executor
) -> None:
    found = read_one(server, threads, Wanted(query))

    assert found.demand is None
    assert words in found.problem
    assert found.is_at_fault == is_at_fault


def test_a_demand_of_zero_is_a_zero(server: MetricServer, threads: Executor) -> None:
    assert read_one(server, threads, Wanted("0 * live_demand{app='app-0'}")) == Found(0.0)


def test_a_label_that_no_series_has_finds_nothing(server: MetricServer, threads: Executor) -> None:
    found = read_one(server, threads, Wanted(BY_APP, (("team", "a"),)))

    assert found.demand is None
    assert "no series now with {'team': 'a'}" in found.problem


def test_a_query_at_fault_does_not_spoil_the_others_and_is_left_alone_for_a_while(
    server: MetricServer, threads: Executor
) -> None:
    reader = a_reader(server.url, threads)
    wanted = {key(at): of_app(at, f"{at + 1} * {BY_APP}") for at in range(20)} | {Key("shop", "wrong"): Wanted("sum(")}

    first = reader.read(wanted)
    second = reader.read(wanted)

    for found in (first, second):
        assert found[Key("shop", "wrong")].is_at_fault
        assert [found[key(at)].demand for at in range(20)] == [(at + 1) * (100.0 + at) for at in range(20)]
    assert reader.requests == 8
    mended = reader.read(wanted | {Key("shop", "wrong"): of_app(0)})
    assert mended[Key("shop", "wrong")] == Found(100.0), "another query is asked at once"


def test_the_peak_of_the_last_hour_is_found_at_a_start(server: MetricServer, threads: Executor) -> None:
    wanted = {key(at): of_app(at) for at in range(3)}

    found = a_reader(server.url, threads).read_peaks(wanted, seconds=3600, step_seconds=60)

    assert found == {key(at): Found(1100.0 + at) for at in range(3)}


def test_a_dead_server_means_not_known(threads: Executor) -> None:
    found = a_reader(f"http://127.0.0.1:{free_port()}", threads).read({key(0): of_app(0)})[key(0)]

    assert found.demand is None
    assert not found.is_at_fault


def test_a_slow_server_means_not_known_and_is_read_again_when_it_is_fast(
    server: MetricServer, threads: Executor
) -> None:
    with a_gate() as gate:
        gate.turn(target=server.process.port, delay_seconds=5)
        reader = a_reader(gate.url, threads, timeout_seconds=0.5)

        slow = reader.read({key(0): of_app(0)})[key(0)]
        gate.turn(target=server.process.port)

        assert slow.demand is None
        assert not slow.is_at_fault
        wait_until(lambda: reader.read({key(0): of_app(0)})[key(0)] == Found(100.0), "it is known again", 30)


def test_queries_travel_together_each_on_lines_of_its_own() -> None:
    assert together(["a # comment", "b"], "max_over_time({}[1h:1m])") == (
        'label_replace(max_over_time((a # comment\n)[1h:1m]), "forescale_query", "0", "", "") or '
        'label_replace(max_over_time((b\n)[1h:1m]), "forescale_query", "1", "", "")'
    )
