"""The chat model over HTTP, against an endpoint that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

from agent_service.models.budget import Budget, budgeted
from agent_service.models.endpoint import EndpointChatModel
from agent_service.models.errors import (
    BudgetExceededError,
    CircuitOpenError,
    ModelError,
    ModelTimeoutError,
    ThrottledError,
)
from agent_service.models.settings import ModelSettings
from tests.agent_service.models.provider import Provider, Script, Told, delta, providing, whole
from tests.coroutines import run_apart

KEY = "sk-a-very-secret-key"
FAILED = Script(500, {"error": "broken"})


class Weather(BaseModel):
    """The weather in a city."""

    city: str


def using(
    provider: Provider, test: Callable[[EndpointChatModel], Awaitable[Any]], told: Told | None = None, **more: Any
) -> Any:
    """Run a test with a model there; pauses between attempts are not waited for, but kept."""
    settings = ModelSettings(
        kind="openai", base_url=provider.url, api_key=KEY, model="m",
        timeout_seconds=more.pop("timeout_seconds", 10.0),
    )  # fmt: skip
    pauses: list[float] = more.pop("pauses", [])

    async def skip(seconds: float) -> None:
        pauses.append(seconds)

    async def main() -> Any:
        model = EndpointChatModel.open(settings, told or Told(), sleep=skip, **more)
        try:
            return await test(model)
        finally:
            await model.client.aclose()

    return run_apart(main())


async def hello(model: EndpointChatModel) -> AIMessage:
    found = await model.ainvoke("hello")
    assert isinstance(found, AIMessage)
    return found


async def streamed(model: EndpointChatModel) -> Any:
    total: Any = None
    async for chunk in model.astream("hello"):
        total = chunk if total is None else total + chunk
    return total


def test_a_conversation_is_written_as_the_protocol_has_it() -> None:
    call = {"name": "Weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}
    messages = [
        SystemMessage("be kind"), HumanMessage("weather?"), AIMessage(content="", tool_calls=[call]),
        ToolMessage("sunny", tool_call_id="c1"),
    ]  # fmt: skip
    told = Told()
    with providing(whole("It is sunny.", prompt_tokens=7, completion_tokens=3)) as provider:
        answer = using(
            provider, lambda model: model.bind_tools([Weather], tool_choice="Weather").ainvoke(messages), told
        )

    (sent,) = provider.requests
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][2]["tool_calls"][0]["function"] == {"name": "Weather", "arguments": '{"city": "Paris"}'}
    assert sent["messages"][3]["tool_call_id"] == "c1"
    assert sent["tools"][0]["function"]["parameters"]["required"] == ["city"]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "Weather"}}
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}"
    assert (answer.content, answer.usage_metadata["total_tokens"]) == ("It is sunny.", 10)
    assert (told.outcomes, told.counts) == (["ok"], {"input": 7, "output": 3})


def test_tool_calls_are_read_and_those_that_are_no_json_are_told_apart() -> None:
    calls = [
        {"id": "1", "function": {"name": "Weather", "arguments": '{"city": "Rome"}'}},
        {"id": "2", "function": {"name": "Weather", "arguments": "{city"}},
    ]
    with providing(whole(None, calls)) as provider:
        answer = using(provider, hello)

    assert [call["args"] for call in answer.tool_calls] == [{"city": "Rome"}]
    assert [call["args"] for call in answer.invalid_tool_calls] == ["{city"]


STREAM = (
    b": a comment\r\n\r\n"
    + delta(role="assistant", content="")
    + delta(content="Grüße ")
    + delta(content="aus 東京").replace(b"\n", b"\r\n")
    + delta(tool_calls=[{"index": 0, "id": "c1", "function": {"name": "Weather", "arguments": '{"ci'}}])
    + delta(tool_calls=[{"index": 0, "function": {"arguments": 'ty": "Oslo"}'}}])
    + b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}\n\n'
    + b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_a_stream_may_break_at_any_byte(size: int) -> None:
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    told = Told()
    with providing(Script(pieces=pieces)) as provider:
        total = using(provider, streamed, told)

    assert total.content == "Grüße aus 東京"
    assert [(call["name"], call["args"]) for call in total.tool_calls] == [("Weather", {"city": "Oslo"})]
    assert total.usage_metadata["total_tokens"] == 14
    assert provider.requests[0]["stream_options"] == {"include_usage": True}
    assert (told.outcomes, told.firsts, told.counts) == (["ok"], 1, {"input": 5, "output": 9})


def test_tokens_reach_the_messages_stream_of_a_graph() -> None:
    async def through_a_graph(model: EndpointChatModel) -> list[str]:
        async def answer(state: MessagesState) -> dict[str, Any]:
            return {"messages": [await model.ainvoke(state["messages"])]}

        graph = StateGraph(MessagesState)
        graph.add_node("answer", answer)
        graph.add_edge(START, "answer")
        told: Any = {"messages": [{"role": "user", "content": "hello"}]}
        stream: Any = graph.compile().astream(told, stream_mode="messages")
        return [str(message.content) async for message, _ in stream if message.content]

    pieces = [delta(content="one "), delta(content="two"), b"data: [DONE]\n\n"]
    with providing(Script(pieces=pieces)) as provider:
        assert using(provider, through_a_graph) == ["one ", "two"]


def test_what_a_second_try_may_mend_is_tried_again_and_waits_as_long_as_asked() -> None:
    told, pauses = Told(), list[float]()
    throttled = Script(429, {"error": "slow down"}, headers={"Retry-After": "3"})
    with providing(throttled, FAILED, whole("at last")) as provider:
        answer = using(provider, hello, told, pauses=pauses)

    assert (answer.content, len(provider.requests)) == ("at last", 3)
    assert pauses[0] == 3.0
    assert 0.7 < pauses[1] < 1.3
    assert (told.throttles, told.outcomes) == (1, ["ok"])


def test_a_provider_that_stays_busy_is_told_apart_from_one_that_fails() -> None:
    told = Told()
    with (
        providing(Script(429, {"error": "slow down"}, headers={"Retry-After": "900"})) as provider,
        pytest.raises(ThrottledError) as caught,
    ):
        using(provider, hello, told)

    assert caught.value.retry_after_seconds == 900
    assert (told.outcomes, told.throttles) == (["throttled"], 3)


@pytest.mark.parametrize(
    ("script", "words", "requests"),
    [
        (FAILED, "HTTP 500", 3),
        (Script(401, {"error": f"bad key {KEY}"}), "HTTP 401", 1),
        (Script(200, "no json"), "did not answer JSON", 1),
        (Script(200, {"choices": []}), "holds no message", 1),
        (Script(200, []), "holds no message", 1),
    ],
)
def test_an_endpoint_that_fails_gives_one_clear_error_without_the_key(
    script: Script, words: str, requests: int
) -> None:
    with providing(script) as provider, pytest.raises(ModelError, match=words) as caught:
        using(provider, hello)

    assert len(provider.requests) == requests
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(pieces=[delta(content="a"), b"data: {oops\n\n"]), "no JSON"),
        (Script(pieces=[delta(content="a")]), "broke off"),
        (Script(pieces=[delta(content="a"), b'data: {"error": {"message": "overloaded"}}\n\n']), "overloaded"),
        (Script(pieces=[b"data: [DONE]\n\n"]), "ended without an answer"),
        (
            Script(pieces=[delta(content="a"), b'data: {"choices": [{"delta": {"tool_calls": [7]}}]}\n\n']),
            "cannot be read",
        ),
    ],
)
def test_a_stream_that_goes_wrong_is_not_tried_again(script: Script, words: str) -> None:
    told = Told()
    with providing(script) as provider, pytest.raises(ModelError, match=words):
        using(provider, streamed, told)

    assert (len(provider.requests), told.outcomes) == (1, ["error"])


def test_an_endpoint_that_is_too_slow_is_left() -> None:
    told = Told()
    with (
        providing(Script(body={}, pause_seconds=5)) as provider,
        pytest.raises(ModelTimeoutError, match=r"within 0\.2 s"),
    ):
        using(provider, hello, told, timeout_seconds=0.2)
    slow = Script(pieces=[delta(content="a"), delta(content="b")], pause_seconds=1.0)
    with providing(slow) as provider, pytest.raises(ModelTimeoutError):
        using(provider, streamed, told, silence_seconds=0.2)

    assert told.outcomes == ["timeout", "timeout"]


def test_nobody_there_is_an_error_in_words() -> None:
    with pytest.raises(ModelError, match="cannot be reached"):
        using(Provider([], url="http://127.0.0.1:1/v1"), hello)


def test_after_some_failures_an_endpoint_is_not_tried_for_a_while() -> None:
    told = Told()

    async def many(model: EndpointChatModel) -> list[type[BaseException]]:
        errors: list[type[BaseException]] = []
        for _ in range(7):
            try:
                await model.ainvoke("hello")
            except ModelError as error:
                errors.append(type(error))
        return errors

    with providing(Script(400, {"error": "no"})) as provider:
        errors = using(provider, many, told)

    assert errors == [ModelError] * 5 + [CircuitOpenError] * 2
    assert len(provider.requests) == 5
    assert (told.circuits, told.outcomes[-1]) == ([True], "refused")


def test_a_run_may_not_ask_more_often_than_its_budget_and_others_are_not_its_concern() -> None:
    async def spend(model: EndpointChatModel) -> tuple[list[str], int]:
        async def run(calls: int) -> str:
            with budgeted(Budget(2, 1000)):
                try:
                    for _ in range(calls):
                        await model.ainvoke("hello")
                except BudgetExceededError as error:
                    return str(error)
            return "done"

        told = await asyncio.gather(run(3), run(2), run(1))
        with budgeted(Budget(99, 10)) as budget:
            await model.ainvoke("hello")
            with pytest.raises(BudgetExceededError, match="has used 12 tokens; 10 are allowed"):
                await model.ainvoke("hello")
        return list(told), budget.calls

    with providing(whole("hi", prompt_tokens=8, completion_tokens=4)) as provider:
        told, calls = using(provider, spend)

    assert told == ["the run has asked the model 2 times, as often as it may", "done", "done"]
    assert calls == 1


def test_the_key_is_in_no_text_of_the_model() -> None:
    with providing(whole("hi")) as provider:
        texts = using(provider, lambda model: asyncio.sleep(0, (repr(model), str(model), repr(model.settings))))

    assert all(KEY not in text for text in texts)
