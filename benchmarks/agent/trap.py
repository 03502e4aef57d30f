"""One lock around a pool: langgraph's PostgreSQL saver as it comes, and with the semaphore that we give it.

The same graph without a service, with a checkpoint after every step.  As it comes, all checkpoints of a process queue
behind one lock while its CPU idles: an HPA on CPU would scale such an agent in.  The lock is held for whole round
trips, so what it costs depends on how far away the database is.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from agent_service.store.postgres_checkpoints import PostgresCheckpoints
from benchmarks.agent.load import QUESTION
from benchmarks.agent.workload import graph

CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """What so many runs at once came to."""

    runs_per_second: float
    median_seconds: float
    cpu_ratio: float  # of one core, in this process


def one_lock(url: str, runs: int, at_once: int) -> Pace:
    """As langgraph has it."""

    async def main() -> Pace:
        pool: Any = AsyncConnectionPool(
            url, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False,
            kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        )  # fmt: skip
        async with pool:
            saver = AsyncPostgresSaver(pool)
            await saver.setup()
            return await _pace(saver, runs, at_once)

    return asyncio.run(main())


def semaphore(url: str, runs: int, at_once: int) -> Pace:
    """As we have it."""

    async def main() -> Pace:
        checkpoints = PostgresCheckpoints(url, most_connections=CONNECTIONS)
        await checkpoints.open()
        try:
            return await _pace(checkpoints.saver, runs, at_once)
        finally:
            await checkpoints.close()

    return asyncio.run(main())


@contextmanager
def far_away(url: str, seconds: float) -> Iterator[str]:
    """The URL of the same database with so many seconds added to every round trip, as a network would."""
    context = multiprocessing.get_context("spawn")
    ports = context.SimpleQueue()
    parts = urlsplit(url)
    process = context.Process(target=_delay, args=(parts.hostname, parts.port, seconds, ports), daemon=True)
    process.start()
    try:
        yield parts._replace(netloc=f"{parts.username}@127.0.0.1:{ports.get()}").geturl()
    finally:
        process.terminate()
        process.join()


def _delay(host: str, port: int, seconds: float, ports: Any) -> None:
    async def passes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, later: float) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65_536):
            if later:
                loop.call_later(later, writer.write, data)  # what follows does not wait for it: a line, not a queue
            else:
                writer.write(data)
        loop.call_later(later, writer.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(passes(reader, their_writer, seconds), passes(their_reader, writer, 0.0))

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()

    asyncio.run(main())


async def _pace(saver: Any, runs: int, at_once: int) -> Pace:
    compiled = graph().compile(checkpointer=saver)
    left, seconds = [runs], list[float]()

    async def client() -> None:
        while left[0] > 0:
            left[0] -= 1
            began = time.perf_counter()
            config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
            question: Any = QUESTION
            await compiled.ainvoke(question, config, durability="async")
            seconds.append(time.perf_counter() - began)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(at_once)))
    took = time.perf_counter() - began
    return Pace(len(seconds) / took, sorted(seconds)[len(seconds) // 2], (time.process_time() - used) / took)
