"""Rows and events tell the same."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph_sdk import get_client

from agent_service.store.opening import open_stores
from agent_service.store.records import Event, RunStatus
from agent_service.store.replay import ReplayedRun, replayed
from tests.agent_service.serving import Parts, serving
from tests.coroutines import run_apart


@pytest.mark.parametrize(
    ("graph", "asked"),
    [("steps", {"done": []}), ("failing", {"name": "x"}), ("approval", {"question": "?"}), ("steps", {"seconds": 9.0})],
)
def test_a_run_is_rebuilt_from_its_events(graph: str, asked: dict[str, Any], any_url: str) -> None:
    async def parts() -> Parts:
        stores = open_stores(any_url)
        await stores.open()
        return Parts(stores.runs, stores.events, stores.checkpoints)

    with serving(parts) as served:

        async def main() -> tuple[Any, list[Event], Any]:
            async with asyncio.timeout(30), get_client(url=served.url) as client:
                made: Any = client
                thread = await made.threads.create()
                run = await made.runs.create(thread["thread_id"], graph, input=asked)
                if "seconds" in asked:
                    await made.runs.cancel(thread["thread_id"], run["run_id"], wait=True)
                result = await made.runs.join(thread["thread_id"], run["run_id"])
                return await made.runs.get(thread["thread_id"], run["run_id"]), result, run["run_id"]

        row, result, run_id = run_apart(main())
        events = served.run(served.service.engine.events.read(run_id, 0))

    found = replayed(events)
    assert (found.run_id, found.status, found.attempt) == (run_id, RunStatus(row["status"]), 1)
    if graph == "failing":
        assert found.error == result["__error__"]  # type: ignore[call-overload]
    else:
        assert found.values == result


@given(st.lists(st.integers(0, 9), max_size=30))
def test_events_that_are_told_again_change_nothing(cuts: list[int]) -> None:
    events = [
        Event(1, "metadata", orjson.dumps({"run_id": "r", "attempt": 1})),
        *(Event(seq, "values", orjson.dumps({"n": seq})) for seq in range(2, 9)),
        Event(1_000_001, "metadata", orjson.dumps({"run_id": "r", "attempt": 2})),
        Event(1_000_002, "end", orjson.dumps({"run_id": "r", "status": "success"})),
    ]
    once, again = replayed(events), ReplayedRun()

    for cut in cuts:  # deliveries that begin anywhere before what is known, as at-least-once delivery does
        position = sum(event.seq <= again.last_seq for event in events)
        again = replayed(events[max(position - cut, 0) : position + cut], again)
    again = replayed(events, again)

    assert again == once
    assert (once.status, once.attempt, once.values) == (RunStatus.SUCCESS, 2, {"n": 8})
