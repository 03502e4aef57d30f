"""What is asked every second does not look at the runs that have ended, which are by far the most."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from agent_service.store.postgres_reading import DEPTH
from agent_service.store.postgres_work import CLAIMABLE
from tests.agent_service.builders import NOON, a_claim, a_run, a_thread, in_store, submit
from tests.servers.postgres import fresh_database

_ENDED, _WAITING = 20_000, 300


def scanned(plan: dict[str, Any]) -> int:
    """Rows that a plan looked at, those that it threw away included."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) if "Relation Name" in plan else 0
    return int(own * plan["Actual Loops"]) + sum(scanned(each) for each in plan.get("Plans", []))


@pytest.fixture(scope="module")
def crowded(postgres_server: str) -> str:
    """A database in which one thread has a long past, and many runs wait on it and on others."""
    url = fresh_database(postgres_server, "crowded")
    hot = a_thread()

    async def fill(stores: Any) -> None:
        run = (await submit(stores, a_run(hot), new_thread=hot)).run
        with psycopg.connect(url, autocommit=True) as admin:
            columns = [name for name in _columns(admin) if name not in ("number", "run_id", "status", "thread_id")]
            for status, count, thread in (("success", _ENDED, "%s"), ("pending", _WAITING, "%s")):
                admin.execute(
                    f"INSERT INTO agent_runs (run_id, status, thread_id, {', '.join(columns)}) "  # noqa: S608
                    f"SELECT '{status}' || n, '{status}', {thread}, {', '.join(columns)} "
                    f"FROM agent_runs, generate_series(1, {count}) AS n WHERE run_id = %s".encode(),
                    (hot.thread_id, run.run_id),
                )
        for _ in range(20):
            other = a_thread()
            await submit(stores, a_run(other), new_thread=other)
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("UPDATE agent_runs SET finished_at = 1 WHERE status = 'success'")
            admin.execute("VACUUM ANALYZE")

    in_store(url, fill)
    return url


def _columns(admin: psycopg.Connection[Any]) -> list[str]:
    query = "SELECT column_name FROM information_schema.columns WHERE table_name = 'agent_runs'"
    return [row[0] for row in admin.execute(query)]


@pytest.mark.parametrize(
    ("query", "more"), [(CLAIMABLE, {"limit": 32, "graphs": None}), (DEPTH, {"replica": "r"})], ids=["claim", "depth"]
)
def test_neither_claims_nor_the_depth_of_the_queue_look_at_ended_runs(
    crowded: str, query: str, more: dict[str, Any]
) -> None:
    with psycopg.connect(crowded) as connection:
        row = connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {query}".encode(), {"at": 2**60, **more}
        ).fetchone()  # fmt: skip
    assert row is not None

    assert scanned(row[0][0]["Plan"]) < 10 * _WAITING


def test_a_page_of_a_tenants_threads_is_found_in_their_order(crowded: str) -> None:
    with psycopg.connect(crowded, autocommit=True) as connection:
        columns = "tenant, created_at, updated_at, metadata, status, config, interrupts, is_temporary"
        connection.execute(
            f"INSERT INTO agent_threads (thread_id, {columns}) SELECT 'many' || n, 'ann', n, n, '{{}}', 'idle', "  # noqa: S608
            "'{}', '{}', false FROM generate_series(1, 20000) AS n".encode()
        )
        connection.execute("ANALYZE agent_threads")
        row = connection.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM agent_threads WHERE NOT is_temporary AND tenant = 'ann' "
            "ORDER BY created_at DESC, thread_id DESC LIMIT 10 OFFSET 0"
        ).fetchone()
    assert row is not None

    assert scanned(row[0][0]["Plan"]) <= 10


def test_a_claim_among_many_waiting_runs_of_one_thread_takes_one_of_each(crowded: str) -> None:
    async def test(stores: Any) -> None:
        claimed = await stores.runs.claim(a_claim(), 100)
        assert len(claimed) == len({run.thread_id for run in claimed}) == 21
        assert (await stores.runs.queue_depth(NOON)).blocked == _WAITING

    in_store(crowded, test)
