"""What questions are understood to ask, by rules alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.grammar import Intent, understand

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KNOWN = ["shop/agent", "shop/checkout", "web/front"]


def at(clock: str, day: int = 24) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day:02d}T{clock}+00:00")


@pytest.mark.parametrize(
    ("text", "intent", "told"),
    [
        ("why did you scale shop/agent at 10:03?", Intent.WHY, {"name": "agent", "at": at("10:03")}),
        ("Why is the floor of shop/agent so high", Intent.WHY, {"at": None}),
        ("explain shop.agent 10 minutes ago", Intent.WHY, {"name": "agent", "at": at("11:50")}),
        ("what happened to checkout yesterday 14:00?", Intent.WHY, {"name": "checkout", "at": at("14:00", 23)}),
        ("why did shop/agent scale at 10:03 Europe/Paris", Intent.WHY, {"at": at("09:03")}),
        ("why did shop/agent scale at 3pm", Intent.WHY, {"at": at("15:00", 23)}),
        ("why did shop/agent scale at 3:00 pm", Intent.WHY, {"at": at("15:00", 23)}),
        ("why did agent scale at 2026-11-24T09:00:00Z", Intent.WHY, {"name": "agent", "at": at("09:00")}),
        ("how come agent went up an hour ago", Intent.WHY, {"at": at("11:00")}),
        ("you scaled front at 23:10, explain", Intent.WHY, {"namespace": "web", "at": at("23:10", 23)}),
        ("what is the forecast for shop/agent?", Intent.FORECAST, {"name": "agent"}),
        ("what do you expect of checkout", Intent.FORECAST, {"name": "checkout"}),
        ("what will web/front need in the next 10 minutes", Intent.FORECAST, {"span_seconds": 600}),
        ("predict agent", Intent.FORECAST, {}),
        ("is a peak of agent coming soon", Intent.FORECAST, {}),
        ("how good has the forecast of agent been this week?", Intent.ACCURACY, {"span_seconds": 604_800}),
        ("how accurate are you on checkout", Intent.ACCURACY, {"name": "checkout"}),
        ("accuracy of shop/agent over the last 6 hours", Intent.ACCURACY, {"span_seconds": 21_600}),
        ("show the wape of agent", Intent.ACCURACY, {}),
        ("is agent trusted?", Intent.ACCURACY, {}),
        ("skill of agent today", Intent.ACCURACY, {"span_seconds": 86_400}),
        ("were there false alarms for agent", Intent.ALARMS, {}),
        ("which surges of agent did you miss in the last 2 days", Intent.ALARMS, {"span_seconds": 172_800}),
        ("alarms of web/front", Intent.ALARMS, {"namespace": "web"}),
        ("what if the target per replica of agent were 8", Intent.WHAT_IF, {"overrides": {"targetPerReplica": 8}}),
        ("what if the threshold for agent were 8.5 over the last 2 hours", Intent.WHAT_IF,
         {"overrides": {"targetPerReplica": 8.5}, "span_seconds": 7200}),
        ("what would min replicas 3 have done to agent", Intent.WHAT_IF, {"overrides": {"minReplicas": 3}}),
        ("what if agent had 3 min replicas and 20 max replicas", Intent.WHAT_IF,
         {"overrides": {"minReplicas": 3, "maxReplicas": 20}}),
        ("suppose the quantile of agent was 99 %", Intent.WHAT_IF, {"overrides": {"quantile": 0.99}}),
        ("what-if quantile=0.5 for agent", Intent.WHAT_IF, {"overrides": {"quantile": 0.5}}),
        ("is it healthy?", Intent.HEALTH, {}),
        ("is everything ok", Intent.HEALTH, {}),
        ("are any metrics stale?", Intent.HEALTH, {}),
        ("is the autoscaler working", Intent.HEALTH, {}),
        ("which workloads are there?", Intent.WORKLOADS, {}),
        ("list the autoscalers", Intent.WORKLOADS, {}),
        ("show workloads", Intent.WORKLOADS, {}),
        ("what is the floor of agent", Intent.STATE, {"name": "agent", "at": None}),
        ("how many replicas does checkout have now", Intent.STATE, {"at": NOW}),
        ("status of shop/checkout", Intent.STATE, {}),
        ("set max replicas of shop/agent to 12", Intent.SET_FIELD, {"settable": "max replicas", "value": 12}),
        ("please set the target per replica of agent to 70", Intent.SET_FIELD,
         {"settable": "target per replica", "value": 70}),
        ("set threshold to 7.5 for agent", Intent.SET_FIELD, {"settable": "target per replica", "value": 7.5}),
        ("raise min replicas of agent to 4", Intent.SET_FIELD, {"settable": "min replicas", "value": 4}),
        ("set quantile of agent to 99%", Intent.SET_FIELD, {"settable": "quantile", "value": 0.99}),
        ("pause shop/agent", Intent.SET_FIELD, {"settable": "paused", "value": True}),
        ("unpause shop/agent", Intent.SET_FIELD, {"settable": "paused", "value": False}),
        ("resume checkout", Intent.SET_FIELD, {"settable": "paused", "value": False}),
        ("switch agent to active", Intent.SET_FIELD, {"settable": "mode", "value": "Active"}),
        ("set the mode of agent to observe", Intent.SET_FIELD, {"settable": "mode", "value": "Observe"}),
        ("activate agent", Intent.SET_FIELD, {"settable": "mode", "value": "Active"}),
        ("promql: sum(agent_runs_in_flight)", Intent.METRIC, {"query": "sum(agent_runs_in_flight)"}),
        ("query: rate(forescale_cycles_total[5m])", Intent.METRIC, {"query": "rate(forescale_cycles_total[5m])"}),
        ("help", Intent.HELP, {}),
        ("Hello!", Intent.HELP, {}),
        ("what can you do?", Intent.HELP, {}),
        ("thanks", Intent.HELP, {}),
        ("", Intent.UNKNOWN, {}),
        ("tell me a joke", Intent.UNKNOWN, {}),
        ("rm -rf /", Intent.UNKNOWN, {}),
        ("42", Intent.UNKNOWN, {}),
        ("the weather in Paris", Intent.UNKNOWN, {}),
    ],
)  # fmt: skip
def test_a_question_is_understood(text: str, intent: Intent, told: dict[str, Any]) -> None:
    found = understand(text, KNOWN, NOW)

    assert found.intent is intent
    assert found.problem == ""
    assert {name: getattr(found, name) for name in told} == told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("why did you scale at 10:03?", "which workload: shop/agent, shop/checkout, web/front"),
        ("why did you scale shop/agnet?", "there is no workload shop/agnet; did you mean shop/agent"),
        ("forecast of other/thing", "there is no workload other/thing; there are: shop/agent"),
        ("why did shop/agent scale tomorrow 10:00", "is still to come; ask for the forecast"),
        ("why did shop/agent scale at 2026-11-25T10:00:00Z", "is still to come"),
        ("why did shop/agent scale at 2026-13-45", "is no time"),
        ("why did agent scale at 10:03 Mars/Olympus", "Mars/Olympus is no time zone"),
        ("what if agent were green", "say what to change"),
        ("what if the target of agent were 60 %", "a percentage of it is not known"),
        ("what if the quantile of agent were 3", "must be between 0 and 1"),
        ("what if min replicas of agent were 2.5", "must be a whole number"),
        ("set agent to 5", "say which field to set"),
        ("set min replicas of agent to -3", "must be a whole number, 0 or more"),
        ("what is the forecast of agent and checkout", "which one: shop/agent, shop/checkout"),
    ],
)
def test_what_cannot_be_answered_as_asked_is_said_in_words(text: str, words: str) -> None:
    assert words.lower() in understand(text, KNOWN, NOW).problem.lower()


def test_what_is_meant_is_taken_from_the_context_when_nothing_is_named() -> None:
    by_context = understand("what is the forecast?", KNOWN, NOW, namespace="web", workload="front")
    only_one = understand("what is the forecast?", ["a/b"], NOW)
    unknown = understand("what is the forecast of a/b?", [], NOW)
    nobody = understand("what is the forecast?", [], NOW)

    assert (by_context.namespace, by_context.name) == ("web", "front")
    assert (only_one.namespace, only_one.name) == ("a", "b")
    assert (unknown.namespace, unknown.name) == ("a", "b")
    assert "not to be had just now" in nobody.problem


def test_a_name_in_two_namespaces_means_the_one_of_the_context() -> None:
    known = ["a/agent", "b/agent"]

    assert understand("forecast of agent", known, NOW, namespace="b").namespace == "b"
    assert "which one" in understand("forecast of agent", known, NOW, namespace="c").problem


@given(minutes=st.integers(1, 100_000), unit=st.sampled_from(["minutes", "min", "m", "minute", "mins"]))
def test_any_number_of_minutes_ago_is_that_long_ago(minutes: int, unit: str) -> None:
    found = understand(f"why did shop/agent scale {minutes} {unit} ago", KNOWN, NOW)

    assert found.at == NOW - timedelta(minutes=minutes)


@given(st.integers(60, 200_000_000))
def test_any_instant_is_read_as_it_is_written(seconds_ago: int) -> None:
    written = NOW - timedelta(seconds=seconds_ago)

    for text in (written.isoformat(), written.strftime("%Y-%m-%dT%H:%M:%SZ"), written.strftime("%Y-%m-%d %H:%M:%S")):
        assert understand(f"why did shop/agent scale at {text}", KNOWN, NOW).at == written


@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_a_time_of_the_clock_is_the_last_one(hour: int, minute: int) -> None:
    found = understand(f"why did shop/agent scale at {hour:02d}:{minute:02d}", KNOWN, NOW).at

    assert found is not None
    assert (found.hour, found.minute) == (hour, minute)
    assert NOW - timedelta(days=1) < found <= NOW


@given(st.text(max_size=300))
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    understand(text, KNOWN, NOW)
