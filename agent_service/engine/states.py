"""What a thread's graph remembers: now, before, and changed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langgraph.errors import InvalidUpdateError
from langgraph.types import StateSnapshot, StateUpdate

from agent_service.engine.encoding import encode, interrupt_json
from agent_service.engine.engine import Engine
from agent_service.engine.graphs import Served
from agent_service.errors import ConflictError, InvalidError, NotFoundError
from agent_service.store.records import Thread, ThreadStatus


def graph_of(engine: Engine, thread: Thread) -> Served | None:
    """The graph that ran on the thread; where none did, the only one there is."""
    name = thread.metadata.get("graph_id")
    if isinstance(name, str):
        try:
            return engine.graphs.get(name)
        except NotFoundError:
            raise ConflictError(
                f"thread {thread.thread_id} belongs to graph {name!r}, which is not served here"
            ) from None
    return engine.graphs.all[0] if len(engine.graphs.all) == 1 else None


async def snapshot(
    engine: Engine, thread: Thread, place: dict[str, Any], *, subgraphs: bool = False
) -> StateSnapshot | None:
    """At a checkpoint (checkpoint_id, checkpoint_ns), or the newest; None when nothing ran yet."""
    served = graph_of(engine, thread)
    if served is None:
        return None
    found = await served.kept.aget_state(_config(thread, place), subgraphs=subgraphs)
    if place.get("checkpoint_id") is not None and found.created_at is None:
        raise NotFoundError(f"thread {thread.thread_id} has no checkpoint {place['checkpoint_id']}")
    return found if found.created_at is not None else None


async def history(
    engine: Engine,
    thread: Thread,
    place: dict[str, Any],
    *,
    limit: int,
    before: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> list[StateSnapshot]:
    """Newest first."""
    served = graph_of(engine, thread)
    if served is None:
        return []
    until: Any = None if before is None else {"configurable": {"thread_id": thread.thread_id, "checkpoint_id": before}}
    found = served.kept.aget_state_history(_config(thread, place), filter=metadata, before=until, limit=limit)
    return [each async for each in found]


async def update(
    engine: Engine, thread: Thread, place: dict[str, Any], updates: Sequence[Sequence[StateUpdate]]
) -> dict[str, Any]:
    """Change the state as if nodes had written it, one superstep after the other; the new checkpoint.

    Raises ConflictError while a run is active, InvalidError for what the graph refuses.  Nothing keeps a run from
    beginning meanwhile: one that does may go on from the state as it was, and then the change is no more than a branch
    of the history.  That cannot be prevented without holding the thread, but it is not passed over in silence.
    """
    newest_run = await _newest_run_of_idle(engine, thread)
    served = graph_of(engine, thread)
    if served is None:
        raise InvalidError(
            f"thread {thread.thread_id} has no graph yet; give it one with a run, or as metadata.graph_id"
        )
    try:
        config = await served.kept.abulk_update_state(_config(thread, place), updates)
    except (InvalidUpdateError, ValueError, TypeError, KeyError) as error:
        raise InvalidError(f"the graph refuses this update: {error}") from error
    if await _newest_run_of_idle(engine, thread) != newest_run:
        raise ConflictError(
            f"a run of thread {thread.thread_id} began while its state was changed, and may not have seen the change; "
            "look at the state when it has ended, and repeat the change if it is missing"
        )
    newest = await served.kept.aget_state({"configurable": {"thread_id": thread.thread_id}})
    interrupts = {
        task.id: [interrupt_json(each) for each in task.interrupts] for task in newest.tasks if task.interrupts
    }
    await engine.runs.set_values(thread.thread_id, thread.tenant, encode(newest.values), interrupts, engine.now())
    return dict(config["configurable"])


async def _newest_run_of_idle(engine: Engine, thread: Thread) -> str | None:
    """The id of the run that came last; raises ConflictError while one is active."""
    known = await engine.runs.get_thread(thread.thread_id, thread.tenant)
    if known.status is ThreadStatus.BUSY:
        raise ConflictError(f"thread {thread.thread_id} has a run that has not ended; wait for it or cancel it")
    newest = await engine.runs.list_runs(thread.thread_id, thread.tenant, limit=1)
    return newest[0].run_id if newest else None


def _config(thread: Thread, place: dict[str, Any]) -> Any:
    configurable = {"thread_id": thread.thread_id, "checkpoint_ns": place.get("checkpoint_ns") or ""}
    if place.get("checkpoint_id") is not None:
        configurable["checkpoint_id"] = str(place["checkpoint_id"])
    return {"configurable": configurable}
