"""The same graph without a service: langgraph and its SQLite saver in this process, as many runs at once."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import Any

import aiosqlite
import uvloop
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from benchmarks.agent.load import QUESTION
from benchmarks.agent.workload import graph


def cpu_ms_per_run(folder: Path, runs: int, at_once: int, *, is_streamed: bool = False) -> float:
    """CPU of the process for one run; `exit` durability, as the service has it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the service has it
        return runner.run(_measure(folder, runs, at_once, is_streamed))


async def _measure(folder: Path, runs: int, at_once: int, is_streamed: bool) -> float:
    connection = await aiosqlite.connect(folder / f"bare-{uuid.uuid4().hex}.db")
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
        await connection.execute(f"PRAGMA {pragma}")
    saver = AsyncSqliteSaver(connection)
    compiled = graph().compile(checkpointer=saver)
    left = [runs + at_once]  # the first of every client is a warm-up
    began = [0.0]

    async def client() -> None:
        while left[0] > 0:
            left[0] -= 1
            if left[0] == runs:
                began[0] = time.process_time()
            config: Any = {"configurable": {"thread_id": str(uuid.uuid4())}}
            question: Any = QUESTION
            mode: Any = ["messages", "values"] if is_streamed else "values"
            async for _ in compiled.astream(question, config, stream_mode=mode, durability="exit"):
                pass

    await asyncio.gather(*(client() for _ in range(at_once)))
    used = time.process_time() - began[0]
    await connection.close()
    return 1000 * used / runs
