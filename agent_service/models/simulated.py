"""A model that only pretends: seeded delays, tokens, errors and throttling, for load tests.  Its words mean nothing."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field

from agent_service.models import budget
from agent_service.models.errors import ModelError, ThrottledError
from agent_service.models.observer import ModelObserver

_WORDS = ("the ", "floor ", "follows ", "what ", "demand ", "will ", "be, ", "not ", "what ", "it ", "was ")


class SimulatedChatModel(BaseChatModel):
    """The same seed and conversation give the same delays and the same words."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    first_token_seconds: float = 0.06  # median of a log-normal distribution
    sigma: float = 0.4
    tokens: int = 12
    tokens_per_second: float = 200.0
    error_ratio: float = 0.0
    throttle_ratio: float = 0.0
    seed: int = 0
    observer: ModelObserver = Field(default_factory=ModelObserver, exclude=True, repr=False)
    sleep: Callable[[float], Awaitable[Any]] = Field(default=asyncio.sleep, exclude=True, repr=False)

    @property
    def _llm_type(self) -> str:
        return "simulated"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": "simulated"}

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> SimulatedChatModel:
        """It takes no tools: rules choose them where it pretends to."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        raise NotImplementedError("the simulated model is only for asyncio: it pretends to wait")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        chance, began = self._chance(messages), time.perf_counter()
        await self._begin(chance)
        await self.sleep(self.tokens / self.tokens_per_second)
        self._finish(began)
        message = AIMessage(
            content="".join(self._words()), response_metadata={"simulated": True}, usage_metadata=self._usage()
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        chance, began = self._chance(messages), time.perf_counter()
        await self._begin(chance)
        self.observer.first_token(time.perf_counter() - began)
        words = self._words()
        for number, word in enumerate(words):
            is_last = number == len(words) - 1
            message = AIMessageChunk(
                content=word,
                response_metadata={"simulated": True} if is_last else {},
                usage_metadata=self._usage() if is_last else None,
            )
            chunk = ChatGenerationChunk(message=message)
            if run_manager is not None:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
            await self.sleep(1 / self.tokens_per_second)
        self._finish(began)

    async def _begin(self, chance: random.Random) -> None:
        spending = budget.current()
        if spending is not None:
            spending.spend_call()
        delay = self.first_token_seconds * math.exp(self.sigma * chance.gauss(0, 1))
        fate = chance.random()
        await self.sleep(delay)
        if fate < self.throttle_ratio:
            self.observer.throttled()
            self.observer.finished("throttled", delay)
            raise ThrottledError("simulated: the provider wants fewer calls", 1.0)
        if fate < self.throttle_ratio + self.error_ratio:
            self.observer.finished("error", delay)
            raise ModelError("simulated: the provider failed")

    def _finish(self, began: float) -> None:
        self.observer.finished("ok", time.perf_counter() - began)
        self.observer.tokens("output", self.tokens)
        spending = budget.current()
        if spending is not None:
            spending.spend_tokens(self.tokens)

    def _chance(self, messages: Sequence[BaseMessage]) -> random.Random:
        told = hashlib.blake2b(str(self.seed).encode(), digest_size=8)
        for message in messages:
            told.update(message.type.encode())
            told.update(str(message.content).encode())
        return random.Random(int.from_bytes(told.digest(), "big"))  # noqa: S311 - no secret

    def _words(self) -> list[str]:
        return [_WORDS[number % len(_WORDS)] for number in range(self.tokens)]

    def _usage(self) -> UsageMetadata:
        return UsageMetadata(input_tokens=0, output_tokens=self.tokens, total_tokens=self.tokens)
