"""Questions that name no workload, in a conversation that was about one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.memory import note_on, recalled, remembered
from agent_service.assistant.question.grammar import Intent, Question, Whence, understand
from tests.agent_service.assistant.question.test_grammar import KNOWN, NOW, at

BEFORE = "shop/agent"


def asked(text: str, *, known: list[str] = KNOWN, before: str | None = BEFORE, **context: Any) -> Question:
    return understand(text, known, NOW, before=before, **context)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("and what is the forecast?", Intent.FORECAST),
        ("forcast for the next 10 minutes", Intent.FORECAST),
        ("will it need more replicas soon?", Intent.FORECAST),
        ("what's expected of this service?", Intent.FORECAST),
        ("why did it scale up at 10:03?", Intent.WHY),
        ("why wasn't it 20 replicas yesterday afternoon?", Intent.WHY),
        ("show me the scaling history", Intent.WHY),
        ("how good have they been this week?", Intent.ACCURACY),
        ("any false alarms in the last 2 days?", Intent.ALARMS),
        ("what if the target were 60 over the last 2 hours?", Intent.WHAT_IF),
        ("and if minReplicas were 3?", Intent.WHAT_IF),
        ("what would p99 have been?", Intent.WHAT_IF),
        ("what is its floor now", Intent.STATE),
        ("set max replicas to 12", Intent.SET_FIELD),
        ("pause it", Intent.SET_FIELD),
    ],
)
def test_a_question_that_names_no_workload_is_about_the_one_of_before(text: str, intent: Intent) -> None:
    found = asked(text)

    assert (found.intent, found.namespace, found.name, found.problem) == (intent, "shop", "agent", "")
    assert found.whence is Whence.BEFORE


def test_nothing_else_is_remembered() -> None:
    found = asked("why did it scale?")

    assert (found.at, found.since, found.span_seconds) == (None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "forecast of chekout", "forecast for payments", "forecast for the api", "why did web scale at 10:03?",
        "forecast for agnet", "forecast of v2", "forecast for all of them", "forecast of every service",
        "which workloads will peak next?", "compare the forecasts of both", "forecast of the second one",
        "why did the other one scale?", "forecast of another workload", "accuracy of everything",
        "forecast of the service called billing", "why did 3scale scale?",
    ],
)  # fmt: skip
def test_a_question_that_may_name_another_workload_is_not_taken_for_one_that_names_none(text: str) -> None:
    found = asked(text)

    assert found.name == ""
    assert "means shop/agent, as before; " in found.problem
    assert "which workload: shop/agent, shop/checkout, web/front" in found.problem


@pytest.mark.parametrize(
    ("text", "context", "known", "meant", "whence"),
    [
        ("forecast of checkout", {"workload": "web/front"}, KNOWN, ("shop", "checkout"), Whence.QUESTION),
        ("forecast", {"workload": "web/front"}, KNOWN, ("web", "front"), Whence.CONTEXT),
        ("forecast", {"namespace": "web"}, KNOWN, ("shop", "agent"), Whence.BEFORE),
        ("forecast", {}, KNOWN, ("shop", "agent"), Whence.BEFORE),
        ("forecast", {}, [], ("shop", "agent"), Whence.BEFORE),
        ("forecast in namespace shop", {}, KNOWN, ("shop", "agent"), Whence.BEFORE),
        ("forecast in namespace web", {}, KNOWN, ("web", "front"), Whence.ONLY),
        ("forecast", {}, ["web/front"], ("web", "front"), Whence.ONLY),
        ("forecast of payments", {}, ["shop/agent"], ("shop", "agent"), Whence.ONLY),
    ],
)
def test_the_question_wins_over_the_context_and_that_over_what_was_before(
    text: str, context: dict[str, Any], known: list[str], meant: tuple[str, str], whence: Whence
) -> None:
    found = asked(text, known=known, **context)

    assert (found.namespace, found.name, found.whence, found.problem) == (*meant, whence, "")


def test_a_workload_without_a_namespace_is_remembered_too() -> None:
    first = asked("forecast of checkout", known=["checkout", "search"], before=None)

    found = asked("and its accuracy?", known=["checkout", "search"], before=remembered(first, None))

    assert (found.namespace, found.name, found.whence) == ("", "checkout", Whence.BEFORE)


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("forecast of web/front", None, "web/front"),
        ("forecast of web/front", BEFORE, "web/front"),
        ("is web/front healthy?", BEFORE, "web/front"),
        ("forecast", BEFORE, BEFORE),
        ("is it healthy?", BEFORE, BEFORE),
        ("which workloads are there?", BEFORE, BEFORE),
        ("promql: sum(agent_runs_in_flight)", BEFORE, BEFORE),
        ("help", BEFORE, BEFORE),
        ("sing to me", BEFORE, BEFORE),
        ("accuracy yesterday", BEFORE, BEFORE),  # the time is refused; the workload was never another
        ("accuracy of shop/agent yesterday", BEFORE, BEFORE),
        ("and yesterday?", BEFORE, BEFORE),
        # A name alone is what the next question is about.
        ("what about web/front?", BEFORE, "web/front"),
        ("web/front", None, "web/front"),
        # Whoever asks of another workload in vain does not mean the one of before in his next question.
        ("accuracy of web/front yesterday", BEFORE, None),
        ("accuracy of web/front yesterday", None, None),
        ("forecast of shop/agnet", BEFORE, None),
        ("forecast of payments", BEFORE, None),
        ("what about payments?", BEFORE, None),
        ("set max replicas of payments to 5", BEFORE, None),
        ("forecast of agent and checkout", BEFORE, None),
        ("forecast in namespace shop", "web/front", None),
        ("sing of web/front", BEFORE, None),
    ],
)
def test_what_is_remembered_is_the_workload_of_the_last_question_that_was_understood(
    text: str, before: str | None, after: str | None
) -> None:
    assert remembered(asked(text, before=before), before) == after


def test_a_workload_of_the_context_is_remembered_and_the_only_one_is_too() -> None:
    by_context = asked("forecast", before=None, workload="web/front")
    only_one = asked("forecast", before=None, known=["a/b"])

    assert remembered(by_context, None) == "web/front"
    assert remembered(only_one, None) == "a/b"


def test_a_workload_that_is_not_known_any_more_is_forgotten_with_words() -> None:
    gone = "hat was meant before, shop/old, is not known any more"

    several, only_one = asked("forecast", before="shop/old"), asked("forecast", before="shop/old", known=["a/b"])

    assert several.problem.startswith(f"w{gone}; which workload: shop/agent")
    assert remembered(several, "shop/old") is None
    assert (only_one.name, only_one.problem) == ("b", "")
    assert note_on(only_one, ["a/b"]) == f"W{gone}. This is about a/b, the only one that is."
    assert remembered(only_one, "shop/old") == "a/b"


def test_a_change_that_was_meant_for_a_workload_that_is_gone_is_none_of_the_only_other_one() -> None:
    found = asked("set max replicas to 12", before="shop/old", known=["a/b"])

    assert found.problem == "what was meant before, shop/old, is not known any more; name the workload, such as a/b"
    assert (found.name, found.settable) == ("", "")


def test_a_question_that_needs_no_workload_forgets_none_of_them() -> None:
    assert remembered(asked("is it healthy?", before="shop/old"), "shop/old") == "shop/old"


@pytest.mark.parametrize(
    ("text", "known", "note"),
    [
        ("forecast", KNOWN, "About shop/agent, as before."),
        ("forecast", [], "About shop/agent, as before."),
        ("forecast", ["shop/agent"], ""),  # there is no other that it could be about
        ("forecast of agent", KNOWN, ""),
        ("is it healthy?", KNOWN, ""),
        ("forecast of payments", KNOWN, ""),
        ("why did it scale tomorrow at 10:00?", KNOWN, "About shop/agent, as before."),  # a model may answer it
    ],
)
def test_an_answer_says_which_workload_was_meant_where_there_is_another(text: str, known: list[str], note: str) -> None:
    assert note_on(asked(text, known=known), known) == note


@pytest.mark.parametrize("found", [None, 5, "", "a/b/c", "../x", "shop/", ["shop/agent"], {"a": 1}, "x" * 300, "a\n"])
def test_what_cannot_be_the_name_of_a_workload_is_not_recalled(found: Any) -> None:
    assert recalled({"messages": [], "about": found}) is None


def test_a_time_that_was_refused_is_told_of_before_words_that_are_strange() -> None:
    found = asked("why did it scale since the deploy?")

    assert "is not clear to me as a time" in found.problem
    assert asked("why did it scale at 10:03?").at == at("10:03")


@given(st.text(max_size=200), st.sampled_from([KNOWN, [], ["a/b"], ["shop/agent"]]))
def test_no_text_is_too_strange_to_be_asked_after_another(text: str, known: list[str]) -> None:
    found = asked(text, known=known)

    after = remembered(found, BEFORE)
    assert after is None or recalled({"messages": [], "about": after}) == after
    note_on(found, known)
