"""What KEDA is told: opinions that somebody stands behind, and nothing else."""

from __future__ import annotations

import pytest

from controller.keda.board import OpinionBoard
from controller.resource.resource import Key
from tests.controller.keda.clients import an_acting_resource

AGENT = Key("shop", "agent")


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_leaders_floor_is_told_by_who_stands_by() -> None:
    board = OpinionBoard(45.0)

    board.follow([an_acting_resource(7)])

    assert board.floor_of(AGENT) == 7
    assert board.floor_of(Key("shop", "unknown")) == 0


@pytest.mark.parametrize(
    "without",
    [
        an_acting_resource(None),
        an_acting_resource(7, acting="False"),
        an_acting_resource(7, actuator="HPAMinReplicas"),
    ],
    ids=["no floor", "not acting", "another actuator"],
)
def test_without_an_opinion_nothing_is_asked_for(without: object) -> None:
    board = OpinionBoard(45.0)

    board.follow([without])  # type: ignore[list-item]

    assert board.floor_of(AGENT) == 0


def test_an_opinion_that_nobody_renews_ends_when_a_held_floor_would() -> None:
    clock = Clock()
    board = OpinionBoard(45.0, clock)
    board.follow([an_acting_resource(7, guardrails={"holdSeconds": 60})])

    clock.now = 60.0
    assert board.floor_of(AGENT) == 7
    clock.now = 60.1
    assert board.floor_of(AGENT) == 0


def test_an_opinion_outlives_a_few_cycles_even_when_nothing_is_to_be_held() -> None:
    clock = Clock()
    board = OpinionBoard(45.0, clock)
    board.follow([an_acting_resource(7, guardrails={"holdSeconds": 0})])

    clock.now = 45.0
    assert board.floor_of(AGENT) == 7


def test_what_is_no_resource_any_more_is_forgotten_at_once() -> None:
    board = OpinionBoard(45.0)
    board.follow([an_acting_resource(7)])

    board.follow([])

    assert board.floor_of(AGENT) == 0
