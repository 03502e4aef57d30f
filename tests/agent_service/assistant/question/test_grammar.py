"""What questions are understood to ask, by rules alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.question.grammar import Intent, understand

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
        ("hey, why did shop/agent scale at 10:03?", Intent.WHY, {"at": at("10:03")}),
        ("help me understand why shop/agent scaled at 10:03", Intent.WHY, {"at": at("10:03")}),
        ("why did shop/agent scale at 10:03 CET", Intent.WHY, {"at": at("09:03")}),
        ("why did shop/agent scale yesterday", Intent.WHY,
         {"at": None, "since": at("00:00", 23), "until": at("00:00"), "span_seconds": 86_400}),
        ("why did shop/agent scale between 10:00 and 11:00", Intent.WHY, {"since": at("10:00"), "until": at("11:00")}),
        ("why didn't you scale shop/agent at 10:03?", Intent.WHY, {"at": at("10:03")}),
        ("why is shop/agent stuck at 17 replicas", Intent.WHY, {"at": None, "since": None}),
        ("what did you do at 10:03 with shop/agent", Intent.WHY, {"at": at("10:03")}),
        ("when did shop/agent last scale?", Intent.WHY, {"since": at("12:00", 23), "until": NOW}),
        ("show me the scaling history of shop/agent", Intent.WHY, {"since": at("12:00", 23)}),
        ("what changed in shop/agent since 10:00", Intent.WHY, {"since": at("10:00"), "until": NOW}),
        ("how many scale events today for shop/agent", Intent.WHY, {"since": at("00:00")}),
        ("show decisions of shop/agent last 3 hours", Intent.WHY, {"since": at("09:00")}),
        ("how many replicas did shop/agent have between 10:00 and 11:00", Intent.WHY, {"until": at("11:00")}),
        ("explian shop/agent at 10:03", Intent.WHY, {"at": at("10:03")}),
        ("wyh did shop/agent scale at 10:03", Intent.WHY, {"at": at("10:03")}),
        ("why did agent in namespace shop scale at 10:03", Intent.WHY, {"namespace": "shop", "at": at("10:03")}),
        ("forcast of shop/agent", Intent.FORECAST, {}),
        ("what is the foercast for checkout", Intent.FORECAST, {"name": "checkout"}),
        ("hi, what is the forecast for shop/agent", Intent.FORECAST, {}),
        ("thanks, and the forecast of shop/agent?", Intent.FORECAST, {}),
        ("I want the forecast of shop/agent", Intent.FORECAST, {}),
        ("what will agent need at 12:05", Intent.FORECAST, {"span_seconds": 300, "at": None}),
        ("is 100 req/s expected soon for agent", Intent.FORECAST, {}),
        ("what is the forecast for shop/agent?", Intent.FORECAST, {"name": "agent"}),
        ("what do you expect of checkout", Intent.FORECAST, {"name": "checkout"}),
        ("what will web/front need in the next 10 minutes", Intent.FORECAST, {"span_seconds": 600}),
        ("predict agent", Intent.FORECAST, {}),
        ("is a peak of agent coming soon", Intent.FORECAST, {}),
        ("how good has the forecast of agent been this week?", Intent.ACCURACY, {"since": at("00:00", 23)}),
        ("how good has it been for agent over the last week?", Intent.ACCURACY, {"span_seconds": 604_800}),
        ("how good was it last month for shop/agent", Intent.ACCURACY, {"span_seconds": 30 * 86_400}),
        ("how good is the forecast of shop/agent since yesterday", Intent.ACCURACY, {"span_seconds": 129_600}),
        ("MAPE of shop/agent", Intent.ACCURACY, {}),
        ("how far off was the forecast of shop/agent", Intent.ACCURACY, {}),
        ("how often was shop/agent wrong in last 3 hours", Intent.ACCURACY, {"span_seconds": 10_800}),
        ("how accurate are you on checkout", Intent.ACCURACY, {"name": "checkout"}),
        ("accuracy of shop/agent over the last 6 hours", Intent.ACCURACY, {"span_seconds": 21_600}),
        ("show the wape of agent", Intent.ACCURACY, {}),
        ("is agent trusted?", Intent.ACCURACY, {}),
        ("skill of agent today", Intent.ACCURACY, {"span_seconds": 43_200, "since": at("00:00"), "until": NOW}),
        ("were there false alarms for agent", Intent.ALARMS, {}),
        ("which surges of agent did you miss in the last 2 days", Intent.ALARMS, {"span_seconds": 172_800}),
        ("alarms of web/front", Intent.ALARMS, {"namespace": "web"}),
        ("what if the target per replica of agent were 8", Intent.WHAT_IF, {"overrides": {"targetPerReplica": 8}}),
        ("what if the threshold for agent were 8.5 over the last 2 hours", Intent.WHAT_IF,
         {"overrides": {"targetPerReplica": 8.5}, "span_seconds": 7200}),
        ("what if min replicas of agent = 3 since 10:00", Intent.WHAT_IF,
         {"since": at("10:00"), "until": NOW, "span_seconds": 7200}),
        ("what if min replicas of agent were 3 between 10:00 and 11:00", Intent.WHAT_IF,
         {"since": at("10:00"), "until": at("11:00")}),
        ("what if min replicas of agent were 3 yesterday", Intent.WHAT_IF,
         {"since": at("00:00", 23), "until": at("00:00"), "span_seconds": 86_400}),
        ("what would min replicas 3 have done to agent", Intent.WHAT_IF, {"overrides": {"minReplicas": 3}}),
        ("what if agent had 3 min replicas and 20 max replicas", Intent.WHAT_IF,
         {"overrides": {"minReplicas": 3, "maxReplicas": 20}}),
        ("suppose the quantile of agent was 99 %", Intent.WHAT_IF, {"overrides": {"quantile": 0.99}}),
        ("what-if quantile=0.5 for agent", Intent.WHAT_IF, {"overrides": {"quantile": 0.5}}),
        ("is it healthy?", Intent.HEALTH, {}),
        ("is the forecast stale?", Intent.HEALTH, {}),
        ("what is wrong with shop/agent", Intent.HEALTH, {}),
        ("is it healthy today?", Intent.HEALTH, {}),
        ("is everything ok", Intent.HEALTH, {}),
        ("are any metrics stale?", Intent.HEALTH, {}),
        ("is the autoscaler working", Intent.HEALTH, {}),
        ("which workloads are there?", Intent.WORKLOADS, {}),
        ("list the autoscalers", Intent.WORKLOADS, {}),
        ("show workloads", Intent.WORKLOADS, {}),
        ("what is the floor of agent", Intent.STATE, {"name": "agent", "at": None}),
        ("how many replicas does checkout have now", Intent.STATE, {"at": NOW}),
        ("status of shop/checkout", Intent.STATE, {}),
        ("how many replicas did shop/agent have at 10:03", Intent.STATE, {"at": at("10:03")}),
        ("what is the target of shop/agent", Intent.STATE, {"settable": "target per replica", "value": None}),
        ("what's the max replicas of shop/agent", Intent.STATE, {"settable": "max replicas"}),
        ("what's going on with shop/agent", Intent.STATE, {}),
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
        ("thanks a lot!", Intent.HELP, {}),
        ("hi there", Intent.HELP, {}),
        ("good morning", Intent.HELP, {}),
        ("how do I set max replicas?", Intent.HELP, {}),
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
        ("why did shop/agent scale at 10.03", "write a time as 10:03"),
        ("why did shop/agent scale on 11/12 at 10:03", "can be read as two days"),
        ("why did shop/agent scale since the deploy", "is not clear to me as a time"),
        ("why did shop/agent scale last week", "up to 36 hours"),
        ("why did shop/agent scale 99999999999 weeks ago", "is no length of time"),
        ("why did shop/agent scale at 0001-01-01", "longer ago than anything is kept"),
        ("accuracy of shop/agent yesterday", "reaches until now"),
        ("accuracy of shop/agent over the last 60 days", "kept for 30 days at most"),
        ("accuracy of shop/agent over the last 9999999999999 days", "is no length of time"),
        ("accuracy of shop/agent over the last 5 seconds", "too short to have scores"),
        ("why was the forecast of shop/agent wrong at 10:03", "reaches until now"),
        ("what was the forecast of shop/agent at 10:03", "only the newest forecast is told"),
        ("how many replicas will shop/agent need at 18:00?", "two hours at most"),
        ("forecast of shop/agent for tomorrow", "two hours at most"),
        ("is shop/agent healthy since 10:00?", "told of now only"),
        ("what if min replicas of agent were 3 over the last 0 minutes", "is no length of time"),
        (f"why did shop/agent scale {'now and ' * 400}", "longer than 2000 characters"),
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


@pytest.mark.parametrize(
    "text",
    [
        "why did you scale at 10:03 Europe/Paris?",
        "what if min replicas were 3 and max replicas 5, active/observe?",
        "is 100 req/s expected soon",
        "why do you run 24/7",
        "why did you scale on 11/23",
        "are 3/5 pods ready",
        "why did you scale up and/or down",
    ],
)
def test_what_has_a_slash_is_not_always_a_workload(text: str) -> None:
    found = understand(text, KNOWN, NOW, workload="shop/agent")

    assert (found.namespace, found.name, found.problem) == ("shop", "agent", "")


def test_a_word_of_a_workloads_name_is_no_word_of_the_question() -> None:
    known = ["shop/forecast", "shop/why-not", "web/yesterday"]

    assert understand("status of shop/forecast", known, NOW).intent is Intent.STATE
    assert understand("forecast of shop/why-not", known, NOW).intent is Intent.FORECAST
    assert understand("what is the forecast", ["shop/forecast"], NOW).intent is Intent.FORECAST
    assert understand("why did web/yesterday scale at 10:03", known, NOW).at == at("10:03")


def test_a_word_that_was_guessed_changes_nothing() -> None:
    assert understand("unpuase shop/agent", KNOWN, NOW).intent is Intent.UNKNOWN
    assert understand("chagne max of shop/agent to 5", KNOWN, NOW).intent is not Intent.SET_FIELD


def test_a_name_in_two_namespaces_means_the_one_of_the_context() -> None:
    known = ["a/agent", "b/agent"]

    assert understand("forecast of agent", known, NOW, namespace="b").namespace == "b"
    assert understand("forecast of agent in namespace a", known, NOW, namespace="b").namespace == "a"
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


_WORDS = st.sampled_from(
    re.split(
        " +",
        "why what if set pause is the forecast accuracy of shop/agent shop.agent target max min replicas at since "
        "last ago between and to from 10:03 11/12 24/7 99999999999 weeks 0001-01-01 60 % 1,2 yesterday "
        "Europe/Paris CET ¤ / : = "
        ", hey help not by 2 hours 9999-12-31T23:59:59-14:00 2026-02-29",
    )
)


@given(st.lists(_WORDS, max_size=12).map(" ".join), st.sampled_from([KNOWN, [], ["a/b"]]))
def test_no_order_of_known_words_is_too_strange_to_be_read(text: str, known: list[str]) -> None:
    found = understand(text, known, NOW)

    assert found.at is None or found.at <= NOW
    assert found.since is None or (found.until is not None and found.since < found.until <= NOW)


@pytest.mark.parametrize(
    ("known", "workload", "namespace", "meant"),
    [
        (["checkout", "search"], "checkout", "default", ("", "checkout")),
        (["shop/agent", "shop/web"], "agent", "default", ("shop", "agent")),
        (["shop/agent", "other/agent"], "agent", "other", ("other", "agent")),
        ([], "agent", "shop", ("shop", "agent")),
        (["shop/agent"], "else/agent", "default", ("else", "agent")),
    ],
)
def test_a_workload_of_the_callers_is_found_with_and_without_its_namespace(
    known: list[str], workload: str, namespace: str, meant: tuple[str, str]
) -> None:
    found = understand("what is the forecast?", known, NOW, namespace=namespace, workload=workload)

    assert (found.namespace, found.name, found.problem) == (*meant, "")


def test_a_name_that_is_nearly_one_is_offered() -> None:
    assert (
        "did you mean checkout?" in understand("what is the forecast for chekout?", ["checkout", "search"], NOW).problem
    )
