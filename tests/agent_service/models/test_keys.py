"""What endpoints say of a key, without the key."""

from __future__ import annotations

import pytest

from agent_service.models.keys import without_key

KEY = "sk-proj-abcdefgh-wxyz"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"bad key {KEY}!", "bad key ***!"),
        ("Received API Key = sk-...wxyz, see", "Received API Key = ***, see"),
        ("provided: sk-proj-********wxyz. You", "provided: *** You"),
        ('key "sk-proj…" is unknown', 'key "***" is unknown'),
        ("key ...wxyz", "key ***"),
        ("key sk-...abcd of another", "key sk-...abcd of another"),
        ("wait... then, or not ... *** at all", "wait... then, or not ... *** at all"),
    ],
)
def test_neither_a_key_nor_its_ends_are_told(text: str, left: str) -> None:
    assert without_key(text, KEY) == left


def test_without_a_key_nothing_is_hidden() -> None:
    assert without_key("sk-...wxyz", "") == "sk-...wxyz"
