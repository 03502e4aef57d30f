"""The assistant between the real forecast server, the real controller's web server and a real Kubernetes API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from prometheus_client import CollectorRegistry

from agent_service.assistant.answering.evidence import faults_of
from agent_service.assistant.graph import assistant_graph
from agent_service.assistant.looking.sources import Sources
from agent_service.assistant.settings import AssistantSettings
from controller.live.web import Web
from controller.resource.crd import definition
from tests.agent_service.assistant.world import ask, config, said
from tests.cluster.fixtures import a_namespace
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import an_autoscaler, autoscalers
from tests.controller.live.rehearsal import Rehearsal, an_answer
from tests.coroutines import run_apart
from tests.predictor.server.serving import EndlessFeed, serving, settings_of
from tests.servers.processes import wait_until

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass
class Town:
    """Everything the assistant asks."""

    settings: AssistantSettings
    rehearsal: Rehearsal

    def ask(self, *questions: str, **context: Any) -> list[dict[str, Any]]:
        """Each in a thread of its own."""

        async def main() -> list[dict[str, Any]]:
            sources = Sources(self.settings)
            now = self.rehearsal.now
            graph: Any = assistant_graph(self.settings, sources=sources, now=lambda: now).compile()
            try:
                return [await ask(graph, question, **context) for question in questions]
            finally:
                await sources.close()

        return run_apart(main())


@pytest.fixture(scope="module")
def town(far_model: Path) -> Iterator[Town]:
    """shop/agent is forecast by the real server, and had been scaled for half an hour by the real decision core."""
    one = Rehearsal(lead={"type": "Fixed", "startupSeconds": 30})
    for minute in range(30):
        one.demand = one.metrics.demand = 100.0 + 5 * minute
        one.forecasts.answer = an_answer(120.0 + 5 * minute, one.now)
        for _ in range(4):
            one.pass_time(15)
    probe = lambda: (True, "leads")  # noqa: E731
    web = Web("127.0.0.1", 0, CollectorRegistry(), one.cycle.records, live=probe, ready=probe)
    with serving(settings_of(far_model), EndlessFeed(("shop.agent",))) as running:
        running.wait_until_warm()
        settings = AssistantSettings(forecast_url=running.url, controller_url=f"http://127.0.0.1:{web.port}")
        yield Town(settings, one)
    web.close()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("what is the forecast for shop/agent?", ["demand is expected to reach", "with 90 % certainty", "20 [E1]"]),
        ("how good has the forecast of agent been?", ["WAPE", "persistence", "pairs [E1]", "Trust:"]),
        ("alarms of agent today", ["alarms", "hits", "surges were foreseen [E1]"]),
        ("is it healthy?", ["1 of 1 workloads have a fresh forecast [E1]", "The controller knows 1 autoscalers [E2]"]),
        ("list the workloads", ["shop.agent: demand", "shop/agent: acting, floor"]),
        ("why did you scale shop/agent 10 minutes ago?",
         ["had a floor of", "quantile of the highest demand", "The floor around then"]),
        ("what is the floor of agent", ["had a floor of"]),
        ("what if the target per replica of agent were 8",
         ["With targetPerReplica = 8", "replica-minutes:", "gives the recorded floor in"]),
    ],
)  # fmt: skip
def test_a_question_is_answered_from_real_evidence(town: Town, question: str, words: list[str]) -> None:
    (state,) = town.ask(question)

    answer = said(state)
    assert [word for word in words if word not in answer] == [], answer
    assert [each.get("error") for each in state["evidence"]] == [None] * len(state["evidence"])
    assert faults_of(answer.rpartition("\n\n")[0], state["evidence"], question) == []


def test_a_change_is_made_to_a_real_object_by_whoever_may(cluster: Cluster) -> None:
    crd = definition()
    cluster.admin.apply(f"{DEFINITIONS}/{crd['metadata']['name']}", crd)
    wait_until(lambda: cluster.admin.status_of("GET", "/apis/forescale.io/v1alpha1/predictiveautoscalers") == 200, "")
    token = cluster.folder / "agent-token"
    token.write_text(cluster.token)
    settings = AssistantSettings(
        kubernetes_url=cluster.url, kubernetes_token_file=token, kubernetes_ca_file=cluster.certificates.ca,
        allows_actions=True,
    )  # fmt: skip
    now = datetime.now(UTC)

    with a_namespace(cluster) as namespace:
        path = autoscalers(namespace, "agent")
        cluster.admin.apply(path, an_autoscaler("agent"))

        async def change(value: int, *, meddle: bool = False) -> tuple[dict[str, Any], str]:
            sources = Sources(settings)
            graph: Any = assistant_graph(settings, sources=sources, now=lambda: now + timedelta(minutes=1)).compile(
                checkpointer=InMemorySaver()
            )
            asked = await ask(graph, f"set max replicas of {namespace}/agent to {value}", allow_actions=True)
            if meddle:
                cluster.admin.apply(path, an_autoscaler("agent", targetPerReplica=11))
            answer: Any = Command(resume={"decisions": [{"type": "approve"}]})
            found = await graph.ainvoke(answer, config(run_id=f"run-{value}"), context={"allow_actions": True})
            await sources.close()
            return asked, said(found)

        _, first = run_apart(change(12))
        _, second = run_apart(change(15, meddle=True))
        _, third = run_apart(change(0))  # what the API server itself refuses
        spec = cluster.admin.get(path)["spec"]

    assert "Max replicas of" in first
    assert "is 12 now" in first
    assert "is not as it was when I proposed this" in second
    assert "Nothing was changed: the Kubernetes API refused (HTTP 422)" in third
    assert spec["bounds"] == {"maxReplicas": 12}
    assert spec["targetPerReplica"] == 11
