"""What the assistant looks at, in memory: answers in the forms of the real servers, by path."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from langgraph.checkpoint.memory import InMemorySaver

from agent_service.assistant.answering.planner import Planner
from agent_service.assistant.graph import assistant_graph
from agent_service.assistant.looking.sources import Sources
from agent_service.assistant.settings import AssistantSettings

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DECISION: dict[str, Any] = {
    "resource": "shop/agent", "at": "2026-11-24T10:03:00Z", "reason": "ForecastDemand", "floor": 17, "decided": 17,
    "acts": True, "hasOpinion": True, "isTrusted": True, "demand": 120.5, "recentPeakDemand": 130.0,
    "hpaAloneReplicas": 10, "replicas": 12, "forecastIssuedAt": "2026-11-24T10:02:00Z", "model": "abc",
    "leadSeconds": 120.0, "level": 0.95, "plannedDemand": 203.0, "targetPerReplica": 12.0,
    "steps": [{"rule": "plan_capacity", "before": None, "after": 17, "reason": "ForecastDemand"}],
}  # fmt: skip


@dataclass
class World:
    """Answers by path: JSON, or an exception of httpx, or a function of the request."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.answers = {
            "/v1/resources": {"resources": [
                {"namespace": "shop", "name": "agent", "acts": True, "trusted": True, "floor": 17,
                 "reason": "ForecastDemand", "at": "2026-11-24T11:59:00Z"}]},
            "/v1/decisions": self.decisions,
            **self.answers,
        }  # fmt: skip

    def decisions(self, request: httpx.Request) -> Any:
        if "start" in request.url.params:
            return {"decisions": [{**DECISION, "floor": 12}, DECISION], "truncated": False, "oldest_kept": "x"}
        return DECISION

    def answer(self, request: httpx.Request) -> httpx.Response:
        """See httpx.MockTransport."""
        self.asked.append(request)
        found = self.answers.get(request.url.path)
        if isinstance(found, Exception):
            raise found
        if callable(found):
            found = found(request)
        if isinstance(found, httpx.Response):
            return found
        if found is None:
            return httpx.Response(404, json={"detail": f"nothing at {request.url.path}"})
        return httpx.Response(200, json=found)

    def settings(self, **changes: Any) -> AssistantSettings:
        known: dict[str, Any] = {
            "forecast_url": "http://forecasts", "controller_url": "http://controller",
            "prometheus_url": "http://prometheus", "kubernetes_url": "http://kubernetes", "allows_actions": True,
        }  # fmt: skip
        return AssistantSettings(**{**known, **changes})

    def graph(self, planner: Planner | None = None, *, answer: Any = None, **settings: Any) -> Any:
        """Compiled, with checkpoints in memory.  answer: of the sources, instead of this world's."""
        found = self.settings(**settings)
        sources = Sources(found, transport=httpx.MockTransport(answer or self.answer))
        builder = assistant_graph(found, planner=planner, sources=sources, now=lambda: self.now)
        return builder.compile(checkpointer=InMemorySaver())


def config(thread: str = "t", tenant: str = "ann", run_id: str = "run-1") -> dict[str, Any]:
    """As the engine makes it."""
    return {"configurable": {"thread_id": thread, "run_id": run_id, "langgraph_auth_user_id": tenant}}


async def ask(graph: Any, question: str, *, thread: str = "t", **context: Any) -> dict[str, Any]:
    """The state after a question."""
    told = {"messages": [{"role": "user", "content": question}]}
    run_id = str(uuid.uuid4())  # langgraph takes the same run on the same thread for the same question
    found: dict[str, Any] = await graph.ainvoke(told, config(thread, run_id=run_id), context=context)
    return found


def said(state: dict[str, Any]) -> str:
    """The last message."""
    return str(state["messages"][-1].content)


def a_resource(version: str = "7", **spec: Any) -> dict[str, Any]:
    """A PredictiveAutoscaler."""
    metadata = {"name": "agent", "namespace": "shop", "uid": "u-1", "generation": 3, "resourceVersion": version}
    return {"metadata": metadata, "spec": spec}


class Cluster:
    """One resource behind the Kubernetes API, with optimistic locking."""

    def __init__(self, **spec: Any) -> None:
        self.version, self.found = 7, a_resource(**spec)
        self.patches: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response | dict[str, Any]:
        """See World."""
        if request.method == "GET":
            return self.found
        body = json.loads(request.content)
        if body["metadata"].get("resourceVersion") != self.found["metadata"]["resourceVersion"]:
            return httpx.Response(409, json={"message": "the object has been modified"})
        self.patches.append(body)
        _merge(self.found, body)
        self.touch()
        return self.found

    def touch(self, **spec: Any) -> None:
        """Somebody changes it."""
        _merge(self.found["spec"], spec)
        self.found["metadata"]["generation"] += 1
        self.write_status()

    def write_status(self) -> None:
        """The controller does so at every tick: the version moves, the generation does not."""
        self.version += 1
        self.found["metadata"]["resourceVersion"] = str(self.version)


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


PATH = "/apis/forescale.io/v1alpha1/namespaces/shop/predictiveautoscalers/agent"
Handler = Callable[[httpx.Request], Any]
