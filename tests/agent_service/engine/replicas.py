"""Replicas in the test's own event loop, and graphs whose nodes go on when the test lets them."""

from __future__ import annotations

import asyncio
import operator
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from agent_service.engine import reading
from agent_service.engine.engine import Engine
from agent_service.engine.graphs import Graphs, GraphSource
from agent_service.engine.requests import Order
from agent_service.engine.settings import EngineSettings
from agent_service.store.checkpoints import MemoryCheckpoints
from agent_service.store.memory import MemoryStore
from agent_service.store.opening import Stores
from agent_service.store.ports import Checkpoints
from agent_service.store.records import Event, Multitask, Run, Submission, Thread
from tests.agent_service.graphs import all_sources

_PATIENCE_SECONDS = 30.0  # before a test has failed that waits for what does not come


class Steps(TypedDict, total=False):
    """What gated graphs know."""

    name: str
    done: Annotated[list[str], operator.add]


class Gates:
    """Each node says that it is there, and waits until it is let through."""

    def __init__(self, *closed: str) -> None:
        """closed: nodes that wait; the others do not."""
        self.performed: Counter[str] = Counter()
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._open: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._closed = set(closed)

    async def perform(self, node: str) -> dict[str, Any]:
        """What a node does."""
        self._reached[node].set()
        if node in self._closed:
            await self._open[node].wait()
        self.performed[node] += 1
        return {"done": [node]}

    async def reached(self, node: str) -> None:
        """Until it is there; once for every call."""
        await self._reached[node].wait()
        self._reached[node].clear()

    def close(self, node: str) -> None:
        """Who comes there from now on waits."""
        self._closed.add(node)

    def open(self, node: str) -> None:
        """Let it through from now on."""
        self._open[node].set()


def gated(gates: Gates, nodes: str = "abc", inside: StateGraph[Any, Any, Any, Any] | None = None) -> GraphSource:
    """One node after the other; the node `b` is a graph, if one is given."""
    return GraphSource("gated", gated_graph(gates, nodes, inside))


def gated_graph(
    gates: Gates, nodes: str, inside: StateGraph[Any, Any, Any, Any] | None = None
) -> StateGraph[Any, Any, Any, Any]:
    """See gated."""
    graph = StateGraph(Steps)
    before = START
    for node in nodes:

        async def perform(state: Steps, node: str = node) -> dict[str, Any]:
            return await gates.perform(node)

        if node == "b" and inside is not None:
            graph.add_node(node, inside.compile())
        else:
            graph.add_node(node, perform)
        graph.add_edge(before, node)
        before = node
    graph.add_edge(before, END)
    return graph


def one_node(name: str, node: Any, state: Any = Steps) -> GraphSource:
    """A graph of a single node, called `node`."""
    graph = StateGraph(state)
    graph.add_node("node", node)
    graph.add_edge(START, "node")
    graph.add_edge("node", END)
    return GraphSource(name, graph)


def in_memory(runs: MemoryStore | None = None, checkpoints: Checkpoints | None = None) -> Stores:
    """Stores in memory, some of them perhaps with a fault."""
    kept = runs or MemoryStore()
    return Stores(kept, kept, checkpoints or MemoryCheckpoints(), "memory")


def an_engine(
    stores: Stores,
    *sources: GraphSource,
    name: str = "one",
    told: dict[str, Any] | None = None,
    **settings: Any,
) -> Engine:
    """Not open yet.  told: further arguments of the engine's."""
    scratch = InMemorySaver(serde=stores.checkpoints.saver.serde)
    known: dict[str, Any] = {"flush_seconds": 0.02, "look_seconds": 0.1, **settings}
    graphs = Graphs(sources or all_sources(), stores.checkpoints.saver, scratch)
    return Engine(
        graphs, stores.runs, stores.events, stores.checkpoints, scratch, settings=EngineSettings(**known),
        replica=name, **(told or {}),
    )  # fmt: skip


@asynccontextmanager
async def live(*engines: Engine) -> AsyncIterator[None]:
    """Open while the block lasts."""
    for engine in engines:
        await engine.open()
    try:
        yield
    finally:
        for engine in engines:
            await engine.close()


async def submit(
    engine: Engine,
    graph: str,
    *,
    thread: str | None = None,
    tenant: str = "",
    is_temporary: bool = False,
    key: str | None = None,
    metadata: dict[str, Any] | None = None,
    strategy: Multitask = Multitask.ENQUEUE,
    after_seconds: float = 0,
    kept: dict[str, Any] | None = None,
    **order: Any,
) -> Submission:
    """As the server does it; the thread is made.  kept: written over what would be kept of the request."""
    now, served = engine.now(), engine.graphs.get(graph)
    asked = Order(assistant_id=graph, **{"input": {"done": []}, **order} if "command" not in order else order)
    thread_id = thread or str(uuid.uuid4())
    run = Run(
        run_id=str(uuid.uuid4()),
        thread_id=thread_id,
        tenant=tenant,
        assistant_id=served.assistant_id,
        graph_id=served.name,
        created_at=now,
        updated_at=now,
        not_before=now + timedelta(seconds=after_seconds),
        request={**asked.kept(), "is_temporary": is_temporary, **(kept or {})},
        metadata=metadata or {},
        multitask=strategy,
        idempotency_key=key,
    )
    new_thread = Thread(thread_id, tenant, now, now, is_temporary=is_temporary)
    return await engine.submit(run, new_thread=new_thread, strategy=strategy)


async def begin(engine: Engine, graph: str, **told: Any) -> Run:
    """See submit."""
    return (await submit(engine, graph, **told)).run


async def end_of(engine: Engine, run: Run) -> Run:
    """The run as it ended; raises NotFoundError when it is gone."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        async for found in reading.ended(engine, run):
            if found is not None:
                return found
    raise AssertionError("it neither ends nor is gone")


async def story_of(engine: Engine, run: Run, after: int = 0) -> list[Event]:
    """All events of the run, to its end."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        return [event async for events in reading.follow(engine, run, after) for event in events]


async def until(holds: Callable[[], bool]) -> None:
    """Give others their turn until it is so."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - of things that ring no bell
            await asyncio.sleep(0.005)


async def lapse(engine: Engine, run: Run, most_crashes: int = 3) -> None:
    """Another replica finds the run's lease over, whatever its holder thinks."""
    await engine.runs.renew(replace(engine._own.claim()[0], lease_until=engine.now()), [run])
    await engine.runs.reap(engine.now() + timedelta(seconds=1), most_crashes=most_crashes)


async def values_of(engine: Engine, graph: str, thread_id: str) -> dict[str, Any]:
    """What the thread's checkpoints say."""
    snapshot = await engine.graphs.get(graph).kept.aget_state({"configurable": {"thread_id": thread_id}})
    return dict(snapshot.values)
