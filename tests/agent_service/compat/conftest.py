"""A service on every kind of store, for the official client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent_service.store.opening import open_stores
from tests.agent_service.serving import Parts, Served, serving


@pytest.fixture
def served(any_url: str) -> Iterator[Served]:
    """Running while the test does."""

    async def parts() -> Parts:
        stores = open_stores(any_url)
        await stores.open()
        return Parts(stores.runs, stores.events, stores.checkpoints)

    with serving(parts) as found:
        yield found
