"""What of a checkpoint's writes a rollback takes away.  Pure.

A run that goes on from a paused thread writes its answer, and what the answered tasks then say, onto the checkpoint of
the run before it.  Nothing there says who wrote what.  But a task that has asked, or failed, had said nothing else
before somebody went on from there; and where no task has, nobody had begun one.  So what a task has asked stays, as do
the writes of those that ended beside it, and all the rest goes.

A run that came with an input of its own wrote to checkpoints of its own only, and there is nothing to undo.
"""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.checkpoint.serde.types import ERROR, INTERRUPT

NULL_TASK = "00000000-0000-0000-0000-000000000000"  # langgraph's name for what no task wrote, but a caller's command
PAUSES = (INTERRUPT, ERROR)
INPUT = "input"  # metadata `source` of a checkpoint that begins with an input
DELTA_KEYS = ("counters_since_delta_snapshot", "delta_writes_versioned")
"""In the metadata of checkpoints that hold what has changed since others only: those others cannot be pruned."""


def undone(writes: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Of these, as (task, channel), those that go."""
    known = set(writes)
    paused = {task for task, channel in known if channel in PAUSES}
    return {
        (task, channel)
        for task, channel in known
        if channel not in PAUSES and (not paused or task in paused or task == NULL_TASK)
    }
