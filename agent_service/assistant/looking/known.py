"""Which workloads there are, from whoever knows them: so that a name in a question can be told from other words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from agent_service.assistant.looking.sources import SourceError, Sources
from agent_service.assistant.names import is_workload

_PATIENCE_SECONDS = 2.0  # knowing names only helps: the question itself must not wait for it


async def known_workloads(sources: Sources, *, patience_seconds: float = _PATIENCE_SECONDS) -> list[str]:
    """As NAMESPACE/NAME, or NAME where the forecast server has one without a namespace; none when nobody answers."""
    found = await asyncio.gather(
        _limited(_resources(sources), patience_seconds), _limited(_workloads(sources), patience_seconds)
    )
    return list(dict.fromkeys(name for names in found for name in names if is_workload(name)))


async def _limited(asking: Any, patience_seconds: float) -> Iterable[str]:
    try:
        async with asyncio.timeout(patience_seconds):
            return list(await asking)
    except (SourceError, TimeoutError, LookupError, TypeError, AttributeError, ValueError):
        return []


async def _resources(sources: Sources) -> list[str]:
    found = await sources.controller("v1", "resources")
    return [f"{each['namespace']}/{each['name']}" for each in found["resources"]]


async def _workloads(sources: Sources) -> list[str]:
    found = await sources.forecasts("v1", "workloads")
    return [str(each["name"]).replace(".", "/", 1) for each in found["workloads"]]
