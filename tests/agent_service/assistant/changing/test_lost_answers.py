"""Changes whose answer does not come, and steps that are performed again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.agent_service.assistant.approving import ALLOWED, APPROVE, audited, change, decide, propose
from tests.agent_service.assistant.world import PATH, Cluster, World, ask, config, said
from tests.coroutines import run_apart


def silent_after(cluster: Cluster, failure: Exception, *, may_read: bool = True) -> Callable[[httpx.Request], Any]:
    """The change is made; its answer is lost."""

    def answer(request: httpx.Request) -> Any:
        if request.method == "PATCH":
            cluster(request)
            raise failure
        if cluster.patches and not may_read:
            raise httpx.ConnectError("away")
        return cluster(request)

    return answer


@pytest.mark.parametrize(
    "failure", [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), httpx.RemoteProtocolError("x")]
)
def test_a_change_whose_answer_is_lost_is_looked_for(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    answer = run_apart(change(silent_after(cluster, failure), APPROVE))

    assert answer.startswith("Max replicas of shop/agent is 12 now; it was 9 [E2].")
    assert audited(caplog)[-1]["outcome"] == "applied"


def test_a_change_that_cannot_be_looked_for_is_said_to_be_unknown(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    answer = run_apart(change(silent_after(cluster, httpx.ReadTimeout("slow"), may_read=False), APPROVE))

    assert answer.startswith("I do not know whether the change was made")
    assert "kubectl -n shop get predictiveautoscaler agent -o yaml" in answer
    assert "Nothing was changed" not in answer
    assert audited(caplog)[-1]["outcome"] == "unknown"


def test_a_change_that_was_never_sent_changed_nothing() -> None:
    cluster = Cluster(bounds={"maxReplicas": 9})

    def answer(request: httpx.Request) -> Any:
        if request.method == "PATCH":
            raise httpx.ConnectError("refused")
        return cluster(request)

    assert run_apart(change(answer, APPROVE)).startswith("Nothing was changed: the Kubernetes API cannot be reached")


def test_a_step_that_is_performed_again_late_knows_what_it_did_and_audits_it(caplog: pytest.LogCaptureFixture) -> None:
    cluster, world = Cluster(bounds={"maxReplicas": 9}), World()
    world.answers[PATH] = cluster

    async def main() -> str:
        graph, _ = await propose(world)
        await decide(graph, APPROVE)
        history = [state async for state in graph.aget_state_history(config())]
        before = next(state for state in history if state.next == ("apply",))
        again = {"configurable": {**before.config["configurable"], **config(run_id="run-2")["configurable"]}}
        world.now += timedelta(minutes=16)
        return said(await graph.ainvoke(None, again, context=ALLOWED))

    answer = run_apart(main())

    assert answer.startswith("Max replicas of shop/agent is 12 now; it was 9 [E2].")
    assert len(cluster.patches) == 1
    assert [(told["outcome"], told["detail"]) for told in audited(caplog)] == [("applied", ""), ("applied", "repeated")]


def test_a_run_that_is_stopped_while_it_changes_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    cluster, sent = Cluster(bounds={"maxReplicas": 9}), asyncio.Event()
    world = World({PATH: cluster})

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            sent.set()
            await asyncio.Event().wait()
        return world.answer(request)

    async def main() -> None:
        graph = world.graph(answer=answer)
        await ask(graph, "set max replicas of shop/agent to 12", allow_actions=True)
        run = asyncio.create_task(decide(graph, APPROVE))
        await sent.wait()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    run_apart(main())

    (told,) = audited(caplog)
    assert (told["outcome"], told["detail"]) == ("unknown", "the run was stopped while the change was made")
