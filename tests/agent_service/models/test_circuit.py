"""The circuit breaker, alone and around the calls of an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler

from agent_service.models.circuit import Circuit
from agent_service.models.endpoint import EndpointChatModel
from agent_service.models.errors import AnswerCutError, CircuitOpenError, ModelError, RequestRejectedError
from tests.agent_service.models.calling import errors_of, streamed, using
from tests.agent_service.models.provider import DONE, Script, Told, delta, providing, whole


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def a_circuit(told: Told | None = None) -> tuple[Circuit, Clock]:
    clock = Clock()
    return Circuit(told or Told(), failures=3, window_seconds=60, pause_seconds=20, clock=clock), clock


def end(circuit: Circuit, error: BaseException | None = None) -> None:
    """A call that ends so."""
    if error is None:
        with circuit.guarding():
            return
    with pytest.raises(type(error)), circuit.guarding():
        raise error


def an_open_circuit(told: Told | None = None) -> tuple[Circuit, Clock]:
    circuit, clock = a_circuit(told)
    for _ in range(3):
        end(circuit, ModelError("broken"))
    return circuit, clock


def test_a_circuit_opens_after_failures_within_its_window_only() -> None:
    circuit, clock = a_circuit()
    for _ in range(5):
        end(circuit, ModelError("broken"))
        clock.seconds += 40

    assert not circuit.is_open
    for _ in range(3):
        end(circuit, ModelError("broken"))
    assert circuit.is_open


def test_an_open_circuit_lets_one_call_try_after_its_pause() -> None:
    told = Told()
    circuit, clock = an_open_circuit(told)
    with pytest.raises(CircuitOpenError, match="tried again in 20 s"):
        end(circuit)
    clock.seconds = 21
    with contextlib.suppress(ModelError), circuit.guarding():
        with pytest.raises(CircuitOpenError):
            end(circuit)  # one is trying
        raise ModelError("still broken")
    with pytest.raises(CircuitOpenError, match="tried again in 20 s"):
        end(circuit)
    clock.seconds = 50
    end(circuit)
    end(circuit)

    assert told.circuits == [True, False]


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (ValueError("nobody thought of this"), True),
        (ModelError("broken"), True),
        (RequestRejectedError("too long"), False),
        (AnswerCutError("cut"), False),
        (asyncio.CancelledError(), False),
        (GeneratorExit(), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_whatever_the_one_call_ends_with_another_may_try(error: BaseException, waits: bool) -> None:
    circuit, clock = an_open_circuit()
    clock.seconds = 21
    end(circuit, error)

    if waits:
        with pytest.raises(CircuitOpenError):
            end(circuit)
        clock.seconds = 42
    end(circuit)
    assert not circuit.is_open


def test_what_one_caller_did_wrong_and_what_was_cancelled_shuts_nobody_out() -> None:
    circuit, _ = a_circuit()
    for _ in range(5):
        for error in (RequestRejectedError("too long"), AnswerCutError("cut"), asyncio.CancelledError()):
            end(circuit, error)

    assert not circuit.is_open


def test_errors_that_nobody_thought_of_count() -> None:
    circuit, _ = a_circuit()
    for _ in range(3):
        end(circuit, ValueError("odd"))

    assert circuit.is_open


def test_a_try_that_never_comes_back_does_not_shut_an_endpoint_out() -> None:
    circuit, clock = an_open_circuit()
    clock.seconds = 21
    with circuit.guarding():  # a stream that somebody holds, and does not read
        clock.seconds = 30
        with pytest.raises(CircuitOpenError, match="tried again in 11 s"):
            end(circuit)
        clock.seconds = 42
        end(circuit)
        assert not circuit.is_open


def test_a_call_from_before_the_failures_says_nothing_of_after_them() -> None:
    circuit, clock = a_circuit()
    with circuit.guarding():
        for _ in range(3):
            end(circuit, ModelError("broken"))
        clock.seconds = 5

    assert circuit.is_open


def test_after_some_failures_an_endpoint_is_not_tried_for_a_while() -> None:
    told = Told()
    with providing(Script(401, {"error": "no"})) as provider:
        errors = using(provider, lambda model: errors_of(model, 7), told)

    assert errors == [ModelError] * 5 + [CircuitOpenError] * 2
    assert len(provider.requests) == 5
    assert (told.circuits, told.outcomes[-1]) == ([True], "refused")


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_requests_that_an_endpoint_will_not_have_shut_nobody_out(status: int) -> None:
    told = Told()
    with providing(Script(status, {"error": "context too long"})) as provider:
        errors = using(provider, lambda model: errors_of(model, 7), told)

    assert errors == [RequestRejectedError] * 7
    assert (told.circuits, told.outcomes) == ([], ["error"] * 7)


@pytest.mark.parametrize(
    "odd",
    [
        whole("x", prompt_tokens="many"),
        whole("x", [{"id": "1", "function": {"name": 7}}]),
        whole("x", finish_reason="length"),
        Script(422, {}),
        Script(200, "[" * 100_000),
    ],
)
def test_an_odd_answer_to_the_one_call_that_tries_does_not_shut_an_endpoint_out_for_ever(odd: Script) -> None:
    seconds = [0.0]

    async def later(model: EndpointChatModel) -> list[type[BaseException] | None]:
        model.circuit = Circuit(model.observer, clock=lambda: seconds[0])
        await errors_of(model, 5)
        seconds[0] += 30
        await errors_of(model, 1)
        seconds[0] += 30
        return await errors_of(model, 2)

    told = Told()
    with providing(*[Script(401, {})] * 5, odd, whole("fine again")) as provider:
        errors = using(provider, later, told)

    assert errors == [None, None]
    assert told.circuits == [True, False]


def test_a_reader_that_fails_while_the_one_call_tries_gives_the_try_back() -> None:
    seconds = [0.0]

    class Failing(AsyncCallbackHandler):
        raise_error = True

        async def on_llm_new_token(self, *_: Any, **__: Any) -> None:
            raise LookupError("a bug of the caller's")

    async def later(model: EndpointChatModel) -> Any:
        model.circuit = Circuit(model.observer, clock=lambda: seconds[0])
        await errors_of(model, 5)
        seconds[0] += 30
        with pytest.raises(LookupError):
            await model.with_config(callbacks=[Failing()]).ainvoke("hello", stream=True)
        seconds[0] += 30
        return await streamed(model)

    told = Told()
    with providing(*[Script(401, {})] * 5, Script(pieces=[delta(content="a"), delta("stop"), DONE])) as provider:
        assert using(provider, later, told).content == "a"

    assert told.outcomes == [*["error"] * 5, "cancelled", "ok"]
