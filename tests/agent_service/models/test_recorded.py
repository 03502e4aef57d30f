"""The chat model against what real servers sent; see recorded/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_service.models.errors import ModelError, RequestRejectedError, ThrottledError
from tests.agent_service.models.calling import hello, streamed, using
from tests.agent_service.models.provider import Script, Told, providing, whole

RECORDED = Path(__file__).with_name("recorded")
SAID = "Grüße: it is as it is [E1]."


def recorded(name: str, size: int = 700) -> Script:
    """A stream, in pieces that end anywhere."""
    data = (RECORDED / f"{name}.sse").read_bytes()
    return Script(pieces=[data[at : at + size] for at in range(0, len(data), size)])


@pytest.mark.parametrize("server", ["llama-server", "transformers", "litellm"])
def test_a_tool_call_of_a_model_that_thinks_is_read(server: str) -> None:
    told = Told()
    with providing(recorded(f"{server}-tools")) as provider:
        total = using(provider, streamed, told)

    (call,) = total.tool_calls
    assert (call["name"], call["args"]) == ("decision", {"namespace": "shop", "name": "agent"})
    assert (total.content, total.response_metadata["finish_reason"]) == ("", "tool_calls")
    assert (told.outcomes, told.estimates, told.counts["output"]) == (["ok"], {}, 88)


@pytest.mark.parametrize("stream", ["llama-server-thinks", "transformers-answer"])
@pytest.mark.parametrize("size", [1, 700, 100_000])
def test_a_thought_and_the_empty_lines_after_it_are_no_part_of_an_answer(stream: str, size: int) -> None:
    thought = "<think>\nhm 7\n</think>\n\n"
    with providing(recorded(stream, size)) as provider:
        piece_by_piece = using(provider, streamed)
    with providing(whole(thought + SAID)) as provider:
        at_once = using(provider, hello)

    assert (piece_by_piece.content, at_once.content) == (SAID, SAID)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("transformers", "the endpoint broke off: json parser could not parse region as JSON."),
        ("litellm", "the endpoint broke off: litellm.APIConnectionError: APIConnectionError: OpenAIException - "),
    ],
)
def test_what_went_wrong_in_a_stream_is_told_in_the_endpoints_words(server: str, words: str) -> None:
    with providing(recorded(f"{server}-error")) as provider, pytest.raises(ModelError) as caught:
        using(provider, streamed)

    assert str(caught.value).startswith(words)
    assert not {"{", "\n"} & set(str(caught.value))


@pytest.mark.parametrize("breaks_off", [True, False])
def test_a_connection_that_ends_within_an_event_is_one_that_broke_off(breaks_off: bool) -> None:
    data = (RECORDED / "llama-server-tools.sse").read_bytes()
    half = Script(pieces=[data[:1000]], breaks_off=breaks_off)
    with providing(half) as provider, pytest.raises(ModelError, match="the endpoint's stream broke off"):
        using(provider, streamed)


def test_an_answer_is_whole_though_the_connection_ends_within_its_usage() -> None:
    data = (RECORDED / "llama-server-tools.sse").read_bytes()
    told = Told()
    with providing(Script(pieces=[data[: data.index(b'"usage"')]], breaks_off=True)) as provider:
        total = using(provider, streamed, told)

    assert [call["name"] for call in total.tool_calls] == ["decision"]
    assert told.outcomes == ["ok"]
    assert total.response_metadata["usage_is_estimated"]


def test_thoughts_that_nobody_counted_are_estimated_too() -> None:
    data = (RECORDED / "transformers-tools.sse").read_bytes()
    told = Told()
    thinking = Script(pieces=[data[: data.index(b'data: {"id":"', data.index(b'"5"'))]], breaks_off=True)
    with providing(thinking) as provider, pytest.raises(ModelError, match="broke off"):
        using(provider, streamed, told)

    assert (told.estimates["output"], told.firsts) == (2, 1)  # "\nhm 5"


LITELLM_401 = """{"error":{"message":"Authentication Error, Invalid proxy server token passed. \
Received API Key = sk-...-key","type":"auth_error","param":"key","code":"401"}}"""
LITELLM_429 = """{"error":{"message":"litellm.RateLimitError: this is a mock rate limit error\\n\\n\
LiteLLM: model group 'r' failed.","type":"throttling_error","param":null,"code":"429"}}"""
ENDS_OF_KEY = (
    """{"error": {"message": "Incorrect API key provided: sk-a-ver********-key.", "code": "invalid_api_key"}}"""
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, LITELLM_401, ModelError,
         "401, check OPENAI_API_KEY: Authentication Error, Invalid proxy server token passed. Received API Key = ***"),
        (401, '{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}', ModelError,
         "401, check OPENAI_API_KEY: Invalid API Key"),
        (401, ENDS_OF_KEY, ModelError, "401, check OPENAI_API_KEY: Incorrect API key provided: ***"),
        (404, '{"detail":"Not Found"}', RequestRejectedError,
         "404, check OPENAI_BASE_URL and AGENT_MODEL: Not Found"),
        (404, '{"object":"error","message":"The model `m` does not exist.","code":404}', RequestRejectedError,
         "404, check OPENAI_BASE_URL and AGENT_MODEL: The model `m` does not exist."),
        (422, '{"detail":[{"loc":["body"],"msg":"Field required"}]}', RequestRejectedError,
         '422: {"detail":[{"loc":["body"],"msg":"Field required"}]}'),
        (429, LITELLM_429, ThrottledError,
         "429: litellm.RateLimitError: this is a mock rate limit error LiteLLM: model group 'r' failed."),
        (500, "Internal Server Error", ModelError, "500: Internal Server Error"),
        (502, "<h1>502 Bad Gateway</h1>\r\n<hr>", ModelError, "502: <h1>502 Bad Gateway</h1> <hr>"),
        (400, '{"error": {"code": 7}}', RequestRejectedError, '400: {"code": 7}'),
        (400, "[" * 100_000, RequestRejectedError, "400: " + "[" * 300),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_endpoints_words_without_what_shows_of_the_key(
    status: int, body: str, kind: type[ModelError], words: str
) -> None:
    with providing(Script(status, body)) as provider, pytest.raises(ModelError) as caught:
        using(provider, hello)

    assert type(caught.value) is kind
    assert str(caught.value) == f"the model's endpoint answered HTTP {words}"
