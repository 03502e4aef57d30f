"""Tools: what they ask, what they make of strange answers, and when they ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from agent_service.assistant.looking.known import known_workloads
from agent_service.assistant.looking.sources import Sources, path_of, resource_path
from agent_service.assistant.looking.tools import TOOLS, Finding, use
from tests.agent_service.assistant.world import DECISION, NOW, World
from tests.coroutines import run_apart

WHO = {"namespace": "shop", "name": "agent"}
SPAN = {"start": (NOW - timedelta(hours=1)).isoformat(), "end": NOW.isoformat()}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "workloads": {}, "resources": {}, "decision": WHO, "decisions": {**WHO, **SPAN}, "forecast": WHO, "accuracy": WHO,
    "alarms": WHO, "what_if": {**WHO, **SPAN, "overrides": {"minReplicas": 3}}, "promql": {"query": "agent_x"},
}  # fmt: skip
PATHS = {
    "workloads": "/v1/workloads", "resources": "/v1/resources", "decision": "/v1/decisions",
    "decisions": "/v1/decisions", "forecast": "/v1/workloads/shop.agent/forecast",
    "accuracy": "/v1/workloads/shop.agent/accuracy", "alarms": "/v1/workloads/shop.agent/alarms",
    "what_if": "/v1/what-if", "promql": "/api/v1/query",
}  # fmt: skip


def sources_of(world: World, **settings: Any) -> Sources:
    return Sources(world.settings(**settings), transport=httpx.MockTransport(world.answer))


def used(world: World, tool: str, arguments: Mapping[str, Any] | None = None) -> Finding:
    given = ARGUMENTS[tool] if arguments is None else arguments
    return run_apart(use(tool, given, sources_of(world), NOW))


@pytest.mark.parametrize("answer", [[1], {"ok": True}, "words", 5, {"status": "ok", "levels": 3, "window_max": [1]},
                                    {"workloads": 5, "resources": [3], "decisions": [{}]}, {"data": {"result": [5]}},
                                    {"data": {"resultType": "vector", "result": [{"metric": {}}]}}])  # fmt: skip
@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_an_answer_of_another_form_is_named_and_fails_nothing(tool: str, answer: Any) -> None:
    error = used(World({PATHS[tool]: answer}), tool).error or ""

    assert "answered something else than" in error
    assert error.startswith(("the forecast API", "the controller", "Prometheus"))


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("no"), httpx.ReadError("reset"), httpx.RemoteProtocolError("x")]
)
def test_a_connection_that_breaks_is_tried_a_second_time(failure: Exception) -> None:
    answers: list[Any] = [failure, DECISION]

    def next_answer(_: httpx.Request) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert used(World({"/v1/decisions": next_answer}), "decision").value["floor"] == 17
    assert answers == []


@pytest.mark.parametrize(
    ("failure", "times"),
    [
        (httpx.ConnectError("no"), 2),
        (httpx.ReadTimeout("slow"), 1),
        (httpx.Response(503, json={"detail": "busy"}), 1),
        (httpx.Response(404, json={"detail": "none"}), 1),
    ],
)
def test_what_is_slow_or_refused_is_not_asked_again_and_nothing_a_third_time(failure: Any, times: int) -> None:
    world = World({"/v1/decisions": failure})

    assert used(world, "decision").error
    assert len(world.asked) == times


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("decision", {"namespace": "shop", "name": "../../secrets"}),
        ("decision", {"namespace": "shop", "name": "a..b"}),
        ("decision", {"namespace": "shop/x", "name": "agent"}),
        ("decision", {"namespace": "shop", "name": "agent\n"}),
        ("forecast", {"namespace": "shop", "name": "a/../../v1"}),
        ("forecast", {"namespace": "shop", "name": "agent?window=1"}),
        ("accuracy", {"namespace": "..", "name": "agent"}),
        ("alarms", {"namespace": "", "name": ".."}),
        ("what_if", {**ARGUMENTS["what_if"], "name": "agent#"}),
    ],
)
def test_names_that_nobody_can_have_are_not_asked_for(tool: str, arguments: dict[str, Any]) -> None:
    world = World()

    assert "arguments that cannot be used" in (used(world, tool, arguments).error or "")
    assert world.asked == []


def test_every_segment_of_a_path_is_one_whatever_it_holds() -> None:
    assert path_of("v1", "a/../b?c=d#e%2f") == "/v1/a%2F..%2Fb%3Fc%3Dd%23e%252f"
    assert resource_path("shop", "agent") == ("/apis/forescale.io/v1alpha1/namespaces/shop/predictiveautoscalers/agent")


def test_quantiles_of_a_forecast_can_be_chosen() -> None:
    found = {"status": "ok", "levels": [0.5, 0.9], "window_max": [[1.0, 2.0]], "path": [[1.0, 2.0]],
             "times": ["2026-11-24T12:01:00Z"], "step_seconds": 60}  # fmt: skip
    world = World({PATHS["forecast"]: found})

    finding = used(world, "forecast", {**WHO, "quantiles": [0.5, 0.9]})

    assert world.asked[0].url.params["quantiles"] == "0.5,0.9"
    assert finding.value["levels"][1] == {"level": 0.9, "highest_demand_until_then": 2.0, "demand_then": 2.0}


def test_a_native_histogram_is_told_by_its_count_and_sum() -> None:
    series = {"metric": {"pod": "a"}, "histogram": [0, {"count": "3", "sum": "1.5", "buckets": [[0, "1", "2", "3"]]}]}
    world = World({"/api/v1/query": {"data": {"resultType": "vector", "result": [series]}}})

    finding = used(world, "promql")

    assert finding.value["series"] == [{"metric": {"pod": "a"}, "histogram": {"count": "3", "sum": "1.5"}}]


def test_a_source_whose_answer_does_not_end_has_its_time() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> list[str]:
        sources = Sources(World().settings(), transport=httpx.MockTransport(never))
        return await known_workloads(sources, patience_seconds=0.05)

    assert run_apart(main()) == []
