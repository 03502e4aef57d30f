"""A run rebuilt from its events alone.  Pure: the log is what happened, the rows are what is looked up.

Whoever consumes events keeps the number of the last one he has dealt with for each run; one with a lower or equal
number is an old one, told once more.

What was not streamed is not known: without the stream mode `values` a run is rebuilt without them.  How it ended, and
with what error, is always told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from agent_service.store.records import Event, RunStatus


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """What events say of a run so far."""

    run_id: str = ""
    attempt: int = 0
    status: RunStatus = RunStatus.PENDING
    values: Any = None  # of the last `values` event; None where none was streamed
    error: dict[str, Any] | None = None
    last_seq: int = 0


def replayed(events: Iterable[Event], known: ReplayedRun | None = None) -> ReplayedRun:
    """known: what earlier events said; those that it has seen change nothing."""
    run = known or ReplayedRun()
    for event in events:
        if event.seq > run.last_seq:
            run = replace(_after(run, event), last_seq=event.seq)
    return run


def _after(run: ReplayedRun, event: Event) -> ReplayedRun:
    match event.name:
        case "metadata":
            told = orjson.loads(event.data)
            # Another attempt: what the one before it failed of, it did not end of.
            return replace(run, run_id=told["run_id"], attempt=told["attempt"], status=RunStatus.RUNNING, error=None)
        case "values":
            return replace(run, values=orjson.loads(event.data))
        case "error":
            return replace(run, error=orjson.loads(event.data))
        case "end":
            told = orjson.loads(event.data)
            status = RunStatus(told["status"])
            error = run.error if status in (RunStatus.ERROR, RunStatus.TIMEOUT) else None
            return replace(run, run_id=told["run_id"], status=status, error=error)
        case _:
            return run
