"""Keeps what executes here ours, notices when it is not, and takes runs from replicas that went silent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from agent_service.engine.execution import Execution, Halt
from agent_service.engine.performing import Performer
from agent_service.engine.replica import Replica
from agent_service.errors import StoreError

log = logging.getLogger("forescale.agent")


class Leases:
    """Of one replica."""

    def __init__(self, replica: Replica, performer: Performer) -> None:
        self._own, self._performer = replica, performer
        self._third = replica.settings.lease_seconds / 3

    async def renew(self, executions: Sequence[Execution]) -> None:
        """Put their ends off, and hear what users ask of them; raises StoreError."""
        claim, safe_until = self._own.claim()
        try:
            async with asyncio.timeout(self._third):
                held = await self._own.runs.renew(claim, [execution.run for execution in executions])
        except TimeoutError:
            raise StoreError("the store does not answer") from None
        for execution in executions:
            if execution.run.run_id not in held:
                execution.halt(Halt.LOST)
                continue
            execution.lease_ends = safe_until
            stop = held[execution.run.run_id]
            if stop is not None:
                execution.halt(Halt.of(stop))

    async def look_at_stop(self, run_id: str) -> None:
        """Somebody says that a run which executes here is to stop."""
        execution = self._own.slots.of(run_id)
        if execution is None:
            return
        try:
            await self.renew([execution])
        except StoreError as error:
            log.warning("run %s: whether it is to stop is found out with its next renewal: %s", run_id, error)

    async def renewing(self) -> None:
        """A loop.  Three tries for every lease."""
        while True:
            await asyncio.sleep(self._third)
            await self.renew_all()

    async def renew_all(self) -> None:
        """Of every run that executes here."""
        executions = self._own.slots.newest()
        if executions:
            try:
                await self.renew(executions)
            except StoreError as error:
                log.warning("leases could not be renewed: %s", error)

    async def watching(self) -> None:
        """A loop.  Renewals may hang, or this process may have been stopped: what lapses is given up regardless."""
        while True:
            await asyncio.sleep(self._own.settings.lease_margin_seconds / 3)
            self.give_up_lapsed()

    def give_up_lapsed(self) -> None:
        """Before anybody else may take it up."""
        now = self._own.clock()
        for execution in self._own.slots.newest():
            if now >= execution.lease_ends:
                execution.halt(Halt.LOST)

    async def reaping(self) -> None:
        """A loop."""
        while True:
            await asyncio.sleep(self._third)
            await self.reap()

    async def reap(self) -> None:
        """Runs of replicas that went silent wait again, or have ended."""
        own = self._own
        for run in await own.runs.reap(own.now(), most_crashes=own.settings.most_crashes):
            log.warning("run %s lost its replica; it is %s now", run.run_id, run.status)
            await self._performer.ended_without_execution(run)
