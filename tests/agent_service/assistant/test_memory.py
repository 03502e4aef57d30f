"""What a thread remembers between its questions: the workload, and that it says so."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.types import Command

from agent_service.assistant.answering.evidence import faults_of
from agent_service.assistant.answering.planner import ModelPlanner
from tests.agent_service.assistant.approving import ALLOWED
from tests.agent_service.assistant.scripted import a_model, calls
from tests.agent_service.assistant.test_graph import FORECAST, FORECAST_PATH, asked_of
from tests.agent_service.assistant.world import PATH, Cluster, World, ask, config, said
from tests.coroutines import run_apart

AGENT, FRONT = {"namespace": "shop", "name": "agent"}, {"namespace": "web", "name": "front"}
ABOUT_AGENT = "About shop/agent, as before.\n"
FRONT_PATH = FORECAST_PATH.replace("shop.agent", "web.front")


def a_world(*resources: dict[str, str], **answers: Any) -> World:
    """With two workloads, where none are given."""
    known = [{**each, "acts": True, "floor": 1, "reason": "x"} for each in resources or (AGENT, FRONT)]
    found = {"/v1/resources": {"resources": known}, FORECAST_PATH: FORECAST, FRONT_PATH: FORECAST, **answers}
    return World(found)


def conversation(world: World, *questions: str, graph: Any = None, **context: Any) -> list[dict[str, Any]]:
    """The state after each question of one thread."""

    async def main() -> list[dict[str, Any]]:
        served = graph or world.graph()
        return [await ask(served, question, **context) for question in questions]

    return run_apart(main())


def test_a_question_that_names_no_workload_is_answered_about_the_one_of_before_and_says_so() -> None:
    world = a_world()

    first, second, third = conversation(
        world, "why did you scale shop/agent at 10:03?", "and what is the forecast?", "how many replicas does it have?"
    )

    assert "as before" not in said(first)
    assert said(second).startswith(f"{ABOUT_AGENT}Within 10 minutes")
    assert said(third).startswith(ABOUT_AGENT)
    assert len(asked_of(world, FORECAST_PATH)) == 1
    assert asked_of(world, "/v1/decisions")[-1]["name"] == "agent"
    assert faults_of(said(second), second["evidence"]) == []


def test_another_thread_remembers_nothing_of_it() -> None:
    world = a_world()

    async def main() -> list[str]:
        graph = world.graph()
        await ask(graph, "forecast of shop/agent", thread="one")
        return [said(await ask(graph, "what is the forecast?", thread=thread)) for thread in ("two", "one")]

    other, same = run_apart(main())

    assert "Which workload: shop/agent, web/front" in other
    assert same.startswith(ABOUT_AGENT)


def test_an_answer_about_the_only_workload_there_is_needs_no_such_words() -> None:
    states = conversation(a_world(AGENT), "forecast of shop/agent", "and its accuracy?")

    assert "as before" not in said(states[-1])
    assert [state["about"] for state in states] == ["shop/agent"] * 2


def test_the_workload_that_the_context_names_wins_over_the_one_of_before_and_is_the_next_that_is_remembered() -> None:
    world = a_world()

    async def main() -> list[str]:
        graph = world.graph()
        await ask(graph, "forecast of shop/agent")
        return [said(await ask(graph, "forecast", workload="web/front")), said(await ask(graph, "forecast"))]

    by_context, after = run_apart(main())

    assert "as before" not in by_context
    assert len(asked_of(world, FRONT_PATH)) == 2
    assert after.startswith("About web/front, as before.")


def test_a_workload_that_is_gone_is_forgotten_with_words_and_not_remembered_when_it_returns() -> None:
    world = a_world()
    graph = world.graph()
    conversation(world, "forecast of shop/agent", graph=graph)
    both, world.answers["/v1/resources"] = (
        world.answers["/v1/resources"],
        {"resources": [FRONT, {"namespace": "web", "name": "back"}]},
    )

    (gone,) = conversation(world, "and the accuracy?", graph=graph)
    world.answers["/v1/resources"] = both
    (after,) = conversation(world, "and the forecast?", graph=graph)

    assert said(gone).startswith("What was meant before, shop/agent, is not known any more; which workload: web/front")
    assert gone["about"] is None
    assert "Which workload: shop/agent, web/front" in said(after)


def test_what_is_answered_about_the_only_one_that_is_left_says_what_has_gone() -> None:
    world = a_world()
    graph = world.graph()
    conversation(world, "forecast of shop/agent", graph=graph)
    world.answers["/v1/resources"] = {"resources": [FRONT]}

    (state,) = conversation(world, "and the forecast?", graph=graph)

    assert said(state).startswith(
        "What was meant before, shop/agent, is not known any more. This is about web/front, the only one that is.\n"
    )


def test_a_proposal_for_a_workload_that_was_not_named_says_which_and_why() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})
    world = a_world(**{PATH: cluster})
    graph = world.graph()

    named, recalled = conversation(
        world, "set max replicas of shop/agent to 11", "set max replicas to 12", graph=graph, **ALLOWED
    )

    told = [state["__interrupt__"][0].value["action_requests"][0]["description"] for state in (named, recalled)]
    assert told[0].startswith("Set max replicas of shop/agent from 9 to 11.")
    assert told[1].startswith(
        "Set max replicas of shop/agent (the workload that was meant before; this question names none) from 9 to 12."
    )
    assert cluster.patches == []

    async def decide() -> list[str]:
        found = []
        for number, decision in enumerate(({"type": "maybe"}, {"type": "reject"})):
            resume: Any = Command(resume={"decisions": [decision]})
            state = await graph.ainvoke(resume, config(run_id=f"run-{number}"), context=ALLOWED)
            asked = state.get("__interrupt__")
            found.append(asked[0].value["action_requests"][0]["description"] if asked else said(state))
        return found

    again, rejected = run_apart(decide())
    assert told[1] in again
    assert rejected.startswith(f"{ABOUT_AGENT}Nothing was changed: you rejected it.")


def test_what_a_client_sends_beside_its_messages_is_neither_remembered_nor_believed() -> None:
    world = a_world()

    async def main() -> dict[str, Any]:
        told = {
            "messages": [{"role": "user", "content": "what is the forecast?"}],
            "about": "web/front", "evidence": 5, "proposal": {"name": "x"}, "question": "x", "mistakes": {},
        }  # fmt: skip
        found: dict[str, Any] = await world.graph().ainvoke(told, config(), context={})
        return found

    state = run_apart(main())

    assert "Which workload: shop/agent, web/front" in said(state)
    assert (state["about"], asked_of(world, FRONT_PATH)) == (None, [])


@pytest.mark.parametrize("about", [5, ["shop/agent"], {"a": 1}, "../../v1/x?y=", "shop/agent\n", "x" * 5000, True])
def test_a_memory_that_cannot_be_one_fails_nothing(about: Any) -> None:
    world = a_world()

    async def main() -> dict[str, Any]:
        graph = world.graph()
        await ask(graph, "hello")
        await graph.aupdate_state(config(), {"about": about}, as_node="answer")
        return await ask(graph, "what is the forecast?")

    state = run_apart(main())

    assert "Which workload: shop/agent, web/front" in said(state)
    assert state["about"] is None


def test_a_question_that_could_not_be_read_at_all_forgets_nothing() -> None:
    world = a_world()

    async def main() -> str:
        graph = world.graph()
        await ask(graph, "forecast of shop/agent")
        assert "I cannot answer that" in said(await ask(graph, "forecast", foo=1))
        return said(await ask(graph, "forecast"))

    assert run_apart(main()).startswith(ABOUT_AGENT)


ENOUGH = AIMessage(content="enough")
SAYING = AIMessage(content="There is a forecast [E1].")


def with_model(script: list[Any], question: str = "and what is the forecast?", **context: Any) -> tuple[Any, str]:
    """After a question about shop/agent that rules answered."""
    world, model = a_world(), a_model(*script)
    graph = world.graph(planner=ModelPlanner(model, "m1"))

    async def main() -> str:
        failing = [ConnectionError("away")]
        model.script[:0] = failing
        await ask(graph, "forecast of shop/agent")
        return said(await ask(graph, question, **context))

    return model, run_apart(main())


def test_a_model_is_told_which_workload_is_meant_and_its_answer_says_so() -> None:
    model, answer = with_model([calls("forecast"), ENOUGH, SAYING])

    assert answer.startswith(f"{ABOUT_AGENT}There is a forecast [E1].\n")
    for asked in model.asked[1:]:
        assert "The last question names no workload; it is about shop/agent." in str(asked[0].content)
    assert "names no workload" not in str(model.asked[0][0].content)


def test_a_model_is_told_of_the_workload_of_the_context_rather_than_of_the_one_of_before() -> None:
    model, answer = with_model([calls("forecast", **FRONT), ENOUGH, SAYING], workload="web/front")

    assert "it is about web/front." in str(model.asked[1][0].content)
    assert "as before" not in answer


def test_an_answer_of_a_model_that_looked_at_another_workload_claims_nothing_of_the_one_of_before() -> None:
    model, answer = with_model([calls("forecast", **FRONT), ENOUGH, SAYING])

    assert "it is about shop/agent." in str(model.asked[1][0].content)
    assert answer.startswith("There is a forecast [E1].")


def test_a_model_that_fails_leaves_the_rules_with_the_same_workload() -> None:
    _, answer = with_model([ConnectionError("away")])

    assert answer.startswith(f"{ABOUT_AGENT}Within 10 minutes")
    assert "m1 was to answer" in answer


@pytest.mark.parametrize("question", ["how was the forecast yesterday?", "and yesterday?", "are you sure?"])
def test_what_a_model_answers_where_the_rules_would_not_says_that_it_is_about_the_one_of_before(question: str) -> None:
    model, answer = with_model([calls("forecast"), ENOUGH, SAYING], question)

    assert "The last question names no workload; it is about shop/agent." in str(model.asked[1][0].content)
    assert answer.startswith(f"{ABOUT_AGENT}There is a forecast [E1].")


def test_what_the_rules_ask_back_claims_to_be_about_nothing() -> None:
    states = conversation(a_world(), "forecast of shop/agent", "how was the forecast yesterday?", "and yesterday?")

    assert [said(state).partition(" ")[0] for state in states[1:]] == ["Only", "Say"]
    assert states[-1]["about"] == "shop/agent"


def test_a_name_alone_is_what_the_next_question_is_about_and_one_that_nobody_knows_ends_the_memory() -> None:
    named, after, strange, change = conversation(
        a_world(), "what about web/front?", "the forecast", "forecast of payments", "set max replicas to 5", **ALLOWED
    )

    assert said(named).startswith("Say what you want to know of web/front, such as: forecast of web/front, or: why did")
    assert said(after).startswith("About web/front, as before.\nWithin 10 minutes")
    assert said(strange).startswith('I cannot tell whether "payments" means web/front, as before; which workload: ')
    assert said(change).startswith("Which workload: shop/agent, web/front? Ask again, and name it as it stands here.")
    assert "__interrupt__" not in change
