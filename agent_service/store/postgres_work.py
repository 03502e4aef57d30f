"""What PostgreSQL transactions are made of.

A transaction that moves a run and its thread locks the thread first; claims skip what is locked.  So none waits for
another in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from psycopg.rows import DictRow

from agent_service.errors import ConflictError, NotFoundError
from agent_service.store import rules
from agent_service.store.postgres_pool import CHANNEL, Connection
from agent_service.store.records import (
    Change,
    ChangeKind,
    Claim,
    Ending,
    Event,
    Multitask,
    Run,
    RunStatus,
    Stop,
    Submission,
    Thread,
    ThreadQuery,
)
from agent_service.store.rows import RUN_COLUMNS, THREAD_COLUMNS, micros, run_of, run_row, thread_of, thread_row

Changes = list[Change]

ACTIVE = "status IN ('pending', 'running')"
_THREAD_PLACES = ", ".join(["%s"] * len(THREAD_COLUMNS))
_ADD_THREAD = f"INSERT INTO agent_threads ({', '.join(THREAD_COLUMNS)}) VALUES ({_THREAD_PLACES})"  # noqa: S608
_PUT_THREAD = (
    f"{_ADD_THREAD} ON CONFLICT (thread_id) DO UPDATE SET "
    + ", ".join(f"{name} = EXCLUDED.{name}" for name in THREAD_COLUMNS[1:])
)  # fmt: skip
_ADD_RUN = f"INSERT INTO agent_runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join(['%s'] * len(RUN_COLUMNS))})"  # noqa: S608
_SET_RUN = f"UPDATE agent_runs SET {', '.join(f'{name} = %s' for name in RUN_COLUMNS[1:])} WHERE run_id = %s"  # noqa: S608
# The oldest due pending run of every thread that has no running one.  Both rows are locked, so that what has changed
# since the statement began is looked at once more, and what others are just changing is left alone.
_CLAIMABLE = """
SELECT r.* FROM agent_runs r JOIN agent_threads t ON t.thread_id = r.thread_id
WHERE r.status = 'pending' AND r.not_before <= %(at)s AND t.running_run IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM agent_runs earlier
    WHERE earlier.thread_id = r.thread_id AND earlier.status = 'pending' AND earlier.number < r.number
      AND earlier.not_before <= %(at)s)
ORDER BY r.number LIMIT %(limit)s FOR UPDATE OF r, t SKIP LOCKED
"""


async def one(connection: Connection, query: str, given: Sequence[Any]) -> DictRow | None:
    """The first row."""
    return await (await connection.execute(query, given)).fetchone()


async def many(connection: Connection, query: str, given: Any) -> list[DictRow]:
    """All rows."""
    return await (await connection.execute(query, given)).fetchall()


async def thread_with(connection: Connection, thread_id: str, tenant: str, *, locked: bool = False) -> Thread:
    """Raises NotFoundError."""
    lock = " FOR UPDATE" if locked else ""
    row = await one(connection, f"SELECT * FROM agent_threads WHERE thread_id = %s{lock}", (thread_id,))  # noqa: S608
    if row is None or row["tenant"] != tenant:
        raise NotFoundError(rules.no_thread(thread_id))
    return thread_of(row)


async def put_thread(connection: Connection, thread: Thread) -> Thread:
    """As it now is."""
    await connection.execute(_PUT_THREAD, thread_row(thread))
    return thread


async def run_with(connection: Connection, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
    """Raises NotFoundError."""
    row = await one(connection, "SELECT * FROM agent_runs WHERE run_id = %s", (run_id,))
    if row is None or row["tenant"] != tenant or thread_id not in (None, row["thread_id"]):
        raise NotFoundError(rules.no_run(run_id))
    return run_of(row)


async def set_run(connection: Connection, run: Run) -> Run:
    """As it now is."""
    row = run_row(run)
    await connection.execute(_SET_RUN, (*row[1:], row[0]))
    return run


async def occupy(connection: Connection, thread_id: str, run_id: str | None) -> None:
    """Which run executes on a thread."""
    await connection.execute("UPDATE agent_threads SET running_run = %s WHERE thread_id = %s", (run_id, thread_id))


async def lock_thread(connection: Connection, thread_id: str) -> DictRow | None:
    """First of all."""
    return await one(connection, "SELECT * FROM agent_threads WHERE thread_id = %s FOR UPDATE", (thread_id,))


async def held(connection: Connection, run: Run) -> Run | None:
    """The run as known, if it is still in the hands in which `run` was; its thread is locked then."""
    await lock_thread(connection, run.thread_id)
    row = await one(
        connection,
        "SELECT * FROM agent_runs WHERE run_id = %s AND status = 'running' AND holder = %s AND attempt = %s FOR UPDATE",
        (run.run_id, run.holder, run.attempt),
    )
    return None if row is None else run_of(row)


async def submit(
    connection: Connection,
    run: Run,
    new_thread: Thread | None,
    strategy: Multitask,
    claim: Claim | None,
    told: Changes,
) -> Submission:
    """See RunStore."""
    if run.idempotency_key is not None:
        row = await one(
            connection,
            "SELECT * FROM agent_runs WHERE tenant = %s AND idempotency_key = %s",
            (run.tenant, run.idempotency_key),
        )
        if row is not None:
            return Submission(run_of(row), is_new=False)
    row = await lock_thread(connection, run.thread_id)
    thread = new_thread if row is None else thread_of(row)
    if thread is None or thread.tenant != run.tenant:
        raise NotFoundError(rules.no_thread(run.thread_id))
    active: list[Run] = []
    if row is not None:
        query = f"SELECT * FROM agent_runs WHERE thread_id = %s AND {ACTIVE} ORDER BY number FOR UPDATE"  # noqa: S608
        active = [run_of(each) for each in await many(connection, query, (run.thread_id,))]
    if active and strategy is Multitask.REJECT:
        raise ConflictError(rules.busy(run.thread_id))
    stopped: list[Run] = []
    if strategy in (Multitask.INTERRUPT, Multitask.ROLLBACK):
        stopped = [await stop_run(connection, each, Stop(strategy.value), run.created_at, told) for each in active]
        if stopped:
            thread = await thread_with(connection, run.thread_id, run.tenant)
    may_begin = run.not_before <= run.created_at and not any(each.status.is_active for each in stopped or active)
    if claim is not None and may_begin:
        run = rules.claimed(run, claim)
    await connection.execute(_ADD_RUN, run_row(run))
    await put_thread(connection, rules.occupied(thread, run))
    if run.status is RunStatus.RUNNING:
        await occupy(connection, run.thread_id, run.run_id)
    else:
        told.append(Change(ChangeKind.WORK, run.run_id))
    return Submission(run, to_stop=tuple(stopped))


async def claim_runs(connection: Connection, claim: Claim, limit: int) -> list[Run]:
    """See RunStore."""
    rows = await many(connection, _CLAIMABLE, {"at": micros(claim.at), "limit": limit})
    claimed: list[Run] = []
    for row in rows:
        run = await set_run(connection, rules.claimed(run_of(row), claim))
        await occupy(connection, run.thread_id, run.run_id)
        claimed.append(run)
    return claimed


async def stop_run(connection: Connection, run: Run, stop: Stop, at: datetime, told: Changes) -> Run:
    """A pending one ends, a running one is marked; its thread is locked."""
    if run.status is RunStatus.PENDING:
        return await end_run(connection, replace(run, stop=stop), rules.stopped(at), told)
    told.append(Change(ChangeKind.STOP, run.run_id))
    return await set_run(connection, replace(run, stop=stop, updated_at=at))


async def end_run(connection: Connection, run: Run, ending: Ending, told: Changes) -> Run:
    """With its thread, which is locked."""
    was_running = run.status is RunStatus.RUNNING
    run = await set_run(connection, rules.ended(run, ending))
    row = await one(
        connection,
        f"SELECT *, EXISTS (SELECT 1 FROM agent_runs r WHERE r.thread_id = t.thread_id AND r.{ACTIVE}) AS is_busy "  # noqa: S608
        "FROM agent_threads t WHERE thread_id = %s",
        (run.thread_id,),
    )
    if row is not None:
        await put_thread(connection, rules.settled(thread_of(row), ending, is_busy=row["is_busy"]))
        if was_running:
            await occupy(connection, run.thread_id, None)
        if row["is_busy"]:
            told.append(Change(ChangeKind.WORK, run.run_id))
    told.append(Change(ChangeKind.FINISHED, run.run_id))
    return run


async def reap(connection: Connection, at: datetime, most_crashes: int, told: Changes) -> list[Run]:
    """See RunStore; two replicas may do it at once."""
    rows = await many(
        connection,
        "SELECT r.* FROM agent_runs r JOIN agent_threads t ON t.thread_id = r.thread_id "
        "WHERE r.status = 'running' AND r.lease_until <= %s ORDER BY r.number LIMIT 500 FOR UPDATE OF r, t SKIP LOCKED",
        (micros(at),),
    )
    reaped: list[Run] = []
    for row in rows:
        run = run_of(row)
        run = replace(run, crashes=run.crashes + 1)
        if run.stop is not None:
            reaped.append(await end_run(connection, run, rules.stopped(at), told))
        elif run.crashes >= most_crashes:
            reaped.append(await end_run(connection, run, rules.given_up(run, at), told))
        else:
            reaped.append(await set_run(connection, rules.released(run, at)))
            await occupy(connection, run.thread_id, None)
            told.append(Change(ChangeKind.WORK, run.run_id))
    return reaped


async def append(connection: Connection, run_id: str, events: Sequence[Event]) -> None:
    """Those that are not there yet."""
    if events:
        await connection.execute(
            "INSERT INTO agent_events (run_id, seq, name, data) "
            "SELECT %s, * FROM unnest(%s::bigint[], %s::text[], %s::bytea[]) ON CONFLICT DO NOTHING",
            (run_id, [each.seq for each in events], [each.name for each in events], [each.data for each in events]),
        )


async def drop_threads(connection: Connection, thread_ids: list[str], told: Changes) -> None:
    """With their runs and events."""
    rows = await many(connection, "DELETE FROM agent_runs WHERE thread_id = ANY(%s) RETURNING run_id", (thread_ids,))
    run_ids = [row["run_id"] for row in rows]
    await connection.execute("DELETE FROM agent_events WHERE run_id = ANY(%s)", (run_ids,))
    await connection.execute("DELETE FROM agent_threads WHERE thread_id = ANY(%s)", (thread_ids,))
    told += [Change(ChangeKind.FINISHED, run_id) for run_id in run_ids]


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
    for column, part in (("metadata", query.metadata), ("state_values", query.values)):
        for key, value in part.items():
            wanted.append(f"convert_from({column}, 'UTF8')::jsonb -> %s = %s::jsonb")
            given += [key, orjson.dumps(value).decode()]
    where, way = " AND ".join(wanted), "DESC" if query.is_descending else "ASC"
    counted = await one(connection, f"SELECT count(*) AS total FROM agent_threads WHERE {where}", given)  # noqa: S608
    order = f"{query.sort_by} {way} NULLS {'LAST' if query.is_descending else 'FIRST'}, thread_id {way}"
    rows = await many(
        connection,
        f"SELECT * FROM agent_threads WHERE {where} ORDER BY {order} LIMIT %s OFFSET %s",  # noqa: S608
        [*given, query.limit, query.offset],
    )
    return [thread_of(row) for row in rows], 0 if counted is None else int(counted["total"])


async def notify(connection: Connection, told: Changes) -> None:
    """Other replicas hear it when the transaction holds."""
    for change in told:
        payload = orjson.dumps({"k": change.kind.value, "r": change.run_id}).decode()
        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
