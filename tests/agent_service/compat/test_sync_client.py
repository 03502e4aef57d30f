"""The official synchronous client and RemoteGraph against the service, on every kind of store."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_client, get_sync_client

from tests.agent_service.serving import Served
from tests.coroutines import run_apart

HELLO: Any = {"messages": [{"role": "user", "content": "hello"}]}


def a_client(served: Served) -> Any:
    return get_sync_client(url=served.url)


def test_the_synchronous_client_makes_the_round(served: Served) -> None:
    with a_client(served) as client:
        thread_id = client.threads.create(metadata={"a": 1})["thread_id"]

        assert client.runs.wait(thread_id, "steps", input={"done": []}) == {"done": [*"abcde"]}
        events = [
            part.event for part in client.runs.stream(thread_id, "talk", input=HELLO, stream_mode="messages-tuple")
        ]
        run = client.runs.create(thread_id, "steps", input={})
        joined = client.runs.join(thread_id, run["run_id"])
        again = [part.event for part in client.runs.join_stream(thread_id, run["run_id"])]

        assert (events[0], events[-1], set(events[1:-1])) == ("metadata", "end", {"messages"})
        assert joined["done"] == [*"abcdeabcde"]
        assert (again[0], again[-1]) == ("metadata", "end")
        assert client.threads.get_state(thread_id)["next"] == []
        assert len(client.threads.get_history(thread_id)) == 3
        assert client.threads.search(metadata={"a": 1})[0]["thread_id"] == thread_id
        assert [each["graph_id"] for each in client.assistants.search(graph_id="talk")] == ["talk"]


@pytest.mark.parametrize("assistant", ["steps", "id"])
def test_a_remote_graph_is_used_like_a_local_one(served: Served, assistant: str) -> None:
    with a_client(served) as client:
        if assistant == "id":
            assistant = client.assistants.search(graph_id="steps")[0]["assistant_id"]
        graph = RemoteGraph(assistant, sync_client=client)
        thread_id = client.threads.create()["thread_id"]
        config: Any = {"configurable": {"thread_id": thread_id}}

        assert graph.invoke({"done": []}, config) == {"done": [*"abcde"]}
        assert [next(iter(update)) for update in graph.stream({}, config, stream_mode="updates")] == [*"abcde"]
        assert graph.get_state(config).values["done"] == [*"abcdeabcde"]
        assert len(list(graph.get_state_history(config, limit=10))) == 2
        graph.update_state(config, {"name": "x"}, as_node="e")
        assert graph.get_state(config).values["name"] == "x"
        assert set(graph.get_graph().nodes) == {"__start__", *"abcde", "__end__"}
        assert graph.invoke({"done": ["fresh"]}) == {"done": ["fresh", *"abcde"]}  # without a thread


def test_a_remote_graph_asks_a_person_and_goes_on(served: Served) -> None:
    async def test() -> None:
        async with get_client(url=served.url) as client:
            graph = RemoteGraph("approval", client=client)
            thread_id = (await client.threads.create())["thread_id"]
            config: Any = {"configurable": {"thread_id": thread_id}}

            asked = await graph.ainvoke({"question": "go?"}, config)
            state = await graph.aget_state(config)
            answered = [chunk async for chunk in graph.astream(Command(resume="yes"), config, stream_mode="values")]
            history = [each.next async for each in graph.aget_state_history(config)]
            nodes = set((await graph.aget_graph()).nodes)

        assert asked["__interrupt__"][0]["value"] == {"question": "go?"}
        assert (state.next, state.tasks[0].interrupts[0].value) == (("ask",), {"question": "go?"})
        assert answered[-1] == {"question": "go?", "answer": "yes"}
        assert history == [(), ("ask",)]
        assert nodes == {"__start__", "ask", "__end__"}

    run_apart(test())
