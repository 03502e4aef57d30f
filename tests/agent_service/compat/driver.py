"""Every core call of the official client, one step each, against whatever serves at a URL; prints what came as JSON.

    python tests/agent_service/compat/driver.py URL

Imports the client and nothing of ours, so that any version of the client can run it, and so that the same steps can be
asked of another server.  The server has the graphs of `tests/agent_service/graphs.py`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_client, get_sync_client

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
SLOW = {"done": [], "seconds": 20.0}
DONE = {"done": [*"abcde"]}
WORDS = "".join(f"word{number} " for number in range(12))
_DEADLINE_SECONDS = 30
GRAPHS = ("steps", "talk", "approval", "failing", "nested")  # that the server must have

Step = Callable[[str], Awaitable[Any]]
STEPS: dict[str, Step] = {}


class WrongAnswerError(Exception):
    """The server answered, and not as it must."""


def step(name: str) -> Callable[[Callable[[Any], Awaitable[Any]]], Callable[[Any], Awaitable[Any]]]:
    """Of the asynchronous client; what it returns is what the server's answer looks like."""

    def take(act: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
        async def perform(url: str) -> Any:
            return await act(get_client(url=url))

        STEPS[name] = perform
        return act

    return take


def blocking_step(name: str) -> Callable[[Callable[[str], Any]], Callable[[str], Any]]:
    """Of the synchronous client, in a thread of its own."""

    def take(act: Callable[[str], Any]) -> Callable[[str], Any]:
        async def perform(url: str) -> Any:
            return await asyncio.to_thread(act, url)

        STEPS[name] = perform
        return act

    return take


def must_be(found: Any, wanted: Any) -> None:
    """Raises WrongAnswerError."""
    if found != wanted:
        raise WrongAnswerError(f"{found!r} instead of {wanted!r}")


async def a_thread(client: Any, **told: Any) -> str:
    """Its id."""
    return str((await client.threads.create(**told))["thread_id"])


async def parts_of(stream: Any) -> list[tuple[str, Any]]:
    """Event and data of each, but for the `end` that not every server sends."""
    return [(part.event, part.data) async for part in stream if part.event != "end"]


async def refusal_of(asked: Awaitable[Any]) -> int:
    """The status with which it was refused."""
    try:
        await asked
    except Exception as error:  # of a class that is another one in every version
        return int(error.response.status_code)  # type: ignore[attr-defined]
    raise WrongAnswerError("it was not refused")


@step("assistants.search")
async def _(client: Any) -> Any:
    found = await client.assistants.search(graph_id="steps")
    must_be([each["graph_id"] for each in found], ["steps"])
    return found[0]


@step("assistants.get")
async def _(client: Any) -> Any:
    (one,) = await client.assistants.search(graph_id="steps")
    found = await client.assistants.get(one["assistant_id"])
    must_be(found["graph_id"], "steps")
    return found


@step("assistants.count")
async def _(client: Any) -> Any:
    return await client.assistants.count()


@step("assistants.get_graph")
async def _(client: Any) -> Any:
    (one,) = await client.assistants.search(graph_id="steps")
    graph = await client.assistants.get_graph(one["assistant_id"])
    must_be({"__start__", *"abcde"} <= {node["id"] for node in graph["nodes"]}, True)
    return {"edge": graph["edges"][0]}


@step("assistants.get_schemas")
async def _(client: Any) -> Any:
    (one,) = await client.assistants.search(graph_id="steps")
    return sorted(await client.assistants.get_schemas(one["assistant_id"]))


@step("threads.create")
async def _(client: Any) -> Any:
    made = await client.threads.create(metadata={"team": "a"})
    must_be((made["status"], made["metadata"]["team"]), ("idle", "a"))
    must_be(await refusal_of(client.threads.create(thread_id=made["thread_id"])), 409)
    again = await client.threads.create(thread_id=made["thread_id"], if_exists="do_nothing")
    must_be(again["thread_id"], made["thread_id"])
    return made


@step("threads.get, update, delete")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client, metadata={"a": 1})
    await client.threads.update(thread_id, metadata={"b": 2})
    found = await client.threads.get(thread_id)
    must_be((found["metadata"].get("a"), found["metadata"].get("b")), (1, 2))
    await client.threads.delete(thread_id)
    must_be(await refusal_of(client.threads.get(thread_id)), 404)
    return found


@step("threads.search, count")
async def _(client: Any) -> Any:
    mark = str(uuid.uuid4())
    thread_id = await a_thread(client, metadata={"mark": mark})
    found = await client.threads.search(metadata={"mark": mark}, limit=5, status="idle")
    must_be([each["thread_id"] for each in found], [thread_id])
    if hasattr(client.threads, "count"):
        must_be(await client.threads.count(metadata={"mark": mark}), 1)
    return found


@step("threads.copy")
async def _(client: Any) -> Any:
    mark = str(uuid.uuid4())
    thread_id = await a_thread(client, metadata={"mark": mark})
    await client.runs.wait(thread_id, "steps", input={"done": ["x"]})
    await client.threads.copy(thread_id)
    (copy,) = [each["thread_id"] for each in await client.threads.search(metadata={"mark": mark})
               if each["thread_id"] != thread_id]  # fmt: skip
    must_be((await client.threads.get_state(copy))["values"]["done"], ["x", *"abcde"])


@step("threads.get_state of an empty thread")
async def _(client: Any) -> Any:
    found = await client.threads.get_state(await a_thread(client))
    must_be((found["values"] or {}, found["next"]), ({}, []))


@step("threads.get_state, update_state, get_history")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    await client.runs.wait(thread_id, "steps", input={"done": [], "name": "one"}, durability="async")
    written = await client.threads.update_state(thread_id, {"name": "two"}, as_node="e")
    state = await client.threads.get_state(thread_id)
    must_be((state["values"]["name"], state["next"]), ("two", []))
    must_be(state["checkpoint"]["checkpoint_id"], written["checkpoint"]["checkpoint_id"])
    history = await client.threads.get_history(thread_id, limit=3)
    must_be([each["values"]["name"] for each in history], ["two", "one", "one"])
    same = await client.threads.get_state(thread_id, checkpoint=history[1]["checkpoint"])
    must_be(same["values"], history[1]["values"])
    by_id = await client.threads.get_state(thread_id, checkpoint_id=history[1]["checkpoint"]["checkpoint_id"])
    must_be(by_id["values"], history[1]["values"])
    return state


@step("threads.get_history before a checkpoint")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    await client.runs.wait(thread_id, "steps", input={"done": []}, durability="async")
    history = await client.threads.get_history(thread_id, limit=100)
    older = await client.threads.get_history(thread_id, before=history[1]["checkpoint"])
    must_be(older[0]["checkpoint"]["checkpoint_id"], history[2]["checkpoint"]["checkpoint_id"])


@step("runs.create, get, list, join, delete")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    run = await client.runs.create(thread_id, "steps", input={"done": []}, metadata={"why": "test"})
    must_be(run["metadata"]["why"], "test")
    must_be(await client.runs.join(thread_id, run["run_id"]), DONE)
    found = await client.runs.get(thread_id, run["run_id"])
    must_be(found["status"], "success")
    must_be([each["run_id"] for each in await client.runs.list(thread_id, limit=5)], [run["run_id"]])
    await client.runs.delete(thread_id, run["run_id"])
    must_be(await refusal_of(client.runs.get(thread_id, run["run_id"])), 404)
    return {key: value for key, value in found.items() if key != "kwargs"}


@step("runs.create without a thread")
async def _(client: Any) -> Any:
    run = await client.runs.create(None, "steps", input={"done": []})
    must_be(run["status"] in ("pending", "running"), True)


@step("runs.wait")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    must_be(await client.runs.wait(thread_id, "steps", input={"done": []}), DONE)
    found = await client.threads.get(thread_id)
    must_be((found["status"], found["values"]), ("idle", DONE))
    return found


@step("runs.wait without a thread")
async def _(client: Any) -> Any:
    must_be(await client.runs.wait(None, "steps", input={"done": []}), DONE)


@step("runs.wait for a failing run")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    told = await client.runs.wait(thread_id, "failing", input={"name": "x"}, raise_error=False)
    must_be(told["__error__"], {"error": "ValueError", "message": "no luck with x"})
    must_be((await client.threads.get(thread_id))["status"], "error")
    return told


@step("runs.stream of every mode")
async def _(client: Any) -> Any:
    modes = ["values", "updates", "messages-tuple", "custom", "tasks", "checkpoints", "debug"]
    stream = client.runs.stream(await a_thread(client), "talk", input=HELLO, stream_mode=modes)
    parts = await parts_of(stream)
    must_be(parts[0][0], "metadata")
    must_be("".join(data[0]["content"] for name, data in parts if name == "messages"), WORDS)
    must_be(("custom", {"mood": "talkative"}) in parts, True)
    return sorted({name for name, _ in parts})


@step("runs.stream of accumulated messages")
async def _(client: Any) -> Any:
    stream = client.runs.stream(await a_thread(client), "talk", input=HELLO, stream_mode="messages")
    parts = await parts_of(stream)
    last = [data for name, data in parts if name == "messages/partial"][-1]
    must_be((last[0]["content"], last[0]["type"]), (WORDS, "ai"))
    return [name for name, _ in parts][:3]


@step("runs.stream of subgraphs")
async def _(client: Any) -> Any:
    stream = client.runs.stream(
        await a_thread(client), "nested", input={"done": []}, stream_mode="updates", stream_subgraphs=True
    )
    names = [name.partition(":")[0] for name, _ in await parts_of(stream)]
    must_be(names.count("updates|inner"), 5)
    return sorted(set(names))


@step("runs.stream without a thread")
async def _(client: Any) -> Any:
    parts = await parts_of(client.runs.stream(None, "steps", input={"done": []}, stream_mode="updates"))
    must_be([name for name, _ in parts], ["metadata", *["updates"] * 5])
    return [name for name, _ in parts]


@step("runs.stream of a failing run")
async def _(client: Any) -> Any:
    parts = await parts_of(client.runs.stream(await a_thread(client), "failing", input={"name": "x"}))
    must_be(parts[-1], ("error", {"error": "ValueError", "message": "no luck with x"}))
    return [name for name, _ in parts]


@step("runs.join_stream")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    run = await client.runs.create(
        thread_id, "steps", input={"done": [], "seconds": 0.2}, stream_mode="updates", stream_resumable=True
    )
    parts = await parts_of(client.runs.join_stream(thread_id, run["run_id"], last_event_id="0"))
    must_be([next(iter(data)) for name, data in parts if name == "updates"], [*"abcde"])


@step("an interrupt, and a resume")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    asked = await client.runs.wait(thread_id, "approval", input={"question": "go?"})
    must_be(asked["__interrupt__"][0]["value"], {"question": "go?"})
    thread = await client.threads.get(thread_id)
    must_be((thread["status"], (await client.runs.list(thread_id))[0]["status"]), ("interrupted", "success"))
    state = await client.threads.get_state(thread_id)
    must_be((state["next"], state["tasks"][0]["interrupts"][0]["value"]), (["ask"], {"question": "go?"}))
    answered = await client.runs.wait(thread_id, "approval", command={"resume": "yes"})
    must_be(answered, {"question": "go?", "answer": "yes"})
    return {"asked": asked, "interrupts": sorted(map(type_name, thread["interrupts"].values())), "state": state}


@step("interrupt_before and interrupt_after")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    await client.runs.wait(thread_id, "steps", input={"done": []}, interrupt_before=["c"])
    must_be((await client.threads.get_state(thread_id))["next"], ["c"])
    await client.runs.wait(thread_id, "steps", input=None, interrupt_after=["c"])
    must_be((await client.threads.get_state(thread_id))["next"], ["d"])
    must_be(await client.runs.wait(thread_id, "steps", input=None), DONE)


@step("runs.cancel")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    run = await client.runs.create(thread_id, "steps", input=SLOW)
    await asyncio.sleep(0.5)
    await client.runs.cancel(thread_id, run["run_id"], wait=True)
    must_be((await client.runs.get(thread_id, run["run_id"]))["status"], "interrupted")
    must_be(await refusal_of(client.runs.cancel(thread_id, run["run_id"])), 404)


@step("runs.cancel with rollback")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    await client.runs.wait(thread_id, "steps", input={"done": [], "name": "before"})
    run = await client.runs.create(thread_id, "steps", input={**SLOW, "name": "after"}, durability="sync")
    await asyncio.sleep(0.5)
    await client.runs.cancel(thread_id, run["run_id"], wait=True, action="rollback")
    must_be(await refusal_of(client.runs.get(thread_id, run["run_id"])), 404)
    must_be((await client.threads.get_state(thread_id))["values"]["name"], "before")


@step("runs.cancel_many")
async def _(client: Any) -> Any:
    if not hasattr(client.runs, "cancel_many"):
        return
    thread_id = await a_thread(client)
    runs = [(await client.runs.create(thread_id, "steps", input=SLOW))["run_id"] for _ in range(2)]
    await asyncio.sleep(0.5)
    await client.runs.cancel_many(thread_id=thread_id, run_ids=runs)
    for run_id in runs:
        await client.runs.join(thread_id, run_id)
    must_be({run["status"] for run in await client.runs.list(thread_id)}, {"interrupted"})


@step("double texting: reject, enqueue, interrupt")
async def _(client: Any) -> Any:
    thread_id = await a_thread(client)
    first = await client.runs.create(thread_id, "steps", input=SLOW)
    await asyncio.sleep(0.5)
    reject = client.runs.create(thread_id, "steps", input={}, multitask_strategy="reject")
    must_be(await refusal_of(reject), 409)
    queued = await client.runs.create(thread_id, "steps", input={"done": []}, multitask_strategy="enqueue")
    must_be(queued["status"], "pending")
    taken = await client.runs.wait(
        thread_id, "steps", input={"done": ["last"], "seconds": 0.0}, multitask_strategy="interrupt"
    )
    must_be(taken["done"][-5:], [*"abcde"])
    must_be((await client.runs.get(thread_id, first["run_id"]))["status"], "interrupted")


@step("refusals: no such graph, no such thread, if_not_exists")
async def _(client: Any) -> Any:
    nobody = str(uuid.uuid4())
    must_be(await refusal_of(client.runs.create(await a_thread(client), "nobody", input={})) in (404, 422), True)
    must_be(await refusal_of(client.runs.create(nobody, "steps", input={})), 404)
    must_be(await client.runs.wait(nobody, "steps", input={"done": []}, if_not_exists="create"), DONE)


@blocking_step("the synchronous client")
def _(url: str) -> Any:
    client: Any = get_sync_client(url=url)
    (assistant,) = client.assistants.search(graph_id="steps")
    must_be(client.assistants.get(assistant["assistant_id"])["name"], assistant["name"])
    must_be(len(client.assistants.get_graph("steps")["edges"]) >= 5, True)
    thread_id = client.threads.create(metadata={"a": 1})["thread_id"]
    must_be(client.threads.get(thread_id)["status"], "idle")
    must_be(client.runs.wait(thread_id, "steps", input={"done": []}), DONE)
    must_be(client.runs.wait(None, "steps", input={"done": []}), DONE)
    run = client.runs.create(thread_id, "steps", input={"seconds": 0.05})
    joined = [part.event for part in client.runs.join_stream(thread_id, run["run_id"])]
    must_be(client.runs.join(thread_id, run["run_id"])["done"], [*"abcdeabcde"])
    must_be(client.runs.get(thread_id, run["run_id"])["status"], "success")
    must_be(len(client.runs.list(thread_id)), 2)
    updates = [part.data for part in client.runs.stream(thread_id, "steps", input={}, stream_mode="updates")
               if part.event == "updates"]  # fmt: skip
    must_be([next(iter(each)) for each in updates], [*"abcde"])
    client.threads.update_state(thread_id, {"name": "x"}, as_node="e")
    must_be(client.threads.get_state(thread_id)["values"]["name"], "x")
    must_be(len(client.threads.get_history(thread_id)) >= 3, True)
    slow = client.runs.create(thread_id, "steps", input=SLOW)
    client.runs.cancel(thread_id, slow["run_id"], wait=True)
    must_be(client.runs.get(thread_id, slow["run_id"])["status"], "interrupted")
    return joined[:1]


@blocking_step("RemoteGraph, synchronous")
def _(url: str) -> Any:
    client = get_sync_client(url=url)
    graph = RemoteGraph("steps", sync_client=client)
    config: Any = {"configurable": {"thread_id": client.threads.create()["thread_id"]}}
    must_be(graph.invoke({"done": []}, config), DONE)
    must_be([next(iter(update)) for update in graph.stream({}, config, stream_mode="updates")], [*"abcde"])
    must_be(graph.get_state(config).values["done"], [*"abcdeabcde"])
    must_be(len(list(graph.get_state_history(config, limit=10))) >= 2, True)
    graph.update_state(config, {"name": "x"}, as_node="e")
    must_be(graph.get_state(config).values["name"], "x")
    must_be({"__start__", *"abcde"} <= set(graph.get_graph().nodes), True)
    must_be(graph.invoke({"done": ["fresh"]}), {"done": ["fresh", *"abcde"]})


@step("RemoteGraph, asynchronous, with an interrupt")
async def _(client: Any) -> Any:
    graph = RemoteGraph("approval", client=client)
    config: Any = {"configurable": {"thread_id": await a_thread(client)}}
    asked = await graph.ainvoke({"question": "go?"}, config)
    must_be(len(asked["__interrupt__"]), 1)
    state = await graph.aget_state(config)
    must_be((state.next, state.tasks[0].interrupts[0].value), (("ask",), {"question": "go?"}))
    answered = [chunk async for chunk in graph.astream(Command(resume="yes"), config, stream_mode="values")]
    must_be(answered[-1], {"question": "go?", "answer": "yes"})
    history = [each.next async for each in graph.aget_state_history(config)]
    must_be(history[0], ())
    must_be({"__start__", "ask"} <= set((await graph.aget_graph()).nodes), True)


def type_name(value: Any) -> str:
    """Of JSON."""
    return type(value).__name__


def shape_of(value: Any) -> Any:
    """What a value looks like without what it says: keys, and the types under them."""
    if isinstance(value, dict):
        return {key: shape_of(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return value if all(isinstance(each, str) for each in value) else [shape_of(each) for each in value[:1]]
    return type_name(value)


async def drive(url: str) -> dict[str, Any]:
    """Perform every step; by name: ok and the answer's shape, or what went wrong."""
    told: dict[str, Any] = {}
    for name, perform in STEPS.items():
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                told[name] = {"ok": True, "shape": shape_of(await perform(url))}
        except Exception as error:  # one step's failure is no reason to skip the others
            told[name] = {"ok": False, "error": f"{type(error).__name__}: {error}"[:500]}
    return told


def main() -> None:
    """See the module."""
    (url,) = sys.argv[1:]
    told = {"langgraph-sdk": version("langgraph-sdk"), "langgraph": version("langgraph"), "steps": {}}
    told["steps"] = asyncio.run(drive(url))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
