"""Loops end when they are told to, even by somebody who is not heard the first time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from agent_service.engine.loops import Tasks
from agent_service.errors import StoreError
from tests.coroutines import run_apart


def test_a_loop_in_which_a_cancellation_gets_lost_is_cancelled_again() -> None:
    heard = 0

    async def hard_of_hearing() -> None:
        nonlocal heard
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        heard += 1
        await asyncio.Event().wait()

    async def main() -> None:
        tasks = Tasks()
        tasks.repeat(hard_of_hearing)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await tasks.end(patience_seconds=0)

    run_apart(main())
    assert heard == 1


def test_what_fails_in_the_background_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def main() -> None:
        tasks = Tasks()
        for error in (StoreError("away"), ValueError("a mistake of ours")):
            tasks.spawn(fail(error))
        await tasks.end(patience_seconds=5)

    run_apart(main())
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "a mistake of ours" in caplog.text
