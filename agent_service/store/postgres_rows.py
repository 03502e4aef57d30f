"""Single rows in PostgreSQL: how they are found, locked and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from psycopg.rows import DictRow

from agent_service.errors import NotFoundError
from agent_service.store import words
from agent_service.store.postgres_connections import Connection
from agent_service.store.postgres_pool import CHANNEL
from agent_service.store.records import Change, Event, Run, Thread
from agent_service.store.rows import (
    RUN_COLUMNS,
    RUN_STATE,
    THREAD_COLUMNS,
    run_of,
    run_row,
    run_state,
    thread_of,
    thread_row,
)

Changes = list[Change]

ACTIVE = "status IN ('pending', 'running')"
_COLUMNS, _PLACES = ", ".join(THREAD_COLUMNS), ", ".join(["%s"] * len(THREAD_COLUMNS))
_ADD_THREAD = f"INSERT INTO agent_threads ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608
_SET_THREAD = (
    f"UPDATE agent_threads SET {', '.join(f'{name} = %s' for name in THREAD_COLUMNS[1:])} WHERE thread_id = %s"  # noqa: S608
)
_ADD_RUN = f"INSERT INTO agent_runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join(['%s'] * len(RUN_COLUMNS))})"  # noqa: S608
_SET_RUN = f"UPDATE agent_runs SET {', '.join(f'{name} = %s' for name in RUN_STATE)} WHERE run_id = %s"  # noqa: S608
# The rows of the runs are locked for as long as this takes: one may be gone, but it cannot go in between.
_ADD_EVENTS = """
WITH run AS (SELECT run_id FROM agent_runs WHERE run_id = ANY(%s) ORDER BY run_id FOR KEY SHARE),
added AS (
  INSERT INTO agent_events (run_id, seq, name, data)
  SELECT event.* FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bytea[]) AS event (run_id, seq, name, data)
  JOIN run ON run.run_id = event.run_id ON CONFLICT DO NOTHING RETURNING run_id
)
SELECT DISTINCT run_id FROM added
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
        raise NotFoundError(words.no_thread(thread_id))
    return thread_of(row)


async def lock_thread(connection: Connection, thread_id: str) -> DictRow | None:
    """First of all."""
    return await one(connection, "SELECT * FROM agent_threads WHERE thread_id = %s FOR UPDATE", (thread_id,))


async def add_thread(connection: Connection, thread: Thread) -> None:
    """Raises psycopg's UniqueViolation when another replica was faster."""
    await connection.execute(_ADD_THREAD, thread_row(thread))


async def add_thread_unless_known(connection: Connection, thread: Thread) -> bool:
    """Whether it was new."""
    made = await connection.execute(f"{_ADD_THREAD} ON CONFLICT (thread_id) DO NOTHING", thread_row(thread))
    return made.rowcount == 1


async def set_thread(connection: Connection, thread: Thread) -> Thread:
    """As it now is."""
    row = thread_row(thread)
    await connection.execute(_SET_THREAD, (*row[1:], row[0]))
    return thread


async def occupy(connection: Connection, thread_id: str, run_id: str | None) -> None:
    """Which run executes on a thread."""
    await connection.execute("UPDATE agent_threads SET running_run = %s WHERE thread_id = %s", (run_id, thread_id))


async def run_with(connection: Connection, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
    """Raises NotFoundError."""
    row = await one(connection, "SELECT * FROM agent_runs WHERE run_id = %s", (run_id,))
    if row is None or row["tenant"] != tenant or thread_id not in (None, row["thread_id"]):
        raise NotFoundError(words.no_run(run_id))
    return run_of(row)


async def locked_run(connection: Connection, run: Run) -> Run | None:
    """The run as it is known, after its thread was locked."""
    await lock_thread(connection, run.thread_id)
    row = await one(connection, "SELECT * FROM agent_runs WHERE run_id = %s FOR UPDATE", (run.run_id,))
    return None if row is None else run_of(row)


async def add_run(connection: Connection, run: Run) -> None:
    """Raises psycopg's UniqueViolation when its id or key came to another replica in the same moment."""
    await connection.execute(_ADD_RUN, run_row(run))


async def set_run(connection: Connection, run: Run) -> Run:
    """As it now is."""
    await connection.execute(_SET_RUN, (*run_state(run), run.run_id))
    return run


async def append(connection: Connection, said: Mapping[str, Sequence[Event]]) -> list[str]:
    """Those that are not there yet; the runs of which there were any.  None of a run that is gone."""
    told = [(run_id, event) for run_id, events in said.items() for event in events]
    if not told:
        return []
    runs, events = [run_id for run_id, _ in told], [event for _, event in told]
    given = (
        list(said),
        runs,
        [each.seq for each in events],
        [each.name for each in events],
        [each.data for each in events],
    )
    return [row["run_id"] for row in await many(connection, _ADD_EVENTS, given)]


async def last_seq(connection: Connection, run_id: str) -> int:
    """Of its events."""
    row = await one(connection, "SELECT coalesce(max(seq), 0) AS last FROM agent_events WHERE run_id = %s", (run_id,))
    return 0 if row is None else int(row["last"])


async def notify(connection: Connection, told: Changes) -> None:
    """Other replicas hear it when the transaction holds."""
    if told:
        payloads = [orjson.dumps({"k": change.kind.value, "r": change.run_id}).decode() for change in told]
        await connection.execute("SELECT pg_notify(%s, told) FROM unnest(%s::text[]) AS told", (CHANNEL, payloads))
