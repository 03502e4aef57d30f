"""The chat model over HTTP, against an endpoint that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

from agent_service.models.endpoint import EndpointChatModel
from agent_service.models.errors import ModelError
from tests.agent_service.models.calling import KEY, hello, streamed, using
from tests.agent_service.models.provider import DONE, Script, Told, delta, providing, whole

FAILED = Script(500, {"error": "broken"})


class Weather(BaseModel):
    """The weather in a city."""

    city: str


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
    assert "usage_is_estimated" not in total.response_metadata
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


def test_content_in_parts_is_joined_and_what_a_model_thinks_aloud_is_left_out() -> None:
    parts = [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "It is "}, "17."]
    with providing(whole(parts)) as provider:
        at_once = using(provider, hello)
    with providing(Script(pieces=[delta(content=parts), delta("stop"), DONE])) as provider:
        piece_by_piece = using(provider, streamed)

    assert (at_once.content, piece_by_piece.content) == ("It is 17.", "It is 17.")


def test_tool_calls_without_an_index_or_with_arguments_as_an_object_are_read() -> None:
    calls = [
        {"id": "1", "function": {"name": "Weather", "arguments": {"city": "Rome"}}},
        {"id": "2", "function": {"name": "Weather", "arguments": '{"city": "Oslo"}'}},
    ]
    with providing(whole(None, calls)) as provider:
        at_once = using(provider, hello)
    with providing(Script(pieces=[delta(tool_calls=calls), delta("tool_calls"), DONE])) as provider:
        piece_by_piece = using(provider, streamed)

    for answer in (at_once, piece_by_piece):
        assert [call["args"]["city"] for call in answer.tool_calls] == ["Rome", "Oslo"]


@pytest.mark.parametrize(
    ("script", "words", "requests"),
    [
        (FAILED, "HTTP 500", 3),
        (Script(401, {"error": f"bad key {KEY}"}), "HTTP 401", 1),
        (Script(401, "x" * 290 + KEY), "HTTP 401", 1),  # the key where the words are cut off
        (Script(200, {"error": {"message": f"bad key {KEY}"}}), "broke off", 1),
        (Script(200, "no json"), "answer is no JSON", 1),
        (Script(200, "[" * 100_000), "answer is no JSON", 1),
        (Script(200, {"choices": []}), "holds no message", 1),
        (Script(200, []), "holds no message", 1),
        (Script(200, {"choices": [{"message": "hi"}]}), "holds no message", 1),
        (whole("x", [{"id": "1", "function": {"name": 7}}]), "a tool call's name is no text", 1),
        (whole("x", [{"id": 1, "function": {"name": "a"}}]), "a tool call's id is no text", 1),
        (whole("x", [{"function": {"arguments": "{}"}}]), "tool call without a name", 1),
        (whole("x", [7]), "a tool call is no object", 1),
        (whole("x", {"a": 1}), "tool_calls is no list", 1),
        (whole({"a": 1}), "content is no text", 1),
        (whole([7]), "a part of its content is no object", 1),
        (whole("x", finish_reason=7), "finish_reason is no text", 1),
        (whole("x", prompt_tokens="many"), "prompt_tokens of its usage is no count", 1),
        (whole("x", completion_tokens=-5000), "completion_tokens of its usage is no count", 1),
        (Script(200, '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": Infinity}}'),
         "prompt_tokens of its usage is no count", 1),
    ],
)  # fmt: skip
def test_an_endpoint_that_fails_gives_one_clear_error_without_the_key(
    script: Script, words: str, requests: int
) -> None:
    told = Told()
    with providing(script) as provider, pytest.raises(ModelError, match=words) as caught:
        using(provider, hello, told)

    assert (len(provider.requests), told.outcomes) == (requests, ["error"])
    assert KEY[:10] not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(pieces=[delta(content="a"), b"data: {oops\n\n"]), "no JSON"),
        (Script(pieces=[delta(content="a")]), "broke off"),
        (Script(pieces=[delta(content="a"), delta(content="b")], breaks_off=True), "broke off"),
        (Script(pieces=[delta(content="a"), b'data: {"error": {"message": "overloaded"}}\n\n']), "overloaded"),
        (Script(pieces=[delta(content="a"), f'data: {{"error": "bad key {KEY}"}}\n\n'.encode()]), r"bad key \*\*\*"),
        (Script(pieces=[DONE]), "ended without an answer"),
        (Script(pieces=[delta(reasoning_content="hm"), delta(content="<think>hm"), DONE]), "ended without an answer"),
        (Script(pieces=[delta(content="a"), delta(tool_calls=[7])]), "a tool call is no object"),
        (Script(pieces=[delta(content="a"), b'data: {"choices": [{"delta": 7}]}\n\n']), "its delta is no object"),
        (Script(pieces=[delta(content="a"), b"data: 7\n\n"]), "cannot be read"),
        (Script(pieces=[delta(content=7)]), "content is no text"),
        (Script(pieces=[delta(content="a", usage={"prompt_tokens": [1]})]), "is no count"),
    ],
)
def test_a_stream_that_goes_wrong_is_not_tried_again(script: Script, words: str) -> None:
    told = Told()
    with providing(script) as provider, pytest.raises(ModelError, match=words) as caught:
        using(provider, streamed, told)

    assert (len(provider.requests), told.outcomes) == (1, ["error"])
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("ending", [b"", b"data: [DONE]", b": bye\n"])
@pytest.mark.parametrize("breaks_off", [True, False])
def test_a_stream_that_says_that_it_is_finished_needs_no_done(ending: bytes, breaks_off: bool) -> None:
    pieces = [delta(content="a"), delta("stop").rstrip() if not ending else delta("stop") + ending]
    told = Told()
    with providing(Script(pieces=pieces, breaks_off=breaks_off)) as provider:
        answer = using(provider, streamed, told)

    assert (answer.content, answer.response_metadata["finish_reason"]) == ("a", "stop")
    assert told.outcomes == ["ok"]


def test_a_stream_may_end_with_nothing_to_say() -> None:
    with providing(Script(pieces=[delta(role="assistant", content=""), delta("stop"), DONE])) as provider:
        assert using(provider, streamed).content == ""


def test_a_call_that_is_cancelled_or_not_read_to_its_end_counts_as_neither_good_nor_bad() -> None:
    async def leave(model: EndpointChatModel) -> bool:
        for _ in range(6):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(model.ainvoke("hello"), 0.05)
        return model.circuit.is_open

    async def turn_away(model: EndpointChatModel) -> None:
        stream: Any = model._astream([HumanMessage("hello")])
        await anext(stream)
        await stream.aclose()

    told = Told()
    with providing(Script(200, {}, pause_seconds=5)) as provider:
        assert using(provider, leave, told) is False
    with providing(Script(pieces=[delta(content="a")] * 3)) as provider:
        using(provider, turn_away, told)

    assert told.outcomes == ["cancelled"] * 7


def test_the_key_is_in_no_text_of_the_model() -> None:
    with providing(whole("hi")) as provider:
        texts = using(provider, lambda model: asyncio.sleep(0, (repr(model), str(model), repr(model.settings))))

    assert all(KEY not in text for text in texts)


def test_the_key_is_in_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    with providing(Script(500, {"error": f"bad key {KEY}"}), whole("hi")) as provider:
        using(provider, hello)

    assert "HTTP Request" in caplog.text
    assert KEY not in caplog.text
