"""What executes here, and how much more may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from agent_service.engine.execution import Execution


class Slots:
    """Of one replica.  A run may be here twice for a moment: when it was taken from us and came back to us."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._executions: dict[tuple[str, int], Execution] = {}
        self._newest: dict[str, Execution] = {}
        self._reserved = 0
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def free(self) -> int:
        """Runs that may begin."""
        return max(self._count - len(self._executions) - self._reserved, 0)

    @property
    def in_flight(self) -> int:
        """Runs that execute."""
        return len(self._executions)

    @contextmanager
    def reserved(self, count: int) -> Iterator[None]:
        """Slots for runs that the store is being asked for."""
        self._reserved += count
        try:
            yield
        finally:
            self._reserved -= count

    def put(self, execution: Execution) -> Execution | None:
        """Take it in; the execution of the same run that was here, if there is one."""
        run = execution.run
        earlier = self._newest.get(run.run_id)
        self._executions[(run.run_id, run.attempt)] = execution
        self._newest[run.run_id] = execution
        self._is_empty.clear()
        return earlier

    def remove(self, execution: Execution) -> None:
        """It is over; what else goes on of the same run stays."""
        run = execution.run
        if self._executions.get((run.run_id, run.attempt)) is execution:
            del self._executions[(run.run_id, run.attempt)]
        if self._newest.get(run.run_id) is execution:
            del self._newest[run.run_id]
        if not self._executions:
            self._is_empty.set()

    def of(self, run_id: str) -> Execution | None:
        """Of a run that executes here."""
        return self._newest.get(run_id)

    def newest(self) -> list[Execution]:
        """One for each run."""
        return list(self._newest.values())

    def all(self) -> list[Execution]:
        """Those included that have been lost and are about to end."""
        return list(self._executions.values())

    async def until_empty(self, seconds: float) -> bool:
        """Whether all of them ended in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True
