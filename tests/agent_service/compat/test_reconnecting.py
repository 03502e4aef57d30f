"""Connections that break: the official client comes back, and loses and repeats nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph_sdk import get_client

from agent_service.engine.graphs import GraphSource
from agent_service.store.opening import open_stores
from tests.agent_service.compat.cutting import cutting
from tests.agent_service.graphs import steps, talk_slowly
from tests.agent_service.serving import Options, Parts, serving
from tests.coroutines import run_apart


def an_async_client(url: str) -> Any:
    return get_client(url=url)


async def parts() -> Parts:
    stores = open_stores("memory://")
    return Parts(stores.runs, stores.events, stores.checkpoints)


def test_a_stream_that_is_cut_again_and_again_arrives_whole() -> None:
    sources = (GraphSource("talk", talk_slowly(0.02)),)
    with serving(parts, Options(sources=sources)) as served:

        async def main() -> tuple[list[int], str, int, list[bytes]]:
            async with (
                asyncio.timeout(60),
                cutting(served.url, [1500, 900]) as (url, cuts),
                an_async_client(url) as client,
            ):
                thread_id = (await client.threads.create())["thread_id"]
                stream = client.runs.stream(
                    thread_id, "talk", input={"messages": [{"role": "user", "content": "hello"}]},
                    stream_mode="messages-tuple",
                )  # fmt: skip
                told: list[Any] = [part async for part in stream]
                text = "".join(part.data[0]["content"] for part in told if part.event == "messages")
                return [int(part.id) for part in told], text, cuts.done, cuts.requests

        seqs, text, cuts, requests = run_apart(main())

    assert cuts == 2
    assert seqs == list(range(1, len(seqs) + 1))
    assert text == "".join(f"word{number} " for number in range(12))
    assert sum(b"last-event-id" in request.lower() for request in requests) == 2


@pytest.mark.filterwarnings("ignore:Request failed, attempting reconnect")  # the client's own words
def test_a_wait_that_is_cut_still_gives_the_result_of_the_one_run() -> None:
    sources = (GraphSource("steps", steps()),)
    with serving(parts, Options(sources=sources)) as served:

        async def main() -> tuple[Any, int, int]:
            # White space keeps the answer alive every 0.2 s: cut somewhere in it, then in the join.
            async with (
                asyncio.timeout(60),
                cutting(served.url, [400, 400], only=b"/runs/") as (url, cuts),
                an_async_client(url) as client,
            ):
                thread_id = (await client.threads.create())["thread_id"]
                found = await client.runs.wait(thread_id, "steps", input={"done": [], "seconds": 1.0})
                return found["done"], cuts.done, len(await client.runs.list(thread_id))

        done, cuts, runs = run_apart(main())

    assert done == [*"abcde"]
    assert cuts >= 1
    assert runs == 1
