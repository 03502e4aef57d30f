"""Graph state: what a rollback takes, what pruning leaves, what a copy has."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from agent_service.errors import StoreError
from agent_service.store.opening import Stores, open_stores
from agent_service.store.undoing import DELTA_KEYS
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
        await stores.checkpoints.delete_threads(["u", "v"])

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


@pytest.mark.parametrize("kind", ["asks", "asks below", "pauses before"])
def test_a_paused_thread_goes_on_after_it_was_pruned(any_url: str, kind: str) -> None:
    async def test(stores: Stores) -> None:
        inner: Any = StateGraph(Listed)
        inner.add_node("note", lambda _: {"items": ["noted"]})
        inner.add_node("ask", lambda _: {"items": [interrupt("what?") if kind != "pauses before" else "no"]})
        inner.add_edge(START, "note")
        inner.add_edge("note", "ask")
        outer: Any = StateGraph(Listed)
        outer.add_node("inner", inner.compile())
        outer.add_edge(START, "inner")
        paused = {"checkpointer": stores.checkpoints.saver, "interrupt_before": ["ask"] * (kind == "pauses before")}
        graph = (outer if kind == "asks below" else inner).compile(**paused)
        await graph.ainvoke({"items": ["a"]}, place("one"), durability="sync")
        before = await graph.aget_state(place(""))

        await stores.checkpoints.prune("t")
        await stores.checkpoints.prune("t")

        after = await graph.aget_state(place(""))
        assert (after.values, after.next, after.interrupts) == (before.values, before.next, before.interrupts)
        assert len(await history(graph)) == 1
        assert after.parent_config is None
        found = await graph.ainvoke(Command(resume="b") if kind != "pauses before" else None, place("two"))
        assert found["items"][-1] == ("no" if kind == "pauses before" else "b")

    in_store(any_url, test)


def test_pruning_makes_room(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        graph = a_graph(stores)
        for run_id in ("one", "two", "three"):
            await graph.ainvoke({"items": ["x" * 1000]}, place(run_id), durability="sync")

        before = await kept(stores)
        await stores.checkpoints.prune("t")

        assert await kept(stores) < before / 3

    in_store(any_url, test)


async def kept(stores: Stores) -> int:
    """How many rows of whatever kind."""
    saver: Any = stores.checkpoints.saver
    if stores.kind == "memory":
        return len(saver.storage["t"][""]) + len(saver.writes) + len(saver.blobs)
    total = 0
    tables = (
        ("checkpoints", "writes")
        if stores.kind == "sqlite"
        else ("checkpoints", "checkpoint_writes", "checkpoint_blobs")
    )
    for table in tables:
        query = f"SELECT count(*) AS rows FROM {table}"  # noqa: S608
        if stores.kind == "sqlite":
            total += saver.conn.execute(query).fetchone()[0]
        else:
            async with saver.conn.connection() as connection:
                found = await (await connection.execute(query)).fetchone()
                total += found["rows"]
    return total


def test_a_thread_that_keeps_only_what_has_changed_is_not_pruned(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        saver = stores.checkpoints.saver
        placed: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        for _ in range(3):
            metadata: Any = {"run_id": "r", DELTA_KEYS[0]: {"items": [1, 1]}}
            placed = await saver.aput(placed, empty_checkpoint(), metadata, {})

        await stores.checkpoints.prune("t")

        assert len([each async for each in saver.alist(place(""))]) == 3

    in_store(any_url, test)


def test_threads_are_deleted_in_bulk_with_all_that_belongs_to_them(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        graph = a_graph(stores)
        for thread in ("t", "u", "v"):
            await graph.ainvoke({"items": ["x"]}, place("one", thread), durability="sync")

        await stores.checkpoints.delete_threads([])
        await stores.checkpoints.delete_threads(["t", "u", "never there"])

        assert [await history(graph, thread) for thread in ("t", "u")] == [[], []]
        assert (await history(graph, "v"))[0] == ["x", 1]

    in_store(any_url, test)


def test_checkpoints_that_are_not_open_are_an_error_of_the_store(store_url: Callable[[str], str]) -> None:
    for kind in ("sqlite", "postgresql"):
        with pytest.raises(StoreError, match="not open"):
            _ = open_stores(store_url(kind)).checkpoints.saver
