"""A rehearsal goes through everything, and leaves nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
import pytest
from psycopg import sql

from agent_service.engine.meters import Meters
from agent_service.errors import StoreError
from agent_service.store.memory import MemoryStore
from agent_service.store.opening import Stores
from agent_service.store.records import QueueDepth, ThreadQuery
from tests.agent_service.builders import in_store, opened
from tests.agent_service.engine.replicas import an_engine, begin, end_of, in_memory, live
from tests.coroutines import run_apart


class Counting(Meters):
    """Everything that it is told."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> Any:
        if name in ("told", "__class__", "__init__"):
            return super().__getattribute__(name)
        self.told[name] += 1
        return super().__getattribute__(name)


def test_a_rehearsal_leaves_nothing_and_is_counted_by_nobody(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        meters, finished = Counting(), list[Any]()
        engine = an_engine(stores, told={"meters": meters, "on_finished": finished.append})
        await engine.rehearse()
        await engine.rehearse()

        assert not meters.told
        assert finished == []
        assert await stores.runs.search_threads(ThreadQuery(tenant=None)) == ([], 0)
        assert await stores.runs.queue_depth(engine.now(), engine.replica) == QueueDepth()
        assert [each async for each in stores.checkpoints.saver.alist(None)] == []
        assert {served.name for served in engine.graphs.all} == {"steps", "talk", "approval", "failing", "nested"}
        async with live(engine):
            await end_of(engine, await begin(engine, "steps"))

    in_store(any_url, test)


def test_a_rehearsal_in_a_database_leaves_every_table_as_it_was(database: str) -> None:
    def rows() -> dict[str, int]:
        with psycopg.connect(database) as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            ).fetchall()
            counts = {}
            for (table,) in tables:
                found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
                counts[table] = found[0] if found else 0
            return counts

    async def main() -> None:
        async with opened(database) as stores:
            before = rows()
            await an_engine(stores).rehearse()
            assert rows() == before

    run_apart(main())


class Broken(MemoryStore):
    """Cannot be read."""

    async def read(self, *_: Any, **__: Any) -> Any:
        """See EventLog."""
        raise StoreError("the disk is full")


def test_a_rehearsal_that_does_not_end_well_is_said_and_leaves_nothing_either() -> None:
    async def main() -> None:
        stores = in_memory(Broken())
        with pytest.raises(StoreError, match="the disk is full"):
            await an_engine(stores).rehearse()
        assert await stores.runs.search_threads(ThreadQuery(tenant=None)) == ([], 0)

    run_apart(main())
