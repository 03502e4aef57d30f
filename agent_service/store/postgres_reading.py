"""What is asked of PostgreSQL about many threads or runs at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from agent_service.store.postgres_connections import Connection
from agent_service.store.postgres_rows import Changes, many, one
from agent_service.store.postgres_work import COMES_FIRST, DUE, drop_threads
from agent_service.store.records import QueueDepth, Thread, ThreadQuery
from agent_service.store.rows import instant, micros, thread_of

DEPTH = f"""
SELECT is_due, is_runnable, is_mine, count(*) AS runs, min(since) AS since FROM (
  SELECT greatest(r.created_at, r.not_before) AS since, r.accepted_by = %(replica)s AS is_mine, {DUE} AS is_due,
    {DUE} AND t.running_run IS NULL AND NOT {COMES_FIRST} AS is_runnable
  FROM agent_runs r JOIN agent_threads t ON t.thread_id = r.thread_id
  WHERE r.status = 'pending') AS waiting
GROUP BY is_due, is_runnable, is_mine
"""  # noqa: S608 - words of ours
# Values come from graphs, and may hold a NUL character, which no jsonb can; nobody looks for one.
_PARTS = {"metadata": "convert_from(metadata, 'UTF8')",
          "values": r"replace(convert_from(state_values, 'UTF8'), '\u0000', '\ufffd')"}  # fmt: skip


async def depth(connection: Connection, at: datetime, replica: str) -> QueueDepth:
    """See RunStore."""
    rows = await many(connection, DEPTH, {"at": micros(at), "replica": replica})
    free = [row for row in rows if row["is_runnable"]]
    held = [row for row in rows if row["is_due"] and not row["is_runnable"]]
    mine = [row for row in rows if row["is_mine"]]
    return QueueDepth(
        _sum(free), _sum(held), _oldest(free), _oldest(held), _sum(mine), _sum(row for row in mine if row in free)
    )


def _sum(rows: Any) -> int:
    return sum(int(row["runs"]) for row in rows)


def _oldest(rows: list[Any]) -> datetime | None:
    return instant(min(row["since"] for row in rows)) if rows else None


async def search(connection: Connection, query: ThreadQuery) -> tuple[list[Thread], int]:
    """See RunStore."""
    wanted, given = ["NOT is_temporary"], list[Any]()
    if query.tenant is not None:
        wanted.append("tenant = %s")
        given.append(query.tenant)
    if query.status is not None:
        wanted.append("status = %s")
        given.append(query.status.value)
    if query.ids is not None:
        wanted.append("thread_id = ANY(%s)")
        given.append(list(query.ids))
    parts: list[tuple[str, Mapping[str, Any]]] = [("metadata", query.metadata), ("values", query.values)]
    for name, part in parts:
        for key, value in part.items():
            wanted.append(f"{_PARTS[name]}::jsonb -> %s = %s::jsonb")
            given += [key, orjson.dumps(value).decode()]
    where, way = " AND ".join(wanted), "DESC" if query.is_descending else "ASC"
    counted = await one(connection, f"SELECT count(*) AS total FROM agent_threads WHERE {where}", given)  # noqa: S608
    # Said only where there are any: an index that knows of none would not be used.
    nulls = f" NULLS {'LAST' if query.is_descending else 'FIRST'}" if query.sort_by == "state_updated_at" else ""
    order = f"{query.sort_by} {way}{nulls}" + ("" if query.sort_by == "thread_id" else f", thread_id {way}")
    rows = await many(
        connection,
        f"SELECT * FROM agent_threads WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s",  # noqa: S608
        [*given, query.limit, query.offset],
    )
    return [thread_of(row) for row in rows], 0 if counted is None else int(counted["total"])


async def sweep_threads(
    connection: Connection, at: datetime, finished_before: datetime, limit: int, told: Changes
) -> list[str]:  # fmt: skip
    """Those whose time is over."""
    rows = await many(
        connection,
        "SELECT thread_id FROM agent_threads WHERE status <> 'busy' "
        "AND (expires_at <= %s OR (is_temporary AND updated_at < %s)) LIMIT %s FOR UPDATE SKIP LOCKED",
        (micros(at), micros(finished_before), limit),
    )
    gone = [str(row["thread_id"]) for row in rows]
    if gone:
        await drop_threads(connection, gone, told)
    return gone


async def sweep_runs(connection: Connection, finished_before: datetime, limit: int) -> int:
    """Take results and events of so many that ended before then; how many there were."""
    rows = await many(
        connection,
        "UPDATE agent_runs SET result = NULL, is_swept = true WHERE run_id IN (SELECT run_id FROM agent_runs "
        "WHERE finished_at IS NOT NULL AND NOT is_swept AND finished_at < %s ORDER BY finished_at LIMIT %s "
        "FOR UPDATE SKIP LOCKED) RETURNING run_id",
        (micros(finished_before), limit),
    )
    if rows:
        await connection.execute("DELETE FROM agent_events WHERE run_id = ANY(%s)", ([row["run_id"] for row in rows],))
    return len(rows)
