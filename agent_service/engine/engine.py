"""One replica: accepts runs, takes them from the store into its slots, and hands them over when it must go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from langgraph.checkpoint.memory import InMemorySaver

from agent_service.engine.admission import Admission, OverloadedError
from agent_service.engine.claiming import Claims
from agent_service.engine.execution import Execution, Halt
from agent_service.engine.graphs import Graphs
from agent_service.engine.leases import Leases
from agent_service.engine.meters import Meters
from agent_service.engine.performing import Performer
from agent_service.engine.rehearsal import rehearse
from agent_service.engine.replica import Companion, Replica, utc_now
from agent_service.engine.settings import EngineSettings
from agent_service.engine.slots import Slots
from agent_service.engine.sweeping import Sweeper
from agent_service.errors import StoreError
from agent_service.store.ports import Checkpoints, EventLog, RunStore
from agent_service.store.records import Change, ChangeKind, Multitask, Run, Stop, Submission, Thread

_FAREWELL_SECONDS = 1.0  # beside what nodes get to clean up


class Engine:
    """Open it, submit to it, drain it, close it; all in one event loop."""

    def __init__(
        self,
        graphs: Graphs,
        runs: RunStore,
        events: EventLog,
        checkpoints: Checkpoints,
        scratch: InMemorySaver,
        *,
        settings: EngineSettings,
        replica: str,
        meters: Meters | None = None,
        companion: Companion | None = None,
        on_finished: Callable[[Run], None] | None = None,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """replica: a name that no other process has, nor had.  on_finished: told of every ending written here."""
        if settings.node_seconds is not None:
            graphs.limit_nodes(settings.node_seconds)
        self._own = own = Replica(
            replica, graphs, runs, events, checkpoints, scratch, settings, Admission(settings), Slots(settings.slots),
            meters or Meters(), companion, on_finished, now, clock,
        )  # fmt: skip
        self.graphs, self.runs, self.events, self.checkpoints = graphs, runs, events, checkpoints
        self.settings, self.replica, self.now = settings, replica, now
        self.bells, self.admission, self.meters = own.bells, own.admission, own.meters
        self._performer = Performer(own)
        self._claims = Claims(own, self._performer)
        self._performer.on_free = self._claims.slot_is_free
        self._leases = Leases(own, self._performer)
        self._sweeper = Sweeper(own)
        self.has_left = False  # drained: whoever still waits here must ask another replica

    # life

    async def rehearse(self) -> None:
        """A small run of our own through everything, so that the first of a user's finds it loaded.

        Needs the stores to be open; raises StoreError when the run does not end well.  Nothing of it stays.
        """
        await rehearse(self._own)

    async def open(self) -> None:
        """Begin to claim.  The store is open."""
        self.runs.listen(self._hear)
        leases = self._leases
        for loop in (
            self._claims.claiming, leases.renewing, leases.watching, leases.reaping, self._looking,
            self._sweeper.sweeping, self._flushing,
        ):  # fmt: skip
            self._own.tasks.repeat(loop)

    async def drain(self) -> None:
        """Stop claiming; let every run reach the end of its step, and leave it to others.  Nothing is lost."""
        own = self._own
        own.admission.is_draining = True
        own.meters.draining(True)
        for execution in own.slots.all():
            execution.drain()
        if not await own.slots.until_empty(self.settings.drain_seconds):
            for execution in own.slots.all():
                execution.halt(Halt.SHUTDOWN)
            await own.slots.until_empty(self.settings.lease_seconds)
        self.has_left = True
        own.bells.ring_all()

    async def close(self) -> None:
        """End what still goes on; the store is closed by whoever opened it."""
        self.admission.is_draining = True
        for execution in self._own.slots.all():
            execution.halt(Halt.SHUTDOWN)
        await self._own.tasks.end(patience_seconds=self.settings.grace_seconds + _FAREWELL_SECONDS)

    @property
    def in_flight(self) -> int:
        """Runs that execute here now."""
        return self._own.slots.in_flight

    @property
    def is_draining(self) -> bool:
        """Whether this replica shuts down."""
        return self.admission.is_draining

    def execution_of(self, run_id: str) -> Execution | None:
        """Of a run that executes here."""
        return self._own.slots.of(run_id)

    # what callers ask for

    async def admit(self, tenant: str, idempotency_key: str | None = None) -> None:
        """Raises OverloadedError when there is no room for another run; asked before anything costly is looked at.

        Whoever repeats a request is answered nevertheless: his run is there.
        """
        try:
            self.admission.admit(has_free_slot=self._has_slot())
        except OverloadedError:
            if idempotency_key is None or await self.runs.find_by_key(tenant, idempotency_key) is None:
                raise

    async def submit(self, run: Run, *, new_thread: Thread | None, strategy: Multitask) -> Submission:
        """Accept a run; it begins at once when a slot is free and nobody waits.  Raises OverloadedError."""
        await self.admit(run.tenant, run.idempotency_key)
        run = replace(run, accepted_by=self.replica)
        if new_thread is not None:
            new_thread = self.settings.with_ttl(new_thread, self.now())
        begins_now = self._has_slot() and self.admission.runnable == 0
        place = self._own.slots.reserved(1) if begins_now else self.admission.entering()
        with place:
            found, lease_ends = await self._submitted(run, new_thread, strategy, begins_now=begins_now)
            if not found.is_new:
                return found
            if found.run.holder == self.replica and found.run.status.is_active:
                self._performer.begin(found.run, lease_ends)
            else:
                self.admission.queued(is_runnable=found.is_runnable)
                self._claims.wake()
        for stopped in found.to_stop:
            self._stop_here(stopped)
            await self._performer.ended_without_execution(stopped)
        return found

    async def _submitted(
        self, run: Run, new_thread: Thread | None, strategy: Multitask, *, begins_now: bool
    ) -> tuple[Submission, float]:
        """Twice, if need be: when an answer is lost, the run may have been kept, and the second call finds it."""
        for is_last in (False, True):
            claim, lease_ends = self._own.claim()
            try:
                found = await self.runs.submit(
                    run, new_thread=new_thread, strategy=strategy, claim=claim if begins_now else None
                )
            except StoreError:
                if is_last:
                    raise
            else:
                return found, lease_ends
        raise AssertionError("unreachable")

    async def stop(self, run_id: str, tenant: str, stop: Stop) -> Run:
        """Cancel; the run as it then is, which may take a moment to end."""
        run = await self.runs.request_stop(run_id, tenant, stop, self.now())
        self._stop_here(run)
        await self._performer.ended_without_execution(run)
        return run

    def _has_slot(self) -> bool:
        return not self.is_draining and self._own.slots.free > 0

    def _stop_here(self, run: Run) -> None:
        execution = self._own.slots.of(run.run_id)
        if execution is not None and run.stop is not None:
            execution.halt(Halt.of(run.stop))

    # what others tell, and what is looked after without being told

    def _hear(self, change: Change) -> None:
        match change.kind:
            case ChangeKind.WORK:
                self._claims.wake()
            case ChangeKind.STOP:
                if self._own.slots.of(change.run_id) is not None:
                    self._own.tasks.spawn(self._leases.look_at_stop(change.run_id))
            case ChangeKind.LOOK:
                self.bells.ring_all()
                self._own.tasks.spawn(self._leases.renew_all())
            case ChangeKind.EVENTS:
                self.bells.ring(change.run_id)
            case _:
                self.bells.ring_end(change.run_id)

    async def _looking(self) -> None:
        while True:
            asked, every = time.monotonic(), self.settings.look_seconds
            await asyncio.sleep(every)
            self.meters.lag(max(time.monotonic() - asked - every, 0.0))
            await self.look_at_queue()

    async def look_at_queue(self) -> None:
        """What waits, for whoever counts, and for admission."""
        at = self.now()
        depth = await self.runs.queue_depth(at, self.replica)
        self.admission.looked(depth)
        self.meters.waiting(
            depth,
            runnable_seconds=_age(depth.oldest_runnable_at, at),
            blocked_seconds=_age(depth.oldest_blocked_at, at),
        )

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(self.settings.flush_seconds)
            streams = [execution.stream for execution in self._own.slots.newest()]
            said = [(stream, rest) for stream in streams if (rest := stream.unflushed())]
            if said:  # all at once: on a database that others use, too, every transaction costs
                await self.events.append({stream.run_id: rest for stream, rest in said})
                for stream, rest in said:
                    stream.flushed(rest[-1].seq)


def _age(since: datetime | None, at: datetime) -> float:
    return 0.0 if since is None else max((at - since).total_seconds(), 0.0)
