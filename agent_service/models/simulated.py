"""A model that only pretends: seeded delays, tokens, errors and throttling, for load tests.  Its words mean nothing."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from agent_service.models.accounts import accounted
from agent_service.models.errors import ModelError, ThrottledError
from agent_service.models.observer import ModelObserver

_MOST_REMEMBERED = 100_000  # different questions
_WORDS = ("the ", "floor ", "follows ", "what ", "demand ", "will ", "be, ", "not ", "what ", "it ", "was ")


class SimulatedChatModel(BaseChatModel):
    """The same seed and questions give the same delays and failures, at whatever time they are asked.

    The n-th time that the same is asked is another than the first: else a load of one question would have one fate.
    """

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
    _asked: Counter[bytes] = PrivateAttr(default_factory=Counter)  # how often each has been asked

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
        with accounted(self.observer) as account:
            await self._begin(messages)
            await self.sleep(self.tokens / self.tokens_per_second)
            account.counted = self._usage()
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
        with accounted(self.observer) as account:
            await self._begin(messages)
            self.observer.first_token(time.perf_counter() - account.began)
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
            account.counted = self._usage()

    async def _begin(self, messages: Sequence[BaseMessage]) -> None:
        chance = self._chance(messages)
        delay = self.first_token_seconds * math.exp(self.sigma * chance.gauss(0, 1))
        fate = chance.random()
        await self.sleep(delay)
        if fate < self.throttle_ratio:
            self.observer.throttled()
            raise ThrottledError("simulated: the provider wants fewer calls", 1.0)
        if fate < self.throttle_ratio + self.error_ratio:
            raise ModelError("simulated: the provider failed")

    def _chance(self, messages: Sequence[BaseMessage]) -> random.Random:
        """From what people asked, and from how many messages there are: that tells the calls of a run apart.

        What the assistant adds holds instants and measurements, which no second run has again: instructions,
        and evidence, which follows the question as a message of the same kind.
        """
        told = hashlib.blake2b(str(self.seed).encode(), digest_size=8)
        talk = [message for message in messages if not isinstance(message, SystemMessage)]
        for before, message in pairwise([None, *talk]):
            if isinstance(message, HumanMessage) and not isinstance(before, HumanMessage):
                told.update(f"{len(str(message.text))} {message.text}".encode(errors="replace"))
        told.update(str(len(talk)).encode())
        asked = told.digest()
        if len(self._asked) > _MOST_REMEMBERED:
            self._asked.clear()
        self._asked[asked] += 1
        told.update(str(self._asked[asked]).encode())
        return random.Random(int.from_bytes(told.digest(), "big"))  # noqa: S311 - no secret

    def _words(self) -> list[str]:
        return [_WORDS[number % len(_WORDS)] for number in range(self.tokens)]

    def _usage(self) -> UsageMetadata:
        return UsageMetadata(input_tokens=0, output_tokens=self.tokens, total_tokens=self.tokens)
