"""Requests that cannot be used: refused in one string, never an error of ours, and nothing is kept that harms later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from agent_service.engine.graphs import GraphSource
from agent_service.store.opening import open_stores
from tests.agent_service.graphs import approval, steps
from tests.agent_service.server.stores import parts
from tests.agent_service.serving import Options, Parts, Served, serving

THREAD, RUN = "{thread}", "{run}"  # put in below
QUICK: dict[str, Any] = {"assistant_id": "steps", "input": {"done": []}}
NUL = "\0"


def nested(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = {"a": found}
    return found


RUNS = ("/runs", "/runs/wait", "/runs/stream", f"/threads/{THREAD}/runs", f"/threads/{THREAD}/runs/wait")
ANY = ("/threads", "/threads/search", "/threads/count", f"/threads/{THREAD}/state", f"/threads/{THREAD}/history", *RUNS)
BODIES: list[tuple[tuple[str, ...], Any]] = [
    (ANY, {"metadata": nested(300)}),
    (ANY, {"metadata": {"a": NUL}}),
    (ANY, {"metadata": {NUL: "a"}}),
    (("/threads", "/threads/search", f"/threads/{THREAD}/history", *RUNS), {**QUICK, "metadata": 5}),
    (("/threads/search", "/threads/count"), {"values": {"a": nested(300)}}),
    (("/threads/search", "/threads/count", "/assistants/search"), {"offset": 2**63}),
    (("/threads/search",), {"limit": -1}),
    (("/threads/search",), {"ids": ["x"]}),
    (("/threads",), {"thread_id": "x"}),
    (("/threads",), {"supersteps": [{"updates": [{"values": {"x": 1}, "as_node": "zz"}]}], "graph_id": "steps"}),
    (RUNS, {**QUICK, "webhook": "http://["}),
    (RUNS, {**QUICK, "webhook": "http://h:99999/"}),
    (RUNS, {**QUICK, "input": nested(300)}),
    (RUNS, {**QUICK, "input": {"name": NUL}}),
    (RUNS, {**QUICK, "checkpoint_id": "nope"}),
    (RUNS, {**QUICK, "checkpoint": {"checkpoint_id": "nope"}}),
    (RUNS, {**QUICK, "config": {"configurable": {"checkpoint_id": "nope"}}}),
    (RUNS, {**QUICK, "config": 5}),
    (RUNS, {**QUICK, "stream_mode": [5]}),
    (RUNS, {"assistant_id": "steps", "command": {}}),
    (RUNS, {"assistant_id": "steps", "command": {"resume": None, "update": None}}),
    (("/runs/cancel",), {"status": ""}),
    (("/runs/cancel",), {"status": []}),
    (("/runs/cancel",), {"status": {}}),
    (("/runs/cancel",), {}),
    (("/runs/cancel",), {"thread_id": THREAD, "run_ids": 5}),
    (("/runs/cancel",), {"thread_id": THREAD, "run_ids": ["x"]}),
    ((f"/threads/{THREAD}/history",), {"before": {"configurable": "x"}}),
    ((f"/threads/{THREAD}/history",), {"before": {"configurable": {"checkpoint_id": {}}}}),
    ((f"/threads/{THREAD}/history",), {"before": {"checkpoint_id": 7}}),
    ((f"/threads/{THREAD}/history",), {"metadata": {"a b'--": 1}}),
    (
        (f"/threads/{THREAD}/history", f"/threads/{THREAD}/state/checkpoint"),
        {"checkpoint": {"checkpoint_ns": {"a": 1}}},
    ),
    ((f"/threads/{THREAD}/state",), {"values": 5, "as_node": "a"}),
    ((f"/threads/{THREAD}/state",), {"values": {"done": 5}, "as_node": "a"}),
    ((f"/threads/{THREAD}/state",), {"values": {"x": 5}, "checkpoint_id": NUL}),
]
GETS = [
    f"/threads/{THREAD}/runs?limit=%C2%B2",
    f"/threads/{THREAD}/runs?limit={'9' * 5000}",
    f"/threads/{THREAD}/runs?offset={'9' * 30}",
    f"/threads/{THREAD}/runs?status=zz",
    f"/threads/{THREAD}/state/%00",
    f"/threads/{THREAD}/state/nope",
    f"/threads/{THREAD}/history?limit=x",
    "/assistants/steps/graph?xray=%C2%B2",
    "/assistants/nobody/graph",
    "/threads/nope/state",
]


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service on each kind of store for all requests: what one of them spoils, the others find."""
    kind = request.param
    if kind == "postgresql":
        url = f"{request.getfixturevalue('postgres_server')}/postgres"
    else:
        url = "memory://" if kind == "memory" else f"sqlite:///{tmp_path_factory.mktemp('refusals') / 'agent.db'}"

    async def kept() -> Parts:
        stores = open_stores(url)
        await stores.open()
        return Parts(stores.runs, stores.events, stores.checkpoints)

    with serving(kept) as found:
        yield found


def test_a_command_that_commands_nothing_is_refused_before_it_is_a_run(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=20) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        for command in ({}, {"resume": None}, {"update": None, "goto": None}):
            answer = http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "steps", "command": command})
            assert answer.status_code == 422
            assert "resume, update, goto" in answer.json()["detail"]
        falsy = http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "steps", "command": {"resume": False}})

        assert falsy.status_code != 422  # an answer like any other
        assert len(http.get(f"/threads/{thread}/runs").json()) == (falsy.status_code == 200)


def test_what_cannot_be_used_is_refused_in_one_string_and_spoils_nothing(served: Served) -> None:
    with httpx.Client(base_url=served.url, timeout=20) as http:
        thread = http.post("/threads", json={"metadata": {"mark": "kept"}}).json()["thread_id"]
        http.post(f"/threads/{thread}/runs/wait", json={**QUICK, "durability": "async"})
        before = http.post(f"/threads/{thread}/history", json={"limit": 100}).json()

        wrong: list[str] = []
        for paths, body in BODIES:
            content = json.dumps(body).replace(THREAD, thread)
            for path in paths:
                answer = http.post(path.replace(THREAD, thread), content=content)
                wrong += faults(f"POST {path} {content[:80]}", answer)
        for path in GETS:
            wrong += faults(f"GET {path[:80]}", http.get(path.replace(THREAD, thread)))
        run = http.get(f"/threads/{thread}/runs").json()[0]["run_id"]
        for last in ("x", "1_0", "9" * 30, "1.5", "-7"):
            answer = http.get(f"/threads/{thread}/runs/{run}/stream", headers={"last-event-id": last})
            wrong += faults(f"Last-Event-ID {last}", answer)
        after = http.post(f"/threads/{thread}/history", json={"limit": 100}).json()
        found = http.post("/threads/search", json={"metadata": {"mark": "kept"}}).json()
        listed = http.post("/threads/search", json={"limit": 1000}).status_code

    assert wrong == []
    assert after == before
    assert [each["thread_id"] for each in found] == [thread]
    assert listed == 200


def faults(asked: str, answer: httpx.Response) -> list[str]:
    """What is wrong with a refusal."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    if 400 <= answer.status_code < 500 and isinstance(detail, str) and detail:
        return []
    return [f"{asked}: {answer.status_code} {answer.text[:120]}"]


def test_a_thread_whose_state_is_refused_is_not_made(served: Served) -> None:
    thread = "7f3d6a5e-0000-4000-8000-000000000001"
    bad = {"supersteps": [{"updates": [{"values": {"x": 1}, "as_node": "zz"}]}], "graph_id": "steps"}
    with httpx.Client(base_url=served.url) as http:
        refused = http.post("/threads", json={"thread_id": thread, **bad})
        again = http.post("/threads", json={"thread_id": thread})

    assert (refused.status_code, again.status_code) == (422, 200)


def test_a_guarded_graph_that_is_the_only_one_guards_threads_without_a_graph_too() -> None:
    sources = (GraphSource("approval", approval(), is_guarded=True),)
    with serving(parts, Options(sources=sources)) as found, httpx.Client(base_url=found.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        written = http.post(f"/threads/{thread}/state", json={"values": {"answer": "mine"}, "as_node": "ask"})
        steps_of_it = {"supersteps": [{"updates": [{"values": {"answer": "x"}, "as_node": "ask"}]}]}
        made = http.post("/threads", json=steps_of_it)

    assert (written.status_code, made.status_code) == (403, 403)


def test_an_answer_to_one_graph_is_not_given_to_another() -> None:
    sources = (GraphSource("approval", approval()), GraphSource("steps", steps()))
    with serving(parts, Options(sources=sources)) as found, httpx.Client(base_url=found.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "approval", "input": {"question": "?"}})
        answer = {"command": {"resume": "yes"}}
        lost = http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "steps", **answer})
        given = http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "approval", **answer})

    assert (lost.status_code, "waits for an answer to approval" in lost.json()["detail"]) == (409, True)
    assert given.json()["answer"] == "yes"


def test_a_guarded_graph_takes_messages_and_decisions_and_nothing_else_writes_its_state() -> None:
    sources = (GraphSource("approval", approval(), is_guarded=True), GraphSource("steps", steps()))
    go = {"assistant_id": "approval", "command": {"goto": "ask"}}
    write = {"assistant_id": "approval", "command": {"update": {"answer": "mine"}}}
    with serving(parts, Options(sources=sources)) as found, httpx.Client(base_url=found.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        asked = http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "approval", "input": {"question": "?"}})
        refused = [
            *(http.post(f"/threads/{thread}/runs{kind}", json=body) for kind in ("", "/wait", "/stream")
              for body in (go, write)),
            *(http.post(f"/runs{kind}", json=body) for kind in ("", "/wait", "/stream") for body in (go, write)),
            http.post(f"/threads/{thread}/state", json={"values": {"answer": "mine"}, "as_node": "ask"}),
            http.post("/threads", json={
                "graph_id": "approval", "supersteps": [{"updates": [{"values": {"answer": "x"}, "as_node": "ask"}]}],
            }),
        ]  # fmt: skip
        other = http.post("/runs/wait", json={"assistant_id": "steps", "command": {"goto": "e"}})
        resumed = http.post(
            f"/threads/{thread}/runs/wait", json={"assistant_id": "approval", "command": {"resume": "yes"}}
        )

    assert asked.json()["__interrupt__"]
    assert {answer.status_code for answer in refused} == {403}
    assert all("its state cannot be written" in answer.json()["detail"] for answer in refused)
    assert other.status_code == 200
    assert resumed.json()["answer"] == "yes"
