"""Halves of questions, in a conversation: refused with what they lack, whatever was asked before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.question.follow_ups import half_in
from agent_service.assistant.question.grammar import Intent, Whence
from tests.agent_service.assistant.question.test_recalling import BEFORE, asked


@pytest.mark.parametrize(
    "text",
    ["what about web/front?", "how about front", "same for web/front", "and for the front?", "web/front", "web.front?",
     "the same for front over the last 6 hours", "what about web/front yesterday?", "show me web/front",
     "i meant front"],
)  # fmt: skip
@pytest.mark.parametrize("before", [BEFORE, None])
def test_a_name_alone_is_told_what_may_be_asked_of_it(text: str, before: str | None) -> None:
    found = asked(text, before=before)

    assert (found.intent, found.namespace, found.name) == (Intent.ONLY_NAMED, "web", "front")
    assert found.problem.startswith("say what you want to know of web/front, such as: forecast of web/front, or: why")


@pytest.mark.parametrize(
    "text",
    ["and yesterday?", "and at 10:03?", "at 11:00", "10 minutes later?", "and an hour before that?", "and last week?",
     "over the last 2 days?", "and on 2026-11-23?", "what about between 10:00 and 11:00?", "and tomorrow?",
     "last night"],
)  # fmt: skip
def test_a_time_alone_is_told_to_come_with_its_question(text: str) -> None:
    found = asked(text)

    assert found.problem == (
        "say what you want to know of that time, in one question, such as: why did shop/agent scale yesterday?"
    )
    assert (found.intent, found.whence) == (Intent.UNKNOWN, Whence.BEFORE)
    assert "why did NAMESPACE/NAME scale yesterday?" in asked(text, before=None).problem


@pytest.mark.parametrize("text", ["what about it?", "the same", "and the day before?", "tell me more", "when?"])
def test_a_pronoun_alone_is_told_what_may_be_asked(text: str) -> None:
    assert asked(text).problem.startswith("say what you want to know of shop/agent, such as: ")
    assert asked(text, before=None).problem == ""  # there is nothing that it could be about


@pytest.mark.parametrize(
    ("text", "strange"),
    [("what about payments?", "payments"), ("how about the rest", "rest"), ("same for chekout", "chekout"),
     ("and same for the other one?", "other")],
)  # fmt: skip
def test_a_name_alone_that_nobody_knows_is_told_so(text: str, strange: str) -> None:
    found = asked(text)

    assert found.problem.startswith(f'I cannot tell which workload "{strange}" is; ')
    assert "which workload: shop/agent, shop/checkout, web/front?" in found.problem


def test_a_name_alone_that_is_wrong_or_of_two_says_what_is_wrong_with_it() -> None:
    assert asked("what about billing/api?").problem.startswith("there is no workload billing/api; there are: ")
    assert asked("and agent and checkout?").problem.startswith("which one: shop/agent, shop/checkout?")


@pytest.mark.parametrize("text", ["tell me a joke", "hmm", "sing to me", "sing of web/front", "42"])
def test_what_is_no_question_at_all_is_not_taken_for_half_of_one(text: str) -> None:
    assert (asked(text).intent, asked(text).problem) == (Intent.UNKNOWN, "")


@pytest.mark.parametrize(
    "text",
    ["how sure are you?", "how certain is that?", "how confident are you of it", "was it right?", "is it correct?",
     "were they wrong over the last 6 hours?"],
)  # fmt: skip
def test_how_sure_it_is_is_a_question_of_how_right_it_has_been(text: str) -> None:
    found = asked(text)

    assert (found.intent, found.name, found.problem) == (Intent.ACCURACY, "agent", "")


def test_whether_it_was_right_at_an_instant_is_refused_with_what_to_write() -> None:
    assert "write over the last 6 hours" in asked("was it right at 10:03?").problem
    assert asked("is it right now at its floor?").intent is Intent.STATE


@pytest.mark.parametrize(
    ("text", "strange"),
    [("set max replicas of payment to 5", "payment"), ("pause the autoscaler of billing", "billing")],
)
def test_a_change_of_what_may_be_another_workload_asks_which_one(text: str, strange: str) -> None:
    found = asked(text)

    assert (found.intent, found.name, found.settable) == (Intent.SET_FIELD, "", "")
    assert found.problem.startswith(f'I cannot tell whether "{strange}" means shop/agent, as before; which workload: ')


NAMED_AS_WORDS = ["shop/agent", "shop/forecast", "web/load"]


@pytest.mark.parametrize(
    ("text", "word", "named"),
    [("and the forecast?", "forecast", "shop/forecast"), ("why is the load so high?", "load", "web/load")],
)
@pytest.mark.parametrize("context", [{}, {"before": None, "workload": "shop/agent"}])
def test_a_workload_that_is_called_as_a_word_is_not_taken_for_the_one_of_before_or_for_itself(
    text: str, word: str, named: str, context: dict[str, Any]
) -> None:
    found = asked(text, known=NAMED_AS_WORDS, **context)

    assert found.problem == f'"{word}" may be a word, or {named}: write {named}, or shop/agent'
    assert (found.name, found.whence) == ("", Whence.NOBODY)  # which of the two is remembered is as before


def test_a_workload_that_is_called_as_a_word_can_be_asked_about() -> None:
    assert asked("forecast of web/load", known=NAMED_AS_WORDS).name == "load"
    assert asked("load of shop/agent now", known=NAMED_AS_WORDS).name == "agent"
    assert asked("what is the load now?", known=NAMED_AS_WORDS, before="web/load").problem == ""
    assert asked("why is the load so high?", known=NAMED_AS_WORDS, before=None).name == "load"


@pytest.mark.parametrize(
    "text",
    ["forecast of shop/agent and front", "forecast of front, shop/agent", "forecast of shop/agent or the front",
     "is the forecast of shop/agent better than front?", "forecast for shop/agent and for front"],
)  # fmt: skip
def test_a_question_about_two_workloads_is_not_answered_about_the_one_that_is_written_in_full(text: str) -> None:
    assert asked(text).problem.startswith("which one: shop/agent, web/front?")


@pytest.mark.parametrize("text", ["why did the agent scale web/front?", "front, web/front: forecast"])
def test_a_word_beside_a_name_in_full_is_no_second_workload(text: str) -> None:
    assert (asked(text).name, asked(text).problem) == ("front", "")


@pytest.mark.parametrize(("text", "meant"), [("status of frnt", "web/front"), ("forecast of chekout", "shop/checkout")])
def test_a_name_that_is_misspelt_is_recognised_without_its_namespace(text: str, meant: str) -> None:
    assert asked(text, before=None).problem.startswith(f"did you mean {meant}? which workload: ")


@given(st.text(max_size=60))
def test_no_text_is_too_strange_to_be_half_a_question(text: str) -> None:
    half_in(text)
