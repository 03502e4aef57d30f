"""Threads, runs and claims with defaults, so that a test says only what matters to it."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_service.store.opening import Stores, open_stores
from agent_service.store.records import Claim, Ending, Event, Multitask, Run, RunStatus, Submission, Thread
from tests.coroutines import run_apart

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_ids = itertools.count(1)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def an_id() -> str:
    """A UUID; later ones sort later."""
    return str(uuid.UUID(int=next(_ids)))


def a_thread(**told: Any) -> Thread:
    """Made at noon."""
    return Thread(**{"thread_id": an_id(), "tenant": "", "created_at": NOON, "updated_at": NOON, **told})


def a_run(thread: Thread | str, **told: Any) -> Run:
    """Made, and due, at noon."""
    thread_id = thread if isinstance(thread, str) else thread.thread_id
    known = {
        "run_id": an_id(), "thread_id": thread_id, "tenant": "", "assistant_id": "a", "graph_id": "g",
        "created_at": NOON, "updated_at": NOON, "not_before": NOON,
    }  # fmt: skip
    return Run(**{**known, **told})


def a_claim(holder: str = "one", seconds: float = 0, lease: float = 30) -> Claim:
    """At some seconds after noon."""
    return Claim(holder, at(seconds), at(seconds + lease))


def success(seconds: float = 1, **told: Any) -> Ending:
    """With values."""
    return Ending(RunStatus.SUCCESS, at(seconds), **{"result": b'{"a":1}', "values": b'{"a":1}', **told})


def events(*seqs: int) -> list[Event]:
    """With these numbers."""
    return [Event(seq, "values", f'{{"seq":{seq}}}'.encode()) for seq in seqs]


async def submit(stores: Stores, run: Run, strategy: Multitask = Multitask.ENQUEUE, **told: Any) -> Submission:
    """Without claim and without making a thread, unless told."""
    return await stores.runs.submit(run, strategy=strategy, **{"new_thread": None, "claim": None, **told})


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Stores]:
    """Open while the block lasts."""
    stores = open_stores(url)
    await stores.open()
    try:
        yield stores
    finally:
        await stores.close()


def in_store(url: str, test: Callable[[Stores], Awaitable[None]]) -> None:
    """Run a test with a store that is open."""

    async def main() -> None:
        async with opened(url) as stores:
            async with asyncio.timeout(60):
                await test(stores)

    run_apart(main())
