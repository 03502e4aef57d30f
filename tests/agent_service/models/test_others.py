"""The circuit breaker, the simulated model, and settings from the environment."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from agent_service.errors import SettingsError
from agent_service.models.circuit import Circuit
from agent_service.models.errors import CircuitOpenError, ModelError, ThrottledError
from agent_service.models.settings import ModelSettings, create_model
from agent_service.models.simulated import SimulatedChatModel
from tests.agent_service.models.provider import Told
from tests.coroutines import run_apart


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def a_circuit(told: Told | None = None) -> tuple[Circuit, Clock]:
    clock = Clock()
    return Circuit(told or Told(), failures=3, window_seconds=60, pause_seconds=20, clock=clock), clock


def test_a_circuit_opens_after_failures_within_its_window_only() -> None:
    circuit, clock = a_circuit()
    for _ in range(5):
        circuit.failed()
        clock.seconds += 40

    assert not circuit.is_open
    for _ in range(3):
        circuit.failed()
    assert circuit.is_open


def test_an_open_circuit_lets_one_call_try_after_its_pause() -> None:
    told = Told()
    circuit, clock = a_circuit(told)
    for _ in range(3):
        circuit.failed()
    with pytest.raises(CircuitOpenError, match="tried again in 20 s"):
        circuit.enter()
    clock.seconds = 21
    circuit.enter()
    with pytest.raises(CircuitOpenError):
        circuit.enter()  # one is trying
    circuit.failed()
    with pytest.raises(CircuitOpenError):
        circuit.enter()
    clock.seconds = 50
    circuit.enter()
    circuit.abandoned()  # it was cancelled: the next one tries
    circuit.enter()
    circuit.succeeded()
    circuit.enter()

    assert told.circuits == [True, False]


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


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AGENT_PLANNER": "gpt"}, "AGENT_PLANNER is 'gpt'; give deterministic, openai or simulated"),
        ({"AGENT_PLANNER": "openai"}, "needs AGENT_MODEL"),
        ({"AGENT_PLANNER": "openai", "AGENT_MODEL": "m", "OPENAI_BASE_URL": "vllm:8000"}, "OPENAI_BASE_URL is no http"),
        ({"AGENT_SIMULATED_TOKENS": "many"}, "AGENT_SIMULATED_TOKENS is 'many'; give a number, 1 or more"),
        ({"AGENT_SIMULATED_TOKENS": "1.5"}, "give a whole number"),
        ({"AGENT_SIMULATED_ERROR_RATIO": "2"}, "give a number, 0 to 1"),
        ({"AGENT_SIMULATED_SIGMA": "nan"}, "give a number, 0 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ModelSettings.from_environment(environment)


def test_the_environment_chooses_the_model() -> None:
    nothing = ModelSettings.from_environment({})
    simulated = ModelSettings.from_environment({"AGENT_PLANNER": "simulated", "AGENT_SIMULATED_TOKENS": "3"})

    assert (nothing, create_model(nothing)) == (ModelSettings(), None)
    model = create_model(simulated)
    assert isinstance(model, SimulatedChatModel)
    assert (model.tokens, simulated.label) == (3, "simulated")
