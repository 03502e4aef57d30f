"""What a call costs, whoever counts it: tokens, budgets, metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from prometheus_client import CollectorRegistry

from agent_service.models.budget import Budget, budgeted
from agent_service.models.circuit import Circuit
from agent_service.models.endpoint import EndpointChatModel
from agent_service.models.errors import AnswerCutError, BudgetExceededError, ModelError
from agent_service.models.observer import OUTCOMES
from agent_service.server.part_metrics import ModelMeters
from tests.agent_service.models.calling import hello, streamed, using
from tests.agent_service.models.provider import DONE, Script, Told, delta, event, providing, whole


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


def test_usage_that_grows_from_piece_to_piece_is_counted_once() -> None:
    pieces = [
        delta(content=word, usage={"prompt_tokens": 100, "completion_tokens": number, "total_tokens": 100 + number})
        for number, word in enumerate("abc", 1)
    ]
    told, budget = Told(), Budget(8, 1000)
    with providing(Script(pieces=[*pieces, delta("stop"), DONE])) as provider:
        answer = using(provider, lambda model: _within(budget, streamed(model)), told)

    assert (answer.content, answer.usage_metadata["total_tokens"]) == ("abc", 103)
    assert (told.counts, told.estimates, budget.tokens) == ({"input": 100, "output": 3}, {}, 103)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": None}])
def test_tokens_that_nobody_counted_are_estimated_from_the_text_and_said_to_be(usage: Any) -> None:
    async def ask(model: EndpointChatModel) -> Any:
        with budgeted(Budget(99, 1500)) as budget:
            at_once = await model.ainvoke("x" * 4000)
            with pytest.raises(BudgetExceededError, match=r"2\d{3} tokens \(2\d{3} of them estimated from the text"):
                await model.ainvoke("again")
            return at_once, budget.tokens

    told, content = Told(), "ü" * 2000  # two bytes each
    with providing(Script(200, {**whole(content).body, "usage": usage})) as provider:
        answer, tokens = using(provider, ask, told)

    assert answer.usage_metadata["output_tokens"] == 1000
    assert answer.usage_metadata["input_tokens"] == pytest.approx(1000, abs=30)  # and some words of the protocol
    assert answer.response_metadata["usage_is_estimated"] is True
    assert tokens == sum(told.counts.values())
    assert told.counts == told.estimates


def test_a_stream_without_usage_is_estimated_too() -> None:
    calls = [{"index": 0, "id": "1", "function": {"name": "look", "arguments": '{"a": "bcdef"}'}}]
    told = Told()
    with providing(Script(pieces=[delta(content="abcd"), delta(tool_calls=calls), delta("stop"), DONE])) as provider:
        answer = using(provider, streamed, told)

    assert answer.usage_metadata["output_tokens"] == told.estimates["output"] == 6  # 22 bytes
    assert answer.response_metadata["usage_is_estimated"] is True


def test_an_answer_that_breaks_off_or_is_left_has_cost_its_tokens() -> None:
    async def leave(model: EndpointChatModel) -> None:
        stream: Any = model._astream([HumanMessage("hello")])
        await anext(stream)
        await stream.aclose()

    left, broken = Told(), Told()
    pieces = [delta(content="abcdefgh")]
    with providing(Script(pieces=pieces)) as provider:
        using(provider, leave, left)
        with pytest.raises(ModelError, match="broke off"):
            using(provider, streamed, broken)

    assert left.estimates == broken.estimates
    assert (left.counts["output"], left.counts["input"] > 10) == (2, True)


def test_a_request_that_was_not_taken_costs_nothing() -> None:
    told, budget = Told(), Budget(8, 1000)
    with providing(Script(500, {})) as provider, pytest.raises(ModelError):
        using(provider, lambda model: _within(budget, hello(model)), told)

    assert (told.counts, budget.tokens, budget.calls) == ({}, 0, 1)


@pytest.mark.parametrize(
    ("finish_reason", "words"), [("length", "was cut"), ("content_filter", "filter held the model's answer back")]
)
def test_half_an_answer_is_none_but_is_paid_for(finish_reason: str, words: str) -> None:
    told = Told()
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    with (
        providing(whole("The floor was 1", finish_reason=finish_reason, **usage)) as provider,
        pytest.raises(AnswerCutError, match=words),
    ):
        using(provider, hello, told)
    pieces = [delta(content="The floor was 1"), delta(finish_reason), event({"choices": [], "usage": usage}), DONE]
    with providing(Script(pieces=pieces)) as provider, pytest.raises(AnswerCutError, match=words):
        using(provider, streamed, told)

    assert (told.outcomes, told.counts) == (["cut", "cut"], {"input": 14, "output": 6})


def test_metrics_know_every_outcome_from_the_start_and_count_each_call_once() -> None:
    registry = CollectorRegistry()
    meters = ModelMeters(registry)

    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    assert [read("agent_llm_requests_total", outcome=outcome) for outcome in OUTCOMES] == [0.0] * len(OUTCOMES)
    with providing(whole("abcd", prompt_tokens=8, completion_tokens=4), whole("abcd")) as provider:
        using(provider, hello, meters)
        using(provider, hello, meters)
        with pytest.raises(BudgetExceededError):
            using(provider, lambda model: _within(Budget(0, 0), hello(model)), meters)

    assert (read("agent_llm_requests_total", outcome="ok"), read("agent_llm_requests_total", outcome="refused")) == (
        2,
        1,
    )
    assert read("gen_ai_client_operation_duration_seconds_count") == 2  # what was never sent took no time
    assert (
        read("agent_tokens_total", direction="output"),
        read("agent_tokens_estimated_total", direction="output"),
    ) == (5, 1)


def test_a_circuit_that_is_half_open_is_still_open_in_metrics() -> None:
    registry, seconds = CollectorRegistry(), [0.0]
    circuit = Circuit(ModelMeters(registry), failures=1, pause_seconds=20, clock=lambda: seconds[0])

    def read() -> float | None:
        return registry.get_sample_value("agent_llm_circuit_open")

    seen = [read()]
    with pytest.raises(ModelError), circuit.guarding():
        raise ModelError("broken")
    seconds[0] = 30
    seen.append(read())
    with circuit.guarding():
        seen.append(read())
    seen.append(read())

    assert seen == [0, 1, 1, 0]


async def _within(budget: Budget, call: Any) -> Any:
    with budgeted(budget):
        return await call
