"""What an autoscaler reads: every name, and what moves it."""

from __future__ import annotations

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from agent_service.engine.settings import EngineSettings
from agent_service.server.keys import Keys
from agent_service.server.metrics import CALL_BUCKETS, RUN_BUCKETS, PrometheusMeters, exposition
from agent_service.server.part_metrics import ModelMeters, StoreMeters
from agent_service.server.settings import ServiceSettings
from agent_service.store.opening import open_stores
from tests.agent_service.serving import Options, Parts, serving
from tests.servers.processes import wait_until

QUICK = {"assistant_id": "steps", "input": {"done": []}}
SLOW = {"assistant_id": "steps", "input": {"seconds": 30}}
KEY = "ann-has-this-long-key"
NAMES = {
    "agent_run_slots": "gauge",
    "agent_runs_in_flight": "gauge",
    "agent_run_queue_depth": "gauge",
    "agent_run_queue_oldest_seconds": "gauge",
    "agent_run_arrivals": "counter",
    "agent_run_rejected": "counter",
    "agent_runs": "counter",
    "agent_run_duration_seconds": "histogram",
    "agent_run_queue_wait_seconds": "histogram",
    "agent_node_duration_seconds": "histogram",
    "agent_saturation_ratio": "gauge",
    "agent_tokens": "counter",
    "agent_llm_requests": "counter",
    "agent_llm_throttled": "counter",
    "agent_llm_circuit_open": "gauge",
    "agent_event_loop_lag_seconds": "histogram",
    "agent_checkpoint_duration_seconds": "histogram",
    "agent_db_pool_waiting": "gauge",
    "agent_draining": "gauge",
    "agent_runs_drained": "counter",
    "agent_runs_resumed": "counter",
    "agent_run_attempts": "histogram",
    "agent_webhooks": "counter",
    "gen_ai_invoke_agent_duration_seconds": "histogram",
    "gen_ai_client_operation_duration_seconds": "histogram",
    "gen_ai_client_operation_time_to_first_chunk_seconds": "histogram",
}


class Town:
    """A service whose numbers are looked at."""

    def __init__(self, **engine: object) -> None:
        self.registry = CollectorRegistry()
        self.meters = PrometheusMeters(self.registry, slots=2, planners={"steps": "custom"})
        ModelMeters(self.registry)
        self._store = StoreMeters(self.registry)
        self.options = Options(
            meters=self.meters,
            engine=EngineSettings(slots=2, flush_seconds=0.02, **engine),  # type: ignore[arg-type]
        )

    async def parts(self) -> Parts:
        stores = open_stores("memory://")
        self._store.watch(stores.checkpoints.saver)
        return Parts(stores.runs, stores.events, stores.checkpoints)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def families(self) -> dict[str, str]:
        text = exposition(self.registry, "")[0].decode()
        return {family.name: family.type for family in text_string_to_metric_families(text)}


def test_every_name_is_there_with_its_type_before_anything_has_happened() -> None:
    families = Town().families()

    assert {name: families.get(name) for name in NAMES} == NAMES


def test_buckets_are_those_of_the_conventions() -> None:
    assert list(RUN_BUCKETS) == pytest.approx([0.1 * 2**step for step in range(13)])
    assert list(CALL_BUCKETS) == pytest.approx([0.01 * 2**step for step in range(14)])


def test_a_run_is_seen_in_its_outcome_its_times_and_its_nodes() -> None:
    town = Town()
    with serving(town.parts, town.options) as served, httpx.Client(base_url=served.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        http.post(f"/threads/{thread}/runs/wait", json={**QUICK, "durability": "async"})
        http.post("/runs/wait", json=QUICK)
        wait_until(lambda: (town.value("agent_event_loop_lag_seconds_count") or 0) > 0, "the loop's lag is measured")

    assert town.value("agent_run_arrivals_total") == 2
    assert town.value("agent_runs_total", status="success", planner="custom", durability="async") == 1
    assert town.value("agent_runs_total", status="success", planner="custom", durability="exit") == 1
    assert town.value("agent_run_duration_seconds_count") == 2
    assert town.value("gen_ai_invoke_agent_duration_seconds_count", gen_ai_agent_name="steps") == 2
    assert town.value("agent_run_queue_wait_seconds_count") == 2
    assert town.value("agent_run_attempts_bucket", le="1.0") == 2
    assert {town.value("agent_node_duration_seconds_count", node=node) for node in "abcde"} == {2}
    assert (town.value("agent_checkpoint_duration_seconds_count", op="write") or 0) >= 5
    assert town.value("agent_runs_resumed_total") == 0


def test_demand_counts_everybody_who_asked_for_a_run_and_nobody_else() -> None:
    town = Town()
    town.options.keys = Keys(f"ann:{KEY}")
    town.options.settings = ServiceSettings(store="memory://", most_body_bytes=2048)
    with serving(town.parts, town.options) as served, httpx.Client(base_url=served.url) as http:
        known = {"x-api-key": KEY}
        run = http.post("/runs", json=QUICK, headers=known).json()
        http.post("/runs/wait", json=QUICK)  # a stranger
        http.post("/runs", content=b"{", headers=known)
        http.post("/runs", content=b'{"a":"' + b"x" * 3000 + b'"}', headers=known)
        http.post("/runs", json={"assistant_id": "nobody"}, headers=known)
        http.post("/threads", json={})  # a stranger who asks for no run
        http.post(f"/threads/{run['thread_id']}/runs/{run['run_id']}/cancel")

    rejected = {reason: town.value("agent_run_rejected_total", reason=reason)
                for reason in ("auth", "invalid", "too_large", "queue_full", "draining")}  # fmt: skip
    assert town.value("agent_run_arrivals_total") == 5
    assert rejected == {"auth": 1, "invalid": 2, "too_large": 1, "queue_full": 0, "draining": 0}


def test_a_run_that_is_cancelled_while_it_waits_is_an_outcome_too() -> None:
    town = Town()
    with serving(town.parts, town.options) as served, httpx.Client(base_url=served.url) as http:
        runs = [http.post("/runs", json=SLOW).json() for _ in range(3)]
        waiting = runs[-1]
        path = f"/threads/{waiting['thread_id']}/runs/{waiting['run_id']}"
        assert http.get(path).json()["status"] == "pending"
        http.post(f"{path}/cancel", params={"wait": "1"})

        assert town.value("agent_runs_total", status="interrupted", planner="custom", durability="exit") == 1
        assert town.value("agent_run_duration_seconds_count") == 0  # it took no time to execute: it was not executed


def test_the_queue_says_for_how_long_the_oldest_waits() -> None:
    town = Town()
    with serving(town.parts, town.options) as served, httpx.Client(base_url=served.url) as http:
        for _ in range(3):
            http.post("/runs", json=SLOW)
        wait_until(lambda: (town.value("agent_run_queue_oldest_seconds", state="runnable") or 0) > 0, "it waits")
        told = orjson.loads(exposition(town.registry, "application/json")[0])

        assert told["workers"] == {"max": 2, "active": 2, "available": 0}
        assert (told["queue"]["n_pending"], told["queue"]["n_running"]) == (1, 2)
        assert told["queue"]["pending_unblocked_runs_wait_time_max_secs"] > 0
