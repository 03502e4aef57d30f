"""A chat model at any endpoint that speaks OpenAI's protocol, over httpx."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field

from agent_service.models import budget, wire
from agent_service.models.circuit import Circuit
from agent_service.models.errors import CircuitOpenError, ModelError, ModelTimeoutError, ThrottledError
from agent_service.models.observer import ModelObserver
from agent_service.models.settings import ModelSettings

_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
_MOST_BYTES = 4 * 2**20
_DONE = b"[DONE]"
_TOO_MANY = httpx.codes.TOO_MANY_REQUESTS


class EndpointChatModel(BaseChatModel):
    """Retries what a second try may mend, before the first token and within the call's own time."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    settings: ModelSettings = Field(exclude=True)
    client: httpx.AsyncClient = Field(exclude=True, repr=False)
    circuit: Circuit = Field(exclude=True, repr=False)
    observer: ModelObserver = Field(exclude=True, repr=False)
    sleep: Callable[[float], Awaitable[Any]] = Field(default=asyncio.sleep, exclude=True, repr=False)
    silence_seconds: float = 20.0  # between two pieces of a stream

    @classmethod
    def open(cls, settings: ModelSettings, observer: ModelObserver, **more: Any) -> EndpointChatModel:
        """With a client and a circuit of its own."""
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        timeout = httpx.Timeout(settings.timeout_seconds, connect=_CONNECT_SECONDS)
        client = httpx.AsyncClient(base_url=settings.base_url, headers=headers, timeout=timeout)
        return cls(settings=settings, client=client, circuit=Circuit(observer), observer=observer, **more)

    @property
    def _llm_type(self) -> str:
        return "openai-compatible"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.settings.model}

    def _get_ls_params(self, stop: list[str] | None = None, **_: Any) -> Any:
        return {"ls_provider": "openai-compatible", "ls_model_name": self.settings.model, "ls_model_type": "chat"}

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **more: Any) -> Any:
        """tools: schemas, pydantic models or functions.  tool_choice: auto, none, required, or a tool's name."""
        told: dict[str, Any] = {"tools": [convert_to_openai_tool(tool) for tool in tools], **more}
        if tool_choice is not None:
            named = {"type": "function", "function": {"name": tool_choice}}
            told["tool_choice"] = tool_choice if tool_choice in ("auto", "none", "required") else named
        return self.bind(**told)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        raise NotImplementedError("this model is only for asyncio: use ainvoke or astream")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **more: Any,
    ) -> ChatResult:
        body = self._body(messages, stop, more, is_streamed=False)
        async with self._accounted():
            answer = await self._retried(lambda: self._whole(body))
            message = wire.read_message(answer)
            self._count(message.usage_metadata)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **more: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        body, began = self._body(messages, stop, more, is_streamed=True), time.perf_counter()
        async with self._accounted():
            response = await self._retried(lambda: self._opened(body))
            is_first = True
            try:
                async for chunk in self._pieces(response):
                    if is_first:
                        self.observer.first_token(time.perf_counter() - began)
                        is_first = False
                    self._count(chunk.usage_metadata)
                    generated = ChatGenerationChunk(message=chunk)
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(str(chunk.text), chunk=generated)
                    yield generated
            finally:
                await response.aclose()
            if is_first:
                raise ModelError("the endpoint's stream ended without an answer")

    @asynccontextmanager
    async def _accounted(self) -> AsyncIterator[None]:
        """Budget, circuit, deadline and counting around a call."""
        began = time.perf_counter()
        spending = budget.current()
        outcome = "refused"
        try:
            if spending is not None:
                spending.spend_call()
            self.circuit.enter()
            outcome = "error"
            async with asyncio.timeout(self.settings.timeout_seconds):
                yield
            outcome = "ok"
            self.circuit.succeeded()
        except CircuitOpenError:
            raise
        except ThrottledError:
            outcome = "throttled"
            self.circuit.failed()
            raise
        except (TimeoutError, ModelTimeoutError, httpx.TimeoutException) as error:
            outcome = "timeout"
            self.circuit.failed()
            raise ModelTimeoutError(f"the model did not answer within {self.settings.timeout_seconds:g} s") from error
        except httpx.HTTPError as error:
            self.circuit.failed()
            raise ModelError(f"the model's endpoint cannot be reached ({type(error).__name__})") from error
        except ModelError:
            if outcome != "refused":
                self.circuit.failed()
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome = "cancelled"
            self.circuit.abandoned()
            raise
        finally:
            self.observer.finished(outcome, time.perf_counter() - began)

    async def _retried(self, attempt: Callable[[], Awaitable[Any]]) -> Any:
        pause = _FIRST_PAUSE_SECONDS
        for number in range(1, _ATTEMPTS + 1):
            try:
                return await attempt()
            except _RetryableError as error:
                if number == _ATTEMPTS:
                    raise error.said from error
                wait = pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
                if isinstance(error.said, ThrottledError) and error.said.retry_after_seconds is not None:
                    wait = max(wait, error.said.retry_after_seconds)
                await self.sleep(min(wait, _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise AssertionError("unreachable")

    async def _whole(self, body: dict[str, Any]) -> Any:
        response = await self._opened(body)
        try:
            raw = await self._limited(response)
        finally:
            await response.aclose()
        try:
            return json.loads(raw)
        except ValueError as error:
            raise ModelError("the endpoint did not answer JSON") from error

    async def _opened(self, body: dict[str, Any]) -> httpx.Response:
        """A response that is a success, unread."""
        request = self.client.build_request("POST", "/chat/completions", json=body)
        try:
            response = await self.client.send(request, stream=True)
        except (httpx.ConnectError, httpx.RemoteProtocolError) as error:
            words = f"the model's endpoint cannot be reached ({type(error).__name__})"
            raise _RetryableError(ModelError(words)) from error
        if response.is_success:
            return response
        try:
            said = (await self._limited(response))[:300].decode("utf-8", "replace")
        finally:
            await response.aclose()
        words = f"the model's endpoint answered HTTP {response.status_code}: {self._without_key(said)}"
        if response.status_code == _TOO_MANY:
            self.observer.throttled()
            raise _RetryableError(ThrottledError(words, _retry_after(response)))
        if response.is_server_error:
            raise _RetryableError(ModelError(words))
        raise ModelError(words)

    async def _limited(self, response: httpx.Response) -> bytes:
        found = bytearray()
        async for piece in response.aiter_bytes():
            found += piece
            if len(found) > _MOST_BYTES:
                raise ModelError(f"the endpoint answered more than {_MOST_BYTES} bytes")
        return bytes(found)

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[AIMessageChunk]:
        lines, stream = wire.EventLines(_MOST_BYTES), response.aiter_bytes()
        while True:
            try:
                async with asyncio.timeout(self.silence_seconds):
                    piece = await anext(stream)
            except StopAsyncIteration:
                raise ModelError("the endpoint's stream broke off") from None
            for data in lines.feed(piece):
                if data == _DONE:
                    return
                try:
                    chunk = wire.read_chunk(json.loads(data))
                except ValueError as error:
                    raise ModelError("a piece of the endpoint's stream is no JSON") from error
                if chunk is not None:
                    yield chunk

    def _body(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, more: dict[str, Any], *, is_streamed: bool
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.settings.model, "messages": wire.written(messages), **more}
        if stop:
            body["stop"] = stop
        if is_streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def _count(self, usage: Any) -> None:
        if not usage:
            return
        self.observer.tokens("input", usage["input_tokens"])
        self.observer.tokens("output", usage["output_tokens"])
        spending = budget.current()
        if spending is not None:
            spending.spend_tokens(usage["total_tokens"])

    def _without_key(self, text: str) -> str:
        key = self.settings.api_key
        return text.replace(key, "***") if key else text


class _RetryableError(Exception):
    """Something that a second try may mend."""

    def __init__(self, said: ModelError) -> None:
        super().__init__(str(said))
        self.said = said


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return max(float(response.headers.get("retry-after", "")), 0.0)
    except ValueError:
        return None
