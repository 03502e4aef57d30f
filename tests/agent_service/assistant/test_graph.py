"""Questions and answers through the whole graph, planned by rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from langgraph.types import Command

from agent_service.assistant.changes import APPLIED_BY
from agent_service.assistant.evidence import faults_of
from tests.agent_service.assistant.world import PATH, Cluster, World, ask, config, said
from tests.coroutines import run_apart

RULES = "Answered by rules, no language model."


def test_a_decision_is_explained_from_its_record_and_every_number_has_its_evidence() -> None:
    world = World()

    state = run_apart(ask(world.graph(), "why did you scale shop/agent at 10:03?"))

    answer = said(state)
    assert "a floor of 17; reason ForecastDemand [E1]" in answer
    assert "203, the 95.0% quantile of the highest demand within 120 s, at 12 per replica [E1]" in answer
    assert "The HPA alone would have held 10 [E1]" in answer
    assert "12 (ForecastDemand), then 2026-11-24 10:03:00 UTC 17" in answer
    assert answer.endswith(RULES)
    assert faults_of(answer, state["evidence"]) == []
    asked = [request for request in world.asked if request.url.path == "/v1/decisions"]
    assert asked[0].url.params["at"] == "2026-11-24T10:03:00+00:00"


def test_what_would_have_been_is_asked_of_the_controller() -> None:
    course = {"replica_minutes": 60.0, "short_minutes": 2.0, "highest_floor": 5, "floor_changes": 1}
    world = World({"/v1/what-if": {
        "start": "2026-11-24T10:00:00Z", "end": "2026-11-24T12:00:00Z", "points": 120, "reproduced": 118,
        "baseline": course, "changed": {**course, "replica_minutes": 90.0}, "notes": ["a note"], "series": [],
    }})  # fmt: skip

    state = run_apart(ask(world.graph(), "what if the target of agent were 8 over the last 2 hours?"))

    answer = said(state)
    assert "With targetPerReplica = 8, replaying 120 decisions" in answer
    assert "replica-minutes: 60 → 90 [E1]" in answer
    assert "118 of 120 decisions [E1]" in answer
    assert "Note: a note [E1]" in answer
    assert faults_of(answer, state["evidence"], "8") == []
    (sent,) = [request for request in world.asked if request.method == "POST"]
    assert b'"start": "2026-11-24T10:00:00+00:00"' in sent.content


def test_help_and_what_is_not_understood_need_no_tool() -> None:
    world = World()

    greeting, riddle = (run_apart(ask(world.graph(), text, thread=text)) for text in ("hello", "tell me a joke"))

    assert "I explain the autoscaler" in said(greeting)
    assert "I did not understand that" in said(riddle)
    assert {request.url.path for request in world.asked} == {"/v1/resources"}


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (httpx.ConnectError("no"), "the controller cannot be reached (ConnectError); does it run?"),
        (httpx.ReadTimeout("slow"), "the controller did not answer within 5 s"),
        (httpx.Response(500, json={"detail": "broken"}), "the controller refused (HTTP 500): broken"),
        (httpx.Response(200, text="<html>"), "the controller did not answer JSON (HTTP 200); is its URL right?"),
        (httpx.Response(404, json={"detail": "no decision is kept"}), "no decision is kept"),
    ],
)
def test_a_source_that_fails_is_named_in_the_answer(failure: Any, words: str) -> None:
    world = World({"/v1/decisions": failure})

    answer = said(run_apart(ask(world.graph(), "why did shop/agent scale?")))

    assert answer.count(words) == 1
    assert answer.endswith(RULES)


def test_a_source_that_is_not_set_up_says_what_to_set() -> None:
    graph = World().graph(controller_url=None, forecast_url=None)

    answer = said(run_apart(ask(graph, "forecast of shop/agent")))

    assert "set FORESCALE_URL" in answer


def test_a_query_is_guarded_and_answered_with_its_series() -> None:
    found = {"data": {"resultType": "vector", "result": [{"metric": {"pod": "a"}, "value": [0, "3"]}]}}
    world = World({"/api/v1/query": found})

    good = said(run_apart(ask(world.graph(), "promql: sum by (pod) (agent_runs_in_flight)")))
    bad = said(run_apart(ask(world.graph(), "promql: up", thread="2")))

    assert "pod=a: 3 [E1]" in good
    assert "up may not be asked for" in bad
    assert sum(request.url.path == "/api/v1/query" for request in world.asked) == 1


def test_every_question_begins_anew_in_a_conversation() -> None:
    async def main() -> dict[str, Any]:
        graph = World().graph()
        await ask(graph, "why did shop/agent scale at 10:03?")
        return await ask(graph, "status of agent")

    state = run_apart(main())

    assert [each["id"] for each in state["evidence"]] == ["E1"]
    assert len(state["messages"]) == 4


# changes


async def propose(world: World, text: str = "set max replicas of shop/agent to 12") -> tuple[Any, dict[str, Any]]:
    graph = world.graph()
    return graph, await ask(graph, text, allow_actions=True)


async def decide(graph: Any, *decisions: Any, run_id: str = "run-2") -> str:
    answer: Any = Command(resume={"decisions": list(decisions)})
    return said(await graph.ainvoke(answer, config(run_id=run_id), context={"allow_actions": True}))


def test_a_change_waits_for_approval_and_is_then_made_once() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})
    world = World({PATH: cluster})

    async def main() -> tuple[dict[str, Any], int, str]:
        graph, asked = await propose(world)
        before = len(cluster.patches)
        return asked, before, await decide(graph, {"type": "approve"})

    asked, before, answer = run_apart(main())

    request = asked["__interrupt__"][0].value
    assert request["action_requests"][0]["args"] == {"field": "max replicas", "value": 12}
    assert "from 9 to 12" in request["action_requests"][0]["description"]
    assert request["review_configs"][0]["allowed_decisions"] == ["approve", "edit", "reject"]
    assert before == 0
    assert answer.startswith("Max replicas of shop/agent is 12 now; it was 9.")
    (patch,) = cluster.patches
    assert patch["spec"] == {"bounds": {"maxReplicas": 12}}
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch["metadata"]["annotations"][APPLIED_BY].startswith("run-2:")


def test_an_edited_change_is_made_as_edited_and_a_rejected_one_not_at_all() -> None:
    edited, rejected = Cluster(bounds={"maxReplicas": 9}), Cluster()

    async def main() -> tuple[str, str]:
        graph, _ = await propose(World({PATH: edited}))
        action = {"name": "set_field", "args": {"field": "max replicas", "value": 15}}
        first = await decide(graph, {"type": "edit", "edited_action": action})
        graph, _ = await propose(World({PATH: rejected}))
        return first, await decide(graph, {"type": "reject", "message": "not today"})

    first, second = run_apart(main())

    assert "is 15 now" in first
    assert edited.patches[0]["spec"] == {"bounds": {"maxReplicas": 15}}
    assert "you rejected it (not today)" in second
    assert rejected.patches == []


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ({"type": "maybe"}, "'maybe' is neither approve, edit nor reject"),
        ("yes", "answer with one decision"),
        ({"type": "edit", "edited_action": {"args": {"value": -1}}}, "max replicas is a whole number"),
        ({"type": "edit", "edited_action": {"args": {"field": "mode", "value": "Active"}}}, "not the field"),
        ({"type": "edit"}, "an edit is"),
    ],
)
def test_an_answer_that_is_no_decision_changes_nothing(decision: Any, words: str) -> None:
    cluster = Cluster()

    async def main() -> str:
        graph, _ = await propose(World({PATH: cluster}))
        return await decide(graph, decision)

    assert words in run_apart(main())
    assert cluster.patches == []


def test_an_object_that_was_changed_meanwhile_is_left_alone() -> None:
    cluster = Cluster()

    async def main() -> str:
        graph, _ = await propose(World({PATH: cluster}))
        cluster.touch()
        return await decide(graph, {"type": "approve"})

    assert "is not as it was when I proposed this" in run_apart(main())
    assert cluster.patches == []


def test_a_proposal_expires() -> None:
    cluster, world = Cluster(), World()
    world.answers[PATH] = cluster

    async def main() -> str:
        graph, _ = await propose(world)
        world.now += timedelta(minutes=16)
        return await decide(graph, {"type": "approve"})

    assert "the proposal has expired" in run_apart(main())
    assert cluster.patches == []


def test_a_step_that_is_performed_twice_changes_once() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    async def main() -> str:
        graph, _ = await propose(World({PATH: cluster}))
        await decide(graph, {"type": "approve"})
        # The replica died after the write and before its checkpoint: the same run performs the node again.
        history = [state async for state in graph.aget_state_history(config())]
        before = next(state for state in history if state.next == ("apply",))
        again = {"configurable": {**before.config["configurable"], **config(run_id="run-2")["configurable"]}}
        return said(await graph.ainvoke(None, {**again}, context={"allow_actions": True}))

    assert "Max replicas of shop/agent is 12 now" in run_apart(main())
    assert len(cluster.patches) == 1


@pytest.mark.parametrize(
    ("settings", "context", "words"),
    [
        ({"allows_actions": False}, {"allow_actions": True}, "AGENT_ALLOW_ACTIONS=1"),
        ({}, {}, 'send context {"allow_actions": true}'),
        ({"kubernetes_url": None}, {"allow_actions": True}, "set AGENT_KUBERNETES_URL"),
    ],
)
def test_nothing_is_proposed_where_it_is_not_allowed(
    settings: dict[str, Any], context: dict[str, Any], words: str
) -> None:
    world = World({PATH: Cluster()})

    state = run_apart(ask(world.graph(**settings), "set max replicas of shop/agent to 12", **context))

    assert words in said(state)
    assert "__interrupt__" not in state


def test_what_is_so_already_is_not_proposed() -> None:
    state = run_apart(propose(World({PATH: Cluster(bounds={"maxReplicas": 12})})))[1]

    assert "is 12 already" in said(state)


def test_who_changed_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        graph, _ = await propose(World({PATH: Cluster(bounds={"maxReplicas": 9})}))
        await decide(graph, {"type": "approve"})

    run_apart(main())

    (line,) = [record for record in caplog.records if record.name == "forescale.agent.audit"]
    told = line.told  # type: ignore[attr-defined]
    assert (told["actor"], told["run_id"], told["object"]) == ("ann", "run-2", "shop/agent")
    assert (told["field"], told["before"], told["after"], told["outcome"]) == ("max replicas", 9, 12, "applied")
