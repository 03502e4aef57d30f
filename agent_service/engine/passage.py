"""One run's way through its graph: where it begins, what it streams, where it stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver

from agent_service.engine.draining import OutermostControl
from agent_service.engine.encoding import interrupt_json
from agent_service.engine.graphs import Served
from agent_service.engine.requests import Order, graph_config, input_of
from agent_service.engine.translating import Translator
from agent_service.store.records import Run

_BEGAN_AT = "run_began_at"  # in the metadata of checkpoints, for the run's next attempt


class Passage:
    """Of one execution."""

    def __init__(
        self,
        run: Run,
        served: Served,
        *,
        saver: BaseCheckpointSaver[Any],
        scratch: InMemorySaver,
        is_kept: bool,
        most_steps: int,
    ) -> None:
        """is_kept: whether the thread outlives the run, so that its checkpoints go to the saver, and not to memory."""
        self.order = Order.model_validate({**run.request, "assistant_id": run.assistant_id})
        self.values: Any = None  # the last that the graph showed
        self.control = OutermostControl()
        self._run, self._served, self._saver, self._scratch = run, served, saver, scratch
        self._is_kept, self._most_steps = is_kept, most_steps
        self._graph = served.kept if is_kept else served.scratch
        self._config: dict[str, Any] = {}
        self._input: Any = None

    async def prepare(self, now: datetime) -> datetime:
        """Find out where to begin; since when the run goes on, its earlier attempts included.

        An attempt that left no checkpoint did not get far: the run begins anew, and so does its time.
        """
        known = await self._left_by_earlier_attempt() if self._run.attempt > 1 else None
        self._input = input_of(self.order) if known is None else None
        began_at = now if known is None else _began_at(known, now)
        self._config = self._configured(began_at)
        if known is not None:
            self._config["configurable"].pop("checkpoint_id", None)
        return began_at

    async def stream(self, say: Callable[[str, bytes], None], callbacks: Sequence[Any]) -> None:
        """Take the graph from step to step, to its end, to where a person is asked, or to where it is drained."""
        order = self.order
        translator = Translator(tuple(order.stream_mode))
        modes: Any = translator.graph_modes()
        config: Any = {**self._config, "callbacks": list(callbacks)}
        chunks = self._graph.astream(
            self._input,
            config,
            context=order.context,
            stream_mode=modes,
            interrupt_before=order.interrupt_before,
            interrupt_after=order.interrupt_after,
            durability=order.durability if self._is_kept else "exit",
            control=self.control,
            subgraphs=order.stream_subgraphs,
        )
        closing: Any = chunks
        async with aclosing(closing):
            async for chunk in chunks:
                piece: Any = chunk if order.stream_subgraphs else ((), *chunk)
                namespace, mode, payload = piece
                if mode == "values" and not namespace:
                    self.values = payload
                for name, data in translator.parts(namespace, mode, payload):
                    say(name, data)

    @property
    def may_pause(self) -> bool:
        """Whether it may have stopped before or after a node without anybody being asked anything."""
        return bool(self.order.interrupt_before or self.order.interrupt_after or self._served.pauses)

    async def interrupts(self) -> dict[str, Any]:
        """By task: what each asks; an empty list for one that merely has not been performed."""
        snapshot = await self._graph.aget_state({"configurable": {"thread_id": self._run.thread_id}})
        return {task.id: [interrupt_json(each) for each in task.interrupts] for task in snapshot.tasks}

    async def save_scratch(self) -> None:
        """What memory holds of a temporary thread goes to the store, for the next replica."""
        if self._is_kept:
            return
        for namespace in list(self._scratch.storage.get(self._run.thread_id, {})):
            known = self._scratch.get_tuple(self._place(namespace))
            if known is not None:
                versions = known.checkpoint["channel_versions"]
                config = await self._saver.aput(self._place(namespace), known.checkpoint, known.metadata, versions)
                for task_id, writes in _by_task(known).items():
                    await self._saver.aput_writes(config, writes, task_id)

    def forget(self) -> None:
        """What memory holds of a temporary thread."""
        if not self._is_kept:
            self._scratch.delete_thread(self._run.thread_id)

    async def _left_by_earlier_attempt(self) -> CheckpointTuple | None:
        known = await self._saver.aget_tuple(self._place(""))
        if known is None or known.metadata.get("run_id") != self._run.run_id:
            return None
        if not self._is_kept:
            await self._restore_scratch()
        return known

    async def _restore_scratch(self) -> None:
        newest: dict[str, CheckpointTuple] = {}
        whole_thread: Any = {"configurable": {"thread_id": self._run.thread_id}}
        async for each in self._saver.alist(whole_thread):
            newest.setdefault(each.config["configurable"].get("checkpoint_ns", ""), each)
        for namespace, known in newest.items():
            versions = known.checkpoint["channel_versions"]
            config = self._scratch.put(self._place(namespace), known.checkpoint, known.metadata, versions)
            for task_id, writes in _by_task(known).items():
                self._scratch.put_writes(config, writes, task_id)

    def _place(self, namespace: str) -> Any:
        return {"configurable": {"thread_id": self._run.thread_id, "checkpoint_ns": namespace}}

    def _configured(self, began_at: datetime) -> dict[str, Any]:
        run = self._run
        return graph_config(
            self.order.model_copy(update={"metadata": {**run.metadata, _BEGAN_AT: began_at.isoformat()}}),
            run_id=run.run_id,
            thread_id=run.thread_id,
            assistant_id=run.assistant_id,
            graph_id=run.graph_id,
            tenant=run.tenant,
            most_steps=self._most_steps,
        )


def _by_task(known: CheckpointTuple) -> dict[str, list[tuple[str, Any]]]:
    """Pending writes: of tasks that were done when their step was not."""
    found: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for task_id, channel, value in known.pending_writes or ():
        found[task_id].append((channel, value))
    return found


def _began_at(known: CheckpointTuple, now: datetime) -> datetime:
    told: Any = known.metadata
    try:
        return datetime.fromisoformat(told[_BEGAN_AT])
    except (KeyError, TypeError, ValueError):  # a caller may have put anything there, in an earlier version
        return now
