"""Deadlines of runs and of nodes, and whose TimeoutError it is."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from langgraph.types import TimeoutPolicy

from agent_service.engine.graphs import GraphSource
from agent_service.engine.replica import utc_now
from agent_service.store.opening import Stores
from agent_service.store.records import Run, RunStatus
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
    one_node,
    story_of,
    until,
)
from tests.coroutines import run_apart


def error_of(run: Run) -> tuple[str, str]:
    told = orjson.loads(run.result or b"")["__error__"]
    return told["error"], told["message"]


def test_a_run_that_takes_too_long_ends_with_a_timeout_and_keeps_what_it_saw() -> None:
    async def main() -> None:
        engine = an_engine(in_memory(), gated(Gates("b")), run_seconds=0.2)
        async with live(engine):
            run = await begin(engine, "gated")
            ended = await end_of(engine, run)
            story = await story_of(engine, run)
            thread = await engine.runs.get_thread(run.thread_id, "")

        assert ended.status is RunStatus.TIMEOUT
        assert error_of(ended) == ("RunTimeout", "the run took longer than 0.2 s")
        assert [event.name for event in story][-2:] == ["error", "end"]
        assert (thread.status, thread.values) == ("error", b'{"done":["a"]}')

    run_apart(main())


def test_a_timeout_error_of_a_node_is_that_nodes_and_not_the_runs() -> None:
    async def main() -> None:
        async def node(state: Steps) -> dict[str, Any]:
            raise TimeoutError("the tool's socket timed out")

        engine = an_engine(in_memory(), one_node("impatient", node))
        async with live(engine):
            ended = await end_of(engine, await begin(engine, "impatient"))

        assert ended.status is RunStatus.ERROR
        assert error_of(ended) == ("TimeoutError", "the tool's socket timed out")

    run_apart(main())


def test_a_runs_deadline_goes_on_when_another_replica_does(any_url: str) -> None:
    began = utc_now()
    now = began

    async def test(stores: Stores) -> None:
        nonlocal now
        now, gates = began, Gates("b", "c")
        told = {"now": lambda: now}
        one, two = (an_engine(stores, gated(gates), name=name, run_seconds=100, told=told) for name in ("one", "two"))
        async with live(one):
            run = await begin(one, "gated")
            await gates.reached("b")
            now += timedelta(seconds=60)
            leaving = asyncio.create_task(one.drain())
            await until(lambda: one.is_draining)
            gates.open("b")
            await leaving
            now += timedelta(seconds=60)
            async with live(two):
                ended = await end_of(two, run)

        assert (ended.status, ended.attempt) == (RunStatus.TIMEOUT, 2)
        assert gates.performed == {"a": 1, "b": 1}

    in_store(any_url, test)


@pytest.mark.parametrize("is_temporary", [False, True])
def test_a_node_that_takes_too_long_is_cancelled_and_named(is_temporary: bool) -> None:
    async def main() -> None:
        gates = Gates("b")
        engine = an_engine(in_memory(), gated(gates), node_seconds=0.1)
        async with live(engine):
            run = await begin(engine, "gated", is_temporary=is_temporary)
            ended = await end_of(engine, run)

        assert ended.status is RunStatus.TIMEOUT
        assert error_of(ended)[0] == "NodeTimeoutError"
        assert error_of(ended)[1].startswith("Node 'b' exceeded its run timeout of 0.100s")
        assert gates.performed == {"a": 1}

    run_apart(main())


def test_a_node_keeps_a_deadline_of_its_own_and_the_builder_is_left_as_it_was() -> None:
    gates = Gates("slow")

    async def own(state: Steps) -> dict[str, Any]:
        return await gates.perform("slow")

    graph = gated_graph(gates, "a")
    graph.add_node("own", own, timeout=TimeoutPolicy(run_timeout=0.05))
    graph.add_edge("a", "own")

    async def main() -> None:
        engine = an_engine(in_memory(), GraphSource("own", graph), node_seconds=600)
        async with live(engine):
            ended = await end_of(engine, await begin(engine, "own"))

        assert error_of(ended)[1].startswith("Node 'own' exceeded its run timeout of 0.050s")
        served = engine.graphs.get("own").kept
        assert served.nodes["a"].timeout == TimeoutPolicy(run_timeout=600)
        assert graph.nodes["a"].timeout is None

    run_apart(main())


def test_a_node_that_is_a_plain_function_has_the_runs_deadline_only() -> None:
    def plain(state: Steps) -> dict[str, Any]:
        return {"done": ["plain"]}

    async def main() -> None:
        engine = an_engine(in_memory(), one_node("plain", plain), node_seconds=0.1)
        async with live(engine):
            ended = await end_of(engine, await begin(engine, "plain"))

        assert ended.status is RunStatus.SUCCESS
        assert engine.graphs.get("plain").kept.nodes["node"].timeout is None

    run_apart(main())
