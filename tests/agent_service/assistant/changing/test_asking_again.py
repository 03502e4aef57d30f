"""Answers to a proposal that are no decisions: the person is asked again, in the same run, a few times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from langgraph.types import Command

from tests.agent_service.assistant.approving import ALLOWED, APPROVE, audited, propose
from tests.agent_service.assistant.changing.test_permission import FORGED
from tests.agent_service.assistant.world import NOW, PATH, Cluster, World, ask, config, said
from tests.coroutines import run_apart

MAYBE = {"type": "maybe"}


async def answer(graph: Any, decision: Any, *, run_id: str = "run-2", **context: Any) -> dict[str, Any]:
    """The state after an answer, whatever it is."""
    resume: Any = Command(resume={"decisions": [decision]})
    found: dict[str, Any] = await graph.ainvoke(resume, config(run_id=run_id), context=context or ALLOWED)
    return found


async def answers(graph: Any, *decisions: Any) -> list[dict[str, Any]]:
    """The state after each, every one in a run of its own."""
    return [await answer(graph, each, run_id=f"run-{number}") for number, each in enumerate(decisions, start=2)]


def question_in(state: dict[str, Any]) -> dict[str, Any]:
    (asked,) = state["__interrupt__"]
    (action,) = asked.value["action_requests"]
    found: dict[str, Any] = action
    return found


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (MAYBE, "'maybe' is neither approve, edit nor reject"),
        ({"type": ["approve"]}, "is neither approve, edit nor reject"),
        ({}, "'None' is neither approve, edit nor reject"),
        ("yes", "answer with one decision"),
        ({"type": "edit", "edited_action": {"args": {"value": -1}}}, "max replicas is a whole number"),
        ({"type": "edit", "edited_action": {"args": {"value": float("inf")}}}, "max replicas is a whole number"),
        ({"type": "edit", "edited_action": {"args": {"value": float("nan")}}}, "max replicas is a whole number"),
        ({"type": "edit", "edited_action": {"args": {"value": 2**31}}}, "max replicas is a whole number"),
        ({"type": "edit", "edited_action": {"args": {"value": 3, "name": "other"}}}, "not the field or the object"),
        ({"type": "edit", "edited_action": {"args": {"field": "mode", "value": "Active"}}}, "not the field"),
        ({"type": "edit", "edited_action": {"name": "delete", "args": {"value": 3}}}, "an edit is"),
        ({"type": "edit"}, "an edit is"),
        ({"type": "approve", "edited_action": {"args": {"value": 3}}}, "only an edit has an edited_action"),
    ],
)
def test_an_answer_that_is_no_decision_is_asked_for_again_and_changes_nothing(decision: Any, words: str) -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    async def main() -> tuple[dict[str, Any], dict[str, Any], int, dict[str, Any]]:
        graph, first = await propose(World({PATH: cluster}))
        second = await answer(graph, decision)
        return first, second, len(cluster.patches), await answer(graph, APPROVE, run_id="run-3")

    first, second, patches, last = run_apart(main())

    before, again = question_in(first), question_in(second)
    assert again["args"] == before["args"]
    assert again["description"].startswith("Nothing was changed. The last answer cannot be used: ")
    assert words in again["description"]
    assert again["description"].endswith(before["description"])
    assert second["__interrupt__"][0].value["review_configs"] == first["__interrupt__"][0].value["review_configs"]
    assert patches == 0
    assert said(last).startswith("Max replicas of shop/agent is 12 now; it was 9 [E2].")


@pytest.mark.parametrize("given", ["yes", 5, [], True, {"decisions": []}, {"decisions": [APPROVE, APPROVE]}, {"x": 1}])
def test_an_answer_of_another_form_is_asked_for_again(given: Any) -> None:
    async def main() -> dict[str, Any]:
        graph, _ = await propose(World({PATH: Cluster()}))
        resume: Any = Command(resume=given)
        found: dict[str, Any] = await graph.ainvoke(resume, config(run_id="run-2"), context=ALLOWED)
        return found

    assert "answer with one decision" in question_in(run_apart(main()))["description"]


def test_the_fourth_answer_that_is_no_decision_is_the_last() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    async def main() -> list[dict[str, Any]]:
        graph, _ = await propose(World({PATH: cluster}))
        return await answers(graph, MAYBE, "yes", {"type": "edit"}, MAYBE)

    *asked, last = run_apart(main())

    told = [question_in(state)["description"] for state in asked]
    assert ["This is the last time that I ask." in each for each in told] == [False, False, True]
    assert ["'maybe'" in told[0], "one decision" in told[1], "an edit is" in told[2]] == [True] * 3
    assert "'maybe'" not in told[2]  # only what was wrong with the last
    assert "__interrupt__" not in last
    assert said(last).startswith("Nothing was changed: 'maybe' is neither approve, edit nor reject.")
    assert cluster.patches == []


def test_the_decision_that_comes_at_last_is_the_one_that_counts() -> None:
    edited, rejected = Cluster(bounds={"maxReplicas": 9}), Cluster()
    edit = {"type": "edit", "edited_action": {"args": {"value": 15}}}

    async def main(cluster: Cluster, decision: Any) -> str:
        graph, _ = await propose(World({PATH: cluster}))
        return said((await answers(graph, {"type": "edit", "edited_action": {"args": {"value": -15}}}, decision))[-1])

    assert "is 15 now" in run_apart(main(edited, edit))
    assert "you rejected it" in run_apart(main(rejected, {"type": "reject"}))
    assert [patch["spec"] for patch in edited.patches] == [{"bounds": {"maxReplicas": 15}}]
    assert rejected.patches == []


def test_every_answer_is_audited_once_however_often_the_question_is_performed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        graph, _ = await propose(World({PATH: Cluster(bounds={"maxReplicas": 9})}))
        await answer(graph, MAYBE, run_id="run-2")
        for number in range(2):  # whoever goes on without an answer is asked the same
            state = await graph.ainvoke(None, config(run_id=f"idle-{number}"), context=ALLOWED)
            assert "'maybe'" in question_in(state)["description"]
        await answer(graph, "yes", run_id="run-3")
        await answer(graph, APPROVE, run_id="run-4")

    run_apart(main())

    told = [(line["run_id"], line["outcome"], line["detail"]) for line in audited(caplog)]
    assert [each[:2] for each in told] == [("run-2", "invalid"), ("run-3", "invalid"), ("run-4", "applied")]
    assert "'maybe'" in told[0][2]
    assert "one decision" in told[1][2]


def test_an_attempt_that_is_made_again_audits_its_answer_no_second_time(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        graph, _ = await propose(World({PATH: Cluster()}))
        before = (await graph.aget_state(config())).config["configurable"]
        await answer(graph, MAYBE)
        # What the first attempt wrote is lost, and the run begins again where the thread waited.
        again = {"configurable": {**before, **config(run_id="run-2")["configurable"]}}
        resume: Any = Command(resume={"decisions": [MAYBE]})
        assert "'maybe'" in question_in(await graph.ainvoke(resume, again, context=ALLOWED))["description"]

    run_apart(main())

    assert [line["outcome"] for line in audited(caplog)] == ["invalid"]


@pytest.mark.parametrize(
    ("minutes", "outcome", "words"), [(14, "applied", "is 12 now"), (16, "expired", "the proposal has expired")]
)
def test_being_asked_again_gives_a_proposal_no_more_time(
    minutes: int, outcome: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World({PATH: Cluster(bounds={"maxReplicas": 9})})

    async def main() -> str:
        graph, _ = await propose(world)
        world.now = NOW + timedelta(minutes=10)
        await answer(graph, MAYBE)
        world.now = NOW + timedelta(minutes=minutes)
        return said(await answer(graph, APPROVE, run_id="run-3"))

    assert words in run_apart(main())
    assert [line["outcome"] for line in audited(caplog)] == ["invalid", outcome]


def test_nobody_is_asked_again_about_a_proposal_that_has_expired(caplog: pytest.LogCaptureFixture) -> None:
    world = World({PATH: Cluster()})

    async def main() -> dict[str, Any]:
        graph, _ = await propose(world)
        world.now += timedelta(minutes=16)
        return await answer(graph, MAYBE)

    state = run_apart(main())

    assert "__interrupt__" not in state
    assert said(state).startswith("Nothing was changed: the proposal has expired. Ask again.")
    (line,) = audited(caplog)
    assert line["outcome"] == "expired"
    assert "'maybe'" in line["detail"]


def test_whoever_may_not_decide_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> dict[str, Any]:
        graph, _ = await propose(World({PATH: Cluster()}))
        return await answer(graph, MAYBE, allow_actions=False)

    state = run_apart(main())

    assert "__interrupt__" not in state
    assert 'send context {"allow_actions": true}' in said(state)
    assert [line["outcome"] for line in audited(caplog)] == ["forbidden"]


def test_the_next_proposal_knows_nothing_of_the_answers_to_the_last() -> None:
    async def main() -> list[dict[str, Any]]:
        graph, _ = await propose(World({PATH: Cluster()}))
        await answers(graph, MAYBE, MAYBE, MAYBE)
        first = await ask(graph, "set max replicas of shop/agent to 13", allow_actions=True)
        return [first, *await answers(graph, MAYBE, MAYBE, MAYBE)]

    first, *again = run_apart(main())

    assert "cannot be used" not in question_in(first)["description"]
    assert "last time" not in question_in(again[0])["description"]
    assert "last time" in question_in(again[2])["description"]


@pytest.mark.parametrize("mistakes", [5, "x", {"a": 1}, [5, None, {"a": "b"}], ["\x1b[2Jowned\nApproved"] * 2])
def test_mistakes_that_a_client_wrote_into_the_state_fail_nothing_and_reach_no_terminal(mistakes: Any) -> None:
    async def main() -> dict[str, Any]:
        graph = World({PATH: Cluster()}).graph()
        await ask(graph, "hello")
        update = {"proposal": FORGED, "evidence": [], "mistakes": mistakes}
        await graph.ainvoke(Command(update=update, goto="approve"), config(run_id="run-2"), context=ALLOWED)
        return await answer(graph, MAYBE, run_id="run-3")

    description = question_in(run_apart(main()))["description"]

    assert "'maybe'" in description
    assert "\x1b" not in description
    assert "\n" not in description
