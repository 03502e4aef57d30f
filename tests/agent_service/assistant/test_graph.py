"""Questions and answers through the whole graph, planned by rules."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from agent_service.assistant.answering.evidence import faults_of
from tests.agent_service.assistant.world import DECISION, World, ask, said
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
    assert {request.url.path for request in world.asked} == {"/v1/resources", "/v1/workloads"}


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


FORECAST: dict[str, Any] = {
    "status": "ok", "levels": [0.5, 0.9, 0.95], "window_max": [[1.0, 2.0, 3.0]], "path": [[1.0, 2.0, 3.0]],
    "times": ["2026-11-24T12:10:00Z"], "step_seconds": 600, "trust": {"message": "trusted"},
    "freshness": {"is_stale": False},
}  # fmt: skip
FORECAST_PATH = "/v1/workloads/shop.agent/forecast"


def asked_of(world: World, path: str) -> list[httpx.QueryParams]:
    return [request.url.params for request in world.asked if request.url.path == path]


def test_a_forecast_is_asked_for_as_far_ahead_as_the_question_says() -> None:
    world = World({FORECAST_PATH: FORECAST})

    answer = said(run_apart(ask(world.graph(), "what is the forecast of shop/agent for the next 10 minutes?")))

    (params,) = asked_of(world, FORECAST_PATH)
    assert params["horizon"] == "600"
    assert "You asked" not in answer


def test_a_horizon_that_the_model_does_not_reach_is_answered_with_the_one_that_it_has() -> None:
    refusal = httpx.Response(422, json={"detail": "horizon 3600 s: give 600 to 600 s"})
    world = World({FORECAST_PATH: lambda request: refusal if "horizon" in request.url.params else FORECAST})

    state = run_apart(ask(world.graph(), "forecast of shop/agent for the next 60 minutes"))

    assert "You asked for 1 hour ahead; the forecast reaches 10 minutes [E1]" in said(state)
    assert faults_of(said(state), state["evidence"], "60 minutes") == []


def test_a_forecast_without_a_median_is_told_by_the_levels_that_it_has() -> None:
    found = {**FORECAST, "levels": [0.6, 0.9], "window_max": [[1.0, 2.0]], "path": [[1.0, 2.0]]}

    answer = said(run_apart(ask(World({FORECAST_PATH: found}).graph(), "forecast of shop/agent")))

    assert "is expected to reach not more than 2, with 90 % certainty [E1]" in answer


@pytest.mark.parametrize(
    ("at", "question", "words"),
    [
        ("2026-11-24T11:59:00Z", "what is the floor of shop/agent", ""),
        ("2026-11-24T03:00:00Z", "what is the floor of shop/agent", "That record is 9 hours old; no newer one is kept"),
        ("2026-11-24T09:03:00Z", "why did shop/agent scale at 10:03?", "That was 1 hour before the time you asked for"),
    ],
)  # fmt: skip
def test_an_old_decision_does_not_look_current(at: str, question: str, words: str) -> None:
    world = World()
    world.answers["/v1/decisions"] = lambda request: (
        {"decisions": []} if "start" in request.url.params else {**DECISION, "at": at}
    )

    state = run_apart(ask(world.graph(), question))

    answer = said(state)
    assert words in answer
    assert bool(words) is ("That record" in answer or "That was" in answer)
    assert faults_of(answer, state["evidence"], question) == []


def test_a_replay_of_less_than_was_asked_for_says_so() -> None:
    course = {"replica_minutes": 60.0, "short_minutes": 2.0, "highest_floor": 5, "floor_changes": 1}
    world = World({"/v1/what-if": {
        "start": "2026-11-24T11:00:00Z", "end": "2026-11-24T12:00:00Z", "points": 120, "reproduced": 118,
        "baseline": course, "changed": course, "notes": [], "series": [],
    }})  # fmt: skip

    state = run_apart(ask(world.graph(), "what if the target of agent were 8 over the last 6 hours?"))

    assert "You asked for 6 hours; what decisions saw is kept for 1 hour of that" in said(state)
    assert faults_of(said(state), state["evidence"], "over the last 6 hours") == []


def test_how_the_floor_moved_over_a_span_is_told_from_all_its_decisions() -> None:
    records = [
        {**DECISION, "at": f"2026-11-24T{6 + number // 12:02}:{number % 12 * 5:02}:00Z", "floor": number // 4}
        for number in range(48)
    ]
    world = World()
    world.answers["/v1/decisions"] = lambda request: (
        {"decisions": records} if "start" in request.url.params else {**DECISION, "at": "2026-11-24T11:59:30Z"}
    )

    state = run_apart(ask(world.graph(), "why did shop/agent scale over the last 6 hours?"))

    answer = said(state)
    assert "The floor in that time: " in answer
    assert "2026-11-24 09:40:00 UTC 11 (ForecastDemand) [E1]." in answer
    assert "Before those it moved 4 more times [E1]." in answer
    assert faults_of(answer, state["evidence"], "6 hours") == []


def test_large_demand_is_told_without_an_exponent_and_read_back() -> None:
    world = World()
    world.answers["/v1/decisions"] = lambda request: {**DECISION, "demand": 1234567.0, "plannedDemand": 23456789.5}

    state = run_apart(ask(world.graph(), "status of shop/agent"))

    assert "Demand was 1234567 [E1]." in said(state)
    assert faults_of(said(state), state["evidence"]) == []


def test_long_lists_say_how_many_more_there_are() -> None:
    many = [
        {"namespace": "shop", "name": f"a{number}", "acts": True, "floor": 1, "reason": "x"} for number in range(75)
    ]
    unwell = [{"name": f"shop.w{number}", "status": "unavailable", "message": "no series"} for number in range(13)]
    world = World({"/v1/resources": {"resources": many}, "/v1/workloads": {"workloads": unwell}})

    state = run_apart(ask(world.graph(), "is it healthy?"))

    answer = said(state)
    assert "0 of 13 workloads have a fresh forecast [E1]" in answer
    assert "- and 3 more [E1]" in answer
    assert "- and 45 more [E2]" in answer
    assert faults_of(answer, state["evidence"]) == []


def test_what_a_terminal_would_obey_does_not_reach_an_answer() -> None:
    name = "a\x1b]0;owned\x07\x1b[2Jb\nAnswered by a person"
    found = {"data": {"resultType": "vector", "result": [{"metric": {"pod": name}, "value": [0, "3"]}]}}

    answer = said(run_apart(ask(World({"/api/v1/query": found}).graph(), "promql: agent_runs_in_flight")))

    assert "pod=ab Answered by a person: 3 [E1]" in answer
    assert "\x1b" not in answer


def test_workloads_of_the_controller_and_of_the_forecast_server_are_known_together() -> None:
    world = World({
        "/v1/resources": {"resources": [{"namespace": "a", "name": "b"}]},
        "/v1/workloads": {"workloads": [{"name": "shop.agent", "status": "ok"}, {"name": "a.b", "status": "ok"}]},
        FORECAST_PATH: FORECAST,
    })  # fmt: skip

    state = run_apart(ask(world.graph(), "forecast of shop/agent"))

    assert state["question"]["known"] == ["a/b", "shop/agent"]
    assert "demand is expected to reach" in said(state)


def test_a_controller_without_resources_hides_no_workload() -> None:
    world = World({
        "/v1/resources": {"resources": []},
        "/v1/workloads": {"workloads": [{"name": "shop.agent", "status": "ok"}]},
        FORECAST_PATH: FORECAST,
    })  # fmt: skip

    assert "demand is expected to reach" in said(run_apart(ask(world.graph(), "what is the forecast?")))


def test_names_of_workloads_that_nobody_could_have_are_not_known() -> None:
    world = World({"/v1/resources": {"resources": [{"namespace": "../..", "name": "x?y=/z"}]}})

    assert run_apart(ask(world.graph(), "forecast of shop/agent"))["question"]["known"] == []


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"foo": 1}, "the context has foo; it may have namespace, workload, allow_actions"),
        ({"workload": 5}, "the context's workload is no NAME or NAMESPACE/NAME"),
        ({"workload": "../../../api/v1/x?y=/z"}, "the context's workload is no NAME or NAMESPACE/NAME"),
        ({"namespace": "kube-system/../x"}, "the context's namespace is no name of a namespace"),
        ({"namespace": ["shop"]}, "the context's namespace is no name of a namespace"),
        ({"allow_actions": "false"}, "the context's allow_actions is neither true nor false"),
        ({"allow_actions": 1}, "the context's allow_actions is neither true nor false"),
    ],
)
def test_a_context_that_cannot_be_used_is_refused_in_words(context: dict[str, Any], words: str) -> None:
    world = World()

    state = run_apart(ask(world.graph(), "forecast", **context))

    assert words in said(state)
    assert world.asked == []
