"""Takes runs from the store into free slots."""

from __future__ import annotations

from agent_service.engine.bells import Bell
from agent_service.engine.performing import Performer
from agent_service.engine.replica import Replica


class Claims:
    """Of one replica."""

    def __init__(self, replica: Replica, performer: Performer) -> None:
        self._own, self._performer = replica, performer
        self._work = Bell()

    def wake(self) -> None:
        """There may be work."""
        self._work.ring()

    def slot_is_free(self) -> None:
        """Of use only when somebody waits."""
        if self._own.admission.runnable:
            self._work.ring()

    async def claiming(self) -> None:
        """A loop."""
        while True:
            await self._work.heard(self._own.settings.look_seconds)
            self._work.clear()
            await self.claim()

    async def claim(self) -> None:
        """Until the slots or the queue are used up; of graphs that are served here, since versions differ in a fleet.

        Slots are reserved while the store is asked, so it is asked for as many as are known to wait, and then for more:
        with all of them reserved, whoever comes meanwhile would have to queue before empty slots.
        """
        own = self._own
        wanted = max(own.admission.runnable, 1)
        while own.slots.free and not own.admission.is_draining:
            wanted = min(wanted, own.slots.free)
            with own.slots.reserved(wanted):
                claim, lease_ends = own.claim()
                claimed = await own.runs.claim(claim, wanted, graphs=own.graphs.names)
            mine = sum(run.accepted_by == own.name for run in claimed)
            own.admission.dequeued(count=len(claimed), mine=mine)
            for run in claimed:
                self._performer.begin(run, lease_ends)
            if len(claimed) < wanted:
                return
            wanted *= 2
