"""Proposing, deciding and looking at the audit, as tests of changes do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from langgraph.types import Command

from tests.agent_service.assistant.world import PATH, World, ask, config, said

APPROVE = {"type": "approve"}
ALLOWED = {"allow_actions": True}


async def propose(world: World, text: str = "set max replicas of shop/agent to 12") -> tuple[Any, dict[str, Any]]:
    graph = world.graph()
    return graph, await ask(graph, text, allow_actions=True)


async def decide(graph: Any, *decisions: Any, run_id: str = "run-2", **context: Any) -> str:
    answer: Any = Command(resume={"decisions": list(decisions)})
    return said(await graph.ainvoke(answer, config(run_id=run_id), context=context or ALLOWED))


def audited(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.told for record in caplog.records if record.name == "forescale.agent.audit"]  # type: ignore[attr-defined]


async def change(cluster: Callable[[httpx.Request], Any], *decisions: Any) -> str:
    graph, _ = await propose(World({PATH: cluster}))
    return await decide(graph, *decisions)
