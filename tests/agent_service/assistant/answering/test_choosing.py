"""What a model chooses to look at: nothing twice, and what the rules would have looked at when it finds nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage

from agent_service.assistant.answering.planner import ModelPlanner
from agent_service.assistant.looking.planning import new_calls
from agent_service.assistant.state import Call
from agent_service.models.errors import CircuitOpenError
from tests.agent_service.assistant.scripted import Scripted, a_model, call, calls
from tests.agent_service.assistant.test_graph import FORECAST, FORECAST_PATH, asked_of
from tests.agent_service.assistant.test_memory import ABOUT_AGENT, FRONT, a_world
from tests.agent_service.assistant.world import World, ask, said
from tests.coroutines import run_apart

WHY, STATUS = "why is the floor of shop/agent 17?", "status of shop/agent"
NO_MORE = AIMessage(content="enough")
WRONG = AIMessage(content="It is 99 [E1].")
IN_VAIN = "(m1 was to answer: the tools that it chose found nothing)"


def answered(model: Scripted, question: str = STATUS, world: World | None = None) -> dict[str, Any]:
    return run_apart(ask((world or World()).graph(planner=ModelPlanner(model, "m1")), question))


def a_call(tool: str = "decision", **args: Any) -> Call:
    return {"tool": tool, "args": {"namespace": "shop", "name": "agent", **args}}


def test_a_call_that_was_made_is_not_made_again_and_choosing_nothing_else_is_enough() -> None:
    world, model = World(), a_model(calls("decision"), calls("decision"), WRONG, WRONG)

    state = answered(model, world=world)

    assert len(asked_of(world, "/v1/decisions")) == 1
    assert [each["id"] for each in state["evidence"]] == ["E1"]
    assert said(state).count("had a floor of 17") == 1
    assert model.script == []


def test_the_same_call_twice_in_one_choice_is_made_once() -> None:
    twice = calls("decision", "decision", "forecast", "decision", "resources", "decision", "alarms")

    state = answered(a_model(twice, NO_MORE, WRONG, WRONG))

    assert [each["tool"] for each in state["evidence"]] == ["decision", "forecast", "resources", "alarms"]


def test_of_a_choice_that_repeats_itself_what_is_new_is_looked_at() -> None:
    model = a_model(calls("decision"), calls("decision", "forecast"), NO_MORE, WRONG, WRONG)

    state = answered(model, world=World({FORECAST_PATH: FORECAST}))

    assert [each["tool"] for each in state["evidence"]] == ["decision", "forecast"]


def test_the_next_question_may_look_at_the_same_again() -> None:
    world = World()
    right = AIMessage(content="It was 17 [E1].")
    graph = world.graph(planner=ModelPlanner(a_model(*[calls("decision"), NO_MORE, right] * 2), "m1"))

    async def main() -> list[str]:
        return [said(await ask(graph, STATUS)) for _ in range(2)]

    assert [answer.partition("\n")[0] for answer in run_apart(main())] == ["It was 17 [E1]."] * 2
    assert len(asked_of(world, "/v1/decisions")) == 2


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        (a_call(), a_call(at=None), True),
        (a_call("alarms"), a_call("alarms", window_seconds=86_400), True),
        (a_call(at="2026-11-24T10:03:00Z"), a_call(at="2026-11-24T11:03:00+01:00"), True),
        (a_call(), a_call(at="2026-11-24T10:03:00Z"), False),
        (a_call(), a_call("resources"), False),
        (a_call(), a_call(name="other"), False),
        (a_call(name="../x"), a_call(name="../x"), True),  # as it stands, when it cannot be used
        (a_call("no_tool"), a_call("no_tool"), True),
    ],
)
def test_calls_that_mean_the_same_are_the_same(first: Call, second: Call, is_same: bool) -> None:
    assert new_calls([first, second], []) == ([first] if is_same else [first, second])
    assert new_calls([second], [first]) == ([] if is_same else [second])


@pytest.mark.parametrize(
    "chosen",
    [
        calls("decision", name="../../secrets"),
        call("decision", namespace="shop"),
        call("promql", query="up"),
        calls("accuracy"),
    ],
)
def test_when_nothing_was_found_where_a_model_looked_the_rules_look_where_they_would_have(chosen: AIMessage) -> None:
    world, model = World(), a_model(chosen, NO_MORE)

    state = answered(model, WHY, world)

    assert "a floor of 17; reason ForecastDemand [E2]" in said(state)
    assert "I could not find out: " in said(state)
    assert said(state).endswith(IN_VAIN)
    assert state["mode"] == "deterministic"
    assert len(asked_of(world, "/v1/decisions")) == 2  # the decision, and those around it
    assert model.script == []


def test_the_rules_look_once_and_only_where_nobody_has_looked() -> None:
    world = World({"/v1/decisions": httpx.Response(500, json={"detail": "broken"})})

    state = answered(a_model(calls("decision"), NO_MORE), WHY, world)

    assert [each["tool"] for each in state["evidence"]] == ["decision", "decisions"]
    assert said(state).count("the controller refused (HTTP 500): broken [E1, E2]") == 1


def test_a_model_that_found_something_at_last_answers_itself() -> None:
    right = AIMessage(content="It was 17 [E2].")

    state = answered(a_model(calls("accuracy"), calls("decision"), NO_MORE, right))

    assert said(state).startswith("It was 17 [E2].\n\nWorded by m1")


def test_a_model_that_fails_after_it_found_nothing_leaves_the_looking_to_the_rules_too() -> None:
    state = answered(a_model(calls("accuracy"), CircuitOpenError("the model's last 5 calls failed")))

    assert "had a floor of 17" in said(state)
    assert "(m1 was to answer: CircuitOpenError: the model's last 5 calls failed)" in said(state)


def test_what_the_rules_found_instead_is_about_the_workload_of_before_and_says_so() -> None:
    failing, front = ConnectionError("away"), {**FRONT, "name": "nowhere"}
    graph = a_world().graph(planner=ModelPlanner(a_model(failing, calls("forecast", **front), NO_MORE), "m1"))

    async def main() -> str:
        await ask(graph, "forecast of shop/agent")
        return said(await ask(graph, "and what is the forecast?"))

    answer = run_apart(main())

    assert answer.startswith(f"{ABOUT_AGENT}Within 10 minutes")
    assert answer.endswith(IN_VAIN)


def test_what_the_rules_ask_back_is_not_lost_when_a_model_looks_in_vain() -> None:
    state = answered(a_model(calls("forecast", name="agnet"), NO_MORE), "forecast of shop/agnet")

    assert said(state).startswith("There is no workload shop/agnet; did you mean shop/agent?\nI could not find out: ")
