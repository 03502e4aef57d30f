"""A graph whose nodes leave a trace outside of the process, so that what a crash repeats can be counted."""

from __future__ import annotations

import asyncio
import operator
import os
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

NODES = "abcde"


class Counted(TypedDict, total=False):
    """What the graph knows."""

    seconds: float  # that each node takes
    done: Annotated[list[str], operator.add]


def graph() -> StateGraph[Any, Any, Any, Any]:
    """Five nodes in a row; each is written down when it has been performed."""
    made = StateGraph(Counted)
    before = START
    for node in NODES:

        async def perform(state: Counted, config: RunnableConfig, node: str = node) -> dict[str, Any]:
            await asyncio.sleep(state.get("seconds", 0.0))
            line = f"{config['configurable']['run_id']} {node}\n"
            descriptor = os.open(os.environ["AGENT_TEST_PERFORMED"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
            os.write(descriptor, line.encode())
            os.close(descriptor)
            return {"done": [node]}

        made.add_node(node, perform)
        made.add_edge(before, node)
        before = node
    made.add_edge(before, END)
    return made
