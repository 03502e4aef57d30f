"""Graph state: what a rollback takes, what pruning leaves, what a copy has, and what is never made from bytes."""

from __future__ import annotations

import operator
from typing import Annotated, Any

import ormsgpack
import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from agent_service.store.opening import Stores
from agent_service.store.serializer import a_serializer
from tests.agent_service.builders import in_store


class Listed(TypedDict, total=False):
    """A list that grows."""

    items: Annotated[list[Any], operator.add]


def a_graph(stores: Stores) -> Any:
    graph = StateGraph(Listed)
    graph.add_node("add", lambda state: {"items": [len(state["items"])]})
    graph.add_edge(START, "add")
    return graph.compile(checkpointer=stores.checkpoints.saver)


def place(run_id: str, thread_id: str = "t") -> Any:
    return {"configurable": {"thread_id": thread_id, "run_id": run_id}}


async def history(graph: Any, thread_id: str = "t") -> list[list[Any]]:
    return [state.values.get("items") async for state in graph.aget_state_history(place("", thread_id))]


def test_a_rollback_takes_what_one_run_wrote_and_leaves_the_rest(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        graph = a_graph(stores)
        for run_id in ("one", "two"):
            await graph.ainvoke({"items": [run_id]}, place(run_id), durability="sync")
        await graph.ainvoke({"items": ["other"]}, place("two", "u"), durability="exit")

        await stores.checkpoints.roll_back("t", "two")

        assert (await history(graph))[0] == ["one", 1]
        assert await history(graph, "u") == [["other", 1]]
        assert await graph.ainvoke({"items": ["three"]}, place("three")) == {"items": ["one", 1, "three", 3]}

    in_store(any_url, test)


def test_pruning_leaves_the_newest_and_a_deletion_nothing(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        graph = a_graph(stores)
        for thread in ("t", "u"):
            await graph.ainvoke({"items": ["x"]}, place("one", thread), durability="sync")
        assert len(await history(graph)) == 3

        await stores.checkpoints.prune("t")
        await stores.checkpoints.delete_thread("u")

        assert await history(graph) == [["x", 1]]
        assert await history(graph, "u") == []
        assert await graph.ainvoke({"items": ["y"]}, place("two")) == {"items": ["x", 1, "y", 3]}

    in_store(any_url, test)


def test_a_copy_goes_its_own_way(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        graph = a_graph(stores)
        await graph.ainvoke({"items": [HumanMessage("hi", id="m")]}, place("one"), durability="sync")

        await stores.checkpoints.copy_thread("t", "u")
        await graph.ainvoke({"items": ["more"]}, place("two", "u"))

        assert (await history(graph))[0] == [HumanMessage("hi", id="m"), 1]
        assert (await history(graph, "u"))[0] == [HumanMessage("hi", id="m"), 1, "more", 3]

    in_store(any_url, test)


def test_bytes_that_want_to_become_something_else_stay_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    serializer = a_serializer()
    message = HumanMessage("hi", id="m")
    assert serializer.loads_typed(serializer.dumps_typed({"messages": [message]})) == {"messages": [message]}
    # As whoever may write into the database would have it: os.getcwd, to be called with no arguments.
    hostile = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(["os", "getcwd", ["x"]])))

    found = serializer.loads_typed(("msgpack", hostile))

    assert not callable(found)
    assert found is None or "getcwd" not in str(type(found))
    with pytest.raises(Exception, match=r"[Uu]nknown|not supported|pickle"):
        serializer.loads_typed(("pickle", b"cos\ngetcwd\n(tR."))
