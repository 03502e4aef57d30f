"""Who may ask, how much, and what happens when too much is asked."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from agent_service.engine.admission import OverloadedError
from agent_service.engine.settings import EngineSettings
from agent_service.errors import SettingsError
from agent_service.server.keys import Keys
from agent_service.server.metrics import PrometheusMeters
from agent_service.server.settings import ServiceSettings, graphs_from, store_from, webhook_hosts_from
from agent_service.store.opening import open_stores
from agent_service.store.records import Multitask
from tests.agent_service.builders import a_run, a_thread
from tests.agent_service.server.stores import parts
from tests.agent_service.serving import Options, Parts, serving
from tests.servers.processes import wait_until

ANN, BOB = "ann-has-this-long-key", "bob-has-another-key"
KEYS = f"ann:{ANN},bob:{BOB}"
SLOW = {"assistant_id": "steps", "input": {"seconds": 30}, "if_not_exists": "create"}
QUICK = {"assistant_id": "steps", "input": {"done": []}}


def test_what_a_key_makes_is_nobody_elses() -> None:
    with serving(parts, Options(keys=Keys(KEYS))) as served:
        ann, bob = (httpx.Client(base_url=served.url, headers={"x-api-key": key}) for key in (ANN, BOB))
        thread = ann.post("/threads", json={}).json()["thread_id"]
        run = ann.post(f"/threads/{thread}/runs", json=QUICK).json()["run_id"]
        paths = [
            ("GET", f"/threads/{thread}"), ("PATCH", f"/threads/{thread}"), ("DELETE", f"/threads/{thread}"),
            ("GET", f"/threads/{thread}/state"), ("POST", f"/threads/{thread}/state"),
            ("POST", f"/threads/{thread}/history"), ("POST", f"/threads/{thread}/copy"),
            ("GET", f"/threads/{thread}/runs"), ("GET", f"/threads/{thread}/runs/{run}"),
            ("GET", f"/threads/{thread}/runs/{run}/join"), ("GET", f"/threads/{thread}/runs/{run}/stream"),
            ("POST", f"/threads/{thread}/runs/{run}/cancel"), ("DELETE", f"/threads/{thread}/runs/{run}"),
        ]  # fmt: skip
        refused = {path: bob.request(method, path, json={} if method in ("POST", "PATCH") else None).status_code
                   for method, path in paths}  # fmt: skip
        runs = [bob.post(f"/threads/{thread}/runs{kind}", json=QUICK).status_code for kind in ("", "/wait", "/stream")]
        assert set(refused.values()) == {404}
        assert runs == [404, 404, 404]
        assert bob.post("/threads/search", json={}).json() == []
        assert bob.post("/threads/count", json={}).json() == 0
        assert ann.get(f"/threads/{thread}").status_code == 200
        ann.close()
        bob.close()


def test_nobody_is_served_without_a_key_where_keys_are_asked_for() -> None:
    meters = PrometheusMeters(CollectorRegistry(), slots=1, planners={})
    with serving(parts, Options(keys=Keys(KEYS), meters=meters)) as served, httpx.Client(base_url=served.url) as http:
        strangers = [
            http.post("/threads", json={}), http.post("/runs/wait", json=QUICK),
            http.get("/info", headers={"x-api-key": "wrong-but-long-enough"}),
            http.get("/info", headers={"authorization": "Basic abc"}),
        ]  # fmt: skip
        known = http.get("/info", headers={"authorization": f"Bearer {ANN}"})
        open_to_all = http.get("/ok")

    assert [answer.status_code for answer in strangers] == [401] * 4
    assert all("x-api-key" in answer.json()["detail"] for answer in strangers)
    assert (known.status_code, open_to_all.json()) == (200, {"ok": True})
    assert meters._rejected.labels("auth")._value.get() == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [("ann", "entry 1 is not name:key"), ("ann:short", "16 ASCII"), (f"a:{ANN},a:{BOB}", "two keys are named a")],
)
def test_keys_that_cannot_be_are_refused_without_repeating_them(given: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Keys(given)

    assert "short" not in str(caught.value)


def test_a_file_of_keys_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# people\nann:{ANN}\n")
    keys = Keys(file=file)
    assert keys.owner_of(ANN) == "ann"

    file.write_text(f"bob:{BOB}\n\n")
    assert (keys.owner_of(ANN), keys.owner_of(BOB)) == (None, "bob")
    file.write_text("nonsense")
    assert keys.owner_of(BOB) == "bob"
    with pytest.raises(SettingsError, match="cannot be read"):
        Keys(file=tmp_path / "absent")


@pytest.mark.parametrize(
    ("host", "is_fine"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_other_machines_are_served_only_with_keys_or_when_that_is_said(host: str, is_fine: bool) -> None:
    Keys(KEYS).check_exposure(host, allow_anonymous=False)
    Keys().check_exposure(host, allow_anonymous=True)
    if is_fine:
        Keys().check_exposure(host, allow_anonymous=False)
    else:
        with pytest.raises(SettingsError, match="can be reached from elsewhere"):
            Keys().check_exposure(host, allow_anonymous=False)


def test_a_body_that_is_too_large_is_refused_however_it_comes() -> None:
    settings = ServiceSettings(store="memory://", most_body_bytes=2048)
    with serving(parts, Options(settings=settings)) as served, httpx.Client(base_url=served.url) as http:
        stated = http.post("/threads", content=b"{" + b" " * 4000)
        chunked = http.post("/threads", content=iter([b"{" + b" " * 1500, b" " * 1500]))

    assert [answer.status_code for answer in (stated, chunked)] == [413, 413]
    assert "2048 bytes" in chunked.json()["detail"]


def test_when_slots_and_queue_are_full_the_next_run_is_refused_and_told_when_to_come_again() -> None:
    registry = CollectorRegistry()
    meters = PrometheusMeters(registry, slots=2, planners={"steps": "custom"})
    engine = EngineSettings(slots=2, queue_limit=3, patience_seconds=0.2)
    with serving(parts, Options(engine=engine, meters=meters)) as served, httpx.Client(base_url=served.url) as http:
        began = time.monotonic()
        accepted = [http.post("/runs", json={**SLOW, "on_completion": "keep"}) for _ in range(5)]
        refused = http.post("/runs", json=SLOW)
        waited = http.post("/runs/wait", json=SLOW)

        assert [answer.status_code for answer in accepted] == [200] * 5
        assert [answer.json()["status"] for answer in accepted] == ["running"] * 2 + ["pending"] * 3
        assert (refused.status_code, waited.status_code) == (429, 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert "3 runs wait already" in refused.json()["detail"]
        assert time.monotonic() - began < 20  # refused, not kept waiting for the thirty seconds of a run
        wait_until(lambda: value(registry, "agent_run_queue_depth", state="runnable") == 3, "the queue is counted")
        assert value(registry, "agent_run_arrivals_total") == 7
        assert value(registry, "agent_run_rejected_total", reason="queue_full") == 2
        assert value(registry, "agent_runs_in_flight") == 2
        assert value(registry, "agent_saturation_ratio") == 2.5

        thread, run = accepted[0].json()["thread_id"], accepted[0].json()["run_id"]
        http.post(f"/threads/{thread}/runs/{run}/cancel", params={"wait": "1"})
        wait_until(lambda: http.get(path_of(accepted[2])).json()["status"] == "running", "the next one begins")
        assert http.post("/runs", json=SLOW).status_code == 200
        assert value(registry, "agent_runs_total", status="interrupted", planner="custom", durability="exit") == 1


def test_no_more_are_accepted_than_there_is_room_for_however_many_ask_at_once(any_url: str) -> None:
    async def kept() -> Parts:
        stores = open_stores(any_url)
        await stores.open()
        return Parts(stores.runs, stores.events, stores.checkpoints)

    engine = EngineSettings(slots=1, queue_limit=2, look_seconds=30)
    with serving(kept, Options(engine=engine)) as served:

        async def ask() -> bool:
            thread = a_thread(created_at=served.service.engine.now())
            served_graph = served.service.graphs.get("steps")
            run = a_run(
                thread, run_id=str(uuid.uuid4()), assistant_id=served_graph.assistant_id, graph_id="steps",
                request={"stream_mode": ["values"], "durability": "exit", "input": {"seconds": 30}},
            )  # fmt: skip
            try:
                await served.service.engine.submit(run, new_thread=thread, strategy=Multitask.ENQUEUE)
            except OverloadedError:
                return False
            return True

        async def all_at_once() -> list[bool]:
            return list(await asyncio.gather(*(ask() for _ in range(40))))

        accepted = served.run(all_at_once())

    assert sum(accepted) == 3


def path_of(answer: httpx.Response) -> str:
    return f"/threads/{answer.json()['thread_id']}/runs/{answer.json()['run_id']}"


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_runs_that_wait_for_their_own_thread_are_counted_apart() -> None:
    registry = CollectorRegistry()
    meters = PrometheusMeters(registry, slots=4, planners={}, as_langgraph=True)
    with serving(parts, Options(meters=meters)) as served, httpx.Client(base_url=served.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        for _ in range(3):
            http.post(f"/threads/{thread}/runs", json=SLOW)

        wait_until(lambda: value(registry, "agent_run_queue_depth", state="blocked") == 2, "the queue is counted")
        assert value(registry, "agent_run_queue_depth", state="runnable") == 0
        assert value(registry, "lg_api_num_pending_runs") == 2
        assert value(registry, "lg_api_pending_unblocked_runs_wait_time_max") == 0
        assert value(registry, "lg_api_workers_available") == 3


def test_a_run_ends_at_its_deadline() -> None:
    engine = EngineSettings(run_seconds=0.2)
    with serving(parts, Options(engine=engine)) as served, httpx.Client(base_url=served.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        told = http.post(f"/threads/{thread}/runs/wait", json=SLOW).json()
        (run,) = http.get(f"/threads/{thread}/runs").json()

        assert told["__error__"] == {"error": "RunTimeout", "message": "the run took longer than 0.2 s"}
        assert run["status"] == "timeout"
        assert http.get(f"/threads/{thread}").json()["status"] == "error"


def test_a_browsers_page_is_let_in_from_where_it_was_allowed() -> None:
    settings = ServiceSettings(store="memory://", cors_origins=("https://chat.example",))
    with serving(parts, Options(settings=settings)) as served, httpx.Client(base_url=served.url) as http:
        asked = {"origin": "https://chat.example", "access-control-request-method": "POST",
                 "access-control-request-headers": "x-api-key"}  # fmt: skip
        preflight = http.options("/threads", headers=asked)
        answer = http.post("/threads", json={}, headers={"origin": "https://chat.example"})
        other = http.post("/threads", json={}, headers={"origin": "https://evil.example"})

    assert preflight.headers["access-control-allow-origin"] == "https://chat.example"
    assert "Content-Location" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("given", "words"),
    [(["triage"], "give name=module:attribute"), (["a=b"], "give name=module:attribute")],
)
def test_graphs_that_are_not_named_as_asked_are_refused(given: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        graphs_from(given, {})


def test_options_win_over_the_environment() -> None:
    told: dict[str, Any] = {
        "AGENT_STORE": "memory://",
        "AGENT_GRAPHS": "a=m:a, b=m:b",
        "AGENT_WEBHOOK_HOSTS": "A.com,b:80",
    }

    assert (store_from(None, told), store_from("sqlite:///x", told)) == ("memory://", "sqlite:///x")
    assert store_from(None, {}).startswith("sqlite:")
    assert graphs_from(["b=other:b"], told) == {"a": "m:a", "b": "other:b"}
    assert webhook_hosts_from(["C.com"], told) == ("a.com", "b:80", "c.com")
    with pytest.raises(SettingsError) as caught:
        ServiceSettings(store="mysql://user:secret@db")
    assert "secret" not in str(caught.value)
