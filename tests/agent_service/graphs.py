"""Small graphs that behave in one way each, for tests of the engine and of the API."""

from __future__ import annotations

import asyncio
import operator
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

if TYPE_CHECKING:
    from agent_service.engine.graphs import GraphSource

PERFORMED: Counter[tuple[str, str]] = Counter()
"""How often each node was performed, by what the run was given as `name`."""


class Steps(TypedDict, total=False):
    """What the stepping graph knows."""

    name: str
    seconds: float  # that each node takes
    done: Annotated[list[str], operator.add]


def steps() -> StateGraph[Any, Any, Any, Any]:
    """Five nodes in a row."""
    graph = StateGraph(Steps)
    before = START
    for node in "abcde":

        async def perform(state: Steps, node: str = node) -> dict[str, Any]:
            await asyncio.sleep(state.get("seconds", 0.0))
            PERFORMED[(state.get("name", ""), node)] += 1
            return {"done": [node]}

        graph.add_node(node, perform)
        graph.add_edge(before, node)
        before = node
    graph.add_edge(before, END)
    return graph


class Talker(BaseChatModel):
    """Says twelve words, one token each."""

    words: tuple[str, ...] = tuple(f"word{number} " for number in range(12))
    seconds: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "talker"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content="".join(self.words)))])

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in self.words:
            await asyncio.sleep(self.seconds)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager is not None:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk


def talk() -> StateGraph[Any, Any, Any, Any]:
    """One node that streams an answer."""
    return talk_slowly(0.0)


def talk_slowly(seconds: float) -> StateGraph[Any, Any, Any, Any]:
    """One node that streams an answer, a token after so many seconds each."""
    model = Talker(seconds=seconds)

    async def answer(state: MessagesState) -> dict[str, Any]:
        get_stream_writer()({"mood": "talkative"})
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph


class Asked(TypedDict, total=False):
    """What the asking graph knows."""

    question: str
    answer: str


def approval() -> StateGraph[Any, Any, Any, Any]:
    """Asks a person, and says what it was told."""

    async def ask(state: Asked) -> dict[str, Any]:
        return {"answer": interrupt({"question": state["question"]})}

    graph = StateGraph(Asked)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph


def failing() -> StateGraph[Any, Any, Any, Any]:
    """Raises."""

    async def fail(state: Steps) -> dict[str, Any]:
        raise ValueError(f"no luck with {state.get('name')}")

    graph = StateGraph(Steps)
    graph.add_node("fail", fail)
    graph.add_edge(START, "fail")
    return graph


def nested() -> StateGraph[Any, Any, Any, Any]:
    """A graph in a graph."""
    graph = StateGraph(Steps)
    graph.add_node("inner", steps().compile())
    graph.add_edge(START, "inner")
    graph.add_edge("inner", END)
    return graph


def all_sources() -> tuple[GraphSource, ...]:
    """Each of them under its function's name."""
    from agent_service.engine.graphs import GraphSource  # other servers serve these graphs too, without our package

    makers = (steps, talk, approval, failing, nested)
    return tuple(GraphSource(maker.__name__, maker()) for maker in makers)
