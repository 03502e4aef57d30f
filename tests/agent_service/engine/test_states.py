"""States changed by hand, and types of a graph's own in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from langgraph.types import StateUpdate
from typing_extensions import TypedDict

from agent_service.engine import states
from agent_service.engine.engine import Engine
from agent_service.engine.graphs import GraphSource
from agent_service.errors import ConflictError
from agent_service.store.opening import Stores
from agent_service.store.records import Thread
from tests.agent_service.builders import in_store
from tests.agent_service.engine.replicas import (
    Gates,
    an_engine,
    begin,
    end_of,
    gated,
    in_memory,
    live,
    one_node,
    values_of,
)
from tests.coroutines import run_apart

CHANGE: Sequence[Sequence[StateUpdate]] = [[StateUpdate({"done": ["by hand"]}, "a")]]


async def a_thread(engine: Engine) -> Thread:
    """On which the graph has run."""
    run = await begin(engine, "gated")
    await end_of(engine, run)
    return await engine.runs.get_thread(run.thread_id, "")


def test_a_state_is_changed_by_hand(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        engine = an_engine(stores, gated(Gates()))
        async with live(engine):
            thread = await a_thread(engine)
            await states.update(engine, thread, {}, CHANGE)

        assert await values_of(engine, "gated", thread.thread_id) == {"done": ["a", "b", "c", "by hand"]}

    in_store(any_url, test)


def test_a_run_that_began_after_the_thread_was_looked_up_keeps_the_state_from_being_changed() -> None:
    async def main() -> None:
        gates = Gates()
        engine = an_engine(in_memory(), gated(gates))
        async with live(engine):
            thread = await a_thread(engine)
            gates.close("b")
            await begin(engine, "gated", thread=thread.thread_id)
            with pytest.raises(ConflictError, match="has a run that has not ended"):
                await states.update(engine, thread, {}, CHANGE)
            gates.open("b")

    run_apart(main())


def test_a_run_that_begins_while_the_state_is_changed_is_not_passed_over_in_silence() -> None:
    async def main() -> None:
        engine = an_engine(in_memory(), gated(Gates()))
        async with live(engine):
            thread = await a_thread(engine)

            class Meanwhile(Sequence[Any]):
                """The changes; somebody runs the graph while they are read."""

                def __getitem__(self, index: Any) -> Any:
                    return CHANGE[index]

                def __len__(self) -> int:
                    return len(CHANGE)

            kept = engine.graphs.get("gated").kept
            inner = kept.abulk_update_state

            async def interrupted(*told: Any, **more: Any) -> Any:
                await end_of(engine, await begin(engine, "gated", thread=thread.thread_id))
                return await inner(*told, **more)

            kept.abulk_update_state = interrupted  # type: ignore[method-assign]
            with pytest.raises(ConflictError, match="began while its state was changed"):
                await states.update(engine, thread, {}, CHANGE)

    run_apart(main())


@dataclass
class Plan:
    """A type of a graph's own."""

    steps: int


@dataclass
class Foreign:
    """Nobody's."""

    steps: int


class Planned(TypedDict, total=False):
    """What the planning graph knows."""

    plan: Any
    other: Any
    seen: str


def test_only_types_that_a_graph_names_are_made_again_from_its_checkpoints(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        async def look(state: Planned) -> dict[str, Any]:
            if state.get("plan") is None:
                return {"plan": Plan(3), "other": Foreign(4)}
            return {"seen": f"{state['plan']!r} {state['other']!r}"}

        source = one_node("planning", look, Planned)
        engine = an_engine(stores, GraphSource("planning", source.builder, types=(Plan,), is_guarded=True))
        async with live(engine):
            first = await begin(engine, "planning", input={"seen": ""})
            await end_of(engine, first)
            await end_of(engine, await begin(engine, "planning", thread=first.thread_id, input={"seen": ""}))
            values = await values_of(engine, "planning", first.thread_id)

        assert values["seen"] == "Plan(steps=3) {'steps': 4}"
        assert engine.graphs.get("planning").is_guarded

    in_store(any_url, test)
