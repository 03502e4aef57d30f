"""The graph that is measured: four nodes, two calls of the simulated model, about a quarter of a second of waiting."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from agent_service.models.simulated import SimulatedChatModel

TOKENS = 24  # of a run, in two calls
MODEL_SECONDS = 0.25  # of a run, in the median


def model() -> SimulatedChatModel:
    """60 ms to the first token in the median, then 12 tokens in 60 ms."""
    return SimulatedChatModel(first_token_seconds=0.065, sigma=0.4, tokens=TOKENS // 2, tokens_per_second=200.0)


def graph() -> StateGraph[Any, Any, Any, Any]:
    """plan -> tools -> collect -> answer, of which the first and the last ask the model."""
    mind = model()

    async def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await mind.ainvoke(state["messages"])]}

    async def note(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(content=f"{len(state['messages'])} messages so far")]}

    made = StateGraph(MessagesState)
    for name, node in (("plan", think), ("tools", note), ("collect", note), ("answer", think)):
        made.add_node(name, node)
    for before, after in (
        (START, "plan"),
        ("plan", "tools"),
        ("tools", "collect"),
        ("collect", "answer"),
        ("answer", END),
    ):
        made.add_edge(before, after)
    return made
