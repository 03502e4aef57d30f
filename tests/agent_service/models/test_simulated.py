"""The simulated model: reproducible, and as fast and as faulty as it was asked to be."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from agent_service.assistant.answering.planner import ModelPlanner
from agent_service.models.budget import Budget, budgeted
from agent_service.models.errors import BudgetExceededError, ModelError, ThrottledError
from agent_service.models.simulated import SimulatedChatModel
from tests.agent_service.models.provider import Told
from tests.coroutines import run_apart


def a_simulation(**told: Any) -> tuple[SimulatedChatModel, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return SimulatedChatModel(**told, sleep=sleep), waits


def test_the_same_seed_and_conversation_take_equally_long() -> None:
    async def wait(seed: int, text: str) -> float:
        model, waits = a_simulation(seed=seed)
        await model.ainvoke(text)
        return waits[0]

    async def main() -> tuple[float, ...]:
        return await wait(1, "a"), await wait(1, "a"), await wait(2, "a"), await wait(1, "b")

    first, again, other_seed, other_text = run_apart(main())

    assert first == again
    assert len({first, other_seed, other_text}) == 3


def test_a_load_of_one_question_has_many_fates_and_the_same_ones_in_every_process() -> None:
    async def waits_of(count: int) -> list[float]:
        model, waits = a_simulation(tokens=1)
        for _ in range(count):
            await model.ainvoke("how is it going?")
        return waits[::2]

    first, again = run_apart(waits_of(50)), run_apart(waits_of(50))

    assert first == again
    assert len(set(first)) == 50


def test_delays_are_as_log_normal_as_they_were_asked_to_be() -> None:
    async def main() -> list[float]:
        model, waits = a_simulation(first_token_seconds=0.1, sigma=0.5, tokens=1)
        for number in range(600):
            await model.ainvoke(str(number))
        return waits[::2]

    delays = run_apart(main())

    assert statistics.median(delays) == pytest.approx(0.1, rel=0.15)
    assert statistics.quantiles(delays, n=20)[-1] == pytest.approx(0.1 * 2.276, rel=0.25)  # exp(0.5 * 1.645)


def test_errors_and_throttling_come_as_often_as_asked_and_every_answer_says_what_it_is() -> None:
    told = Told()

    async def main() -> list[str]:
        model, _ = a_simulation(error_ratio=0.2, throttle_ratio=0.1, observer=told)
        found = []
        for number in range(500):
            try:
                answer = await model.ainvoke(str(number))
                assert answer.response_metadata["simulated"] is True
                found.append("ok")
            except ThrottledError:
                found.append("throttled")
            except ModelError:
                found.append("error")
        return found

    outcomes = run_apart(main())

    assert outcomes.count("throttled") == pytest.approx(50, abs=25)
    assert outcomes.count("error") == pytest.approx(100, abs=35)
    assert told.outcomes == outcomes


def test_a_simulated_stream_has_its_tokens_at_its_rate() -> None:
    async def main() -> tuple[list[str], list[float], list[Any]]:
        model, waits = a_simulation(tokens=5, tokens_per_second=50.0)
        chunks = [chunk async for chunk in model.astream("hi")]
        return [str(chunk.content) for chunk in chunks if chunk.content], waits[1:], chunks

    words, waits, chunks = run_apart(main())

    assert words == ["the ", "floor ", "follows ", "what ", "demand "]
    assert waits == [0.02] * 5
    assert sum(bool(chunk.response_metadata.get("simulated")) for chunk in chunks) == 1


async def fates(conversations: list[list[BaseMessage]], **told: Any) -> list[tuple[str, float]]:
    """What each ends with, and the first wait of each."""
    found = []
    for conversation in conversations:
        model, waits = a_simulation(error_ratio=0.3, throttle_ratio=0.3, **told)
        try:
            await model.ainvoke(conversation)
            found.append(("ok", waits[0]))
        except ModelError as error:
            found.append((type(error).__name__, waits[0]))
    return found


def test_instructions_and_evidence_with_their_instants_change_nothing() -> None:
    def conversations(instant: str) -> list[list[BaseMessage]]:
        found: list[list[BaseMessage]] = []
        for number in range(20):
            asked: list[BaseMessage] = [SystemMessage(f"Now it is {instant}."), HumanMessage(f"question {number}")]
            found += [asked, [*asked, HumanMessage(f"Evidence: at {instant}")]]
            found.append([*asked, AIMessage(f"At {instant}."), HumanMessage("and before?")])
            found.append([*asked, AIMessage(""), ToolMessage(instant, tool_call_id="1"), AIMessage(instant)])
        return found

    first = run_apart(fates(conversations("2026-11-24T10:00:00Z"), seed=3))
    again = run_apart(fates(conversations("2026-11-25T22:22:22Z"), seed=3))
    uninstructed = [conversation[1:] for conversation in conversations("2026-11-24T10:00:00Z")]
    other_seed = run_apart(fates(conversations("2026-11-24T10:00:00Z"), seed=4))

    assert first == again == run_apart(fates(uninstructed, seed=3))
    assert first != other_seed
    assert {outcome for outcome, _ in first} == {"ok", "ModelError", "ThrottledError"}
    assert len({wait for _, wait in first}) == 80  # every call of a run has its own


def test_the_assistants_calls_wait_equally_long_on_another_day_and_each_as_long_as_it_will() -> None:
    async def waits_of(day: str) -> list[float]:
        model, waits = a_simulation(seed=1, tokens=1)
        planner = ModelPlanner(model, "simulated", is_simulated=True)
        messages: list[Any] = [HumanMessage("status of shop/agent")]
        question: dict[str, Any] = {"text": "status of shop/agent", "known": ["shop/agent"], "now": f"{day}T12:00:00Z"}
        evidence: list[Any] = [{"id": "E1", "query": "q", "at": f"{day}T11:59:00Z", "value": {"floor": len(day)}}]
        await planner.plan(messages, question, [])
        await planner.word(messages, question, evidence, "plain", "")
        return waits[::2]  # before the first token of each call

    today, tomorrow = run_apart(waits_of("2026-11-24")), run_apart(waits_of("2026-11-25 or so"))

    assert today == tomorrow
    assert len(set(today)) == 2


def test_calls_that_are_refused_or_cancelled_are_counted_as_such() -> None:
    async def main() -> None:
        model, _ = a_simulation(observer=told)
        with budgeted(Budget(0, 0)), pytest.raises(BudgetExceededError):
            await model.ainvoke("hello")
        model = SimulatedChatModel(first_token_seconds=60, observer=told)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model.ainvoke("hello"), 0.01)

    told = Told()
    run_apart(main())

    assert (told.outcomes, told.counts) == (["refused", "cancelled"], {})
