"""A chat model at any endpoint that speaks OpenAI's protocol, over httpx."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field

from agent_service.models import wire
from agent_service.models.accounts import Account, accounted
from agent_service.models.attempts import Deadline, RetryableError, retried, retry_after_seconds
from agent_service.models.circuit import Circuit
from agent_service.models.errors import ModelError, ModelTimeoutError, RequestRejectedError, ThrottledError
from agent_service.models.keys import without_key
from agent_service.models.observer import ModelObserver
from agent_service.models.settings import ModelSettings
from agent_service.models.thinking import Aloud, spoken

_CONNECT_SECONDS = 5.0
_MOST_BYTES = 4 * 2**20
_MOST_SAID = 300  # characters of an endpoint's own words in an error
_DONE, _NO_MORE = b"[DONE]", b"\n\n"  # the last event may lack its empty line
_OF_THE_REQUEST = frozenset({400, 404, 413, 422})
_CHECK = {
    401: ", check OPENAI_API_KEY",
    403: ", check OPENAI_API_KEY",
    404: ", check OPENAI_BASE_URL and AGENT_MODEL",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EndpointChatModel(BaseChatModel):
    """Retries what a second try may mend, before the first token and within the call's own time."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    settings: ModelSettings = Field(exclude=True)
    client: httpx.AsyncClient = Field(exclude=True, repr=False)
    circuit: Circuit = Field(exclude=True, repr=False)
    observer: ModelObserver = Field(exclude=True, repr=False)
    sleep: Callable[[float], Awaitable[Any]] = Field(default=asyncio.sleep, exclude=True, repr=False)
    now: Callable[[], datetime] = Field(default=_utc_now, exclude=True, repr=False)
    silence_seconds: float = 20.0  # between two pieces of a stream

    @classmethod
    def open(cls, settings: ModelSettings, observer: ModelObserver, **more: Any) -> EndpointChatModel:
        """With a client and a circuit of its own."""
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        timeout = httpx.Timeout(settings.timeout_seconds, connect=_CONNECT_SECONDS)
        client = httpx.AsyncClient(base_url=settings.base_url, headers=headers, timeout=timeout)
        return cls(settings=settings, client=client, circuit=Circuit(observer), observer=observer, **more)

    async def close(self) -> None:
        """Give connections back."""
        await self.client.aclose()

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
        with accounted(self.observer) as account:
            request = self._request(messages, stop, more, is_streamed=False)
            with self.circuit.guarding(), self._in_our_words():
                deadline = Deadline(self.settings.timeout_seconds)
                raw = await retried(lambda: self._whole(request, account), deadline, self.sleep)
                answer = wire.read(raw, "the endpoint's answer")
                self._refuse_error(answer)
                found = wire.read_message(answer)
                account.counted = found.usage
                account.got(found.written)
                wire.refuse_cut(found.finish_reason)
                message = spoken(found).message
                message.usage_metadata = account.usage
                message.response_metadata = _metadata(account, found.model, found.finish_reason)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **more: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with accounted(self.observer) as account:
            request = self._request(messages, stop, more, is_streamed=True)
            with self.circuit.guarding(), self._in_our_words():
                deadline = Deadline(self.settings.timeout_seconds)
                response = await retried(lambda: self._opened(request, account), deadline, self.sleep)
                try:
                    async with aclosing(self._chunks(response, deadline, account)) as chunks:
                        async for chunk in chunks:
                            generated = ChatGenerationChunk(message=chunk)
                            if run_manager is not None:
                                await run_manager.on_llm_new_token(str(chunk.text), chunk=generated)
                            yield generated
                finally:
                    await response.aclose()

    async def _chunks(
        self, response: httpx.Response, deadline: Deadline, account: Account
    ) -> AsyncGenerator[AIMessageChunk, None]:
        """What is said, then one empty chunk with what the endpoint tells of it."""
        model, finish_reason, is_first, is_silent, aloud = "", None, True, True, Aloud()
        async with aclosing(self._pieces(response, deadline)) as pieces:
            async for piece in pieces:
                account.counted = piece.usage or account.counted
                model, finish_reason = piece.model or model, piece.finish_reason or finish_reason
                if not piece.written:
                    continue
                if is_first:
                    self.observer.first_token(time.perf_counter() - account.began)
                    is_first = False
                account.got(piece.written)
                if account.got_bytes > _MOST_BYTES:
                    raise ModelError(f"the endpoint answered more than {_MOST_BYTES} bytes")
                said = aloud.heard(piece)
                if said.says_something:
                    is_silent = False
                    yield said.chunk
        wire.refuse_cut(finish_reason)
        rest = aloud.rest()
        if rest:
            yield AIMessageChunk(content=rest)
        elif is_silent and finish_reason is None:
            raise ModelError("the endpoint's stream ended without an answer")
        told = _metadata(account, model, finish_reason)
        yield AIMessageChunk(content="", usage_metadata=account.usage, response_metadata=told, chunk_position="last")

    async def _pieces(self, response: httpx.Response, deadline: Deadline) -> AsyncGenerator[wire.Piece, None]:
        lines, stream, is_finished = wire.EventLines(_MOST_BYTES), response.aiter_bytes(), False
        while True:
            raw = await self._more(stream, deadline)
            for data in lines.feed(_NO_MORE if raw is None else raw):
                if data == _DONE:
                    return
                try:
                    told = wire.read_event(data)
                except ModelError:
                    if raw is None:  # the connection ended in its middle
                        break
                    raise
                self._refuse_error(told)
                piece = wire.read_chunk(told)
                is_finished = is_finished or piece.finish_reason is not None
                yield piece
            if raw is None:
                if is_finished:  # not every endpoint says [DONE]
                    return
                raise ModelError("the endpoint's stream broke off")

    async def _more(self, stream: AsyncIterator[bytes], deadline: Deadline) -> bytes | None:
        try:
            async with deadline.within(self.silence_seconds):
                return await anext(stream, None)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            return None
        except TimeoutError as error:
            if deadline.left_seconds > 0:
                raise ModelTimeoutError(f"the model sent nothing for {self.silence_seconds:g} s") from error
            raise

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except (TimeoutError, httpx.TimeoutException) as error:
            raise ModelTimeoutError(f"the model did not answer within {self.settings.timeout_seconds:g} s") from error
        except httpx.HTTPError as error:
            raise _unreachable(error) from error

    async def _whole(self, request: httpx.Request, account: Account) -> bytes:
        response = await self._opened(request, account)
        try:
            return await _limited(response)
        finally:
            await response.aclose()

    async def _opened(self, request: httpx.Request, account: Account) -> httpx.Response:
        """A response that is a success, unread."""
        try:
            response = await self.client.send(request, stream=True)
        except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout) as error:
            raise RetryableError(_unreachable(error)) from error
        if response.is_success:
            account.sent_bytes = len(request.content)
            return response
        try:
            said = without_key(wire.refusal_in(await _limited(response)), self.settings.api_key)[:_MOST_SAID]
        finally:
            await response.aclose()
        pause = retry_after_seconds(response.headers.get("retry-after"), self.now())
        when = "" if pause is None else f", and asks to be tried again in {math.ceil(pause)} s"
        check = _CHECK.get(response.status_code, "")
        words = f"the model's endpoint answered HTTP {response.status_code}{when}{check}: {said}"
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.observer.throttled()
            raise RetryableError(ThrottledError(words, pause), pause)
        if response.is_server_error:
            raise RetryableError(ModelError(words), pause)
        raise RequestRejectedError(words) if response.status_code in _OF_THE_REQUEST else ModelError(words)

    def _request(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, more: dict[str, Any], *, is_streamed: bool
    ) -> httpx.Request:
        body: dict[str, Any] = {"model": self.settings.model, "messages": wire.written(messages), **more}
        if stop:
            body["stop"] = stop
        if is_streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return self.client.build_request("POST", "/chat/completions", json=body)

    def _refuse_error(self, answer: Any) -> None:
        said = wire.error_in(answer)
        if said:
            raise ModelError(f"the endpoint broke off: {without_key(said, self.settings.api_key)[:_MOST_SAID]}")


def _metadata(account: Account, model: str, finish_reason: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"model_name": model, "finish_reason": finish_reason}
    return told | ({"usage_is_estimated": True} if account.is_estimated else {})


def _unreachable(error: httpx.HTTPError) -> ModelError:
    return ModelError(f"the model's endpoint cannot be reached ({type(error).__name__})")


async def _limited(response: httpx.Response) -> bytes:
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) > _MOST_BYTES:
            raise ModelError(f"the endpoint answered more than {_MOST_BYTES} bytes")
    return bytes(found)
