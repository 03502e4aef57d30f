"""Stores in memory, for tests of the server."""

from __future__ import annotations

from agent_service.store.opening import open_stores
from tests.agent_service.serving import Parts


async def parts() -> Parts:
    """Empty."""
    stores = open_stores("memory://")
    return Parts(stores.runs, stores.events, stores.checkpoints)
