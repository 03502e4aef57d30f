"""One replica: accepts runs, takes them from the store into its slots, and hands them over when it must go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson
from langgraph.checkpoint.memory import InMemorySaver

from agent_service.engine.admission import Admission
from agent_service.engine.bells import Bells, heard
from agent_service.engine.execution import Execution, Halt, HandedOver, Lost
from agent_service.engine.graphs import Graphs
from agent_service.engine.live import LiveStream
from agent_service.engine.meters import Account, Meters
from agent_service.engine.settings import EngineSettings
from agent_service.errors import NotFoundError, StoreError
from agent_service.store import rules
from agent_service.store.ports import Checkpoints, EventLog, RunStore
from agent_service.store.records import (
    Change,
    ChangeKind,
    Claim,
    Ending,
    Event,
    Multitask,
    Run,
    RunStatus,
    Stop,
    Submission,
    Thread,
)

log = logging.getLogger("forescale.agent")

_LOOK_SECONDS = 1.0  # how often a replica looks for work, and at the queue, without being told
_SWEEP_SECONDS = 10.0
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0


Write = Callable[[list[Event]], Coroutine[Any, Any, bool]]


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Companion(Protocol):
    """Goes along with every execution: traces, budgets."""

    def begin(self, run: Run) -> tuple[tuple[Any, ...], Account]:
        """Callbacks for the graph, and the account with the trace's ids filled in; called in the execution's task."""

    def end(self, account: Account) -> None:
        """It is over."""


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
    ) -> None:
        """replica: a name that no other process has, nor had.  on_finished: told of every ending written here."""
        self.graphs, self.runs, self.events, self.checkpoints = graphs, runs, events, checkpoints
        self.settings, self.replica, self.now = settings, replica, now
        self.bells, self.admission, self.meters = Bells(), Admission(settings), meters or Meters()
        self._scratch, self._companion, self._on_finished = scratch, companion, on_finished
        self._executions: dict[str, Execution] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._reserved = 0
        self.has_left = False  # drained: whoever still waits here must ask another replica
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    # life

    async def open(self) -> None:
        """Begin to claim.  The store is open."""
        self.runs.listen(self._hear)
        for loop in (self._claim_loop, self._lease_loop, self._look_loop, self._sweep_loop, self._flush_loop):
            self._loops.append(asyncio.create_task(self._forever(loop), name=loop.__name__))

    async def drain(self) -> None:
        """Stop claiming; let every run reach the end of its step, and leave it to others.  Nothing is lost."""
        self.admission.is_draining = True
        self.meters.draining(True)
        for execution in list(self._executions.values()):
            execution.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.drain_seconds):
                await self._idle.wait()
        for execution in list(self._executions.values()):
            execution.halt(Halt.SHUTDOWN)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.lease_seconds):
                await self._idle.wait()
        self.has_left = True
        self.bells.ring_all()

    async def close(self) -> None:
        """End what still goes on; the store is closed by whoever opened it."""
        self.admission.is_draining = True
        for execution in list(self._executions.values()):
            execution.halt(Halt.SHUTDOWN)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    @property
    def in_flight(self) -> int:
        """Runs that execute here now."""
        return len(self._executions)

    @property
    def is_draining(self) -> bool:
        """Whether this replica shuts down."""
        return self.admission.is_draining

    def execution_of(self, run_id: str) -> Execution | None:
        """Of a run that executes here."""
        return self._executions.get(run_id)

    # what callers ask for

    async def submit(self, run: Run, *, new_thread: Thread | None, strategy: Multitask) -> Submission:
        """Accept a run; it begins at once when a slot is free and nobody waits.  Raises OverloadedError."""
        has_slot = self._has_slot()
        self.admission.admit(has_free_slot=has_slot)
        claim = self._claim_now() if has_slot and self.admission.runnable == 0 else None
        if claim is not None:
            self._reserved += 1
        try:
            found = await self.runs.submit(run, new_thread=new_thread, strategy=strategy, claim=claim)
        finally:
            if claim is not None:
                self._reserved -= 1
        if not found.is_new:
            return found
        for stopped in found.to_stop:
            self._stop_here(stopped)
            await self._erase_if_rolled_back(stopped)
        if found.run.holder == self.replica and found.run.status.is_active:
            self._begin(found.run)
        else:
            self.admission.queued()
            self._work.set()
        return found

    async def stop(self, run_id: str, tenant: str, stop: Stop) -> Run:
        """Cancel; the run as it then is, which may take a moment to end."""
        run = await self.runs.request_stop(run_id, tenant, stop, self.now())
        self._stop_here(run)
        await self._erase_if_rolled_back(run)
        return run

    # claiming and executing

    def _has_slot(self) -> bool:
        return not self.is_draining and len(self._executions) + self._reserved < self.settings.slots

    def _claim_now(self) -> Claim:
        at = self.now()
        return Claim(self.replica, at, at + timedelta(seconds=self.settings.lease_seconds))

    async def _claim_loop(self) -> None:
        while True:
            await heard(self._work, _LOOK_SECONDS)
            self._work.clear()
            while self._has_slot():
                free = self.settings.slots - len(self._executions) - self._reserved
                self._reserved += free
                try:
                    claimed = await self.runs.claim(self._claim_now(), free)
                finally:
                    self._reserved -= free
                self.admission.dequeued(len(claimed))
                for run in claimed:
                    self._begin(run)
                if len(claimed) < free:
                    break

    def _begin(self, run: Run) -> None:
        if self.is_draining:  # claimed in the moment in which we were told to go
            self._spawn(self._give_back(run))
            return
        try:
            execution = self._prepared(run)
        except (NotFoundError, ValueError) as error:
            self._spawn(self._give_up(run, error))
            return
        self._executions[run.run_id] = execution
        self._idle.clear()
        self.meters.in_flight(len(self._executions))
        if run.stop is not None:
            execution.halt(Halt.of(run.stop))
        self._spawn(self._execute(execution))

    def _prepared(self, run: Run) -> Execution:
        return Execution(
            run,
            self.graphs.get(run.assistant_id),
            LiveStream(run, self.bells.ring),
            settings=self.settings,
            checkpoints=self.checkpoints,
            scratch=self._scratch,
            is_kept=not run.request.get("is_temporary", False),
            now=self.now,
            tell_node=self.meters.node,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, execution: Execution) -> None:
        run, began = execution.run, time.perf_counter()
        due = max(run.created_at, run.not_before)
        waited = max(((run.started_at or due) - due).total_seconds(), 0.0)
        self.meters.began(waited, attempt=run.attempt)
        account = Account(run, waited_seconds=waited)
        callbacks: tuple[Any, ...] = ()
        if self._companion is not None:
            callbacks, account = self._companion.begin(run)
            account.waited_seconds = waited
        execution.add_callbacks(callbacks)
        try:
            outcome = await execution.perform()
            if isinstance(outcome, HandedOver):
                if await self._until_written(execution, lambda rest: self.runs.hand_over(run, rest, self.now())):
                    self.meters.drained()
            elif await self._until_written(execution, lambda rest: self.runs.finish(run, outcome, rest)):
                account.ending = outcome
                execution.final = rules.ended(run, outcome)
                execution.stream.end_is_kept()
                if execution.is_rolled_back:
                    await self.runs.delete_run(run.run_id, run.tenant, run.thread_id)
                if self._on_finished is not None:
                    self._on_finished(execution.final)
        except Lost:
            log.warning("run %s is executed by another replica; what was done here in attempt %d does not count",
                        run.run_id, run.attempt)  # fmt: skip
        except Exception:
            # Nothing is written: the lease runs out, and the run is taken up again.
            log.exception("run %s could not be executed; it is taken up again when its lease has run out", run.run_id)
        finally:
            self._executions.pop(run.run_id, None)
            account.took_seconds = time.perf_counter() - began
            account.node_seconds, account.error = execution.timer.total_seconds, execution.error
            self.admission.took(account.took_seconds)
            if self._companion is not None:
                self._companion.end(account)
            self.meters.finished(account)
            self.meters.in_flight(len(self._executions))
            self.bells.ring(run.run_id)
            if not self._executions:
                self._idle.set()
            if self.admission.runnable:
                self._work.set()

    async def _until_written(
        self, execution: Execution, write: Callable[[list[Any]], Coroutine[Any, Any, bool]]
    ) -> bool:
        """Tries until the lease has run out; raises Lost then, and when the run is not ours any more."""
        wait, give_up = _FIRST_RETRY, time.monotonic() + self.settings.lease_seconds
        while True:
            try:
                if not await write(execution.stream.rest()):
                    raise Lost
            except StoreError as error:
                if time.monotonic() + wait > give_up:
                    raise Lost from error
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LAST_RETRY)
            else:
                return True

    async def _give_up(self, run: Run, cause: Exception) -> None:
        """A run that this version cannot execute: accepted by another, whose graphs or requests were others."""
        error = {"error": type(cause).__name__, "message": f"this replica cannot execute the run: {cause}"}
        told = orjson.dumps({"__error__": error})
        await self.runs.finish(run, Ending(RunStatus.ERROR, self.now(), result=told, error=error), [])

    async def _give_back(self, run: Run) -> None:
        await self.runs.hand_over(run, [], self.now())

    def _stop_here(self, run: Run) -> None:
        execution = self._executions.get(run.run_id)
        if execution is not None and run.stop is not None:
            execution.halt(Halt.of(run.stop))

    async def _erase_if_rolled_back(self, run: Run) -> None:
        """A run that ended without an execution to clean up after it."""
        if run.stop is Stop.ROLLBACK and not run.status.is_active:
            await self.checkpoints.roll_back(run.thread_id, run.run_id)
            with contextlib.suppress(NotFoundError):
                await self.runs.delete_run(run.run_id, run.tenant, run.thread_id)

    # what others tell, and what is looked after without being told

    def _hear(self, change: Change) -> None:
        match change.kind:
            case ChangeKind.WORK:
                self._work.set()
            case ChangeKind.STOP:
                if change.run_id in self._executions:
                    self._spawn(self._look_at_stop(change.run_id))
            case _:
                self.bells.ring(change.run_id)

    async def _look_at_stop(self, run_id: str) -> None:
        await self._renew([run_id])

    async def _renew(self, run_ids: list[str]) -> None:
        held = await self.runs.renew(self._claim_now(), run_ids)
        for run_id in run_ids:
            execution = self._executions.get(run_id)
            if execution is None:
                continue
            if run_id not in held:
                execution.halt(Halt.LOST)
                continue
            stop = held[run_id]
            if stop is not None:
                execution.halt(Halt.of(stop))

    async def _lease_loop(self) -> None:
        """Renews a third of the way; a store that stays away so long that the lease lapses costs us the runs."""
        renewed_at = time.monotonic()
        while True:
            await asyncio.sleep(self.settings.lease_seconds / 3)
            held = list(self._executions)
            try:
                if held:
                    await self._renew(held)
                renewed_at = time.monotonic()
                for run in await self.runs.reap(self.now(), most_crashes=self.settings.most_crashes):
                    log.warning("run %s lost its replica; it is %s now", run.run_id, run.status)
                    await self._erase_if_rolled_back(run)
            except StoreError as error:
                log.warning("leases could not be renewed: %s", error)
                if time.monotonic() - renewed_at > self.settings.lease_seconds:
                    for execution in self._executions.values():
                        execution.halt(Halt.LOST)

    async def _look_loop(self) -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)
            self.meters.lag(max(time.monotonic() - asked - _LOOK_SECONDS, 0.0))
            at = self.now()
            depth = await self.runs.queue_depth(at)
            self.admission.runnable = depth.runnable
            self.meters.waiting(
                depth,
                runnable_seconds=_age(depth.oldest_runnable_at, at),
                blocked_seconds=_age(depth.oldest_blocked_at, at),
            )

    async def _sweep_loop(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            at = self.now()
            before = at - timedelta(seconds=self.settings.keep_seconds)
            for thread_id in await self.runs.sweep(at, finished_before=before):
                await self.checkpoints.delete_thread(thread_id)

    async def _flush_loop(self) -> None:
        while True:
            await asyncio.sleep(self.settings.flush_seconds)
            for execution in list(self._executions.values()):
                stream = execution.stream
                rest = stream.unflushed()
                if rest:
                    await self.events.append(stream.run_id, rest)
                    stream.flushed(rest[-1].seq)

    async def _forever(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A loop that fails is begun again: nothing but our own end may stop it."""
        while True:
            try:
                await loop()
            except StoreError as error:
                log.warning("%s: %s", loop.__name__, error)
            except Exception:
                log.exception("%s failed", loop.__name__)
            await asyncio.sleep(_LAST_RETRY)


def _age(since: datetime | None, at: datetime) -> float:
    return 0.0 if since is None else max((at - since).total_seconds(), 0.0)
