"""Changes and other settings: proposed only when every word is understood."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_service.assistant.question.amounts import AmountError, number
from agent_service.assistant.question.grammar import SETTABLE, Intent, understand

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KNOWN = ["shop/agent", "shop/checkout", "shop/active-users", "shop/resume-parser", "shop/max-pods"]
TARGET, LOWEST, HIGHEST = "target per replica", "min replicas", "max replicas"


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("set max replicas of shop/agent to 12", HIGHEST, 12),
        ("set max replicas of shop/agent to 12.", HIGHEST, 12),
        ("set max replicas of shop/agent to 12, thanks!", HIGHEST, 12),
        ("set max replicas of shop/agent from 9 to 12", HIGHEST, 12),
        ("set max replicas of shop/agent to 12 from 9", HIGHEST, 12),
        ("set shop/agent's max replicas to 12 pods", HIGHEST, 12),
        ("set max replicas shop/agent=20", HIGHEST, 20),
        ("set maxReplicas: 20 for shop/agent", HIGHEST, 20),
        ("set shop/agent to at most 20 replicas", HIGHEST, 20),
        ("update max replicas of shop/agent to 20", HIGHEST, 20),
        ("bump max replicas of shop/agent to 20", HIGHEST, 20),
        ("propose a change: max replicas of shop/agent 20", HIGHEST, 20),
        ("could you please set max replicas of shop/agent to 20", HIGHEST, 20),
        ("I want max replicas of shop/agent at 20", HIGHEST, 20),
        ("I'd like you to set max replicas of shop/agent to 20", HIGHEST, 20),
        ("go ahead and set max replicas of shop/agent to 20", HIGHEST, 20),
        ("hey, set max replicas of shop/agent to 20", HIGHEST, 20),
        ("put the max of agent at 20", HIGHEST, 20),
        ("set max replicas of agent in namespace shop to 20", HIGHEST, 20),
        ("lower min replicas of shop/agent from 5 to 3", LOWEST, 3),
        ("make sure shop/agent has min replicas 3", LOWEST, 3),
        ("set the lower bound of agent to 3", LOWEST, 3),
        ("set min replicas of agent to 0", LOWEST, 0),
        ("change the target of shop/agent to 1,200", TARGET, 1200),
        ("set target of shop/agent to 1.2k", TARGET, 1200),
        ("set target of shop/agent to 1.25", TARGET, 1.25),
        ("set the target per replica of shop/agent to 60 per replica", TARGET, 60),
        ("set quantile of shop/agent to p95", "quantile", 0.95),
        ("set quantile of shop/agent to p99.9", "quantile", 0.999),
        ("set quantile of shop/agent to 99 %", "quantile", 0.99),
        ("set max replicas of shop/active-users to 12", HIGHEST, 12),
        ("set max replicas of active-users to 12", HIGHEST, 12),
        ("set max replicas of shop/resume-parser to 5", HIGHEST, 5),
        ("set min replicas of shop/max-pods to 5", LOWEST, 5),
        ("pause shop/active-users", "paused", True),
        ("can you pause shop/agent", "paused", True),
        ("pause the scaling of shop/agent", "paused", True),
        ("set paused of shop/agent to false", "paused", False),
        ("please unpause shop/agent", "paused", False),
        ("put shop/agent into observe mode", "mode", "Observe"),
        ("switch to observe for shop/agent", "mode", "Observe"),
        ("set mode of shop/agent to active", "mode", "Active"),
    ],
)
def test_a_change_is_understood(text: str, field: str, value: Any) -> None:
    found = understand(text, KNOWN, NOW)

    assert (found.intent, found.problem) == (Intent.SET_FIELD, "")
    assert (found.settable, found.value) == (field, value)
    assert type(found.value) is type(value) or isinstance(found.value, float)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("increase max replicas of shop/agent by 5", '"by 5": give the new value itself'),
        ("raise max replicas of shop/agent by 2 to 12", '"by 2": give the new value itself'),
        ("increase max replicas of shop/agent 5", "a step or the new value"),
        ("double the max replicas of shop/agent", "give the new value itself"),
        ("set max replicas of shop/agent to 2x", "give the new value itself"),
        ("set max replicas of shop/agent +5", "give the new value itself"),
        ("add 5 more max replicas to shop/agent", "give the new value itself"),
        ("set min replicas of shop/agent to 3 and max replicas to 10", "one field is changed at a time"),
        ("set min and max replicas of shop/agent to 3 and 10", "give each field its own number"),
        ("set min/max replicas of shop/agent to 3", "give each field its own number"),
        ("set max replicas of shop/agent to 12 and switch it to active", "one field is changed at a time"),
        ("set max replicas of shop/agent to 12 and pause it", "one field is changed at a time"),
        ("set max replicas of shop/agent to 12 and the quantile too", "one field is changed at a time"),
        ("pause shop/agent and resume it", "one field is changed at a time"),
        ("set max replicas of shop/agent to 12, max replicas 15", "is given twice"),
        ("set shop/agent to not active", "say what is to be, not what is not to be"),
        ("don't pause shop/agent", "say what is to be"),
        ("never set max replicas of shop/agent to 12", "say what is to be"),
        ("set max replicas of shop/agent to 12 not 15", "say what is to be"),
        ("deactivate shop/agent", "say what is to be"),
        ("set max replicas of shop/agent to 12 at 18:00", 'leave out "18:00"'),
        ("set max replicas of shop/agent to 12 for 2 hours", 'leave out "2 hours"'),
        ("set max replicas of shop/agent to 12h", "say which field to set"),
        ("set max replicas for shop/agent 12 tomorrow", 'leave out "tomorrow"'),
        ("pause shop/agent until Monday", 'leave out "Monday"'),
        ("pause shop/agent for a couple of hours", "leave out"),
        ("set max replicas of shop/agent to 12 or 15", 'do not understand "or 15"'),
        ("set max replicas of shop/agent to 12 if demand grows", 'do not understand "if demand grows"'),
        ("set max replicas of shop/agent to 5, 6", 'do not understand "6"'),
        ("set max replicas of shop/agent to 12 and", 'do not understand "and"'),
        ("resume the forecast of shop/agent", 'do not understand "forecast"'),
        ("set max replicas of shop/agent to twelve", "say which field to set, and to what"),
        ("set max replicas of shop/agent to 1,2", "can be read in more than one way"),
        ("set target of shop/agent to 1.200.000", "can be read in more than one way"),
        ("set target of shop/agent to 60 req/s", "write the number alone"),
        ("set target of shop/agent to 60 rps", "write the number alone"),
        ("set threshold of shop/agent to 70%", "a percentage of it is not known"),
        ("set quantile of shop/agent to 95", "such as 0.95 or 95 %"),
        ("set max replicas of shop/agent to 12 percent", "no percentage"),
        (f"set min replicas of shop/agent to {'9' * 400}", "is too large a number"),
        ("set min replicas of shop/agent to 3000000000", "is at most 2147483647"),
        ("set replicas of shop/agent to 5", "raise min replicas or lower max replicas"),
        ("scale shop/agent to 5", "raise min replicas or lower max replicas"),
        ("scale up shop/agent", "raise min replicas or lower max replicas"),
        ("kubectl scale deploy agent --replicas=5", "raise min replicas or lower max replicas"),
        ("switch off shop/agent", "say which field to set"),
        ("set max replicas to 12", "which workload"),
        ("set max replicas of agent in namespace web to 20", "no workload in namespace web"),
    ],
)  # fmt: skip
def test_a_change_that_is_not_wholly_understood_is_refused_in_words(text: str, words: str) -> None:
    found = understand(text, KNOWN, NOW)

    assert (found.settable, found.value) == ("", None)
    assert words in found.problem


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("what if the target of shop/agent were 1,200", {"targetPerReplica": 1200}),
        ("what if the target of shop/agent was raised from 10 to 12", {"targetPerReplica": 12}),
        ("what will happen if the target of shop/agent is 8", {"targetPerReplica": 8}),
        ("simulate target 8 for shop/agent", {"targetPerReplica": 8}),
        ("could you try target per replica of 8 on shop/agent?", {"targetPerReplica": 8}),
        ("what would the replicas of shop/agent be at target 8", {"targetPerReplica": 8}),
        ("what if we set min replicas of shop/agent to 3", {"minReplicas": 3}),
        ("what if min were 3 for shop/agent", {"minReplicas": 3}),
        ("what if shop/agent had at least 3 replicas", {"minReplicas": 3}),
        ("what if min replicas of shop/agent were 3 and max replicas 10", {"minReplicas": 3, "maxReplicas": 10}),
        ("what if p99 was used for shop/agent", {"quantile": 0.99}),
        ("what if the target of agent were 8 over the last 10 min", {"targetPerReplica": 8}),
        ("should I raise max replicas of shop/agent to 12?", {"maxReplicas": 12}),
        ("would it help shop/agent if max replicas were 12?", {"maxReplicas": 12}),
    ],
)
def test_a_what_if_is_understood(text: str, overrides: dict[str, float]) -> None:
    found = understand(text, KNOWN, NOW)

    assert (found.intent, found.problem, found.overrides) == (Intent.WHAT_IF, "", overrides)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("what if the target of shop/agent were 60 %?", "what if the target per replica of shop/agent were 60"),
        ("what if the target of shop/agent were 60 req/s?", "write the number alone"),
        ("what if the target of shop/agent were 1,2", "can be read in more than one way"),
        ("what if the target of shop/agent was doubled", "give the new value itself"),
        ("what if max replicas of shop/agent were 2 more", "give the new value itself"),
        ("what would happen to shop/agent if traffic doubled", "give the new value itself"),
        ("what if min/max replicas of shop/agent were 3", "give each field its own number"),
        ("what if target of shop/agent were 8 and min replicas bigger", "min replicas has no number"),
        ("what if target of shop/agent were 8 and 3", "do not know what 3 is to be"),
        ("what would you do for shop/agent?", "say what to change"),
    ],
)
def test_a_what_if_that_is_not_understood_is_refused_in_words(text: str, words: str) -> None:
    found = understand(text, KNOWN, NOW)

    assert found.intent is Intent.WHAT_IF
    assert words in found.problem


def test_a_percentage_of_the_target_is_told_to_those_who_know_what_it_is_of() -> None:
    for text in ("what if the target of shop/agent were 60 %?", "set the target of shop/agent to 60%"):
        assert understand(text, KNOWN, NOW).percent == 60


_PIECES = st.one_of(
    st.sampled_from(
        re.split(
            " +",
            "set change raise lower pause unpause resume activate max min replicas target quantile mode paused observe "
            "active of shop/agent shop/active-users to from by at for = : and not % k p95 2x 12 3 1,200 1,2 7.5 0.9 "
            "95% 18:00 -3 +5 2 hours tomorrow true false please",
        )
    ),
    st.integers(-5, 10**18).map(str),
    st.floats(0, 1).map(lambda ratio: f"{ratio:.3f}"),
)


@given(st.lists(_PIECES, max_size=10).map(" ".join))
def test_no_value_is_proposed_that_does_not_stand_in_the_text(pieces: str) -> None:
    text = f"set {pieces}"
    found = understand(text, KNOWN, NOW, workload="shop/agent")
    if found.intent is not Intent.SET_FIELD or found.problem:
        assert found.value is None
        return

    kind = next(each.kind for each in SETTABLE if each.name == found.settable)
    if kind == "mode":
        assert re.search(rf"\b{found.value}", text, re.IGNORECASE) or "activate" in text
    elif kind == "flag":
        assert re.search(r"\b(pause|true)\b" if found.value else r"\b(unpause|resume|false)\b", text)
    else:
        assert any(float(found.value) == pytest.approx(value) for value in _values(text))


def _values(text: str) -> list[float]:
    """What the numbers of a text can mean."""
    found: list[float] = []
    for each in re.findall(r"-?\d+(?:[.,]\d+)*", text):
        try:
            value = number(each)
        except AmountError:
            continue
        found += [value, value / 100, value * 1000]
    return found
