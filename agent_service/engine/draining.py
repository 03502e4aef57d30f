"""How a graph is asked to stop between two of its steps."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.runtime import RunControl


class OutermostControl(RunControl):
    """Asks the graph that we run, but none of the graphs inside its nodes.

    langgraph hands the control down.  A graph that stops inside of a node makes the node stop in its middle: what the
    node did before is done again later, and with durability exit all that the inner graph did, since of that nothing
    is kept.  So nodes are not interrupted: whoever asks from within one hears that nobody wants it to stop.
    """

    __slots__ = ("_task",)

    def __init__(self) -> None:
        super().__init__()
        self._task: asyncio.Task[Any] | None = None

    def is_driven_by(self, task: asyncio.Task[Any] | None) -> None:
        """The task that takes the outermost graph from step to step; nodes have tasks or threads of their own."""
        self._task = task

    @property
    def drain_requested(self) -> bool:
        """Whether to stop here."""
        if self.drain_reason is None:
            return False
        try:
            return asyncio.current_task() is self._task
        except RuntimeError:  # in a thread
            return False
