"""A thread whose run was rolled back is where it was before, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph._internal._constants import NULL_TASK_ID
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict

from agent_service.store.opening import Stores
from agent_service.store.undoing import NULL_TASK, PAUSES, undone
from tests.agent_service.builders import in_store

DURABILITIES = ("exit", "async", "sync")


class Told(TypedDict, total=False):
    """What nodes have told."""

    told: Annotated[list[str], operator.add]


class Halting:
    """A graph that asks in one node, beside another that does not, and hangs in one of them."""

    def __init__(self, stores: Stores, *, is_nested: bool = False, **more: Any) -> None:
        self.hangs_in = "wait"
        self.hanging = asyncio.Event()
        self.performed: list[str] = []
        graph: Any = StateGraph(Told)
        graph.add_node("beside", self._beside)
        graph.add_node("ask", self._ask)
        graph.add_node("wait", self._wait)
        graph.add_edge(START, "beside")
        graph.add_edge(START, "ask")
        graph.add_edge(["ask", "beside"], "wait")
        graph.add_edge("wait", END)
        if is_nested:
            inner, graph = graph.compile(), StateGraph(Told)
            graph.add_node("inner", inner)
            graph.add_edge(START, "inner")
        self.graph: Any = graph.compile(checkpointer=stores.checkpoints.saver, **more)

    async def _beside(self, _: Told) -> Told:
        self.performed.append("beside")
        return {"told": ["beside"]}

    async def _ask(self, _: Told) -> Told:
        await self._maybe_hang("ask")
        return {"told": [interrupt("what?")]}

    async def _wait(self, _: Told) -> Told:
        await self._maybe_hang("wait")
        return {"told": ["end"]}

    async def _maybe_hang(self, node: str) -> None:
        if node == self.hangs_in:
            self.hanging.set()
            await asyncio.Event().wait()

    async def cut_off(self, given: Any, run_id: str, durability: str) -> None:
        """A run that is cancelled where it hangs."""
        self.hanging.clear()
        running = asyncio.create_task(self.graph.ainvoke(given, place(run_id), durability=durability))
        await self.hanging.wait()
        running.cancel()
        await asyncio.wait([running])
        self.hangs_in = ""

    async def state(self) -> tuple[tuple[str, ...], list[Any], Any]:
        """What comes next, what is asked, what is there."""
        state = await self.graph.aget_state(place(""))
        return state.next, [each.value for each in state.interrupts], state.values.get("told")


def place(run_id: str) -> Any:
    return {"configurable": {"thread_id": "t", "run_id": run_id}}


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_thread_asks_again_when_the_run_with_the_answer_is_rolled_back(
    any_url: str, durability: str, is_nested: bool
) -> None:
    async def test(stores: Stores) -> None:
        graph = Halting(stores, is_nested=is_nested)
        await graph.graph.ainvoke({"told": []}, place("one"))
        before = await graph.state()
        assert before[1] == ["what?"]

        await graph.cut_off(Command(resume="no"), "two", durability)
        for _ in range(2):  # whoever rolls back may die, and another does it again
            await stores.checkpoints.roll_back("t", "two")

        assert await graph.state() == before
        await graph.graph.ainvoke(Command(resume="yes"), place("three"))
        assert sorted((await graph.state())[2]) == ["beside", "end", "yes"]
        assert graph.performed == ["beside"]  # what ended beside the question is not done twice

    in_store(any_url, test)


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_step_before_which_the_thread_paused_is_done_again(any_url: str, durability: str) -> None:
    async def test(stores: Stores) -> None:
        graph = Halting(stores, interrupt_before=["beside", "ask"])
        await graph.graph.ainvoke({"told": []}, place("one"))
        before = await graph.state()
        assert set(before[0]) == {"ask", "beside"}

        graph.hangs_in = "ask"
        await graph.cut_off(None, "two", durability)
        await stores.checkpoints.roll_back("t", "two")

        assert (await graph.state())[0] == before[0]
        await graph.graph.ainvoke(None, place("three"))
        assert graph.performed == ["beside", "beside"]

    in_store(any_url, test)


@pytest.mark.parametrize("durability", DURABILITIES)
def test_what_a_command_changed_is_changed_back(any_url: str, durability: str) -> None:
    async def test(stores: Stores) -> None:
        graph = Halting(stores)
        graph.hangs_in = ""
        await graph.graph.ainvoke({"told": []}, place("one"))
        await graph.graph.ainvoke(Command(resume="yes"), place("two"))
        before = await graph.state()

        graph.hangs_in = "wait"
        await graph.cut_off(Command(update={"told": ["changed"]}, goto="wait"), "three", durability)
        await stores.checkpoints.roll_back("t", "three")

        assert await graph.state() == before
        await graph.graph.ainvoke(Command(goto="wait"), place("four"))
        assert "changed" not in (await graph.state())[2]

    in_store(any_url, test)


@pytest.mark.parametrize("durability", DURABILITIES)
def test_a_run_with_an_input_of_its_own_leaves_an_earlier_question_as_it_was(any_url: str, durability: str) -> None:
    async def test(stores: Stores) -> None:
        graph = Halting(stores)
        await graph.graph.ainvoke({"told": ["first"]}, place("one"))
        before = await graph.state()

        await graph.graph.ainvoke({"told": ["second"]}, place("two"), durability=durability)
        assert "second" in (await graph.state())[2]
        await stores.checkpoints.roll_back("t", "two")

        assert await graph.state() == before

    in_store(any_url, test)


_TASKS, _CHANNELS = st.sampled_from(["a", "b", NULL_TASK]), st.sampled_from(["told", "__resume__", *PAUSES])


@given(st.lists(st.tuples(_TASKS, _CHANNELS)))
def test_undoing_leaves_questions_and_is_done_after_one_time(writes: list[tuple[str, str]]) -> None:
    left = [each for each in writes if each not in undone(writes)]

    assert {each for each in writes if each[1] in PAUSES} <= set(left)
    assert not any(task == NULL_TASK and channel not in PAUSES for task, channel in left)
    assert undone(left) == set() or not any(channel in PAUSES for _, channel in left)


def test_commands_are_written_under_the_name_that_we_know() -> None:
    assert NULL_TASK == NULL_TASK_ID
