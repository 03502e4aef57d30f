"""What only a database that is shared has to deal with."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from agent_service.errors import SettingsError
from agent_service.store.opening import Stores, open_stores
from agent_service.store.postgres_checkpoints import SETUP_LOCK, PostgresCheckpoints
from agent_service.store.records import Change, ChangeKind, Event, Finished, Run, RunStatus, Thread
from tests.agent_service.builders import a_claim, a_run, a_thread, at, events, in_store, opened, submit, success
from tests.coroutines import run_apart
from tests.servers.processes import wait_until


def test_two_replicas_that_claim_at_once_never_share_a_run_nor_a_thread(database: str) -> None:
    threads, runs_each = 25, 4

    async def main() -> tuple[Counter[str], int]:
        async with opened(database) as one, opened(database) as two, asyncio.timeout(60):
            for _ in range(threads):
                thread = a_thread()
                for _ in range(runs_each):
                    await submit(one, a_run(thread), new_thread=thread)
            taken: Counter[str] = Counter()
            executing: set[str] = set()
            clashes = 0

            async def work(stores: Stores, name: str) -> None:
                nonlocal clashes
                while sum(taken.values()) < threads * runs_each:
                    for run in await stores.runs.claim(a_claim(name), 5):
                        clashes += run.thread_id in executing
                        executing.add(run.thread_id)
                        taken[run.run_id] += 1
                        await asyncio.sleep(0)
                        executing.discard(run.thread_id)
                        assert await stores.runs.finish(run, success(), events(1)) is Finished.KEPT

            workers = [work(stores, f"{number}") for number, stores in enumerate((one, two, one, two, one, two))]
            await asyncio.gather(*workers)
            return taken, clashes

    taken, clashes = run_apart(main())

    assert len(taken) == threads * runs_each
    assert set(taken.values()) == {1}
    assert clashes == 0


def test_one_key_sent_to_two_replicas_at_once_makes_one_run(database: str) -> None:
    async def main() -> list[Any]:
        async with opened(database) as one, opened(database) as two:
            thread = a_thread()
            return await asyncio.gather(
                *(
                    submit(stores, a_run(thread, idempotency_key="k"), new_thread=thread)
                    for stores in (one, two, one, two, one, two)
                )
            )

    found = run_apart(main())

    assert len({each.run.run_id for each in found}) == 1
    assert sum(each.is_new for each in found) == 1


def test_what_one_replica_changes_the_other_hears(database: str) -> None:
    async def main() -> list[Change]:
        async with opened(database) as one, opened(database) as two, asyncio.timeout(20):
            heard: list[Change] = []
            two.runs.listen(heard.append)
            thread = a_thread()
            run = (await submit(one, a_run(thread), new_thread=thread, claim=a_claim())).run
            await one.events.append({run.run_id: events(1)})
            await one.runs.finish(run, success(), [])
            await asyncio.to_thread(
                wait_until, lambda: Change(ChangeKind.FINISHED, run.run_id) in heard, "the other replica hears"
            )
            return [Change(change.kind, "") for change in heard if change.run_id == run.run_id]

    assert run_apart(main()) == [Change(ChangeKind.EVENTS, ""), Change(ChangeKind.FINISHED, "")]


def test_a_database_that_is_not_there_is_said_without_its_password() -> None:
    with pytest.raises(SettingsError, match="PostgreSQL cannot be used") as caught:
        in_store("postgresql://ann:secret@127.0.0.1:1/agent", lambda stores: stores.runs.ping())

    assert "secret" not in str(caught.value)


def test_replicas_that_start_at_once_make_the_tables_once(database: str) -> None:
    async def main() -> None:
        stores = [open_stores(database) for _ in range(4)]
        await asyncio.gather(*(each.open() for each in stores))
        await asyncio.gather(*(each.runs.ping() for each in stores))
        await asyncio.gather(*(each.close() for each in stores))

    run_apart(main())


def test_a_replica_waits_while_another_one_makes_the_tables_of_checkpoints(database: str) -> None:
    async def main() -> tuple[bool, bool]:
        checkpoints = PostgresCheckpoints(database)
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
            await other.execute("SELECT pg_advisory_lock(%s)", (SETUP_LOCK,))
            opening = asyncio.create_task(checkpoints.open())
            await asyncio.to_thread(wait_until, lambda: _has_asked(database), "the replica has asked for the lock")
            found = await other.execute("SELECT to_regclass('checkpoints') IS NOT NULL")
            was_made: Any = await found.fetchone()
        await opening
        await checkpoints.close()
        return was_made[0], opening.done()

    assert run_apart(main()) == (False, True)


def _has_asked(database: str) -> bool:
    with psycopg.connect(database) as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_try_advisory_lock%%' AND pid <> %s"
        return admin.execute(query, (admin.info.backend_pid,)).fetchone() != (0,)


def test_checkpoints_are_written_side_by_side_and_all_of_them_are_kept(database: str) -> None:
    """With the saver's own lock, one statement of the whole process would be under way at a time."""

    async def main() -> tuple[int, int]:
        checkpoints = PostgresCheckpoints(database, most_connections=4)
        await checkpoints.open()
        busiest = 0
        pool: Any = checkpoints.saver.conn

        async def watch() -> None:
            nonlocal busiest
            while True:
                stats = pool.get_stats()
                busiest = max(busiest, stats["pool_size"] - stats["pool_available"])
                await asyncio.sleep(0)

        async def put(number: int) -> None:
            config: Any = {"configurable": {"thread_id": f"thread-{number}", "checkpoint_ns": ""}}
            await checkpoints.saver.aput(config, empty_checkpoint(), {"run_id": "r"}, {})

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(put(number) for number in range(400)))
        watching.cancel()
        kept = [each async for each in checkpoints.saver.alist(None)]
        await checkpoints.close()
        return busiest, len(kept)

    busiest, kept = run_apart(main())

    assert kept == 400
    assert busiest > 1


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING])
def test_a_thread_deleted_by_one_replica_is_gone_for_the_other(database: str, status: RunStatus) -> None:
    async def main() -> Finished:
        async with opened(database) as one, opened(database) as two:
            thread = a_thread()
            claim = a_claim() if status is RunStatus.RUNNING else None
            run = (await submit(one, a_run(thread), new_thread=thread, claim=claim)).run
            assert run.status is status
            await two.runs.delete_thread(thread.thread_id, "")
            return await one.runs.finish(run, success(), [])

    assert run_apart(main()) is Finished.LOST


def test_two_replicas_that_make_one_thread_at_once_make_it_for_one_tenant(database: str) -> None:
    async def main() -> list[tuple[Any, Thread]]:
        async with opened(database) as one, opened(database) as two:
            found = []
            for _ in range(20):
                mine = a_thread(tenant="ann")
                theirs = a_thread(tenant="bob", thread_id=mine.thread_id)
                made = await asyncio.gather(
                    one.runs.create_thread(mine), two.runs.create_thread(theirs), return_exceptions=True
                )
                (winner,) = (thread for thread in made if isinstance(thread, Thread))
                found.append((made, await one.runs.get_thread(mine.thread_id, winner.tenant)))
            return found

    for made, kept in run_apart(main()):
        assert sorted(type(each).__name__ for each in made) == ["ConflictError", "Thread"]
        assert kept in made


def test_two_replicas_that_begin_one_new_thread_at_once_run_on_it_one_after_the_other(database: str) -> None:
    async def main() -> list[list[RunStatus]]:
        async with opened(database) as one, opened(database) as two:
            found = []
            for _ in range(20):
                thread = a_thread()
                made = await asyncio.gather(
                    *(submit(each, a_run(thread), new_thread=thread, claim=a_claim()) for each in (one, two))
                )
                found.append(sorted(each.run.status for each in made))
            return found

    assert run_apart(main()) == [[RunStatus.PENDING, RunStatus.RUNNING]] * 20


def test_no_event_is_left_of_a_run_that_is_deleted_while_it_is_written(database: str) -> None:
    async def main() -> None:
        async with opened(database) as one, opened(database) as two:
            for _ in range(40):
                thread = a_thread()
                run = (await submit(one, a_run(thread), new_thread=thread, claim=a_claim())).run
                await asyncio.gather(
                    one.events.append({run.run_id: events(1)}),
                    two.runs.delete_thread(thread.thread_id, ""),
                    one.events.append({run.run_id: events(2)}),
                )

    run_apart(main())

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM agent_events").fetchone() == (0,)


def test_an_event_that_is_being_written_waits_for_the_deletion_of_its_run(database: str) -> None:
    async def main() -> list[Event]:
        async with opened(database) as stores:
            thread = a_thread()
            run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
            async with await psycopg.AsyncConnection.connect(database) as other:
                await other.execute("DELETE FROM agent_runs WHERE run_id = %s", (run.run_id,))
                writing = asyncio.create_task(stores.events.append({run.run_id: events(1)}))
                await asyncio.to_thread(wait_until, lambda: _waits_for_a_lock(database), "the event waits")
                await other.execute("DELETE FROM agent_events WHERE run_id = %s", (run.run_id,))
                await other.commit()
            await writing
            return await stores.events.read(run.run_id, 0)

    assert run_apart(main()) == []


def _waits_for_a_lock(database: str) -> bool:
    with psycopg.connect(database) as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return admin.execute(query).fetchone() == (1,)


@pytest.mark.parametrize("written", ["options=-csearch_path%3Dmine", "options=-c%20search_path%3Dmine"])
def test_options_of_the_url_count_for_every_connection(database: str, written: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("CREATE SCHEMA mine")

    in_store(f"{database}?{written}", lambda stores: stores.runs.ping())

    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'agent_%' OR tablename LIKE 'checkpoint%'"
        ).fetchall()
    assert found == [("mine",)]


def test_no_statement_takes_longer_than_it_may_unless_the_url_says_so(database: str) -> None:
    async def limits(url: str) -> list[str]:
        async with opened(url) as stores:
            runs: Any = stores.runs
            checkpoints: Any = stores.checkpoints
            found = []
            for transaction in (runs._pool.transaction, checkpoints._transaction):
                async with transaction() as connection:
                    row = await (await connection.execute("SHOW statement_timeout")).fetchone()
                    found.append(row["statement_timeout"])
            return found

    assert run_apart(limits(database)) == ["5s", "15s"]
    assert run_apart(limits(f"{database}?options=-cstatement_timeout%3D1min")) == ["1min", "1min"]


def test_leases_are_counted_by_the_clock_of_the_database(database: str) -> None:
    """The clocks of these replicas are hours apart, and no lease ends before its time for that."""

    async def main() -> tuple[list[timedelta], list[Run], list[Run]]:
        async with opened(database) as ahead, opened(database) as behind:
            one, two = a_thread(), a_thread()
            begun = (await submit(ahead, a_run(one), new_thread=one, claim=a_claim("ahead", 7200))).run
            await submit(behind, a_run(two), new_thread=two)
            (claimed,) = await behind.runs.claim(a_claim("behind", -7200), 1)
            now = datetime.now(UTC)
            lasting = [run.lease_until - now for run in (begun, claimed) if run.lease_until is not None]
            early = await ahead.runs.reap(at(7200), most_crashes=3)
            await behind.runs.renew(a_claim("behind", -7200, lease=-1), [claimed])
            return lasting, early, await ahead.runs.reap(at(7200), most_crashes=3)

    lasting, early, late = run_apart(main())

    assert [round(each.total_seconds(), -1) for each in lasting] == [30, 30]
    assert early == []
    assert [run.attempt for run in late] == [1]
