"""A replica that leaves stops its runs between two steps: nothing is lost, and nothing done twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent_service.engine.graphs import GraphSource
from agent_service.store.opening import Stores
from agent_service.store.records import RunStatus
from tests.agent_service.builders import in_store
from tests.agent_service.engine.replicas import (
    Gates,
    Steps,
    an_engine,
    begin,
    end_of,
    gated,
    gated_graph,
    in_memory,
    live,
    story_of,
    until,
)
from tests.coroutines import run_apart


def flat(gates: Gates) -> GraphSource:
    return gated(gates, "axyzc")


def with_a_graph_as_a_node(gates: Gates) -> GraphSource:
    return gated(gates, "abc", gated_graph(gates, "xyz"))


def with_a_graph_that_a_node_calls(gates: Gates) -> GraphSource:
    inner = gated_graph(gates, "xyz").compile()

    async def call(state: Steps) -> dict[str, Any]:
        gates.performed["before the call"] += 1
        return {"done": (await inner.ainvoke({"done": []}))["done"]}

    graph = gated_graph(gates, "ac")
    graph.add_node("b", call)
    graph.edges.remove(("a", "c"))
    graph.add_edge("a", "b")
    graph.add_edge("b", "c")
    return GraphSource("gated", graph)


@pytest.mark.parametrize("is_temporary", [False, True], ids=["kept", "stateless"])
@pytest.mark.parametrize("shape", [flat, with_a_graph_as_a_node, with_a_graph_that_a_node_calls])
def test_no_node_is_performed_twice_when_a_replica_leaves(any_url: str, shape: Any, is_temporary: bool) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("y")
        one, two = (an_engine(stores, shape(gates), name=name) for name in ("one", "two"))
        async with live(one):
            run = await begin(one, "gated", is_temporary=is_temporary)
            await gates.reached("y")
            leaving = asyncio.create_task(one.drain())
            await until(lambda: one.is_draining)
            gates.open("y")
            await leaving
            assert (await stores.runs.get_run(run.run_id, "")).status is RunStatus.PENDING
            assert gates.performed["c"] == 0
            async with live(two):
                ended = await end_of(two, run)

        assert (ended.status, ended.attempt, ended.crashes) == (RunStatus.SUCCESS, 2, 0)
        assert set(gates.performed.values()) == {1}
        assert ended.result in (b'{"done":["a","x","y","z","c"]}', b'{"done":["a","a","x","y","z","c"]}')

    in_store(any_url, test)


@pytest.mark.parametrize("durability", ["exit", "async", "sync"])
def test_a_step_that_takes_longer_than_leaving_may_is_all_that_is_repeated(any_url: str, durability: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        one = an_engine(stores, gated(gates), drain_seconds=0)
        two = an_engine(stores, gated(gates), name="two")
        async with live(one):
            run = await begin(one, "gated", durability=durability)
            await gates.reached("b")
            await one.drain()
            assert one.in_flight == 0
            gates.open("b")
            async with live(two):
                ended = await end_of(two, run)

        assert (ended.status, ended.attempt, ended.crashes) == (RunStatus.SUCCESS, 2, 0)
        assert gates.performed == {"a": 1, "b": 1, "c": 1}  # the second node was begun twice, and performed once
        assert ended.result == b'{"done":["a","b","c"]}'

    in_store(any_url, test)


def test_a_stateless_run_that_cannot_reach_the_end_of_its_step_keeps_the_steps_before(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        one = an_engine(stores, gated(gates), drain_seconds=0)
        two = an_engine(stores, gated(gates), name="two")
        async with live(one):
            run = await begin(one, "gated", is_temporary=True)
            await gates.reached("b")
            await one.drain()
            gates.open("b")
            async with live(two):
                ended = await end_of(two, run)

        assert ended.result == b'{"done":["a","b","c"]}'
        assert gates.performed == {"a": 1, "b": 1, "c": 1}

    in_store(any_url, test)


def test_a_run_that_was_just_claimed_when_its_replica_leaves_goes_back() -> None:
    async def main() -> None:
        stores, gates = in_memory(), Gates("a")
        one = an_engine(stores, gated(gates), slots=1, accepts_while_draining=True)
        two = an_engine(stores, gated(gates), name="two")
        async with live(one):
            one.admission.is_draining = True
            run = await begin(one, "gated")
            claim, lease_ends = one._own.claim()
            (claimed,) = await stores.runs.claim(claim, 1)
            one._performer.begin(claimed, lease_ends)
            gates.open("a")
            async with live(two):
                ended = await end_of(two, run)

        assert (ended.status, ended.attempt) == (RunStatus.SUCCESS, 2)

    run_apart(main())


def test_who_reads_a_stream_from_its_beginning_hears_both_attempts_once(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        one, two = (an_engine(stores, gated(gates), name=name) for name in ("one", "two"))
        async with live(one):
            run = await begin(one, "gated", stream_mode=["updates"])
            await gates.reached("b")
            reading = asyncio.create_task(story_of(two, run))
            leaving = asyncio.create_task(one.drain())
            await until(lambda: one.is_draining)
            gates.open("b")
            await leaving
            async with live(two):
                story = await reading
                assert await story_of(two, run) == story
                middle = story[2].seq
                assert await story_of(two, run, after=middle) == story[3:]

        assert [event.name for event in story] == [
            "metadata", "updates", "updates", "metadata", "updates", "end",
        ]  # fmt: skip
        assert [event.seq for event in story] == [1, 2, 3, 1_000_001, 1_000_002, 1_000_003]

    in_store(any_url, test)
