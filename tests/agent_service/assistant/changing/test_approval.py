"""Changes: proposed, approved by a person, made once, and audited."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.types import Command

from agent_service.assistant.answering.evidence import faults_of
from agent_service.assistant.changing.changes import APPLIED_BY
from tests.agent_service.assistant.approving import ALLOWED, APPROVE, audited, change, decide, propose
from tests.agent_service.assistant.world import PATH, Cluster, World, ask, config, said
from tests.coroutines import run_apart


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
    assert answer.startswith("Max replicas of shop/agent is 12 now; it was 9 [E2].")
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

    (told,) = audited(caplog)
    assert (told["actor"], told["run_id"], told["object"]) == ("ann", "run-2", "shop/agent")
    assert (told["field"], told["before"], told["after"], told["outcome"]) == ("max replicas", 9, 12, "applied")


def test_an_edit_of_a_whole_number_is_written_as_one() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})
    edit = {"type": "edit", "edited_action": {"name": "set_field", "args": {"value": 15.0}}}

    run_apart(change(cluster, edit))

    assert repr(cluster.patches[0]["spec"]["bounds"]["maxReplicas"]) == "15"


def test_a_status_that_the_controller_writes_is_no_change_of_the_object() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    async def main() -> str:
        graph, _ = await propose(World({PATH: cluster}))
        cluster.write_status()
        return await decide(graph, APPROVE)

    assert "is 12 now" in run_apart(main())
    assert cluster.patches[0]["metadata"]["resourceVersion"] == "8"


@pytest.mark.parametrize("how", ["uid", "field"])
def test_another_object_or_another_value_is_left_alone(how: str) -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    async def main() -> str:
        graph, _ = await propose(World({PATH: cluster}))
        if how == "uid":
            cluster.found["metadata"]["uid"] = "u-2"
        else:
            cluster.found["spec"]["bounds"]["maxReplicas"] = 10
        return await decide(graph, APPROVE)

    assert "is not as it was when I proposed this" in run_apart(main())
    assert cluster.patches == []


def test_an_object_that_is_changed_while_it_is_written_is_left_alone() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    def meddled(request: httpx.Request) -> Any:
        if request.method == "PATCH":
            cluster.touch()
        return cluster(request)

    assert "is not as it was when I proposed this" in run_apart(change(meddled, APPROVE))
    assert cluster.patches == []


@pytest.mark.parametrize(
    ("decision", "minutes", "outcome", "kind"),
    [
        ({"type": "reject", "message": "not today"}, 0, "rejected", "reject"),
        ({"type": "maybe"}, 0, "invalid", ""),
        (APPROVE, 16, "expired", "approve"),
        (APPROVE, 0, "applied", "approve"),
        ({"type": "edit", "edited_action": {"args": {"value": 15}}}, 0, "applied", "edit"),
    ],
)
def test_every_decision_is_audited(
    decision: Any, minutes: int, outcome: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World({PATH: Cluster(bounds={"maxReplicas": 9})})

    async def main() -> None:
        graph, _ = await propose(world)
        world.now += timedelta(minutes=minutes)
        await decide(graph, decision)

    run_apart(main())

    (told,) = audited(caplog)
    assert (told["outcome"], told["decision"], told["actor"]) == (outcome, kind, "ann")


@pytest.mark.parametrize(
    "settings", [{"kubernetes_token_file": Path("/nowhere/token")}, {"kubernetes_ca_file": Path("/nowhere/ca")}]
)
def test_a_token_or_certificate_that_is_not_there_is_named(settings: dict[str, Any]) -> None:
    graph = World({PATH: Cluster()}).graph(**settings)

    answer = said(run_apart(ask(graph, "set max replicas of shop/agent to 12", allow_actions=True)))

    assert "its token or certificate file cannot be read (No such file or directory)" in answer


def test_what_came_of_a_change_points_to_evidence() -> None:
    async def main() -> list[dict[str, Any]]:
        graph, _ = await propose(World({PATH: Cluster(bounds={"maxReplicas": 9})}))
        answer: Any = Command(resume={"decisions": [APPROVE]})
        changed = await graph.ainvoke(answer, config(run_id="run-2"), context=ALLOWED)
        _, same = await propose(World({PATH: Cluster(bounds={"maxReplicas": 12})}))
        return [changed, same]

    for state in run_apart(main()):
        assert state["evidence"][0]["source"] == "kubernetes"
        assert faults_of(said(state), state["evidence"]) == []
        assert state["messages"][-1].response_metadata == {"planner": "deterministic"}
