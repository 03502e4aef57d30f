"""What is said and what is only thought, in pieces that end anywhere."""

from __future__ import annotations

import pytest

from agent_service.models.thinking import Aloud, spoken
from agent_service.models.wire import Piece


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is 17.", "It is 17."),
        ("  It is 17.\n", "  It is 17.\n"),
        ("<think>\nhm\n</think>\n\nIt is 17.\n", "It is 17.\n"),
        ("\n<think></think>It is 17.", "It is 17."),
        ("<think>a < b </thin k></think>a < b", "a < b"),
        ("<think>one</think>two<think>three</think>", "two<think>three</think>"),
        ("It <think>is</think> 17.", "It <think>is</think> 17."),
        ("<think>never at an end", ""),
        ("<think>nothing more</think>\n", ""),
        ("<thi", "<thi"),
        ("<thinner> is a word", "<thinner> is a word"),
        ("hm</think>It is 17.", "hm</think>It is 17."),  # its beginning has been heard by then
        ("", ""),
    ],
)
def test_only_a_thought_at_the_beginning_is_left_out(text: str, said: str, size: int) -> None:
    aloud = Aloud()
    heard = [aloud.heard(Piece(text=text[at : at + size])).text for at in range(0, len(text), size)]

    assert "".join(heard) + aloud.rest() == said
    assert spoken(Piece(text=text)).text == said


def test_the_empty_lines_after_a_thought_that_was_told_apart_are_left_out_too() -> None:
    aloud = Aloud()
    pieces = [Piece(thought="hm"), Piece(text="\n\n"), Piece(text="It is\n"), Piece(thought="hm"), Piece(text="\n17.")]

    assert [aloud.heard(piece).text for piece in pieces] == ["", "", "It is\n", "", "\n17."]
    assert spoken(Piece(text="\n\nIt is 17.", thought="hm")).text == "It is 17."
    assert spoken(Piece(text="\n\n", thought="hm")).text == ""


def test_an_answer_without_thoughts_is_not_held_back() -> None:
    aloud = Aloud()

    assert [aloud.heard(Piece(text=text)).text for text in ("It", " is", "<")] == ["It", " is", "<"]
