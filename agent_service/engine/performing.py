"""Executes runs in the slots of a replica, and writes how they end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from agent_service.engine.encoding import encode, words_of
from agent_service.engine.execution import Execution, Halt, HandedOver, Lost
from agent_service.engine.live import LiveStream
from agent_service.engine.meters import Account
from agent_service.engine.replica import Replica
from agent_service.errors import NotFoundError, StoreError
from agent_service.store import rules
from agent_service.store.records import Ending, Event, Finished, Run, RunStatus, Stop, ThreadQuery

log = logging.getLogger("forescale.agent")

_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0
_FIRST_PAUSE = 1.0  # before an attempt after one that failed without the run's fault

_T = TypeVar("_T")


class Performer:
    """Of one replica."""

    def __init__(self, replica: Replica) -> None:
        self._own = replica
        self.on_free: Callable[[], None] = lambda: None  # called when a slot may have become free

    def begin(self, run: Run, lease_ends: float) -> None:
        """A run that was claimed for this replica; lease_ends: see Execution."""
        own = self._own
        if own.admission.is_draining:  # claimed in the moment in which we were told to go
            own.tasks.spawn(self._give_back(run))
            return
        try:
            execution = self._prepared(run, lease_ends)
        except NotFoundError:  # another version's graph: nobody here asks for those
            own.tasks.spawn(self._give_back(run))
            return
        except ValueError as error:
            own.tasks.spawn(self._give_up(run, error))
            return
        earlier = own.slots.put(execution)
        if earlier is not None:  # our lease had lapsed, and nobody took the run but we: what goes on here is void
            earlier.halt(Halt.LOST)
        own.meters.in_flight(own.slots.in_flight)
        if run.stop is not None:
            execution.halt(Halt.of(run.stop))
        own.tasks.spawn(self._execute(execution, earlier))

    async def ended_without_execution(self, run: Run) -> None:
        """A run that the store itself has ended, since nobody executed it; nothing for one that goes on."""
        if run.status.is_active:
            return
        self._tell_unexecuted(run)
        if run.stop is Stop.ROLLBACK and run.status is RunStatus.INTERRUPTED:
            await self._delete(run)

    def _prepared(self, run: Run, lease_ends: float) -> Execution:
        own = self._own
        return Execution(
            run,
            own.graphs.get(run.graph_id),
            LiveStream(run, own.bells.ring, most_bytes=own.settings.most_event_bytes),
            settings=own.settings,
            checkpoints=own.checkpoints,
            scratch=own.scratch,
            now=own.now,
            tell_node=own.meters.node,
            lease_ends=lease_ends,
        )

    async def _execute(self, execution: Execution, earlier: Execution | None) -> None:
        own, run, began = self._own, execution.run, time.perf_counter()
        due = max(run.created_at, run.not_before)
        waited = max(((run.started_at or due) - due).total_seconds(), 0.0)
        own.meters.began(waited, attempt=run.attempt)
        account = Account(run, waited_seconds=waited)
        try:
            if own.companion is not None:
                callbacks, account = own.companion.begin(run)
                account.waited_seconds = waited
                execution.add_callbacks(callbacks)
            if earlier is not None:  # they share what memory holds of a temporary thread
                await earlier.done.wait()
            await self._write(execution, await execution.perform(), account)
        except Lost:
            log.warning("run %s is executed by another replica; what was done here in attempt %d does not count",
                        run.run_id, run.attempt)  # fmt: skip
            await self._clean_up_lost(execution)
        except Exception as error:
            if isinstance(error, StoreError):
                log.warning("run %s needs another attempt: %s", run.run_id, error)
            else:
                log.exception("run %s could not be executed; it needs another attempt", run.run_id)
            await self._leave_to_another_attempt(execution, account)
        finally:
            execution.done.set()
            own.slots.remove(execution)
            account.took_seconds = time.perf_counter() - began
            account.node_seconds, account.error = execution.timer.total_seconds, execution.error
            own.admission.took(account.took_seconds)
            if own.companion is not None:
                own.companion.end(account)
            own.meters.finished(account)
            own.meters.in_flight(own.slots.in_flight)
            own.bells.ring_end(run.run_id)
            if execution.abandoned is not None:
                own.tasks.spawn(self._clean_up_abandoned(execution, execution.abandoned))
            self.on_free()

    async def _write(self, execution: Execution, outcome: Ending | HandedOver, account: Account) -> None:
        own, run = self._own, execution.run
        if isinstance(outcome, HandedOver):
            if not await self._until_written(execution, lambda rest: own.runs.hand_over(run, rest, own.now())):
                raise Lost
            own.meters.drained()
            return
        found = await self._finish(execution, outcome)
        if found is Finished.ROLLED_BACK:  # asked for when the run had just come to its own ending
            outcome = await execution.roll_back()
            found = await self._finish(execution, outcome)
        if found is not Finished.KEPT:
            raise Lost
        self._kept(execution, outcome, account)
        if execution.is_rolled_back:
            await self._delete(run)
        if outcome.status is RunStatus.SUCCESS and execution.is_kept and own.settings.keep_checkpoints == "latest":
            await self._prune(run)

    def _kept(self, execution: Execution, ending: Ending, account: Account) -> None:
        account.ending = ending
        execution.final = rules.ended(execution.run, ending)
        execution.stream.end_is_kept()
        self._own.bells.ring_end(execution.run.run_id)
        if not execution.is_rolled_back:  # that never was
            self._tell_finished(execution.final)

    async def _finish(self, execution: Execution, ending: Ending) -> Finished:
        return await self._until_written(execution, lambda rest: self._own.runs.finish(execution.run, ending, rest))

    async def _until_written(self, execution: Execution, write: Callable[[list[Event]], Coroutine[Any, Any, _T]]) -> _T:
        """Tries until the lease has run out; raises Lost then."""
        wait = _FIRST_RETRY
        while True:
            try:
                return await write(execution.stream.rest())
            except StoreError as error:
                if self._own.clock() + wait > execution.lease_ends:
                    raise Lost from error
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LAST_RETRY)

    def _tell_finished(self, run: Run) -> None:
        if self._own.on_finished is not None:
            try:
                self._own.on_finished(run)
            except Exception:  # the run has ended, whoever does not want to hear of it
                log.exception("run %s: its end could not be told", run.run_id)

    def _tell_unexecuted(self, run: Run) -> None:
        self._own.meters.unexecuted(run)
        if self._own.companion is not None:
            self._own.companion.unexecuted(run)
        if run.stop is not Stop.ROLLBACK or run.status is not RunStatus.INTERRUPTED:  # what was rolled back never was
            self._tell_finished(run)

    async def _prune(self, run: Run) -> None:
        try:
            await self._own.checkpoints.prune(run.thread_id)
        except StoreError as error:
            log.warning("checkpoints of thread %s are pruned after its next run: %s", run.thread_id, error)

    async def _delete(self, run: Run) -> None:
        """A run that was rolled back; its row is no more than a trace that it was."""
        try:
            await self._own.runs.delete_run(run.run_id, run.tenant, run.thread_id)
        except NotFoundError:
            return
        except StoreError as error:
            log.warning("run %s was rolled back, and its row could not be deleted: %s", run.run_id, error)

    async def _leave_to_another_attempt(self, execution: Execution, account: Account) -> None:
        """It counts as a crash, so that it is not tried for ever.  A store that is away gets a moment to come back."""
        own, run = self._own, execution.run
        await asyncio.sleep(min(_FIRST_PAUSE * 2**run.crashes, own.settings.lease_seconds / 3))
        try:
            if run.crashes + 1 < own.settings.most_crashes:
                execution.stream.take_back_last()
                if not await self._until_written(
                    execution, lambda rest: own.runs.hand_over(run, rest, own.now(), is_crash=True)
                ):
                    await self._clean_up_lost(execution)
            else:
                words = f"the run could not be executed in {run.crashes + 1} attempts; the service's log says why"
                ending = execution.give_up(words)
                if await self._finish(execution, ending) is Finished.KEPT:
                    self._kept(execution, ending, account)
        except Lost:
            log.warning("run %s: its lease runs out, and then it is taken up again", run.run_id)

    async def _clean_up_lost(self, execution: Execution) -> None:
        """Where the run is gone, what it wrote must go too: its thread was deleted, or it was rolled back elsewhere."""
        own, run = self._own, execution.run
        try:
            await own.runs.get_run(run.run_id, run.tenant)
        except NotFoundError:
            await self._forget_checkpoints(run)
        except StoreError as error:
            log.warning("run %s: whether it is gone cannot be found out: %s", run.run_id, error)

    async def _forget_checkpoints(self, run: Run) -> None:
        try:
            # Whoever has made a thread of the same id since has state of his own there.
            await self._own.checkpoints.roll_back(run.thread_id, run.run_id)
            await self._forget_thread_if_gone(run)
        except StoreError as error:
            log.warning("checkpoints that run %s left behind could not be deleted: %s", run.run_id, error)

    async def _forget_thread_if_gone(self, run: Run) -> None:
        _, count = await self._own.runs.search_threads(ThreadQuery(tenant=None, ids=(run.thread_id,), limit=1))
        if count == 0:
            await self._own.checkpoints.delete_threads([run.thread_id])

    async def _clean_up_abandoned(self, execution: Execution, graph: asyncio.Task[None]) -> None:
        """When the graph does end, it writes where it stood; nobody may find that who was told that it is gone."""
        await asyncio.wait({graph})
        run = execution.run
        if self._own.slots.of(run.run_id) is None:
            execution.passage.forget()
        if execution.is_rolled_back:
            await self._forget_checkpoints(run)
        elif execution.final is None:
            await self._clean_up_lost(execution)
        elif execution.is_kept:
            await self._forget_thread_if_gone(run)

    async def _give_up(self, run: Run, cause: Exception) -> None:
        """A run whose request cannot be read: accepted by a version that knew others."""
        error = {"error": type(cause).__name__, "message": f"this run's request cannot be read: {words_of(cause)[1]}"}
        told = encode({"__error__": error})
        ending = Ending(RunStatus.ERROR, self._own.now(), result=told, error=error)
        stream = LiveStream(run, self._own.bells.ring, most_bytes=self._own.settings.most_event_bytes)
        stream.say_last("error", encode(error))
        stream.say_last("end", encode({"run_id": run.run_id, "status": ending.status.value}))
        if await self._own.runs.finish(run, ending, stream.rest()) is Finished.KEPT:
            self._tell_unexecuted(rules.ended(run, ending))

    async def _give_back(self, run: Run) -> None:
        await self._own.runs.hand_over(run, [], self._own.now())
