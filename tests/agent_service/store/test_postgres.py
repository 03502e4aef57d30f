"""What only a database that is shared has to deal with."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from agent_service.errors import SettingsError, StoreError
from agent_service.store.opening import Stores, open_stores
from agent_service.store.postgres_checkpoints import PostgresCheckpoints
from agent_service.store.records import Change, ChangeKind, RunStatus
from tests.agent_service.builders import a_claim, a_run, a_thread, events, in_store, opened, submit, success
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
                        assert await stores.runs.finish(run, success(), events(1))

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
            await one.events.append(run.run_id, events(1))
            await one.runs.finish(run, success(), [])
            await asyncio.to_thread(
                wait_until, lambda: Change(ChangeKind.FINISHED, run.run_id) in heard, "the other replica hears"
            )
            return [Change(change.kind, "") for change in heard if change.run_id == run.run_id]

    assert run_apart(main()) == [Change(ChangeKind.EVENTS, ""), Change(ChangeKind.FINISHED, "")]


def test_a_connection_that_is_cut_is_an_error_once_and_then_everything_goes_on(database: str) -> None:
    def cut() -> None:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def main() -> tuple[list[str], list[Change]]:
        async with opened(database) as stores, asyncio.timeout(40):
            heard: list[Change] = []
            stores.runs.listen(heard.append)
            thread = a_thread()
            await stores.runs.create_thread(thread)
            await asyncio.to_thread(cut)
            failures: list[str] = []
            while True:
                try:
                    await stores.runs.get_thread(thread.thread_id, "")
                    break
                except StoreError as error:
                    failures.append(str(error))
            # The listening connection comes back by itself.
            with psycopg.connect(database, autocommit=True) as admin:
                while not heard:
                    admin.execute('SELECT pg_notify(\'agent_changes\', \'{"k": "work", "r": "r"}\')')
                    await asyncio.sleep(0.05)
            return failures, heard

    failures, heard = run_apart(main())

    assert len(failures) <= 9  # as many as there were connections in the pool
    assert not any("postgresql://" in failure for failure in failures)
    assert heard[0] == Change(ChangeKind.WORK, "r")


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


def test_checkpoints_are_written_side_by_side_and_all_of_them_are_kept(database: str) -> None:
    """With the saver's own lock, one statement of the whole process would be under way at a time."""

    async def main() -> tuple[int, int]:
        checkpoints = PostgresCheckpoints(database, most_connections=4)
        await checkpoints.open()
        busiest = 0
        pool = checkpoints._connections()

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
    async def main() -> bool:
        async with opened(database) as one, opened(database) as two:
            thread = a_thread()
            claim = a_claim() if status is RunStatus.RUNNING else None
            run = (await submit(one, a_run(thread), new_thread=thread, claim=claim)).run
            assert run.status is status
            await two.runs.delete_thread(thread.thread_id, "")
            return await one.runs.finish(run, success(), [])

    assert not run_apart(main())
