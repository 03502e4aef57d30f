"""One execution of one run: from its request to its ending.  Knows no store but the checkpoints of graphs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from agent_service.engine.encoding import encode, interrupt_json
from agent_service.engine.graphs import Served
from agent_service.engine.live import LiveStream
from agent_service.engine.requests import Order, graph_config, input_of
from agent_service.engine.settings import EngineSettings
from agent_service.engine.timing import NodeTimer, Tell
from agent_service.engine.translating import Translator
from agent_service.store.ports import Checkpoints
from agent_service.store.records import Ending, Run, RunStatus, Stop

log = logging.getLogger("forescale.agent")

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


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The run goes on elsewhere, from its last checkpoint; `is_clean`: it stopped between two steps."""

    is_clean: bool


class Lost(Exception):  # noqa: N818 - no error: a fact
    """The run is no longer ours; nothing may be written."""


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
        is_kept: bool,
        now: Callable[[], datetime],
        tell_node: Tell,
    ) -> None:
        """is_kept: whether the thread outlives the run, so that its checkpoints go to the store."""
        self.run, self.stream = run, stream
        self._served, self._settings, self._checkpoints, self._scratch = served, settings, checkpoints, scratch
        self._is_kept, self._now = is_kept, now
        self._order = Order.model_validate({**run.request, "assistant_id": run.assistant_id})
        self._control = RunControl()
        self._halt: Halt | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_over = False
        self.is_rolled_back = False
        self.final: Run | None = None  # as it was written when it ended here
        self._values: Any = None
        self.timer = NodeTimer(tell_node)
        self._callbacks: tuple[Any, ...] = ()
        self.error: str | None = None

    def add_callbacks(self, callbacks: tuple[Any, ...]) -> None:
        """Of whoever else wants to see what the graph does."""
        self._callbacks += callbacks

    def halt(self, why: Halt) -> None:
        """Cut it short now; the first reason counts, but for a lost lease, which forbids everything else."""
        if self._is_over or (self._halt is not None and why is not Halt.LOST):
            return  # one reason is enough: a second would cancel the cleaning up after the first
        self._halt = why
        if self._task is not None:
            self._task.cancel()

    def drain(self) -> None:
        """Stop before the next step."""
        self._control.request_drain()

    async def perform(self) -> Ending | HandedOver:
        """Execute to an ending, from which on no halt counts any more; raises Lost when the lease was."""
        self._task = asyncio.current_task()
        try:
            return await self._perform()
        finally:
            self._is_over = True

    async def _perform(self) -> Ending | HandedOver:
        self.stream.say("metadata", orjson.dumps({"run_id": self.run.run_id, "attempt": self.run.attempt}))
        try:
            if self._halt is not None:
                raise asyncio.CancelledError  # before it began
            async with asyncio.timeout(self._settings.run_seconds):
                await self._stream_graph()
            ending = await self._success()
        except asyncio.CancelledError:
            return await self._halted()
        except GraphDrained:
            await self._save_scratch()
            return HandedOver(is_clean=True)
        except TimeoutError:
            ending = await self._failure(
                RunStatus.TIMEOUT, "RunTimeout", f"the run took longer than {self._settings.run_seconds:g} s"
            )
        except Exception as error:
            if not isinstance(error, ValueError | TypeError | RuntimeError):
                log.info("run %s ended with %s", self.run.run_id, type(error).__name__, exc_info=error)
            ending = await self._failure(RunStatus.ERROR, type(error).__name__, str(error)[:_LONGEST_MESSAGE])
        finally:
            if not self._is_kept:
                self._scratch.delete_thread(self.run.thread_id)
        self._say_end(ending.status)
        return ending

    async def _stream_graph(self) -> None:
        order = self._order
        translator = Translator(tuple(order.stream_mode))
        modes: Any = translator.graph_modes()
        config: Any = self._config()
        graph_input = await self._input(config)
        config["callbacks"] = [self.timer, *self._callbacks]
        graph = self._served.kept if self._is_kept else self._served.scratch
        stream = graph.astream(
            graph_input,
            config,
            context=order.context,
            stream_mode=modes,
            interrupt_before=order.interrupt_before,
            interrupt_after=order.interrupt_after,
            durability=order.durability if self._is_kept else "exit",
            control=self._control,
            subgraphs=order.stream_subgraphs,
        )
        async for chunk in stream:
            piece: Any = chunk if order.stream_subgraphs else ((), *chunk)
            namespace, mode, payload = piece
            if mode == "values" and not namespace:
                self._values = payload
            for name, data in translator.parts(namespace, mode, payload):
                self.stream.say(name, data)

    def _config(self) -> dict[str, Any]:
        run = self.run
        return graph_config(
            self._order.model_copy(update={"metadata": dict(run.metadata)}),
            run_id=run.run_id,
            thread_id=run.thread_id,
            assistant_id=run.assistant_id,
            graph_id=run.graph_id,
            tenant=run.tenant,
            most_steps=self._settings.most_steps,
        )

    async def _input(self, config: dict[str, Any]) -> Any:
        """Nothing, where an earlier attempt has left a checkpoint to go on from; else what the caller gave."""
        if self.run.attempt > 1:
            place: Any = {"configurable": {"thread_id": self.run.thread_id, "checkpoint_ns": ""}}
            known = await self._checkpoints.saver.aget_tuple(place)
            if known is not None and known.metadata.get("run_id") == self.run.run_id:
                if not self._is_kept:
                    versions = known.checkpoint["channel_versions"]
                    self._scratch.put(place, known.checkpoint, known.metadata, versions)
                config["configurable"].pop("checkpoint_id", None)
                return None
        return input_of(self._order)

    async def _success(self) -> Ending:
        values = self._values if isinstance(self._values, dict) else {"output": self._values}
        if self._values is None:
            values = {}
        pending = values.get("__interrupt__") or ()
        shown = {key: value for key, value in values.items() if key != "__interrupt__"}
        interrupts = await self._interrupts() if pending or self._may_pause() else {}
        kept = encode(shown)
        result = encode({**shown, "__interrupt__": [interrupt_json(each) for each in pending]}) if pending else kept
        return Ending(RunStatus.SUCCESS, self._now(), result=result, values=kept, interrupts=interrupts)

    def _may_pause(self) -> bool:
        return bool(self._order.interrupt_before or self._order.interrupt_after or self._served.pauses)

    async def _interrupts(self) -> dict[str, Any]:
        """By task: what each asks; an empty list for one that merely stopped before or after a node."""
        graph = self._served.kept if self._is_kept else self._served.scratch
        snapshot = await graph.aget_state({"configurable": {"thread_id": self.run.thread_id}})
        return {task.id: [interrupt_json(each) for each in task.interrupts] for task in snapshot.tasks}

    async def _failure(self, status: RunStatus, kind: str, message: str) -> Ending:
        self.error = kind
        error = {"error": kind, "message": message}
        self.stream.say("error", orjson.dumps(error))
        return Ending(status, self._now(), result=orjson.dumps({"__error__": error}), values=self._seen(), error=error)

    def _seen(self) -> bytes | None:
        """The values that were reached, for a thread that stays."""
        if not isinstance(self._values, dict):
            return None
        return encode({key: value for key, value in self._values.items() if key != "__interrupt__"})

    async def _halted(self) -> Ending | HandedOver:
        why = self._halt
        if why is None:
            raise asyncio.CancelledError  # the event loop's own: it is being closed
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        match why:
            case Halt.LOST:
                raise Lost
            case Halt.SHUTDOWN:
                return HandedOver(is_clean=False)
            case Halt.ROLLBACK:
                self.is_rolled_back = True
                if self._is_kept:
                    await self._checkpoints.roll_back(self.run.thread_id, self.run.run_id)
                self._say_end(RunStatus.INTERRUPTED)
                return Ending(RunStatus.INTERRUPTED, self._now())
            case _:
                self._say_end(RunStatus.INTERRUPTED)
                seen = self._seen()
                return Ending(RunStatus.INTERRUPTED, self._now(), result=seen, values=seen)

    def _say_end(self, status: RunStatus) -> None:
        self.stream.say_last("end", orjson.dumps({"run_id": self.run.run_id, "status": status.value}))

    async def _save_scratch(self) -> None:
        """A drained run of a temporary thread: what memory holds of it goes to the store, for the next replica."""
        if self._is_kept:
            return
        place: Any = {"configurable": {"thread_id": self.run.thread_id, "checkpoint_ns": ""}}
        known = self._scratch.get_tuple(place)
        if known is not None:
            versions = known.checkpoint["channel_versions"]
            await self._checkpoints.saver.aput(place, known.checkpoint, known.metadata, versions)
