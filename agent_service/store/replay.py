"""A run rebuilt from its events alone.  Pure: the log is what happened, the rows are what is looked up.

Whoever consumes events keeps the number of the last one he has dealt with for each run; one with a lower or equal
number is an old one, told once more.
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
    values: Any = None  # of the last `values` event
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
            return replace(run, run_id=told["run_id"], attempt=told["attempt"], status=RunStatus.RUNNING)
        case "values":
            return replace(run, values=orjson.loads(event.data))
        case "error":
            return replace(run, error=orjson.loads(event.data))
        case "end":
            return replace(run, status=RunStatus(orjson.loads(event.data)["status"]))
        case _:
            return run
