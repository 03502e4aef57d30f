"""The assistant behind the server's API: what a client of it sees of questions, answers and the thread between them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from langgraph_sdk import get_client
from typer.testing import CliRunner

from agent_service.assistant.graph import assistant_graph
from agent_service.assistant.looking.sources import Sources
from agent_service.chat import chat
from agent_service.engine.graphs import GraphSource
from agent_service.store.opening import open_stores
from tests.agent_service.assistant.approving import ALLOWED, APPROVE
from tests.agent_service.assistant.world import PATH, Cluster, World
from tests.agent_service.serving import Options, Parts, serving
from tests.coroutines import run_apart

NAME = "operations"
MAYBE: dict[str, Any] = {"resume": {"decisions": [{"type": "maybe"}]}}
APPROVED: dict[str, Any] = {"resume": {"decisions": [APPROVE]}}


def asking(question: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}]}


def on_server(
    url: str, world: World, test: Callable[[Any], Awaitable[None]], answer: Callable[[httpx.Request], Any] | None = None
) -> None:
    """answer: of the sources, instead of the world's."""
    sources = Sources(world.settings(), transport=httpx.MockTransport(answer or world.answer))
    graph = assistant_graph(world.settings(), sources=sources, now=lambda: world.now)

    async def kept() -> Parts:
        stores = open_stores(url)
        await stores.open()
        return Parts(stores.runs, stores.events, stores.checkpoints)

    async def main(served_at: str) -> None:
        async with asyncio.timeout(60), get_client(url=served_at) as client:
            await test(client)

    with serving(kept, Options(sources=(GraphSource(NAME, graph, is_guarded=True),))) as served:
        run_apart(main(served.url))


def typed(world: World, text: str) -> str:
    """What `forescale agent chat` shows of a change that is asked for, when this is typed."""
    shown: list[str] = []
    app = typer.Typer()
    app.command()(chat)

    async def test(client: Any) -> None:
        url = str(client.http.client.base_url).rstrip("/")
        words = ["--url", url, "--allow-actions", "set max replicas of shop/agent to 12"]
        shown.append((await asyncio.to_thread(CliRunner().invoke, app, words, input=text)).output)

    on_server("memory://", world, test)
    return shown[0]


def edits(*values: int) -> str:
    return "".join(f'e\n{{"value": {value}}}\n' for value in values)


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'agent.db'}"


async def proposed(client: Any, durability: str = "exit") -> str:
    """A thread that waits for a decision."""
    thread: str = (await client.threads.create())["thread_id"]
    question = asking("set max replicas of shop/agent to 12")
    await client.runs.wait(thread, NAME, input=question, context=ALLOWED, durability=durability)
    return thread


def described(interrupts: Any) -> str:
    """Of the only question."""
    (interrupt,) = interrupts
    return str(interrupt["value"]["action_requests"][0]["description"])


async def waits_with(client: Any, thread: str) -> str:
    """What the thread, its state and its history agree to ask."""
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted"
    (asked,) = found["interrupts"].values()
    state = await client.threads.get_state(thread)
    assert state["next"] == ["approve"]
    newest = (await client.threads.get_history(thread))[0]
    told = {described(each) for each in (asked, state["tasks"][0]["interrupts"], newest["tasks"][0]["interrupts"])}
    (description,) = told
    return description


@pytest.mark.parametrize("durability", ["exit", "async"])
def test_a_client_sees_the_second_question_wherever_it_looks(url: str, durability: str) -> None:
    world = World({PATH: Cluster(bounds={"maxReplicas": 9})})

    async def test(client: Any) -> None:
        thread = await proposed(client, durability)
        first = await waits_with(client, thread)
        how: dict[str, Any] = {"context": ALLOWED, "durability": durability}
        waited = await client.runs.wait(thread, NAME, command=MAYBE, **how)
        assert "'maybe'" in described(waited["__interrupt__"])
        assert await waits_with(client, thread) == described(waited["__interrupt__"])
        stream = client.runs.stream(thread, NAME, command={"resume": "yes"}, stream_mode="updates", **how)
        updates = [part.data async for part in stream if part.event == "updates"]
        assert [list(each) for each in updates] == [["approve"], ["__interrupt__"]]
        assert "one decision" in described(updates[-1]["__interrupt__"])
        history = [each for each in await client.threads.get_history(thread) if each["tasks"]]
        asked = [described(each["tasks"][0]["interrupts"]) for each in history if each["next"] == ["approve"]]
        assert ["one decision" in asked[0], "'maybe'" in asked[1], asked[2] == first] == [True] * 3
        (by_id,) = updates[-1]["__interrupt__"]
        named = {"resume": {by_id["id"]: APPROVED["resume"]}}
        end = await client.runs.wait(thread, NAME, command=named, **how)
        assert end["messages"][-1]["content"].startswith("Max replicas of shop/agent is 12 now")
        assert (await client.threads.get(thread))["status"] == "idle"

    on_server(url, world, test)


@pytest.mark.parametrize("durability", ["exit", "async"])
def test_a_rolled_back_answer_brings_the_question_back_that_it_answered(url: str, durability: str) -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})
    world = World({PATH: cluster})
    must_hang, hangs = threading.Event(), threading.Event()  # of the service's loop and the test's

    async def answer(request: httpx.Request) -> httpx.Response:
        if must_hang.is_set() and request.url.path == PATH:
            hangs.set()
            await asyncio.Event().wait()
        return world.answer(request)

    async def test(client: Any) -> None:
        thread = await proposed(client, durability)
        how: dict[str, Any] = {"context": ALLOWED, "durability": durability}
        await client.runs.wait(thread, NAME, command=MAYBE, **how)
        second = await waits_with(client, thread)
        must_hang.set()
        run = await client.runs.create(thread, NAME, command=APPROVED, **how)
        await asyncio.to_thread(hangs.wait, 20)
        await client.runs.cancel(thread, run["run_id"], wait=True, action="rollback")
        must_hang.clear()
        assert await waits_with(client, thread) == second
        for last in (False, True):
            asked = await client.runs.wait(thread, NAME, command=MAYBE, **how)
            assert ("last time" in described(asked["__interrupt__"])) is last
        end = await client.runs.wait(thread, NAME, command=MAYBE, **how)
        assert "Nothing was changed: 'maybe'" in end["messages"][-1]["content"]

    on_server(url, world, test, answer)
    assert cluster.patches == []


def test_a_thread_remembers_its_workload_and_a_run_without_one_does_not(url: str) -> None:
    known = [{"namespace": "shop", "name": name, "acts": True, "floor": 1, "reason": "x"} for name in ("agent", "web")]
    world = World({"/v1/resources": {"resources": known}})

    async def test(client: Any) -> None:
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, NAME, input=asking("status of shop/agent"))
        again = await client.runs.wait(thread, NAME, input=asking("why did it scale?"))
        assert again["messages"][-1]["content"].startswith("About shop/agent, as before.")
        for alone in (asking("why did it scale?"), asking("why did it scale?") | {"about": "shop/web"}):
            answer = await client.runs.wait(None, NAME, input=alone)
            assert "Which workload: shop/agent, shop/web" in answer["messages"][-1]["content"]
        written: tuple[Any, ...] = (5, ["x"], {"a": {}}, "shop/web")
        for about in written:  # beside a question: not remembered, and nothing fails
            told = asking("why did it scale?") | {"about": about, "mistakes": about, "question": about}
            answer = await client.runs.wait(thread, NAME, input=told)
            assert answer["messages"][-1]["content"].startswith("About shop/agent, as before.")
        copy = (await client.threads.copy(thread))["thread_id"]
        answer = await client.runs.wait(copy, NAME, input=asking("why did it scale?"))
        assert answer["messages"][-1]["content"].startswith("About shop/agent, as before.")

    on_server(url, world, test)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def edited(value: str) -> str:
    return (
        f'{{"decisions": [{{"type": "edit", "edited_action": {{"name": "set_field", "args": {{"value": {value}}}}}}}]}}'
    )


ASKED_AGAIN = [
    '"yes"', '"approve"', "5", "true", "false", '""', "[]", '[{"type": "approve"}]', '{"x": {"type": "approve"}}',
    '{"decisions": null}', '{"decisions": {}}', '{"decisions": []}', '{"decisions": [null]}',
    '{"decisions": "approve"}', '{"decisions": [[{"type": "approve"}]]}', json.dumps({"decisions": [APPROVE] * 2000}),
    '{"decisions": [{"type": "approve"}, {"type": "reject"}]}', '{"decisions": [{"type": "APPROVE"}]}',
    '{"decisions": [{"type": ["approve"]}]}', '{"decisions": [{"type": "\\u0430pprove"}]}',  # a Cyrillic a
    '{"decisions": [{"type": "\\u001b[2J"}]}', json.dumps({"decisions": [{"type": "x" * 900_000}]}),
    json.dumps({"decisions": [{"type": nested(40)}]}), '{"decisions": [{"type": "edit", "edited_action": []}]}',
    '{"decisions": [{"type": "edit", "edited_action": {"name": ["set_field"], "args": {"value": 3}}}]}',
    '{"decisions": [{"type": "edit", "edited_action": {"args": {"field": {"a": 1}, "value": 3}}}]}',
    '{"decisions": [{"type": "approve", "edited_action": {"args": {"value": 3}}}]}',
    *(edited(value) for value in ('"12"', "null", "[12]", "true", "-1", "1.5", "2147483648", "1e308")),
]  # fmt: skip
REFUSED = [
    *(edited(value) for value in ("NaN", "Infinity", "1e400", "1" + 400 * "0")),
    '{"decisions": [{"type": "\\ud800"}]}', '{"decisions": [{"type": "\\u0000"}]}', json.dumps(nested(100)),
    json.dumps({"decisions": [{"type": "x" * 2_000_000}]}),
]  # fmt: skip


def test_no_answer_is_too_strange_to_be_asked_for_again_or_refused(url: str) -> None:
    cluster = Cluster()

    async def answered(client: Any, thread: str, raw: str) -> httpx.Response:
        body = f'{{"assistant_id": "{NAME}", "context": {{"allow_actions": true}}, "command": {{"resume": {raw}}}}}'
        path, json_body = f"/threads/{thread}/runs/wait", {"content-type": "application/json"}
        found: httpx.Response = await client.http.client.post(path, content=body, headers=json_body)
        return found

    async def test(client: Any) -> None:
        thread = await proposed(client)
        for number, raw in enumerate(ASKED_AGAIN, start=1):
            response = await answered(client, thread, raw)
            (asked,) = response.json()["__interrupt__"]
            assert "Nothing was changed. The last answer cannot be used: " in described([asked]), raw[:80]
            if number % 3 == 0:  # it asks three times again
                thread = await proposed(client)
        before = await waits_with(client, thread)
        for raw in REFUSED:
            assert (await answered(client, thread, raw)).status_code in (413, 422), raw[:80]
            assert await waits_with(client, thread) == before
        end = await client.runs.wait(
            thread, NAME, command={"resume": {"decisions": [{"type": "reject"}]}}, context=ALLOWED
        )
        assert end["messages"][-1]["content"].startswith("Nothing was changed: you rejected it.")

    on_server(url, World({PATH: cluster}), test)
    assert cluster.patches == []


def test_in_a_terminal_the_question_comes_again_with_what_was_wrong() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    shown = typed(World({PATH: cluster}), f"{edits(-1)}a\n")

    wrong, again = shown.index("max replicas is a whole number"), shown.rindex("It proposes set_field")
    assert shown.index("It proposes set_field") < again < wrong < shown.index("Max replicas of shop/agent is 12 now")
    assert len(cluster.patches) == 1


def test_in_a_terminal_it_does_not_come_for_ever() -> None:
    cluster = Cluster()

    shown = typed(World({PATH: cluster}), edits(-1, -2, -3, -4, -5, -6))

    assert shown.count("It proposes set_field") == 4
    assert "Nothing was changed: max replicas is a whole number" in shown
    assert cluster.patches == []


def test_whoever_leaves_the_question_that_came_again_is_told_that_it_waits() -> None:
    shown = typed(World({PATH: Cluster()}), edits(-1))

    assert shown.count("It proposes set_field") == 2
    assert "It still waits for your decision, until it expires: forescale agent chat --url" in shown
