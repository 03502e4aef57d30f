"""What is asked of SQLite about many threads or runs at once.  Everything here runs in the store's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from agent_service.store import checks
from agent_service.store.records import QueueDepth, Thread, ThreadQuery
from agent_service.store.rows import instant, micros, thread_of
from agent_service.store.sqlite_rows import Changes, drop_threads
from agent_service.store.sqlite_work import CLAIMABLE


def depth(connection: sqlite3.Connection, at: datetime, replica: str) -> QueueDepth:
    """See RunStore."""
    now = micros(at)
    found = connection.execute(
        "SELECT number, max(created_at, not_before) AS since, accepted_by = ? AS is_mine, "
        "not_before <= created_at OR not_before <= ? AS is_due FROM agent_runs WHERE status = 'pending'",
        (replica, now),
    ).fetchall()
    if not found:
        return QueueDepth()
    runnable = {row["number"] for row in connection.execute(CLAIMABLE, (now,))}
    free = [row["since"] for row in found if row["number"] in runnable]
    held = [row["since"] for row in found if row["is_due"] and row["number"] not in runnable]
    mine = [row["number"] for row in found if row["is_mine"]]
    return QueueDepth(
        len(free),
        len(held),
        instant(min(free)) if free else None,
        instant(min(held)) if held else None,
        len(mine),
        len(runnable.intersection(mine)),
    )


def search(connection: sqlite3.Connection, query: ThreadQuery) -> tuple[list[Thread], int]:
    """See RunStore."""
    wanted: list[str] = ["NOT is_temporary"]
    given: list[Any] = []
    if query.tenant is not None:
        wanted.append("tenant = ?")
        given.append(query.tenant)
    if query.status is not None:
        wanted.append("status = ?")
        given.append(query.status.value)
    if query.ids is not None:
        wanted.append("thread_id IN (SELECT value FROM json_each(?))")
        given.append(orjson.dumps(query.ids).decode())
    parts: list[tuple[str, Mapping[str, Any]]] = [("metadata", query.metadata), ("state_values", query.values)]
    for column, part in parts:
        if part:  # SQLite itself compares JSON as text, and knows no key with a quotation mark
            wanted.append(f"agent_contains({column}, ?)")
            given.append(orjson.dumps(part, option=orjson.OPT_NON_STR_KEYS))
    where = " AND ".join(wanted)
    total = connection.execute(f"SELECT count(*) FROM agent_threads WHERE {where}", given).fetchone()[0]  # noqa: S608
    way = "DESC" if query.is_descending else "ASC"
    found = connection.execute(
        f"SELECT * FROM agent_threads WHERE {where} ORDER BY {query.sort_by} {way}, thread_id {way} LIMIT ? OFFSET ?",  # noqa: S608 - columns of ours
        [*given, query.limit, query.offset],
    )
    return [thread_of(row) for row in found], total


def contains(whole: bytes | None, part: bytes) -> bool:
    """In SQL: agent_contains."""
    return whole is not None and checks.contains(orjson.loads(whole), orjson.loads(part))


def sweep_threads(
    connection: sqlite3.Connection, at: datetime, finished_before: datetime, limit: int, told: Changes
) -> list[str]:  # fmt: skip
    """Those whose time is over."""
    before = micros(finished_before)
    over = connection.execute(
        "SELECT thread_id FROM agent_threads WHERE status != 'busy' "
        "AND ((expires_at IS NOT NULL AND expires_at <= ?) OR (is_temporary AND updated_at < ?)) LIMIT ?",
        (micros(at), before, limit),
    )
    gone = [row["thread_id"] for row in over]
    drop_threads(connection, gone, told)
    return gone


def sweep_runs(connection: sqlite3.Connection, finished_before: datetime, limit: int) -> int:
    """Take results and events of so many that ended before then; how many there were."""
    stale = connection.execute(
        "SELECT run_id FROM agent_runs WHERE finished_at IS NOT NULL AND NOT is_swept AND finished_at < ? LIMIT ?",
        (micros(finished_before), limit),
    ).fetchall()
    ids = [(row["run_id"],) for row in stale]
    connection.executemany("DELETE FROM agent_events WHERE run_id = ?", ids)
    connection.executemany("UPDATE agent_runs SET result = NULL, is_swept = 1 WHERE run_id = ?", ids)
    return len(ids)
