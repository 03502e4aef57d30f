"""Runs that users stop: at once, wherever they are; what they have done stays, or was never done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
from langgraph.graph import START
from langgraph.types import interrupt

from agent_service.engine import states
from agent_service.engine.engine import Engine
from agent_service.engine.graphs import GraphSource
from agent_service.errors import NotFoundError
from agent_service.store.memory import MemoryStore
from agent_service.store.opening import Stores
from agent_service.store.records import Claim, Ending, Event, Finished, Multitask, Run, RunStatus, Stop
from agent_service.store.replay import replayed
from tests.agent_service.builders import in_store, opened
from tests.agent_service.engine.replicas import (
    Gates,
    Steps,
    an_engine,
    begin,
    end_of,
    gated,
    gated_graph,
    in_memory,
    lapse,
    live,
    one_node,
    story_of,
    submit,
    until,
    values_of,
)
from tests.agent_service.graphs import Asked, approval
from tests.coroutines import run_apart

BY_BELLS_ALONE: dict[str, Any] = {"look_seconds": 600, "patience_seconds": 600, "lease_seconds": 600}


def asking(gates: Gates) -> GraphSource:
    """Asks a person, and then goes through a gate."""
    graph = approval()

    async def after(state: Asked) -> dict[str, Any]:
        await gates.perform("after")
        return {}

    graph.add_node("after", after)
    graph.edges.remove(("ask", "__end__"))
    graph.add_edge("ask", "after")
    return GraphSource("asking", graph)


async def paused(engine: Engine) -> Run:
    """On a thread that waits for a person."""
    run = await begin(engine, "asking", input={"question": "?"})
    await end_of(engine, run)
    return run


async def pause_of(engine: Engine, run: Run) -> tuple[str, list[Any], list[Any]]:
    """Status of the thread, what its row asks, and what its checkpoint asks."""
    thread = await engine.runs.get_thread(run.thread_id, run.tenant)
    snapshot = await states.snapshot(engine, thread, {})
    assert snapshot is not None
    in_row = [each["value"] for asked in thread.interrupts.values() for each in asked]
    return thread.status.value, in_row, [each.value for each in snapshot.interrupts]


@pytest.mark.parametrize("durability", ["exit", "async", "sync"])
def test_a_resumed_thread_asks_again_when_the_run_that_resumed_it_is_rolled_back(any_url: str, durability: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("after")
        engine = an_engine(stores, asking(gates))
        async with live(engine):
            first = await paused(engine)
            again = await begin(
                engine, "asking", thread=first.thread_id, command={"resume": "no"}, durability=durability
            )
            await gates.reached("after")
            await engine.stop(again.run_id, "", Stop.ROLLBACK)
            with pytest.raises(NotFoundError):
                await end_of(engine, again)
            pause = await pause_of(engine, first)
            gates.open("after")
            last = await end_of(
                engine, await begin(engine, "asking", thread=first.thread_id, command={"resume": "yes"})
            )

        assert pause == ("interrupted", [{"question": "?"}], [{"question": "?"}])
        assert last.result == b'{"question":"?","answer":"yes"}'

    in_store(any_url, test)


def test_a_thread_waits_for_a_person_still_when_the_run_that_resumed_it_is_cancelled_in_the_node_that_asks(
    any_url: str,
) -> None:
    async def test(stores: Stores) -> None:
        gates, question = Gates(), {"question": "?"}

        async def ask(state: Steps) -> dict[str, Any]:
            await gates.perform("ask")
            return {"name": interrupt(question)}

        engine = an_engine(stores, one_node("asking", ask))
        async with live(engine):
            first = await paused(engine)
            await gates.reached("ask")
            gates.close("ask")
            again = await begin(engine, "asking", thread=first.thread_id, command={"resume": "yes"})
            await gates.reached("ask")
            await until(lambda: engine.execution_of(again.run_id).passage.values is not None)  # type: ignore[union-attr]
            await engine.stop(again.run_id, "", Stop.INTERRUPT)
            ended = await end_of(engine, again)
            pause = await pause_of(engine, first)

        assert ended.status is RunStatus.INTERRUPTED
        assert pause == ("interrupted", [question], [question])

    in_store(any_url, test)


class SlowToEnd(MemoryStore):
    """Waits before endings are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ending, self.may_end = asyncio.Event(), asyncio.Event()

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> Finished:
        """See RunStore."""
        self.is_ending.set()
        await self.may_end.wait()
        return await super().finish(run, ending, events)


def test_a_rollback_that_is_asked_for_while_the_run_ends_is_done() -> None:
    async def main() -> None:
        store = SlowToEnd()
        engine = an_engine(in_memory(store))
        async with live(engine):
            run = await begin(engine, "steps")
            await store.is_ending.wait()
            told = asyncio.create_task(story_of(engine, run))
            stopped = await engine.stop(run.run_id, "", Stop.ROLLBACK)
            store.may_end.set()
            with pytest.raises(NotFoundError):
                await end_of(engine, run)
            story = await told

        assert stopped.status is RunStatus.RUNNING
        assert await values_of(engine, "steps", run.thread_id) == {}
        assert [event.data for event in story if event.name == "end"] in (
            [], [b'{"run_id":"%b","status":"interrupted"}' % run.run_id.encode()],
        )  # fmt: skip

    run_apart(main())


def test_a_rollback_of_a_run_whose_replica_died_is_done_before_the_next_run_of_its_thread(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        dead = an_engine(stores, gated(gates), name="dead", lease_seconds=600)
        two = an_engine(stores, gated(Gates()), name="two")
        run = await begin(dead, "gated", input={"done": ["rolled back"]}, durability="sync")
        await gates.reached("b")
        next_run = await begin(dead, "gated", thread=run.thread_id, input={"done": ["next"]})
        await stores.runs.request_stop(run.run_id, "", Stop.ROLLBACK, dead.now())
        await lapse(dead, run)
        async with live(two):
            ended = await end_of(two, next_run)
            with pytest.raises(NotFoundError):
                await end_of(two, run)

        assert ended.result == b'{"done":["next","a","b","c"]}'
        await dead.close()

    in_store(any_url, test)


def test_a_rollback_takes_the_place_of_an_interrupt() -> None:
    async def main() -> None:
        gates = Gates("b")
        engine = an_engine(in_memory(), gated(gates))
        async with live(engine):
            run = await begin(engine, "gated", durability="sync")
            await gates.reached("b")
            await engine.runs.request_stop(run.run_id, "", Stop.INTERRUPT, engine.now())
            await engine.stop(run.run_id, "", Stop.ROLLBACK)
            with pytest.raises(NotFoundError):
                await end_of(engine, run)
            assert await values_of(engine, "gated", run.thread_id) == {}

    run_apart(main())


def test_a_waiting_run_that_is_rolled_back_is_gone_at_once(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates, finished = Gates("a"), list[Run]()
        engine = an_engine(stores, gated(gates), slots=1, told={"on_finished": finished.append})
        async with live(engine):
            await begin(engine, "gated")
            await gates.reached("a")
            run = await begin(engine, "gated")
            await engine.stop(run.run_id, "", Stop.ROLLBACK)
            with pytest.raises(NotFoundError):
                await stores.runs.get_run(run.run_id, "")
            assert finished == []  # what was rolled back never was
            gates.open("a")

    in_store(any_url, test)


@pytest.mark.parametrize("is_waiting", [True, False], ids=["waiting", "told to make room"])
def test_a_run_that_ends_without_an_execution_is_told_to_streams_and_webhooks(is_waiting: bool) -> None:
    async def main() -> None:
        gates, finished = Gates("a"), list[Run]()
        stores = in_memory()
        engine = an_engine(stores, gated(gates), slots=1, told={"on_finished": finished.append})
        async with live(engine):
            busy = await begin(engine, "gated")
            await gates.reached("a")
            run = await begin(engine, "gated", thread=None if is_waiting else busy.thread_id)
            reading = asyncio.create_task(story_of(engine, run))
            if is_waiting:
                await engine.stop(run.run_id, "", Stop.INTERRUPT)
            else:
                found = await submit(engine, "gated", thread=busy.thread_id, strategy=Multitask.INTERRUPT)
                assert {each.run_id for each in found.to_stop} == {busy.run_id, run.run_id}
            story = await reading
            gates.open("a")

        assert run.run_id in [each.run_id for each in finished]
        assert [event.name for event in story] == ["end"]
        assert replayed(story).status is RunStatus.INTERRUPTED
        assert (await stores.runs.get_run(run.run_id, "")).status is RunStatus.INTERRUPTED

    run_apart(main())


def test_a_run_that_is_given_up_is_told_to_streams_and_webhooks(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates, finished = Gates("a"), list[Run]()
        dead = an_engine(stores, gated(gates), name="dead", lease_seconds=600)
        two = an_engine(stores, gated(gates), name="two", most_crashes=1, told={"on_finished": finished.append})
        run = await begin(dead, "gated")
        await gates.reached("a")
        reading = asyncio.create_task(story_of(two, run))
        await stores.runs.renew(Claim("dead", dead.now(), dead.now()), [run])
        await two._leases.reap()
        story = await reading

        assert [(each.run_id, each.status) for each in finished] == [(run.run_id, RunStatus.ERROR)]
        assert [event.name for event in story][-2:] == ["error", "end"]
        assert replayed(story).status is RunStatus.ERROR
        await dead.close()

    in_store(any_url, test)


def deaf(gates: Gates) -> GraphSource:
    """Its first node does not end when it is told to."""

    async def ignore(state: Steps) -> dict[str, Any]:
        try:
            await gates.perform("before")
        except asyncio.CancelledError:
            while not gates.performed["after"]:
                with contextlib.suppress(asyncio.CancelledError):
                    await gates.perform("after")
        return {"done": ["deaf"]}

    graph = gated_graph(gates, "c")
    graph.add_node("ignore", ignore)
    graph.edges.remove((START, "c"))
    graph.add_edge(START, "ignore")
    graph.add_edge("ignore", "c")
    return GraphSource("deaf", graph)


@pytest.mark.parametrize("stop", [Stop.INTERRUPT, Stop.ROLLBACK, None])
def test_a_node_that_does_not_end_when_it_is_cancelled_keeps_neither_the_run_nor_the_slot(
    stop: Stop | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        gates = Gates("before", "after")

        engine = an_engine(in_memory(), deaf(gates), grace_seconds=0.05, run_seconds=600 if stop else 0.1)
        async with live(engine):
            run = await begin(engine, "deaf", input={"done": ["begun"]}, durability="sync")
            await gates.reached("before")
            if stop is not None:
                await engine.stop(run.run_id, "", stop)
            await gates.reached("after")
            if stop is Stop.ROLLBACK:
                with pytest.raises(NotFoundError):
                    await end_of(engine, run)
            else:
                ended = await end_of(engine, run)
                assert ended.status is (RunStatus.INTERRUPTED if stop else RunStatus.TIMEOUT)
            await until(lambda: engine.in_flight == 0)
            gates.open("after")
            await until(lambda: gates.performed["after"] == 1 and not engine._own.tasks._tasks)
            left = await values_of(engine, "deaf", run.thread_id)

        assert left == ({} if stop is Stop.ROLLBACK else {"done": ["begun", "deaf"]})
        assert gates.performed == {"after": 1}  # it was the last of its graph
        assert "a node of graph deaf goes on" in caplog.text

    run_apart(main())


def test_a_deleted_thread_stays_deleted_when_a_deaf_node_ends_after_it() -> None:
    async def main() -> None:
        gates = Gates("before", "after")

        engine = an_engine(in_memory(), deaf(gates), grace_seconds=0.05)
        async with live(engine):
            run = await begin(engine, "deaf")
            await gates.reached("before")
            await engine.stop(run.run_id, "", Stop.INTERRUPT)
            await end_of(engine, run)
            await engine.runs.delete_thread(run.thread_id, "")
            await engine.checkpoints.delete_threads([run.thread_id])
            gates.open("after")
            await until(lambda: not engine._own.tasks._tasks)
            assert await values_of(engine, "deaf", run.thread_id) == {}

    run_apart(main())


def test_who_cancels_hears_of_the_end_without_anybody_looking(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        engine = an_engine(stores, gated(gates), **BY_BELLS_ALONE)
        async with live(engine):
            run = await begin(engine, "gated")
            await gates.reached("b")
            waiting = asyncio.create_task(end_of(engine, run))
            reading = asyncio.create_task(story_of(engine, run))
            await engine.stop(run.run_id, "", Stop.INTERRUPT)

            assert (await waiting).status is RunStatus.INTERRUPTED
            assert (await reading)[-1].name == "end"
            assert (await engine.runs.get_thread(run.thread_id, "")).status == "idle"

    in_store(any_url, test)


def test_who_cancels_at_another_replica_hears_of_the_end_without_anybody_looking(database: str) -> None:
    async def main() -> None:
        gates = Gates("b")
        async with opened(database) as first, opened(database) as second, asyncio.timeout(30):
            one = an_engine(first, gated(gates), **BY_BELLS_ALONE)
            two = an_engine(second, gated(gates), name="two", **BY_BELLS_ALONE)
            async with live(one, two):
                run = await begin(one, "gated")
                await gates.reached("b")
                waiting = asyncio.create_task(end_of(two, run))
                reading = asyncio.create_task(story_of(two, run))
                await two.stop(run.run_id, "", Stop.INTERRUPT)

                assert (await waiting).status is RunStatus.INTERRUPTED
                assert (await reading)[-1].name == "end"
                assert gates.performed == {"a": 1}

    run_apart(main())
