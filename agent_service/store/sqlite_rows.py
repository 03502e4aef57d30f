"""Single rows in SQLite: how they are found and written.  Everything here runs in the store's thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from agent_service.errors import NotFoundError
from agent_service.store import rules, words
from agent_service.store.records import Change, ChangeKind, Event, Run, RunStatus, Thread
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

# Every statement lets go of the interpreter and waits for it again, which costs more than a row does.  Not more: each
# number of rows is a statement of its own, of which the connection keeps 128 prepared.
_ROWS_AT_ONCE = 50

ACTIVE = "status IN ('pending', 'running')"
_PUT_THREAD = (
    f"REPLACE INTO agent_threads ({', '.join(THREAD_COLUMNS)}) VALUES ({', '.join('?' * len(THREAD_COLUMNS))})"  # noqa: S608
)
_ADD_RUN = f"INSERT INTO agent_runs ({', '.join(RUN_COLUMNS)}) VALUES ({', '.join('?' * len(RUN_COLUMNS))})"  # noqa: S608
_SET_RUN = f"UPDATE agent_runs SET {', '.join(f'{name} = ?' for name in RUN_STATE)} WHERE run_id = ?"  # noqa: S608


def one(connection: sqlite3.Connection, query: str, given: Sequence[Any]) -> Any:
    """The first row, or None."""
    return connection.execute(query, given).fetchone()


def find_thread(connection: sqlite3.Connection, thread_id: str) -> Thread | None:
    """Whosever it is."""
    row = one(connection, "SELECT * FROM agent_threads WHERE thread_id = ?", (thread_id,))
    return None if row is None else thread_of(row)


def thread_with(connection: sqlite3.Connection, thread_id: str, tenant: str) -> Thread:
    """Raises NotFoundError."""
    thread = find_thread(connection, thread_id)
    if thread is None or thread.tenant != tenant:
        raise NotFoundError(words.no_thread(thread_id))
    return thread


def put_thread(connection: sqlite3.Connection, thread: Thread) -> Thread:
    """As it now is."""
    connection.execute(_PUT_THREAD, thread_row(thread))
    return thread


def drop_threads(connection: sqlite3.Connection, thread_ids: Iterable[str], told: Changes) -> None:
    """With their runs and events."""
    for thread_id in thread_ids:
        query = "DELETE FROM agent_runs WHERE thread_id = ? RETURNING run_id, status"
        runs = connection.execute(query, (thread_id,)).fetchall()
        connection.executemany("DELETE FROM agent_events WHERE run_id = ?", [(row["run_id"],) for row in runs])
        connection.execute("DELETE FROM agent_threads WHERE thread_id = ?", (thread_id,))
        told += [Change(ChangeKind.STOP, row["run_id"]) for row in runs if RunStatus(row["status"]).is_active]
        told += [Change(ChangeKind.FINISHED, row["run_id"]) for row in runs]


def find_run(connection: sqlite3.Connection, run_id: str) -> Run | None:
    """Whosever it is."""
    row = one(connection, "SELECT * FROM agent_runs WHERE run_id = ?", (run_id,))
    return None if row is None else run_of(row)


def run_with(connection: sqlite3.Connection, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
    """Raises NotFoundError."""
    run = find_run(connection, run_id)
    if run is None or run.tenant != tenant or thread_id not in (None, run.thread_id):
        raise NotFoundError(words.no_run(run_id))
    return run


def held(connection: sqlite3.Connection, run: Run) -> Run | None:
    """The run as known, if it is still in the hands in which `run` was."""
    known = find_run(connection, run.run_id)
    return known if known is not None and rules.is_held(known, run) else None


def add_run(connection: sqlite3.Connection, run: Run) -> None:
    """A new one."""
    connection.execute(_ADD_RUN, run_row(run))


def set_run(connection: sqlite3.Connection, run: Run) -> Run:
    """As it now is."""
    connection.execute(_SET_RUN, (*run_state(run), run.run_id))
    return run


def append(connection: sqlite3.Connection, run_id: str, events: Sequence[Event]) -> bool:
    """Those that are not there yet; whether there were any."""
    added = 0
    for chunk in (events[first : first + _ROWS_AT_ONCE] for first in range(0, len(events), _ROWS_AT_ONCE)):
        rows = ", ".join(["(?, ?, ?, ?)"] * len(chunk))
        values = [value for event in chunk for value in (run_id, event.seq, event.name, event.data)]
        query = f"INSERT OR IGNORE INTO agent_events (run_id, seq, name, data) VALUES {rows}"  # noqa: S608
        added += connection.execute(query, values).rowcount
    return added > 0


def last_seq(connection: sqlite3.Connection, run_id: str) -> int:
    """Of its events."""
    query = "SELECT coalesce(max(seq), 0) AS last FROM agent_events WHERE run_id = ?"
    return int(one(connection, query, (run_id,))["last"])
