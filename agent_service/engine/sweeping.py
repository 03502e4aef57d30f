"""Deletes what nobody needs any more: threads whose time is over, streams and results of runs that ended long ago."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from agent_service.engine.replica import Replica
from agent_service.errors import StoreError

log = logging.getLogger("forescale.agent")

_AT_ONCE = 500


class Sweeper:
    """Of one replica."""

    def __init__(self, replica: Replica) -> None:
        self._own = replica
        self._owed: list[str] = []  # threads that are gone, whose checkpoints are not

    async def sweeping(self) -> None:
        """A loop."""
        while True:
            await asyncio.sleep(self._own.settings.sweep_seconds)
            await self.sweep()

    async def sweep(self) -> None:
        """Until nothing is left that should go: a busy replica makes more in a round than one call deletes."""
        own, at = self._own, self._own.now()
        before = at - timedelta(seconds=own.settings.keep_seconds)
        while True:
            gone = await own.runs.sweep(at, finished_before=before, limit=_AT_ONCE)
            self._owed += gone
            await self._pay()
            if len(gone) < _AT_ONCE:
                return

    async def _pay(self) -> None:
        """What cannot be deleted now is deleted in the next round."""
        owed, self._owed = self._owed, []
        if not owed:
            return
        try:
            await self._own.checkpoints.delete_threads(owed)
        except StoreError as error:
            self._owed = owed + self._owed
            log.warning("checkpoints of %d deleted threads are deleted in the next round: %s", len(self._owed), error)
