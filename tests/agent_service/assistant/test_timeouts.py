"""Whose time runs out first: a source's, the planner's, the node's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import NodeTimeoutError

from agent_service.assistant.answering.planner import ModelPlanner, RulePlanner
from agent_service.assistant.answering.rules import Choice
from agent_service.assistant.graph import assistant_graph, timeout_for
from agent_service.assistant.looking.sources import Sources
from agent_service.assistant.state import Call
from agent_service.models.endpoint import EndpointChatModel
from agent_service.models.observer import ModelObserver
from agent_service.models.settings import OPENAI, ModelSettings
from tests.agent_service.assistant.world import World, ask, said
from tests.coroutines import run_apart

SILENT = "http://silent/v1"


class Hanging(RulePlanner):
    """Breaks its promise to answer within its own time."""

    async def plan(self, messages: Sequence[BaseMessage], question: dict[str, Any], usual: list[Call]) -> Choice:
        await asyncio.Event().wait()
        return Choice()


async def never(_: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


def an_endpoint(timeout_seconds: float) -> EndpointChatModel:
    settings = ModelSettings(kind=OPENAI, base_url=SILENT, model="m1", timeout_seconds=timeout_seconds)
    model = EndpointChatModel.open(settings, ModelObserver())
    model.client = httpx.AsyncClient(base_url=SILENT, transport=httpx.MockTransport(never))
    return model


@pytest.mark.parametrize("seconds", [1.0, 60.0, 90.0, 600.0])
def test_a_node_outlasts_its_planner_and_the_planner_a_call_of_the_model(seconds: float) -> None:
    planner = ModelPlanner(an_endpoint(seconds), "m1")
    policy = timeout_for(planner.seconds)

    assert isinstance(policy.run_timeout, float)
    assert isinstance(policy.idle_timeout, float)
    assert seconds < planner.seconds < policy.idle_timeout < policy.run_timeout


def test_an_endpoint_that_says_nothing_is_replaced_by_the_rules() -> None:
    planner = ModelPlanner(an_endpoint(0.1), "m1")

    answer = said(run_apart(ask(World().graph(planner=planner), "why is the floor of shop/agent 17?")))

    assert "a floor of 17" in answer
    assert "m1 was to answer" in answer
    assert "did not answer within 0.1 s" in answer


def test_every_node_has_a_time_in_all_and_one_without_a_sign_of_life() -> None:
    nodes = assistant_graph(World().settings()).nodes

    for name, node in nodes.items():
        policy = node.timeout
        assert policy is not None, name
        assert policy.run_timeout is not None, name
        assert policy.idle_timeout is not None, name


def test_a_node_that_hangs_ends_the_run() -> None:
    world = World()
    sources = Sources(world.settings(), transport=httpx.MockTransport(world.answer))
    graph: Any = assistant_graph(
        world.settings(), planner=Hanging(), sources=sources, now=lambda: world.now, spare_seconds=0.1
    ).compile(checkpointer=InMemorySaver())

    with pytest.raises(NodeTimeoutError):
        run_apart(ask(graph, "why is the floor of shop/agent 17?"))
