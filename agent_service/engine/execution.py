"""One execution of one run: from its request to its ending.  Knows no store but the checkpoints of graphs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained, NodeTimeoutError

from agent_service.engine.encoding import encode, interrupt_json, words_of
from agent_service.engine.graphs import Served
from agent_service.engine.live import LiveStream
from agent_service.engine.passage import Passage
from agent_service.engine.settings import EngineSettings
from agent_service.engine.timing import NodeTimer, Tell
from agent_service.errors import StoreError
from agent_service.store.ports import Checkpoints
from agent_service.store.records import Ending, Run, RunStatus, Stop

log = logging.getLogger("forescale.agent")

_LAST_GRACE_SECONDS = 0.1
_LONGEST_MESSAGE = 1000  # characters of an error that clients are told


class Halt(StrEnum):
    """Why an execution is cut short from outside.  A user's stop and our own shutdown must never be confused."""

    INTERRUPT = "interrupt"  # by a user; what was done stays
    ROLLBACK = "rollback"  # by a user; as if it had never been
    SHUTDOWN = "shutdown"  # another replica goes on
    LOST = "lost"  # the lease: another replica may be executing it already

    @classmethod
    def of(cls, stop: Stop) -> Halt:
        """What a user asked for."""
        return cls(stop.value)


_WEIGHTS = {None: 0, Halt.SHUTDOWN: 1, Halt.INTERRUPT: 2, Halt.ROLLBACK: 3, Halt.LOST: 4}
"""A heavier reason takes the place of a lighter one: what was lost must not be written, whatever a user asked for."""


class HandedOver:
    """The run goes on elsewhere, from its last checkpoint."""


class Lost(Exception):  # noqa: N818 - no error: a fact
    """The run is no longer ours; nothing may be written."""


class _RunTimeout(Exception):  # noqa: N818 - clients are told its name
    """The run's deadline, and not a TimeoutError that a node has raised."""


class Execution:
    """Runs once."""

    def __init__(
        self,
        run: Run,
        served: Served,
        stream: LiveStream,
        *,
        settings: EngineSettings,
        checkpoints: Checkpoints,
        scratch: InMemorySaver,
        now: Callable[[], datetime],
        tell_node: Tell,
        lease_ends: float,
    ) -> None:
        """lease_ends: on the replica's clock, when to stop relying on it; renewals put it off.

        Raises ValueError for a request that cannot be read.
        """
        self.run, self.stream, self.lease_ends = run, stream, lease_ends
        self.is_kept = not run.request.get("is_temporary", False)  # whether the thread outlives the run
        self._settings, self._checkpoints, self._now = settings, checkpoints, now
        self.passage = Passage(
            run,
            served,
            saver=checkpoints.saver,
            scratch=scratch,
            is_kept=self.is_kept,
            most_steps=settings.most_steps,
        )
        self._halt: Halt | None = None
        self._halted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_over = False
        self.done = asyncio.Event()  # whatever was to be written is, or never will be
        self.is_rolled_back = False
        self.final: Run | None = None  # as it was written when it ended here
        self.abandoned: asyncio.Task[None] | None = None  # a graph that did not end when it was told to
        self.timer = NodeTimer(tell_node)
        self._callbacks: tuple[Any, ...] = ()
        self.error: str | None = None

    def add_callbacks(self, callbacks: tuple[Any, ...]) -> None:
        """Of whoever else wants to see what the graph does."""
        self._callbacks += callbacks

    def halt(self, why: Halt) -> None:
        """Cut it short now.  Once it has come to an ending by itself, it has."""
        if not self._is_over and _WEIGHTS[why] > _WEIGHTS[self._halt]:
            self._halt = why
            if not self._halted.done():
                self._halted.set_result(None)

    def drain(self) -> None:
        """Stop before the next step."""
        self.passage.control.request_drain()

    async def perform(self) -> Ending | HandedOver:
        """Execute to an ending, from which on no halt counts any more.

        Raises Lost when the lease was; StoreError when checkpoints cannot be read or written, which is no fault of the
        run's: somebody has to try again.
        """
        self.stream.say("metadata", encode({"run_id": self.run.run_id, "attempt": self.run.attempt}))
        try:
            trouble = await self._walk()
            if self._halt is not None and isinstance(trouble, asyncio.CancelledError):
                return await self._cut_short()
            if isinstance(trouble, GraphDrained):
                async with self._soon():
                    await self.passage.save_scratch()
                return HandedOver()
            return await self._ending(trouble)
        finally:
            self._is_over = True
            self.passage.forget()

    async def _walk(self) -> BaseException | None:
        """Through the graph; None at its end, else what stopped it: CancelledError where a halt did.

        The graph has a task of its own, since it may be deaf: a node that does not end when it is cancelled must keep
        neither the run nor its slot.
        """
        if self._halt is not None:
            return asyncio.CancelledError()
        async with self._soon():
            began_at = await self.passage.prepare(self._now())
        ends_at = began_at + timedelta(seconds=self._settings.run_seconds)
        graph = asyncio.create_task(self.passage.stream(self.stream.say, [self.timer, *self._callbacks]))
        self.passage.control.is_driven_by(graph)
        try:
            left = max((ends_at - self._now()).total_seconds(), 0.0)
            await asyncio.wait({graph, self._halted}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if graph.done():
                return _trouble_of(graph)
            self.drain()  # a node that swallows the cancellation must at least be the last
            graph.cancel()
            await asyncio.wait({graph}, timeout=self._settings.grace_seconds)
        except asyncio.CancelledError:  # the event loop is being closed
            graph.cancel()
            raise
        if not graph.done():
            graph.cancel()  # once more: a driver may have swallowed the first, see loops.py
            await asyncio.wait({graph}, timeout=min(self._settings.grace_seconds, _LAST_GRACE_SECONDS))
        if not graph.done():
            self._abandon(graph)
        elif isinstance(_trouble_of(graph), StoreError) and self._halt is not Halt.LOST:
            return _trouble_of(graph)
        if self._halt is not None:
            return asyncio.CancelledError()
        return _RunTimeout(f"the run took longer than {self._settings.run_seconds:g} s")

    def _abandon(self, graph: asyncio.Task[None]) -> None:
        self.abandoned = graph
        graph.add_done_callback(_trouble_of)  # whatever it raises some time: nobody else asks
        log.error(
            "run %s was stopped, and a node of graph %s goes on after %g s; nodes must let a CancelledError pass",
            self.run.run_id, self.run.graph_id, self._settings.grace_seconds,
        )  # fmt: skip

    async def _ending(self, trouble: BaseException | None) -> Ending:
        if trouble is None:
            try:
                ending = await self._success()
            except StoreError:
                raise
            except Exception as error:
                trouble = error
            else:
                self._say_end(ending.status)
                return ending
        if isinstance(trouble, StoreError):
            raise trouble
        kind, message = words_of(trouble)
        status = RunStatus.ERROR
        if isinstance(trouble, _RunTimeout | NodeTimeoutError):
            kind, status = kind.removeprefix("_"), RunStatus.TIMEOUT
        elif not isinstance(trouble, ValueError | TypeError | RuntimeError):
            log.info("run %s ended with %s", self.run.run_id, kind, exc_info=trouble)
        told = {"error": kind, "message": message[:_LONGEST_MESSAGE]}
        return self._failed(status, told, self._seen())

    def give_up(self, words: str) -> Ending:
        """It could not be executed, and is not to be tried again."""
        self.stream.take_back_last()
        # As if rolled back: it must end even where a rollback was asked for that cannot be done.
        return replace(self._failed(RunStatus.ERROR, {"error": "RunLost", "message": words}), is_rolled_back=True)

    def _failed(self, status: RunStatus, told: dict[str, str], values: bytes | None = None) -> Ending:
        self.error = told["error"]
        self.stream.say_last("error", encode(told))
        self._say_end(status)
        return Ending(status, self._now(), result=encode({"__error__": told}), values=values, error=told)

    async def _success(self) -> Ending:
        values = self.passage.values
        if not isinstance(values, dict):
            values = {} if values is None else {"output": values}
        pending = values.get("__interrupt__") or ()
        shown = {key: value for key, value in values.items() if key != "__interrupt__"}
        interrupts = {}
        if pending or self.passage.may_pause:
            async with self._soon():
                interrupts = await self.passage.interrupts()
        kept = encode(shown)
        result = encode({**shown, "__interrupt__": [interrupt_json(each) for each in pending]}) if pending else kept
        return Ending(RunStatus.SUCCESS, self._now(), result=result, values=kept, interrupts=interrupts)

    async def _cut_short(self) -> Ending | HandedOver:
        match self._halt:
            case Halt.LOST:
                raise Lost
            case Halt.SHUTDOWN:
                if self.abandoned is None:
                    async with self._soon():
                        await self.passage.save_scratch()
                return HandedOver()
            case Halt.ROLLBACK:
                return await self.roll_back()
            case _:
                seen = self._seen()
                interrupts: dict[str, Any] = {}
                if self.is_kept and seen is not None:  # a thread that waited for a person may wait still
                    async with self._soon():
                        interrupts = {task: asked for task, asked in (await self.passage.interrupts()).items() if asked}
                self._say_end(RunStatus.INTERRUPTED)
                return Ending(RunStatus.INTERRUPTED, self._now(), result=seen, values=seen, interrupts=interrupts)

    async def roll_back(self) -> Ending:
        """Undo what the graph has kept; raises StoreError.  Whatever ending there was is taken back."""
        if self.is_kept:
            async with self._soon():
                await self._checkpoints.roll_back(self.run.thread_id, self.run.run_id)
        self.is_rolled_back = True
        self.stream.take_back_last()
        self._say_end(RunStatus.INTERRUPTED)
        return Ending(RunStatus.INTERRUPTED, self._now(), is_rolled_back=True)

    def _seen(self) -> bytes | None:
        """The values that were reached, for a thread that stays."""
        values = self.passage.values
        if not isinstance(values, dict):
            return None
        return encode({key: value for key, value in values.items() if key != "__interrupt__"})

    def _say_end(self, status: RunStatus) -> None:
        self.stream.say_last("end", encode({"run_id": self.run.run_id, "status": status.value}))

    @asynccontextmanager
    async def _soon(self) -> AsyncIterator[None]:
        """What is asked of checkpoints beside the graph has no deadline of the run's; a lease is long enough."""
        try:
            async with asyncio.timeout(self._settings.lease_seconds):
                yield
        except TimeoutError:
            raise StoreError("checkpoints do not answer") from None


def _trouble_of(graph: asyncio.Task[None]) -> BaseException | None:
    """What it raised.  One that was cancelled by nobody has failed like any other."""
    return asyncio.CancelledError() if graph.cancelled() else graph.exception()
