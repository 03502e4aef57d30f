"""What a run streams: bounded, whole for every reader, and ended only when the run is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph

from agent_service.engine import live as live_streams
from agent_service.engine.graphs import GraphSource
from agent_service.engine.live import LiveStream, StreamTooLarge
from agent_service.engine.reading import follow
from agent_service.store.memory import MemoryStore
from agent_service.store.opening import Stores
from agent_service.store.records import ATTEMPT_SPAN, Ending, Event, Finished, Run, RunStatus
from tests.agent_service.builders import a_run, in_store
from tests.agent_service.engine.replicas import (
    Gates,
    Steps,
    an_engine,
    begin,
    end_of,
    gated,
    in_memory,
    live,
    one_node,
    story_of,
)
from tests.coroutines import run_apart


def a_stream(attempt: int = 1, most_bytes: int = 2**30) -> LiveStream:
    return LiveStream(a_run("t", attempt=attempt), lambda _: None, most_bytes=most_bytes)


def test_a_stream_says_no_more_than_it_may() -> None:
    stream = a_stream(most_bytes=100)
    stream.say("values", b"x" * 60)

    with pytest.raises(StreamTooLarge, match="ask for stream_mode updates"):
        stream.say("values", b"x" * 60)
    stream.say_last("error", b"x" * 60)

    assert [event.seq for event in stream.rest()] == [1, 2]


def test_numbers_of_an_attempt_never_reach_those_of_the_next() -> None:
    stream = a_stream(attempt=2)
    said = 0
    with contextlib.suppress(StreamTooLarge):
        for said in range(1, ATTEMPT_SPAN + 1):
            stream.say("custom", b"")
            stream.flushed(ATTEMPT_SPAN + said)
    stream.say_last("error", b"")
    stream.say_last("end", b"")

    last = stream.rest()[-1].seq
    assert said < ATTEMPT_SPAN
    assert 2 * ATTEMPT_SPAN - 10 < last <= 2 * ATTEMPT_SPAN


def test_of_what_the_store_has_memory_keeps_little() -> None:
    stream = a_stream()
    for number in range(100):
        stream.say("values", b"%d" % number + b"x" * 100_000)
    assert len(stream.unflushed()) == 100  # nothing may go before the store has it
    stream.flushed(90)

    assert sum(len(event.data) for event in stream.events) <= 11 * 100_010
    assert [event.seq for event in stream.unflushed()] == list(range(91, 101))
    assert stream.after(95) == stream.events[-5:]
    assert stream.after(3) is None


def test_few_small_events_stay_in_memory() -> None:
    stream = a_stream()
    for _ in range(live_streams._MOST_KEPT + 10):
        stream.say("custom", b"x")
    stream.flushed(live_streams._MOST_KEPT + 10)

    assert len(stream.events) == live_streams._MOST_KEPT
    assert stream.after(9) is None
    assert (stream.after(10) or [])[0].seq == 11


def counting(size: int) -> GraphSource:
    """Counts to 20, and carries so many bytes along."""

    class Counting(Steps, total=False):
        number: int
        cargo: str

    async def count(state: Counting) -> dict[str, Any]:
        return {"number": state.get("number", 0) + 1, "cargo": "x" * size}

    graph = StateGraph(Counting)
    graph.add_node("count", count)
    graph.add_edge(START, "count")
    graph.add_conditional_edges("count", lambda state: "count" if state["number"] < 20 else END)
    return GraphSource("counting", graph)


def test_a_run_that_streams_too_much_ends_with_an_error_that_says_what_to_do() -> None:
    async def main() -> None:
        engine = an_engine(in_memory(), counting(10_000), most_event_bytes=50_000)
        async with live(engine):
            run = await begin(engine, "counting", input={"number": 0})
            ended = await end_of(engine, run)
            story = await story_of(engine, run)

        assert ended.status is RunStatus.ERROR
        assert b'"error":"StreamTooLarge"' in (ended.result or b"")
        assert b"ask for stream_mode updates instead of values" in (ended.result or b"")
        assert sum(len(event.data) for event in story) < 60_000
        assert [event.name for event in story][-2:] == ["error", "end"]

    run_apart(main())


def test_a_reader_far_behind_a_run_that_executes_here_misses_nothing(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        engine = an_engine(stores, counting(200_000), flush_seconds=0.001)
        async with live(engine):
            run = await begin(engine, "counting", input={"number": 0})
            first = asyncio.create_task(story_of(engine, run))
            await end_of(engine, run)
            later = await story_of(engine, run)

        assert [event.seq for event in later] == list(range(1, len(later) + 1))
        assert await first == later
        assert len(later) == 1 + 21 + 1

    in_store(any_url, test)


def test_the_first_token_is_told_at_once_and_those_on_its_heels_together() -> None:
    async def main() -> None:
        gates = Gates("a")
        engine = an_engine(in_memory(), gated(gates), gather_seconds=3600.0)
        async with live(engine):
            run = await begin(engine, "gated", stream_mode=["messages-tuple"])
            await gates.reached("a")
            execution = engine.execution_of(run.run_id)
            assert execution is not None
            batches = follow(engine, run, 0)
            assert [event.name for event in await anext(batches)] == ["metadata"]

            execution.stream.say("messages", b"1")
            first = await anext(batches)
            rest = asyncio.create_task(all_of(batches))
            for token in (b"2", b"3"):
                execution.stream.say("messages", token)
                await asyncio.sleep(0.001)
            assert not rest.done()
            gates.open("a")
            batches_left = await rest

        assert [event.data for event in first] == [b"1"]
        assert [event.data for event in batches_left[0]][:2] == [b"2", b"3"]
        assert batches_left[-1][-1].name == "end"  # which waits for nobody

    run_apart(main())


async def all_of(batches: AsyncIterator[list[Event]]) -> list[list[Event]]:
    return [each async for each in batches]


class Silent(MemoryStore):
    """Whose streams nobody may read."""

    async def read(self, run_id: str, after: int, limit: int = 1000) -> list[Event]:
        """See EventLog."""
        raise AssertionError("what is in memory was read from the store")


def test_whoever_follows_a_run_here_hears_its_end_without_asking_the_store() -> None:
    async def main() -> None:
        gates = Gates("c")
        engine = an_engine(in_memory(Silent()), gated(gates))
        async with live(engine):
            run = await begin(engine, "gated")
            reading = asyncio.create_task(story_of(engine, run))
            await gates.reached("c")
            gates.open("c")
            story = await reading

        assert story[-1].name == "end"

    run_apart(main())


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


def test_nobody_hears_of_an_error_before_the_run_has_ended() -> None:
    async def main() -> None:
        async def fail(state: Steps) -> dict[str, Any]:
            raise ValueError("no luck")

        store = SlowToEnd()
        engine = an_engine(in_memory(store), one_node("failing", fail))
        async with live(engine):
            run = await begin(engine, "failing")
            reading = asyncio.create_task(story_of(engine, run))
            await store.is_ending.wait()
            execution = engine.execution_of(run.run_id)
            assert execution is not None
            heard = execution.stream.after(0) or []
            store.may_end.set()
            story = await reading

        assert "error" not in [event.name for event in heard]
        assert [event.name for event in story][-2:] == ["error", "end"]

    run_apart(main())
