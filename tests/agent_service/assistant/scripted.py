"""A model that says what a test wants, one answer after the other, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class Scripted(BaseChatModel):
    """An exception is raised; None is never answered."""

    script: list[Any]
    asked: list[list[BaseMessage]]
    tools: list[str]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        self.tools.extend(tool["function"]["name"] for tool in tools)
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        if self.script[0] is None:
            self.asked.append(messages)
            await asyncio.Event().wait()
        return self._generate(messages)

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        self.asked.append(messages)
        said = self.script.pop(0)
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, AIMessage)
        return said


class Streaming(Scripted):
    """Word by word, as endpoints do."""

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        said = self._next(messages)
        words = str(said.content).split(" ") or [""]
        for number, word in enumerate(words):
            text = word if number == 0 else f" {word}"
            is_last = number == len(words) - 1
            chunks: Any = [
                {"name": call["name"], "args": "{}", "id": call["id"], "index": at}
                for at, call in enumerate(said.tool_calls if is_last else [])
            ]
            yield ChatGenerationChunk(message=AIMessageChunk(content=text, tool_call_chunks=chunks))

    async def _astream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages):
            yield chunk


def a_model(*script: Any) -> Scripted:
    """See Scripted."""
    return Scripted(script=list(script), asked=[], tools=[])


def a_streaming_model(*script: Any) -> Streaming:
    """See Streaming."""
    return Streaming(script=list(script), asked=[], tools=[])


def calls(*names: str, **args: Any) -> AIMessage:
    """Of tools, about shop/agent."""
    told = {"namespace": "shop", "name": "agent", **args}
    return AIMessage(content="", tool_calls=[{"name": name, "args": told, "id": name} for name in names])


def call(name: str, **args: Any) -> AIMessage:
    """Of one tool, with these arguments alone."""
    return AIMessage(content="", tool_calls=[{"name": name, "args": args, "id": name}])
