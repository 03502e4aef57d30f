"""What SQLite transactions are made of.  Everything here runs in the store's thread, inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from agent_service.errors import ConflictError, NotFoundError
from agent_service.store import rules
from agent_service.store.records import (
    Change,
    ChangeKind,
    Claim,
    Ending,
    Event,
    Multitask,
    QueueDepth,
    Run,
    RunStatus,
    Stop,
    Submission,
    Thread,
    ThreadQuery,
)
from agent_service.store.rows import (
    RUN_COLUMNS,
    THREAD_COLUMNS,
    instant,
    micros,
    run_of,
    run_row,
    thread_of,
    thread_row,
)

Changes = list[Change]

ACTIVE = "status IN ('pending', 'running')"
_PUT_THREAD = (
    f"REPLACE INTO agent_threads ({', '.join(THREAD_COLUMNS)}) VALUES ({', '.join('?' * len(THREAD_COLUMNS))})"  # noqa: S608
)
_ADD_RUN = f"INSERT INTO agent_runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join('?' * len(RUN_COLUMNS))})"  # noqa: S608
_SET_RUN = f"UPDATE agent_runs SET {', '.join(f'{name} = ?' for name in RUN_COLUMNS[1:])} WHERE run_id = ?"  # noqa: S608
# The oldest due pending run of every thread that has no running one.
CLAIMABLE = """
SELECT min(number) AS number FROM agent_runs AS waiting
WHERE status = 'pending' AND not_before <= ?
  AND NOT EXISTS (SELECT 1 FROM agent_runs AS busy WHERE busy.thread_id = waiting.thread_id AND busy.status = 'running')
GROUP BY thread_id ORDER BY number
"""


def thread_with(connection: sqlite3.Connection, thread_id: str, tenant: str) -> Thread:
    """Raises NotFoundError."""
    row = connection.execute("SELECT * FROM agent_threads WHERE thread_id = ?", (thread_id,)).fetchone()
    if row is None or row["tenant"] != tenant:
        raise NotFoundError(rules.no_thread(thread_id))
    return thread_of(row)


def put_thread(connection: sqlite3.Connection, thread: Thread) -> Thread:
    """As it now is."""
    connection.execute(_PUT_THREAD, thread_row(thread))
    return thread


def create_thread(connection: sqlite3.Connection, thread: Thread, may_exist: bool, told: Changes) -> Thread:
    """See RunStore."""
    row = connection.execute("SELECT * FROM agent_threads WHERE thread_id = ?", (thread.thread_id,)).fetchone()
    if row is None:
        return put_thread(connection, thread)
    if may_exist and row["tenant"] == thread.tenant:
        return thread_of(row)
    raise ConflictError(rules.thread_exists(thread.thread_id))


def drop_threads(connection: sqlite3.Connection, thread_ids: Iterable[str], told: Changes) -> None:
    """With their runs and events."""
    for thread_id in thread_ids:
        runs = connection.execute("SELECT run_id FROM agent_runs WHERE thread_id = ?", (thread_id,)).fetchall()
        connection.executemany("DELETE FROM agent_events WHERE run_id = ?", [tuple(row) for row in runs])
        connection.execute("DELETE FROM agent_runs WHERE thread_id = ?", (thread_id,))
        connection.execute("DELETE FROM agent_threads WHERE thread_id = ?", (thread_id,))
        told += [Change(ChangeKind.FINISHED, row["run_id"]) for row in runs]


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
        wanted.append(f"thread_id IN ({', '.join('?' * len(query.ids))})")
        given += query.ids
    for column, part in (("metadata", query.metadata), ("state_values", query.values)):
        for key, value in part.items():
            # One key at a time, compared as JSON: SQLite has no containment.
            wanted.append(f"json({column} -> ?) = json(?)")
            given += [f'$."{key}"', orjson.dumps(value).decode()]
    where = " AND ".join(wanted)
    total = connection.execute(f"SELECT count(*) FROM agent_threads WHERE {where}", given).fetchone()[0]  # noqa: S608
    way = "DESC" if query.is_descending else "ASC"
    order = f"{query.sort_by} {way}, thread_id {way}"
    rows = connection.execute(
        f"SELECT * FROM agent_threads WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?",  # noqa: S608 - columns of ours
        [*given, query.limit, query.offset],
    )
    return [thread_of(row) for row in rows], total


def run_with(connection: sqlite3.Connection, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
    """Raises NotFoundError."""
    row = connection.execute("SELECT * FROM agent_runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None or row["tenant"] != tenant or thread_id not in (None, row["thread_id"]):
        raise NotFoundError(rules.no_run(run_id))
    return run_of(row)


def set_run(connection: sqlite3.Connection, run: Run) -> Run:
    """As it now is."""
    row = run_row(run)
    connection.execute(_SET_RUN, (*row[1:], row[0]))
    return run


def held(connection: sqlite3.Connection, run: Run) -> Run | None:
    """The run as known, if it is still in the hands in which `run` was."""
    row = connection.execute(
        "SELECT * FROM agent_runs WHERE run_id = ? AND status = 'running' AND holder = ? AND attempt = ?",
        (run.run_id, run.holder, run.attempt),
    ).fetchone()
    return None if row is None else run_of(row)


def submit(
    connection: sqlite3.Connection,
    run: Run,
    new_thread: Thread | None,
    strategy: Multitask,
    claim: Claim | None,
    told: Changes,
) -> Submission:
    """See RunStore."""
    if run.idempotency_key is not None:
        row = connection.execute(
            "SELECT * FROM agent_runs WHERE tenant = ? AND idempotency_key = ?", (run.tenant, run.idempotency_key)
        ).fetchone()
        if row is not None:
            return Submission(run_of(row), is_new=False)
    row = connection.execute("SELECT * FROM agent_threads WHERE thread_id = ?", (run.thread_id,)).fetchone()
    thread = new_thread if row is None else thread_of(row)
    if thread is None or thread.tenant != run.tenant:
        raise NotFoundError(rules.no_thread(run.thread_id))
    active: list[Run] = []
    if row is not None:
        rows = connection.execute(
            f"SELECT * FROM agent_runs WHERE thread_id = ? AND {ACTIVE} ORDER BY number", (run.thread_id,)  # noqa: S608
        ).fetchall()  # fmt: skip
        active = [run_of(each) for each in rows]
    if active and strategy is Multitask.REJECT:
        raise ConflictError(rules.busy(run.thread_id))
    stopped: list[Run] = []
    if strategy in (Multitask.INTERRUPT, Multitask.ROLLBACK):
        stopped = [stop_run(connection, each, Stop(strategy.value), run.created_at, told) for each in active]
        if stopped:
            thread = thread_with(connection, run.thread_id, run.tenant)
    may_begin = run.not_before <= run.created_at and not any(each.status.is_active for each in stopped or active)
    if claim is not None and may_begin:
        run = rules.claimed(run, claim)
    connection.execute(_ADD_RUN, run_row(run))
    put_thread(connection, rules.occupied(thread, run))
    if run.status is RunStatus.PENDING:
        told.append(Change(ChangeKind.WORK, run.run_id))
    return Submission(run, to_stop=tuple(stopped))


def claim_runs(connection: sqlite3.Connection, claim: Claim, limit: int) -> list[Run]:
    """See RunStore."""
    found = connection.execute(f"{CLAIMABLE} LIMIT ?", (micros(claim.at), limit)).fetchall()
    claimed: list[Run] = []
    for row in found:
        run = run_of(connection.execute("SELECT * FROM agent_runs WHERE number = ?", (row["number"],)).fetchone())
        claimed.append(set_run(connection, rules.claimed(run, claim)))
    return claimed


def stop_run(connection: sqlite3.Connection, run: Run, stop: Stop, at: datetime, told: Changes) -> Run:
    """A pending one ends, a running one is marked."""
    if run.status is RunStatus.PENDING:
        return end_run(connection, replace(run, stop=stop), rules.stopped(at), told)
    told.append(Change(ChangeKind.STOP, run.run_id))
    return set_run(connection, replace(run, stop=stop, updated_at=at))


def end_run(connection: sqlite3.Connection, run: Run, ending: Ending, told: Changes) -> Run:
    """With its thread."""
    run = set_run(connection, rules.ended(run, ending))
    busy = connection.execute(
        f"SELECT 1 FROM agent_runs WHERE thread_id = ? AND {ACTIVE} LIMIT 1", (run.thread_id,)  # noqa: S608
    ).fetchone()  # fmt: skip
    row = connection.execute("SELECT * FROM agent_threads WHERE thread_id = ?", (run.thread_id,)).fetchone()
    put_thread(connection, rules.settled(thread_of(row), ending, is_busy=busy is not None))
    told.append(Change(ChangeKind.FINISHED, run.run_id))
    if busy is not None:
        told.append(Change(ChangeKind.WORK, run.run_id))
    return run


def reap(
    connection: sqlite3.Connection, at: datetime, most_crashes: int, told: Changes, *, everyone: bool = False
) -> list[Run]:
    """Runs whose lease has run out; everyone: all that were running."""
    rows = connection.execute(
        "SELECT * FROM agent_runs WHERE status = 'running' AND (? OR lease_until <= ?) ORDER BY number",
        (everyone, micros(at)),
    ).fetchall()
    reaped: list[Run] = []
    for row in rows:
        run = run_of(row)
        run = replace(run, crashes=run.crashes + 1)
        if run.stop is not None:
            reaped.append(end_run(connection, run, rules.stopped(at), told))
        elif run.crashes >= most_crashes:
            reaped.append(end_run(connection, run, rules.given_up(run, at), told))
        else:
            reaped.append(set_run(connection, rules.released(run, at)))
            told.append(Change(ChangeKind.WORK, run.run_id))
    return reaped


def append(connection: sqlite3.Connection, run_id: str, events: Sequence[Event]) -> None:
    """Those that are not there yet."""
    connection.executemany(
        "INSERT OR IGNORE INTO agent_events (run_id, seq, name, data) VALUES (?, ?, ?, ?)",
        [(run_id, event.seq, event.name, event.data) for event in events],
    )


def depth(connection: sqlite3.Connection, at: int) -> QueueDepth:
    """See RunStore."""
    rows = connection.execute(
        "SELECT number, max(created_at, not_before) AS since FROM agent_runs "
        "WHERE status = 'pending' AND not_before <= ?",
        (at,),
    ).fetchall()
    if not rows:
        return QueueDepth()
    free = {row["number"] for row in connection.execute(CLAIMABLE, (at,))}
    runnable = [row["since"] for row in rows if row["number"] in free]
    blocked = [row["since"] for row in rows if row["number"] not in free]
    return QueueDepth(
        len(runnable),
        len(blocked),
        instant(min(runnable)) if runnable else None,
        instant(min(blocked)) if blocked else None,
    )
