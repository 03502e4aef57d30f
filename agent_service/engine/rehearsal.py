"""A run of our own through everything before the first of a user's: what libraries load or connect lazily is there."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from agent_service.engine.admission import Admission
from agent_service.engine.bells import Bells
from agent_service.engine.graphs import Graphs, GraphSource
from agent_service.engine.meters import Meters
from agent_service.engine.performing import Performer
from agent_service.engine.replica import Replica
from agent_service.engine.requests import Order
from agent_service.engine.slots import Slots
from agent_service.errors import NotFoundError, StoreError
from agent_service.store.records import Multitask, Run, RunStatus, Thread

log = logging.getLogger("forescale.agent")

_NAME = "forescale:rehearsal"  # of the graph, and of the tenant: no key's name has a colon
_PATIENCE_SECONDS = 30.0


async def rehearse(own: Replica) -> None:
    """On the real stores, as a tenant whom nobody can be; raises StoreError when it does not end well.

    Graphs of users are drawn, and not performed: what their nodes do, they do to somebody.
    """
    await asyncio.to_thread(_draw, own.graphs)
    ours = _apart(own)
    now, thread_id, run_id = own.now(), str(uuid.uuid4()), str(uuid.uuid4())
    thread = Thread(thread_id, _NAME, now, now, is_temporary=True)
    run = _a_run(run_id, thread, ours)
    performer = Performer(ours)
    try:
        with ours.slots.reserved(1):
            claim, lease_ends = ours.claim()
            # Claimed as it is submitted: nobody who scales by the queue may see it there.
            found = await ours.runs.submit(run, new_thread=thread, strategy=Multitask.ENQUEUE, claim=claim)
        performer.begin(found.run, lease_ends)
        if not await ours.slots.until_empty(_PATIENCE_SECONDS):
            raise StoreError(f"a rehearsal did not end within {_PATIENCE_SECONDS:g} s")
        await ours.events.read(run_id, 0)
        ended = await ours.runs.get_run(run_id, _NAME)
        if ended.status is not RunStatus.SUCCESS:
            raise StoreError(f"a rehearsal ended with {ended.status}: {(ended.result or b'').decode()[:200]}")
    finally:
        await _delete(ours, thread_id)
    await ours.runs.queue_depth(own.now(), ours.name)
    for left in await ours.runs.claim(ours.claim()[0], 10, graphs=ours.graphs.names):
        await _delete(ours, left.thread_id)  # of a replica that was killed while it rehearsed


def _draw(graphs: Graphs) -> None:
    for served in graphs.all:
        served.kept.get_graph()


def _apart(own: Replica) -> Replica:
    """The same stores with a graph, a slot and a name of its own, and nobody who counts."""
    settings = replace(own.settings, keep_checkpoints="latest")
    source = GraphSource(_NAME, _two_nodes())
    return replace(
        own,
        name=f"{own.name}-rehearsal",
        graphs=Graphs((source,), own.checkpoints.saver, own.scratch),
        settings=settings,
        admission=Admission(settings),
        slots=Slots(1),
        meters=Meters(),
        companion=None,
        on_finished=None,
        bells=Bells(),
    )


def _two_nodes() -> StateGraph[Any, Any, Any, Any]:
    async def hear(state: MessagesState) -> dict[str, Any]:
        return {}

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage("ready")]}

    graph = StateGraph(MessagesState)
    graph.add_node("hear", hear)
    graph.add_node("answer", answer)
    graph.add_edge(START, "hear")
    graph.add_edge("hear", "answer")
    graph.add_edge("answer", END)
    return graph


def _a_run(run_id: str, thread: Thread, ours: Replica) -> Run:
    served, now = ours.graphs.get(_NAME), thread.created_at
    order = Order(
        assistant_id=_NAME,
        input={"messages": [HumanMessage("ready?").model_dump(mode="json")]},
        stream_mode=["values", "updates", "messages-tuple"],
        durability="async",
    )
    return Run(
        run_id=run_id,
        thread_id=thread.thread_id,
        tenant=_NAME,
        assistant_id=served.assistant_id,
        graph_id=served.name,
        created_at=now,
        updated_at=now,
        not_before=now,
        request=order.kept(),
        accepted_by=ours.name,
    )


async def _delete(ours: Replica, thread_id: str) -> None:
    try:
        await ours.runs.delete_thread(thread_id, _NAME)
    except NotFoundError:
        return
    await ours.checkpoints.delete_threads([thread_id])
