"""Whoever hears that a run has ended may count on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from agent_service.store.checkpoints import MemoryCheckpoints
from agent_service.store.memory import MemoryStore
from agent_service.store.records import Ending, Event, Finished, Run
from tests.agent_service.serving import Parts, serving


class SlowToEnd(MemoryStore):
    """Takes its time over endings."""

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> Finished:
        """See RunStore."""
        await asyncio.sleep(0.3)
        return await super().finish(run, ending, events)


async def slow_parts() -> Parts:
    store = SlowToEnd()
    return Parts(store, store, MemoryCheckpoints())


@pytest.mark.parametrize("graph", ["steps", "failing", "approval"])
def test_the_end_of_a_stream_is_told_when_the_thread_is_free_and_not_before(graph: str) -> None:
    with serving(slow_parts) as served, httpx.Client(base_url=served.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        body = {"assistant_id": graph, "input": {"question": "?", "name": "x"}}
        with http.stream("POST", f"/threads/{thread}/runs/stream", json=body) as answer:
            seen = []
            for line in answer.iter_lines():
                seen.append(line)
                if line == "event: end":
                    break
            status = http.get(f"/threads/{thread}").json()["status"]
            (run,) = http.get(f"/threads/{thread}/runs").json()

        assert status == {"steps": "idle", "failing": "error", "approval": "interrupted"}[graph]
        assert run["status"] in ("success", "error")
        replay = http.get(f"/threads/{thread}/runs/{run['run_id']}/stream").text
        assert replay.count("event: end") == 1
        again = http.post(f"/threads/{thread}/state", json={"values": {"name": "y"}, "as_node": "__start__"})
        assert again.status_code != 409


def test_a_result_that_is_waited_for_is_told_when_the_thread_is_free() -> None:
    with serving(slow_parts) as served, httpx.Client(base_url=served.url) as http:
        thread = http.post("/threads", json={}).json()["thread_id"]
        told = http.post(f"/threads/{thread}/runs/wait", json={"assistant_id": "steps", "input": {"done": []}}).json()

        assert told == {"done": [*"abcde"]}
        assert http.get(f"/threads/{thread}").json()["status"] == "idle"
