"""What SQLite transactions are made of.  Everything here runs in the store's thread, inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import orjson

from agent_service.errors import ConflictError, NotFoundError
from agent_service.store import rules, words
from agent_service.store import sqlite_rows as rows
from agent_service.store.records import (
    Change,
    ChangeKind,
    Claim,
    Ending,
    Event,
    Finished,
    Multitask,
    Run,
    RunStatus,
    Stop,
    Submission,
    Thread,
)
from agent_service.store.rows import micros, run_of
from agent_service.store.sqlite_rows import ACTIVE, Changes

# The oldest due (see rules.is_due) pending run of every thread that has no running one.
CLAIMABLE = """
SELECT min(number) AS number FROM agent_runs AS waiting
WHERE status = 'pending' AND (not_before <= created_at OR not_before <= ?)
  AND NOT EXISTS (SELECT 1 FROM agent_runs AS busy WHERE busy.thread_id = waiting.thread_id AND busy.status = 'running')
GROUP BY thread_id
"""
CLAIM = f"""
SELECT * FROM agent_runs WHERE number IN ({CLAIMABLE})
  AND (?2 IS NULL OR graph_id IN (SELECT value FROM json_each(?2))) ORDER BY number LIMIT ?3
"""  # noqa: S608 - words of ours


def create_thread(connection: sqlite3.Connection, thread: Thread, may_exist: bool) -> Thread:
    """See RunStore."""
    known = rows.find_thread(connection, thread.thread_id)
    if known is None:
        return rows.put_thread(connection, thread)
    if may_exist and known.tenant == thread.tenant:
        return known
    raise ConflictError(words.thread_exists(thread.thread_id))


def submit(
    connection: sqlite3.Connection,
    run: Run,
    new_thread: Thread | None,
    strategy: Multitask,
    claim: Claim | None,
    told: Changes,
) -> Submission:
    """See RunStore."""
    if (known := rows.find_run(connection, run.run_id)) is not None:
        return _accepted_before(connection, known, run)
    same = find_by_key(connection, run.tenant, run.idempotency_key)
    if same is not None:
        return Submission(rules.repeated(same, run), is_new=False)
    thread = rows.find_thread(connection, run.thread_id) or new_thread
    if thread is None or thread.tenant != run.tenant:
        raise NotFoundError(words.no_thread(run.thread_id))
    query = f"SELECT * FROM agent_runs WHERE thread_id = ? AND {ACTIVE} ORDER BY number"  # noqa: S608
    active = [run_of(each) for each in connection.execute(query, (run.thread_id,)).fetchall()]
    if active and strategy is Multitask.REJECT:
        raise ConflictError(words.busy(run.thread_id))
    to_stop: list[Run] = []
    if strategy in (Multitask.INTERRUPT, Multitask.ROLLBACK):
        to_stop = [stop_run(connection, each, Stop(strategy.value), run.created_at, told) for each in active]
        thread = rows.find_thread(connection, run.thread_id) or thread
    found = rules.accepted(run, claim, to_stop or active, to_stop)
    rows.add_run(connection, found.run)
    rows.put_thread(connection, rules.occupied(thread, run))
    if found.run.status is RunStatus.PENDING:
        told.append(Change(ChangeKind.WORK, run.run_id))
    return found


def find_by_key(connection: sqlite3.Connection, tenant: str, key: str | None) -> Run | None:
    """See RunStore."""
    query = "SELECT * FROM agent_runs WHERE tenant = ? AND idempotency_key = ?"
    row = None if key is None else rows.one(connection, query, (tenant, key))
    return None if row is None else run_of(row)


def _accepted_before(connection: sqlite3.Connection, known: Run, run: Run) -> Submission:
    if known.tenant != run.tenant:
        raise ConflictError(words.run_exists(run.run_id))
    earlier = connection.execute(
        f"SELECT * FROM agent_runs WHERE thread_id = ?1 AND ({ACTIVE} OR stop IS NOT NULL) "  # noqa: S608
        "AND number < (SELECT number FROM agent_runs WHERE run_id = ?2) ORDER BY number",
        (known.thread_id, known.run_id),
    )
    return rules.accepted_before(known, [run_of(row) for row in earlier])


def claim_runs(
    connection: sqlite3.Connection, claim: Claim, limit: int, graphs: Collection[str] | None
) -> list[Run]:  # fmt: skip
    """See RunStore."""
    names = None if graphs is None else orjson.dumps(list(graphs)).decode()
    found = connection.execute(CLAIM, (micros(claim.at), names, limit)).fetchall()
    return [rows.set_run(connection, rules.claimed(run_of(row), claim)) for row in found]


def renew(connection: sqlite3.Connection, claim: Claim, runs: Sequence[Run]) -> dict[str, Stop | None]:
    """See RunStore."""
    still: dict[str, Stop | None] = {}
    for run in runs:
        known = rows.held(connection, replace(run, holder=claim.holder))
        if known is not None:
            query = "UPDATE agent_runs SET lease_until = ? WHERE run_id = ?"
            connection.execute(query, (micros(claim.lease_until), run.run_id))
            still[run.run_id] = known.stop
    return still


def finish(
    connection: sqlite3.Connection, run: Run, ending: Ending, events: Sequence[Event], told: Changes
) -> Finished:  # fmt: skip
    """See RunStore."""
    known = rows.find_run(connection, run.run_id)
    if known is None:
        return Finished.LOST
    if rules.was_ended_by(known, run):
        return Finished.KEPT
    if not rules.is_held(known, run):
        return Finished.LOST
    if known.stop is Stop.ROLLBACK and not ending.is_rolled_back:
        return Finished.ROLLED_BACK
    rows.append(connection, run.run_id, events)
    end_run(connection, known, ending, told)
    return Finished.KEPT


def hand_over(
    connection: sqlite3.Connection, run: Run, events: Sequence[Event], at: datetime, is_crash: bool, told: Changes
) -> bool:
    """See RunStore."""
    known = rows.held(connection, run)
    if known is None:
        return False
    rows.append(connection, run.run_id, events)
    rows.set_run(connection, rules.released(known, at, is_crash=is_crash))
    told.append(Change(ChangeKind.WORK, run.run_id))
    return True


def request_stop(
    connection: sqlite3.Connection, run_id: str, tenant: str, stop: Stop, at: datetime, told: Changes
) -> Run:  # fmt: skip
    """See RunStore."""
    run = rows.run_with(connection, run_id, tenant)
    if not run.status.is_active:
        raise ConflictError(words.has_ended(run))
    return stop_run(connection, run, stop, at, told)


def stop_run(connection: sqlite3.Connection, run: Run, stop: Stop, at: datetime, told: Changes) -> Run:
    """End it, or mark it."""
    run = rules.marked(run, stop, at)
    if rules.ends_at_once(run):
        return end_unexecuted(connection, run, rules.stopped(at), told)
    told.append(Change(ChangeKind.STOP if run.status is RunStatus.RUNNING else ChangeKind.WORK, run.run_id))
    return rows.set_run(connection, run)


def end_unexecuted(connection: sqlite3.Connection, run: Run, ending: Ending, told: Changes) -> Run:
    """With its last words."""
    rows.append(connection, run.run_id, rules.last_words(run, ending, rows.last_seq(connection, run.run_id)))
    return end_run(connection, run, ending, told)


def end_run(connection: sqlite3.Connection, run: Run, ending: Ending, told: Changes) -> Run:
    """With its thread."""
    run = rows.set_run(connection, rules.ended(run, ending))
    query = f"SELECT 1 FROM agent_runs WHERE thread_id = ? AND {ACTIVE} LIMIT 1"  # noqa: S608
    is_busy = rows.one(connection, query, (run.thread_id,)) is not None
    thread = rows.thread_with(connection, run.thread_id, run.tenant)
    rows.put_thread(connection, rules.settled(thread, ending, is_busy=is_busy))
    told.append(Change(ChangeKind.FINISHED, run.run_id))
    if is_busy:
        told.append(Change(ChangeKind.WORK, run.run_id))
    return run


def reap(
    connection: sqlite3.Connection, at: datetime, most_crashes: int, told: Changes, *, everyone: bool = False
) -> list[Run]:
    """Runs whose lease has run out; everyone: all that were running."""
    found = connection.execute(
        "SELECT * FROM agent_runs WHERE status = 'running' AND (? OR lease_until <= ?) ORDER BY number",
        (everyone, micros(at)),
    ).fetchall()
    reaped: list[Run] = []
    for row in found:
        run, ending = rules.crashed(run_of(row), at, most_crashes)
        if ending is not None:
            reaped.append(end_unexecuted(connection, run, ending, told))
        else:
            reaped.append(rows.set_run(connection, run))
            told.append(Change(ChangeKind.WORK, run.run_id))
    return reaped
