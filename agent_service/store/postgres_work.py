"""What PostgreSQL transactions are made of.

A transaction that moves a run and its thread locks the thread first; claims skip what is locked.  So none waits for
another in a circle.  Leases are counted by the database's clock, which is the only one that all replicas share.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from agent_service.errors import ConflictError, NotFoundError
from agent_service.store import rules, words
from agent_service.store.postgres_connections import Connection
from agent_service.store.postgres_rows import (
    ACTIVE,
    Changes,
    add_run,
    add_thread,
    append,
    last_seq,
    lock_thread,
    locked_run,
    many,
    occupy,
    one,
    set_run,
    set_thread,
)
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
from agent_service.store.rows import instant, micros, run_of, thread_of

CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
# Due: see rules.is_due.
_DUE = "({run}.not_before <= {run}.created_at OR {run}.not_before <= %(at)s)"
DUE, EARLIER_DUE = _DUE.format(run="r"), _DUE.format(run="earlier")
COMES_FIRST = f"""EXISTS (
    SELECT 1 FROM agent_runs earlier
    WHERE earlier.thread_id = r.thread_id AND earlier.status = 'pending' AND earlier.number < r.number
      AND {EARLIER_DUE})"""  # noqa: S608 - words of ours
# The oldest due pending run of every thread that has no running one.  Both rows are locked, so that what has changed
# since the statement began is looked at once more, and what others are just changing is left alone.
CLAIMABLE = f"""
SELECT r.*, {CLOCK} AS clock FROM agent_runs r JOIN agent_threads t ON t.thread_id = r.thread_id
WHERE r.status = 'pending' AND {DUE} AND t.running_run IS NULL
  AND (%(graphs)s::text[] IS NULL OR r.graph_id = ANY(%(graphs)s)) AND NOT {COMES_FIRST}
ORDER BY r.number LIMIT %(limit)s FOR UPDATE OF r, t SKIP LOCKED
"""  # noqa: S608


async def submit(
    connection: Connection,
    run: Run,
    new_thread: Thread | None,
    strategy: Multitask,
    claim: Claim | None,
    told: Changes,
) -> Submission:
    """See RunStore."""
    known = await one(
        connection,
        f"SELECT {CLOCK} AS clock, r.* FROM (SELECT 1) always LEFT JOIN agent_runs r ON r.run_id = %s",  # noqa: S608
        (run.run_id,),
    )
    if known is not None and known["run_id"] is not None:
        return await _accepted_before(connection, run_of(known), known["number"], run)
    same = await find_by_key(connection, run.tenant, run.idempotency_key)
    if same is not None:
        return Submission(rules.repeated(same, run), is_new=False)
    row = await lock_thread(connection, run.thread_id)
    thread = new_thread if row is None else thread_of(row)
    if thread is None or thread.tenant != run.tenant:
        raise NotFoundError(words.no_thread(run.thread_id))
    active: list[Run] = []
    if row is not None:
        query = f"SELECT * FROM agent_runs WHERE thread_id = %s AND {ACTIVE} ORDER BY number FOR UPDATE"  # noqa: S608
        active = [run_of(each) for each in await many(connection, query, (run.thread_id,))]
    if active and strategy is Multitask.REJECT:
        raise ConflictError(words.busy(run.thread_id))
    to_stop: list[Run] = []
    if strategy in (Multitask.INTERRUPT, Multitask.ROLLBACK):
        to_stop = [await stop_run(connection, each, Stop(strategy.value), run.created_at, told) for each in active]
        settled = await lock_thread(connection, run.thread_id) if to_stop else None
        thread = thread if settled is None else thread_of(settled)
    if claim is not None and known is not None:
        claim = by_clock(claim, known["clock"])
    found = rules.accepted(run, claim, to_stop or active, to_stop)
    await (add_thread if row is None else set_thread)(connection, rules.occupied(thread, run))
    await add_run(connection, found.run)
    if found.run.status is RunStatus.RUNNING:
        await occupy(connection, run.thread_id, run.run_id)
    else:
        told.append(Change(ChangeKind.WORK, run.run_id))
    return found


async def find_by_key(connection: Connection, tenant: str, key: str | None) -> Run | None:
    """See RunStore."""
    if key is None:
        return None
    row = await one(
        connection, "SELECT * FROM agent_runs WHERE tenant = %s AND idempotency_key = %s", (tenant, key)
    )  # fmt: skip
    return None if row is None else run_of(row)


async def _accepted_before(connection: Connection, known: Run, number: int, run: Run) -> Submission:
    if known.tenant != run.tenant:
        raise ConflictError(words.run_exists(run.run_id))
    rows = await many(
        connection,
        f"SELECT * FROM agent_runs WHERE thread_id = %s AND number < %s AND ({ACTIVE} OR stop IS NOT NULL) "  # noqa: S608
        "ORDER BY number",
        (known.thread_id, number),
    )
    return rules.accepted_before(known, [run_of(row) for row in rows])


def by_clock(claim: Claim, clock: int) -> Claim:
    """The claim with a lease that ends by the database's clock."""
    return replace(claim, lease_until=instant(clock) + (claim.lease_until - claim.at))


async def claim_runs(
    connection: Connection, claim: Claim, limit: int, graphs: Collection[str] | None
) -> list[Run]:  # fmt: skip
    """See RunStore."""
    given = {"at": micros(claim.at), "limit": limit, "graphs": None if graphs is None else list(graphs)}
    claimed: list[Run] = []
    for row in await many(connection, CLAIMABLE, given):
        run = await set_run(connection, rules.claimed(run_of(row), by_clock(claim, row["clock"])))
        await occupy(connection, run.thread_id, run.run_id)
        claimed.append(run)
    return claimed


async def renew(connection: Connection, claim: Claim, runs: Sequence[Run]) -> dict[str, Stop | None]:
    """See RunStore."""
    rows = await many(
        connection,
        f"UPDATE agent_runs r SET lease_until = {CLOCK} + %s "  # noqa: S608
        "FROM unnest(%s::text[], %s::integer[]) AS mine (run_id, attempt) WHERE r.run_id = mine.run_id "
        "AND r.attempt = mine.attempt AND r.holder = %s AND r.status = 'running' RETURNING r.run_id, r.stop",
        (
            micros(claim.lease_until) - micros(claim.at),
            [run.run_id for run in runs],
            [run.attempt for run in runs],
            claim.holder,
        ),
    )
    return {row["run_id"]: None if row["stop"] is None else Stop(row["stop"]) for row in rows}


async def finish(
    connection: Connection, run: Run, ending: Ending, events: Sequence[Event], told: Changes
) -> Finished:  # fmt: skip
    """See RunStore."""
    known = await locked_run(connection, run)
    if known is None:
        return Finished.LOST
    if rules.was_ended_by(known, run):
        return Finished.KEPT
    if not rules.is_held(known, run):
        return Finished.LOST
    if known.stop is Stop.ROLLBACK and not ending.is_rolled_back:
        return Finished.ROLLED_BACK
    await append(connection, {run.run_id: events})
    await end_run(connection, known, ending, told)
    return Finished.KEPT


async def hand_over(
    connection: Connection, run: Run, events: Sequence[Event], at: datetime, is_crash: bool, told: Changes
) -> bool:
    """See RunStore."""
    known = await locked_run(connection, run)
    if known is None or not rules.is_held(known, run):
        return False
    await append(connection, {run.run_id: events})
    await set_run(connection, rules.released(known, at, is_crash=is_crash))
    await occupy(connection, run.thread_id, None)
    told.append(Change(ChangeKind.WORK, run.run_id))
    return True


async def stop_run(connection: Connection, run: Run, stop: Stop, at: datetime, told: Changes) -> Run:
    """End it, or mark it; its thread is locked."""
    run = rules.marked(run, stop, at)
    if rules.ends_at_once(run):
        return await end_unexecuted(connection, run, rules.stopped(at), told)
    told.append(Change(ChangeKind.STOP if run.status is RunStatus.RUNNING else ChangeKind.WORK, run.run_id))
    return await set_run(connection, run)


async def end_unexecuted(connection: Connection, run: Run, ending: Ending, told: Changes) -> Run:
    """With its last words."""
    last = await last_seq(connection, run.run_id)
    await append(connection, {run.run_id: rules.last_words(run, ending, last)})
    return await end_run(connection, run, ending, told)


async def end_run(connection: Connection, run: Run, ending: Ending, told: Changes) -> Run:
    """With its thread, which is locked."""
    run = await set_run(connection, rules.ended(run, ending))
    row = await one(
        connection,
        f"SELECT *, EXISTS (SELECT 1 FROM agent_runs r WHERE r.thread_id = t.thread_id AND r.{ACTIVE}) AS is_busy "  # noqa: S608
        "FROM agent_threads t WHERE thread_id = %s",
        (run.thread_id,),
    )
    if row is not None:
        await set_thread(connection, rules.settled(thread_of(row), ending, is_busy=row["is_busy"]))
        if row["running_run"] == run.run_id:
            await occupy(connection, run.thread_id, None)
        if row["is_busy"]:
            told.append(Change(ChangeKind.WORK, run.run_id))
    told.append(Change(ChangeKind.FINISHED, run.run_id))
    return run


async def reap(connection: Connection, at: datetime, most_crashes: int, told: Changes) -> list[Run]:
    """See RunStore; two replicas may do it at once."""
    rows = await many(
        connection,
        "SELECT r.* FROM agent_runs r JOIN agent_threads t ON t.thread_id = r.thread_id "  # noqa: S608
        f"WHERE r.status = 'running' AND r.lease_until <= {CLOCK} ORDER BY r.number LIMIT 500 "
        "FOR UPDATE OF r, t SKIP LOCKED",
        (),
    )
    reaped: list[Run] = []
    for row in rows:
        run, ending = rules.crashed(run_of(row), at, most_crashes)
        if ending is not None:
            reaped.append(await end_unexecuted(connection, run, ending, told))
        else:
            reaped.append(await set_run(connection, run))
            await occupy(connection, run.thread_id, None)
            told.append(Change(ChangeKind.WORK, run.run_id))
    return reaped


async def drop_threads(connection: Connection, thread_ids: list[str], told: Changes) -> None:
    """With their runs and events: the runs first, so that no event can be added to one that is gone."""
    rows = await many(
        connection, "DELETE FROM agent_runs WHERE thread_id = ANY(%s) RETURNING run_id, status", (thread_ids,)
    )
    run_ids = [row["run_id"] for row in rows]
    await connection.execute("DELETE FROM agent_events WHERE run_id = ANY(%s)", (run_ids,))
    await connection.execute("DELETE FROM agent_threads WHERE thread_id = ANY(%s)", (thread_ids,))
    told += [Change(ChangeKind.STOP, row["run_id"]) for row in rows if RunStatus(row["status"]).is_active]
    told += [Change(ChangeKind.FINISHED, run_id) for run_id in run_ids]
