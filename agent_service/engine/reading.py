"""Follows a run, wherever it executes: its events, and its ending."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from agent_service.engine.engine import Engine
from agent_service.engine.live import LiveStream
from agent_service.errors import NotFoundError
from agent_service.store.records import Event, Run

END = "end"
_OF_TOKENS = "messages"  # and messages/partial; a step's values and updates are rare, and waited for


class LeftError(Exception):
    """This replica shuts down; the run goes on, and another replica can tell the rest."""


async def follow(engine: Engine, run: Run, after: int) -> AsyncIterator[list[Event]]:
    """Batches of events with a number above `after`, to the last; an empty batch means: still alive.

    Tokens that come faster than anybody reads are told together: waking a connection costs ten times what a token does.
    Raises LeftError.
    """
    with engine.bells.hang(run.run_id) as bell, engine.bells.hang(run.run_id, for_end=True) as end_bell:
        spoke_at = time.monotonic()
        stream: LiveStream | None = None
        while True:
            bell.clear()
            end_bell.clear()
            execution = engine.execution_of(run.run_id)
            if execution is not None:
                stream = execution.stream
            elif stream is not None and not stream.is_whole:
                stream = None  # it goes on elsewhere
            events, is_over = await _news(engine, run, after, stream)
            if events:
                yield events
                after, spoke_at = events[-1].seq, time.monotonic()
                if events[-1].name == END:
                    return
                if events[-1].name.startswith(_OF_TOKENS) and engine.settings.gather_seconds > 0:
                    await end_bell.heard(engine.settings.gather_seconds)
                continue
            if is_over:
                return
            if engine.has_left:
                raise LeftError
            patience, look = engine.settings.patience_seconds, engine.settings.look_seconds
            rang = await bell.heard(patience if execution is not None else min(look, patience))
            if not rang and time.monotonic() - spoke_at >= patience:
                spoke_at = time.monotonic()
                yield []


async def _news(engine: Engine, run: Run, after: int, stream: LiveStream | None) -> tuple[list[Event], bool]:
    """What is new, and whether nothing more will come if that is nothing; stream: of what executes or ended here."""
    if stream is not None:
        known = stream.after(after)
        if known is not None:
            return known, stream.is_whole
        return await engine.events.read(run.run_id, after) or list(stream.events), False
    try:
        # First the status: what ends between the two looks is found by the next one.
        is_over = not (await engine.runs.get_run(run.run_id, run.tenant)).status.is_active
    except NotFoundError:
        is_over = True
    return await engine.events.read(run.run_id, after), is_over


async def ended(engine: Engine, run: Run) -> AsyncIterator[Run | None]:
    """None whenever the caller should say that it is still alive; at last the run as it ended.

    Raises NotFoundError when the run is gone, LeftError.
    """
    with engine.bells.hang(run.run_id, for_end=True) as bell:
        execution = engine.execution_of(run.run_id)
        spoke_at = time.monotonic()
        while True:
            bell.clear()
            if execution is not None and execution.final is not None and not execution.is_rolled_back:
                yield execution.final
                return
            here = engine.execution_of(run.run_id)
            if here is None:
                known = await engine.runs.get_run(run.run_id, run.tenant)
                if not known.status.is_active:
                    yield known
                    return
            else:
                execution = here
            if engine.has_left:
                raise LeftError
            patience, look = engine.settings.patience_seconds, engine.settings.look_seconds
            rang = await bell.heard(patience if here is not None else min(look, patience))
            if not rang and time.monotonic() - spoke_at >= patience:
                spoke_at = time.monotonic()
                yield None
