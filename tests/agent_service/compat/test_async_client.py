"""The official asynchronous client against the service, on every kind of store."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from tests.agent_service.graphs import PERFORMED
from tests.agent_service.serving import Served
from tests.coroutines import run_apart

Client = Any  # its own types know no state that is a list of words

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
SLOW = {"seconds": 20.0}


def with_client(served: Served, test: Callable[[Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), get_client(url=served.url) as client:
            await test(client)

    run_apart(main())


async def until_status(client: Client, thread_id: str, run_id: str, wanted: str) -> None:
    """Ask again and again; whoever calls this has a deadline."""
    for _ in itertools.count():
        if (await client.runs.get(thread_id, run_id))["status"] == wanted:
            return
        await asyncio.sleep(0.01)


async def until_it_has_begun(client: Client, thread_id: str, run_id: str) -> None:
    """The graph has taken its input, not only a slot."""
    stream = client.runs.join_stream(thread_id, run_id)
    async for part in stream:
        if part.event == "values":
            break
    await stream.aclose()


async def parts_of(stream: Any) -> list[tuple[str, Any]]:
    return [(part.event, part.data) async for part in stream]


def test_assistants_are_found_counted_and_described(served: Served) -> None:
    async def test(client: Client) -> None:
        found = await client.assistants.search()
        assert {each["graph_id"] for each in found} == {"steps", "talk", "approval", "failing", "nested"}
        page = await client.assistants.search(limit=2, response_format="object")
        assert (len(page["assistants"]), page["next"]) == (2, "2")
        one = (await client.assistants.search(graph_id="steps"))[0]
        assert await client.assistants.get(one["assistant_id"]) == one
        assert await client.assistants.get("steps") == one
        assert await client.assistants.count() == 5
        graph = await client.assistants.get_graph("steps")
        assert {node["id"] for node in graph["nodes"]} >= {"__start__", "a", "e", "__end__"}
        inside = await client.assistants.get_graph("nested", xray=True)
        assert any("inner:a" in str(node["id"]) for node in inside["nodes"])
        schemas = await client.assistants.get_schemas("steps")
        assert "done" in schemas["input_schema"]["properties"]
        with pytest.raises(NotFoundError, match="there is no assistant"):
            await client.assistants.get(str(uuid.uuid4()))

    with_client(served, test)


def test_threads_are_made_found_changed_copied_and_deleted(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = str(uuid.uuid4())
        made = await client.threads.create(thread_id=thread_id, metadata={"team": "a"})
        assert (made["thread_id"], made["status"], made["values"]) == (thread_id, "idle", None)
        with pytest.raises(ConflictError, match="exists already"):
            await client.threads.create(thread_id=thread_id)
        assert (await client.threads.create(thread_id=thread_id, if_exists="do_nothing")) == made
        await client.threads.update(thread_id, metadata={"more": 1})
        assert (await client.threads.get(thread_id))["metadata"] == {"team": "a", "more": 1}
        assert await client.threads.count(metadata={"team": "a"}) == 1
        assert [each["thread_id"] for each in await client.threads.search(metadata={"team": "a"})] == [thread_id]
        await client.runs.wait(thread_id, "steps", input={"done": ["x"]})
        await client.threads.copy(thread_id)
        copies = [each for each in await client.threads.search() if each["thread_id"] != thread_id]
        state = await client.threads.get_state(copies[0]["thread_id"])
        assert state["values"]["done"] == ["x", *"abcde"]
        await client.threads.delete(thread_id)
        with pytest.raises(NotFoundError):
            await client.threads.get(thread_id)

    with_client(served, test)


def test_a_run_is_waited_for_and_its_thread_remembers(served: Served) -> None:
    async def test(client: Client) -> None:
        thread = await client.threads.create()

        first = await client.runs.wait(thread["thread_id"], "steps", input={"done": ["x"]})
        second = await client.runs.wait(thread["thread_id"], "steps", input={})

        assert first == {"done": ["x", *"abcde"]}
        assert second == {"done": ["x", *"abcde", *"abcde"]}
        known = await client.threads.get(thread["thread_id"])
        assert (known["status"], known["values"]) == ("idle", second)
        assert known["metadata"]["graph_id"] == "steps"

    with_client(served, test)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_a_run_keeps_as_many_checkpoints_as_its_durability_asks(served: Served, durability: Any) -> None:
    async def test(client: Client) -> None:
        thread = await client.threads.create()
        await client.runs.wait(thread["thread_id"], "steps", input={"done": []}, durability=durability)

        history = await client.threads.get_history(thread["thread_id"], limit=100)

        assert len(history) == (1 if durability == "exit" else 7)
        assert history[0]["values"]["done"] == [*"abcde"]
        assert [each["next"] for each in history][:2] == ([[]] if durability == "exit" else [[], ["e"]])

    with_client(served, test)


def test_a_background_run_is_listed_joined_and_gotten(served: Served) -> None:
    async def test(client: Client) -> None:
        thread = await client.threads.create()
        run = await client.runs.create(thread["thread_id"], "steps", input={"done": []}, metadata={"why": "test"})
        assert run["status"] in ("pending", "running")
        assert run["metadata"]["why"] == "test"

        assert await client.runs.join(thread["thread_id"], run["run_id"]) == {"done": [*"abcde"]}

        known = await client.runs.get(thread["thread_id"], run["run_id"])
        assert (known["status"], known["run_id"]) == ("success", run["run_id"])
        assert await client.runs.list(thread["thread_id"]) == [known]
        assert await client.runs.list(thread["thread_id"], status="error") == []
        assert await client.runs.join(thread["thread_id"], run["run_id"]) == {"done": [*"abcde"]}
        await client.runs.delete(thread["thread_id"], run["run_id"])
        with pytest.raises(NotFoundError):
            await client.runs.get(thread["thread_id"], run["run_id"])

    with_client(served, test)


def test_a_stream_carries_the_modes_that_were_asked_for(served: Served) -> None:
    async def test(client: Client) -> None:
        thread = await client.threads.create()
        modes: Any = ["values", "updates", "messages-tuple", "custom", "tasks", "checkpoints", "debug"]

        parts = await parts_of(client.runs.stream(thread["thread_id"], "talk", input=HELLO, stream_mode=modes))

        names = [name for name, _ in parts]
        assert names[0] == "metadata"
        assert names[-1] == "end"
        assert set(names) == {
            "metadata", "values", "updates", "messages", "custom", "tasks", "checkpoints", "debug", "end",
        }  # fmt: skip
        tokens = [data[0]["content"] for name, data in parts if name == "messages"]
        assert "".join(tokens) == "".join(f"word{number} " for number in range(12))
        assert all(data[0]["type"] == "AIMessageChunk" for name, data in parts if name == "messages")
        assert ("custom", {"mood": "talkative"}) in parts
        assert "__pregel" not in str([data for name, data in parts if name in ("checkpoints", "debug")])

    with_client(served, test)


def test_accumulated_messages_are_partial_until_they_are_whole(served: Served) -> None:
    async def test(client: Client) -> None:
        thread = await client.threads.create()

        parts = await parts_of(client.runs.stream(thread["thread_id"], "talk", input=HELLO, stream_mode="messages"))

        assert [name for name, _ in parts][:3] == ["metadata", "messages/metadata", "messages/partial"]
        partial = [data[0]["content"] for name, data in parts if name == "messages/partial"]
        assert partial[0] == "word0 "
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(partial))
        assert {data[0]["type"] for name, data in parts if name == "messages/partial"} == {"ai"}

    with_client(served, test)


def test_subgraphs_are_streamed_with_their_names(served: Served) -> None:
    async def test(client: Client) -> None:
        thread = await client.threads.create()

        stream = client.runs.stream(
            thread["thread_id"], "nested", input={"done": []}, stream_mode="updates", stream_subgraphs=True
        )
        names = [name for name, _ in await parts_of(stream)]

        assert sum(name.startswith("updates|inner:") for name in names) == 5
        assert names.count("updates") == 1

    with_client(served, test)


def test_a_run_that_asks_a_person_succeeds_and_its_thread_waits(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]

        asked: Any = await client.runs.wait(thread_id, "approval", input={"question": "go?"})

        assert asked["__interrupt__"][0]["value"] == {"question": "go?"}
        thread = await client.threads.get(thread_id)
        assert thread["status"] == "interrupted"
        assert [each["value"] for waiting in thread["interrupts"].values() for each in waiting] == [{"question": "go?"}]
        assert (await client.runs.list(thread_id))[0]["status"] == "success"
        state = await client.threads.get_state(thread_id)
        assert (state["next"], state["tasks"][0]["interrupts"][0]["value"]) == (["ask"], {"question": "go?"})

        answered = await client.runs.wait(thread_id, "approval", command={"resume": "yes"})

        assert answered == {"question": "go?", "answer": "yes"}
        assert (await client.threads.get(thread_id))["status"] == "idle"

    with_client(served, test)


def test_a_stream_tells_of_an_interrupt_in_its_updates(served: Served) -> None:
    async def test(client: Client) -> None:
        thread = await client.threads.create()

        stream = client.runs.stream(thread["thread_id"], "approval", input={"question": "go?"}, stream_mode="updates")
        parts = dict(await parts_of(stream))

        assert parts["updates"]["__interrupt__"][0]["value"] == {"question": "go?"}
        assert parts["end"]["status"] == "success"

    with_client(served, test)


def test_a_run_stops_before_and_after_nodes_and_goes_on(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]

        await client.runs.wait(thread_id, "steps", input={"done": []}, interrupt_before=["c"])
        before = await client.threads.get_state(thread_id)
        await client.runs.wait(thread_id, "steps", input=None, interrupt_after=["c"])
        after = await client.threads.get_state(thread_id)

        assert (before["next"], after["next"]) == (["c"], ["d"])
        assert (await client.threads.get(thread_id))["status"] == "interrupted"
        assert await client.runs.wait(thread_id, "steps", input=None) == {"done": [*"abcde"]}

    with_client(served, test)


def test_state_is_changed_by_hand_and_its_history_is_kept(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        empty = await client.threads.get_state(thread_id)
        assert (empty["values"], empty["next"], empty["checkpoint"]) == ({}, [], None)
        await client.runs.wait(thread_id, "steps", input={"name": "one"}, durability="async")

        written = await client.threads.update_state(thread_id, {"name": "two"}, as_node="e")

        state = await client.threads.get_state(thread_id)
        assert state["values"]["name"] == "two"
        assert state["checkpoint"]["checkpoint_id"] == written["checkpoint"]["checkpoint_id"]
        assert (await client.threads.get(thread_id))["values"]["name"] == "two"
        history = await client.threads.get_history(thread_id, limit=3)
        assert [each["values"]["name"] for each in history] == ["two", "one", "one"]
        earlier = await client.threads.get_state(thread_id, checkpoint_id=history[1]["checkpoint"]["checkpoint_id"])
        assert earlier["values"] == history[1]["values"]
        same = await client.threads.get_state(thread_id, checkpoint=history[1]["checkpoint"])
        assert same["values"] == history[1]["values"]
        older = await client.threads.get_history(thread_id, before=history[1]["checkpoint"])
        assert older[0]["checkpoint"] == history[2]["checkpoint"]
        with pytest.raises(UnprocessableEntityError, match="refuses this update"):
            await client.threads.update_state(thread_id, {"name": "x"}, as_node="nobody")

    with_client(served, test)


def test_a_run_goes_on_from_an_earlier_checkpoint(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, "steps", input={"done": []}, durability="async")
        history = await client.threads.get_history(thread_id, limit=100)
        after_b = next(each for each in history if each["next"] == ["c"])

        forked = await client.runs.wait(thread_id, "steps", input=None, checkpoint=after_b["checkpoint"])

        assert forked == {"done": [*"abcde"]}
        assert len(await client.threads.get_history(thread_id, limit=100)) > len(history)

    with_client(served, test)


def test_a_stateless_run_leaves_no_thread_unless_it_is_to_be_kept(served: Served) -> None:
    async def test(client: Client) -> None:
        assert await client.runs.wait(None, "steps", input={"done": []}) == {"done": [*"abcde"]}
        parts = await parts_of(client.runs.stream(None, "talk", input=HELLO, stream_mode="updates"))
        assert [name for name, _ in parts] == ["metadata", "updates", "end"]
        assert await client.threads.search() == []

        await client.runs.wait(None, "steps", input={"done": []}, on_completion="keep")

        assert len(await client.threads.search()) == 1

    with_client(served, test)


def test_a_failed_run_says_why_and_leaves_its_thread_in_error(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]

        told: Any = await client.runs.wait(thread_id, "failing", input={"name": "x"}, raise_error=False)
        with pytest.raises(Exception, match="no luck with y"):
            await client.runs.wait(thread_id, "failing", input={"name": "y"})

        assert told["__error__"] == {"error": "ValueError", "message": "no luck with x"}
        assert (await client.threads.get(thread_id))["status"] == "error"
        assert {run["status"] for run in await client.runs.list(thread_id)} == {"error"}

    with_client(served, test)


def test_what_cannot_be_done_is_refused_with_words(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        with pytest.raises(UnprocessableEntityError, match="is not served here; there are: steps"):
            await client.runs.create(thread_id, "nobody", input={})
        with pytest.raises(NotFoundError, match="if_not_exists: create"):
            await client.runs.create(str(uuid.uuid4()), "steps", input={})
        with pytest.raises(UnprocessableEntityError, match="must be a UUID"):
            await client.threads.get("nonsense")
        with pytest.raises(UnprocessableEntityError, match="stream_mode events is not served"):
            await parts_of(client.runs.stream(thread_id, "steps", input={}, stream_mode="events"))
        made = await client.runs.wait(str(uuid.uuid4()), "steps", input={"done": []}, if_not_exists="create")
        assert made == {"done": [*"abcde"]}

    with_client(served, test)


def test_a_cancelled_run_is_interrupted_and_keeps_what_it_did(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, "steps", input={**SLOW, "name": "kept"})
        await until_it_has_begun(client, thread_id, run["run_id"])

        await client.runs.cancel(thread_id, run["run_id"], wait=True)

        assert (await client.runs.get(thread_id, run["run_id"]))["status"] == "interrupted"
        assert (await client.threads.get(thread_id))["status"] == "idle"
        assert (await client.threads.get_state(thread_id))["values"]["name"] == "kept"
        with pytest.raises(NotFoundError, match="nothing to cancel"):
            await client.runs.cancel(thread_id, run["run_id"])

    with_client(served, test)


def test_a_rolled_back_run_never_was(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread_id, "steps", input={"name": "before"})
        run = await client.runs.create(thread_id, "steps", input={**SLOW, "name": "after"}, durability="sync")
        await until_status(client, thread_id, run["run_id"], "running")

        await client.runs.cancel(thread_id, run["run_id"], wait=True, action="rollback")

        with pytest.raises(NotFoundError):
            await client.runs.get(thread_id, run["run_id"])
        assert (await client.threads.get_state(thread_id))["values"]["name"] == "before"

    with_client(served, test)


def test_runs_are_cancelled_together(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        runs = [await client.runs.create(thread_id, "steps", input=SLOW) for _ in range(3)]

        await client.runs.cancel_many(thread_id=thread_id, run_ids=[run["run_id"] for run in runs])

        for run in runs:
            await until_status(client, thread_id, run["run_id"], "interrupted")
        with pytest.raises(NotFoundError):
            await client.runs.cancel_many(status="all")

    with_client(served, test)


def test_a_second_run_is_rejected_queued_or_takes_over(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        first = await client.runs.create(thread_id, "steps", input={**SLOW, "name": "first"})
        with pytest.raises(ConflictError, match="multitask_strategy is reject"):
            await client.runs.create(thread_id, "steps", input={}, multitask_strategy="reject")
        queued = await client.runs.create(thread_id, "steps", input={"seconds": 0.0}, multitask_strategy="enqueue")
        assert queued["status"] == "pending"

        taken: Any = await client.runs.wait(
            thread_id, "steps", input={"seconds": 0.0, "done": ["last"]}, multitask_strategy="interrupt"
        )

        assert taken["done"] == ["last", *"abcde"]
        assert (await client.runs.get(thread_id, first["run_id"]))["status"] == "interrupted"
        assert (await client.runs.get(thread_id, queued["run_id"]))["status"] == "interrupted"

        again = await client.runs.create(thread_id, "steps", input={**SLOW, "name": "gone"})
        await until_status(client, thread_id, again["run_id"], "running")
        rolled: Any = await client.runs.wait(thread_id, "steps", input={"seconds": 0.0}, multitask_strategy="rollback")
        assert rolled["name"] == "first"
        with pytest.raises(NotFoundError):
            await client.runs.get(thread_id, again["run_id"])

    with_client(served, test)


def test_queued_runs_of_a_thread_go_in_order(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        runs = [
            await client.runs.create(thread_id, "steps", input={"done": [str(number)], "seconds": 0.005})
            for number in range(4)
        ]

        results = [await client.runs.join(thread_id, run["run_id"]) for run in runs]

        assert [len(result["done"]) for result in results] == [6, 12, 18, 24]
        marks = [each for each in results[-1]["done"] if each.isdigit()]
        assert marks == ["0", "1", "2", "3"]

    with_client(served, test)


def test_a_key_makes_one_run_however_often_it_is_sent(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id, name = (await client.threads.create())["thread_id"], str(uuid.uuid4())
        headers = {"Idempotency-Key": "only-once"}

        runs = [await client.runs.create(thread_id, "steps", input={"name": name}, headers=headers) for _ in range(3)]
        await client.runs.join(thread_id, runs[0]["run_id"])

        assert len({run["run_id"] for run in runs}) == 1
        assert PERFORMED[(name, "a")] == 1

    with_client(served, test)


def test_a_run_begins_after_its_delay_and_not_before(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        late = await client.runs.create(thread_id, "steps", input={"done": ["late"]}, after_seconds=1)

        soon: Any = await client.runs.wait(thread_id, "steps", input={"done": ["soon"]})
        both: Any = await client.runs.join(thread_id, late["run_id"])

        assert soon["done"][0] == "soon"
        assert "late" not in soon["done"]
        assert both["done"].index("late") > both["done"].index("soon")

    with_client(served, test)


def test_a_client_that_goes_away_cancels_the_run_where_it_said_so(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        stream = client.runs.stream(thread_id, "steps", input=SLOW, on_disconnect="cancel")
        async for _ in stream:
            break
        await stream.aclose()
        (run,) = await client.runs.list(thread_id)

        await until_status(client, thread_id, run["run_id"], "interrupted")

        stream = client.runs.stream(thread_id, "steps", input={"seconds": 0.05}, on_disconnect="continue")
        async for _ in stream:
            break
        await stream.aclose()
        run = (await client.runs.list(thread_id))[0]
        await until_status(client, thread_id, run["run_id"], "success")

    with_client(served, test)


def test_a_finished_stream_is_replayed_from_any_event(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread_id, "talk", input=HELLO, stream_mode=["messages-tuple", "updates"])
        await client.runs.join(thread_id, run["run_id"])

        async def ids(last: str | None, mode: Any = None) -> list[tuple[str, str | None]]:
            stream = client.runs.join_stream(thread_id, run["run_id"], last_event_id=last, stream_mode=mode)
            return [(part.event, part.id) async for part in stream]

        whole = await ids("0")
        assert [int(seq or 0) for _, seq in whole] == list(range(1, len(whole) + 1))
        assert whole[-1][0] == "end"
        assert await ids("5") == whole[5:]
        assert await ids(None) == whole
        assert {name for name, _ in await ids("0", "updates")} == {"metadata", "updates", "end"}

    with_client(served, test)


def test_the_second_version_of_streams_works_too(served: Served) -> None:
    async def test(client: Client) -> None:
        thread_id = (await client.threads.create())["thread_id"]

        stream = client.runs.stream(thread_id, "steps", input={"done": []}, stream_mode="updates", version="v2")
        told = [part async for part in stream]

        assert [part["type"] for part in told if part["type"] == "updates"] == ["updates"] * 5

    with_client(served, test)


def test_errors_of_the_framework_are_one_string_too(served: Served) -> None:
    async def test(_: Client) -> None:
        async with httpx.AsyncClient(base_url=served.url) as http:
            nowhere = await http.get("/nowhere")
            wrong = await http.put("/threads")
            broken = await http.post("/threads", content=b"{")
            redirected = await http.post("/threads/", json={})

        assert [answer.status_code for answer in (nowhere, wrong, broken, redirected)] == [404, 405, 422, 404]
        assert all(isinstance(answer.json()["detail"], str) for answer in (nowhere, wrong, broken, redirected))

    with_client(served, test)
