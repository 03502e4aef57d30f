"""What a database that goes away and comes back does to those who use it: nothing but StoreErrors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from langgraph.checkpoint.base import empty_checkpoint

from agent_service.errors import StoreError
from agent_service.store.opening import Stores
from agent_service.store.records import Change, ChangeKind, Finished, Run, RunStatus
from tests.agent_service.builders import NOON, a_claim, a_run, a_thread, an_id, events, opened, submit, success
from tests.coroutines import run_apart

_PLACE: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}


def cut(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def be_away(server: str, database: str, *, is_away: bool) -> None:
    """Nobody is let in, and those who are in are thrown out, as by a server that stops."""
    name = database.rpartition("/")[2]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {not is_away}'.encode())
        if is_away:
            admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,))


def everything(stores: Stores, run: Run) -> list[Callable[[], Awaitable[Any]]]:
    """Calls of every port that change nothing of importance."""
    runs, checkpoints = stores.runs, stores.checkpoints
    other = a_run(run.thread_id, run_id=an_id())
    return [
        runs.ping,
        lambda: runs.get_thread(run.thread_id, ""),
        lambda: runs.get_run(run.run_id, ""),
        lambda: runs.renew(a_claim(), [run]),
        lambda: runs.reap(NOON, most_crashes=3),
        lambda: runs.queue_depth(NOON),
        lambda: runs.claim(a_claim("other"), 5),
        lambda: runs.hand_over(other, [], NOON),
        lambda: runs.finish(other, success(), []),
        lambda: runs.sweep(NOON, finished_before=NOON),
        lambda: stores.events.append({run.run_id: events(1, 2)}),
        lambda: stores.events.read(run.run_id, 0),
        lambda: checkpoints.saver.aget_tuple(_PLACE),
        lambda: checkpoints.saver.aput(_PLACE, empty_checkpoint(), {"run_id": "r"}, {}),
        lambda: checkpoints.saver.aput_writes(_PLACE, [("a", 1)], "task"),
        lambda: _listed(stores),
        lambda: checkpoints.roll_back("t", "another"),
        lambda: checkpoints.prune("another"),
        lambda: checkpoints.copy_thread("another", "third"),
        lambda: checkpoints.delete_threads(["another"]),
    ]


async def _listed(stores: Stores) -> int:
    return len([each async for each in stores.checkpoints.saver.alist(_PLACE)])


def test_a_restart_is_an_error_of_the_store_at_most_and_damages_nothing(database: str) -> None:
    async def main() -> tuple[list[Any], list[Any], Run, Finished]:
        async with opened(database) as stores, asyncio.timeout(60):
            thread = a_thread()
            run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
            calls = everything(stores, run)
            await asyncio.gather(*(call() for call in calls))  # connections enough to be cut

            await asyncio.to_thread(cut, database)
            idle = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
            busy = asyncio.gather(*(call() for call in calls * 5), return_exceptions=True)
            await asyncio.to_thread(cut, database)

            broken = await busy
            for call in calls:
                await call()
            kept = await stores.runs.get_run(run.run_id, "")
            return idle, broken, kept, await stores.runs.finish(run, success(), [])

    idle, busy, kept, finished = run_apart(main())

    assert {type(each) for each in [*idle, *busy] if isinstance(each, BaseException)} <= {StoreError}
    assert not any(isinstance(each, BaseException) for each in idle)  # connections are looked at before they are used
    assert (kept.status, kept.attempt, kept.holder) == (RunStatus.RUNNING, 1, "one")
    assert finished is Finished.KEPT


def test_while_the_server_is_away_there_are_errors_of_the_store_and_afterwards_none(
    postgres_server: str, database: str
) -> None:
    async def main() -> tuple[list[Any], list[Any], Run]:
        async with opened(database) as stores, asyncio.timeout(60):
            thread = a_thread()
            run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
            calls = everything(stores, run)
            await asyncio.to_thread(be_away, postgres_server, database, is_away=True)
            away = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
            await asyncio.to_thread(be_away, postgres_server, database, is_away=False)
            back = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
            return away, back, await stores.runs.get_run(run.run_id, "")

    away, back, kept = run_apart(main())

    assert {type(each) for each in away} == {StoreError}
    assert not any("postgresql://" in str(each) for each in away)
    assert [each for each in back if isinstance(each, BaseException)] == []
    assert (kept.status, kept.attempt, kept.holder) == (RunStatus.RUNNING, 1, "one")


def test_whoever_listens_is_told_to_look_for_himself_when_news_may_have_been_missed(database: str) -> None:
    async def main() -> list[Change]:
        async with opened(database) as stores, asyncio.timeout(40):
            heard: list[Change] = []
            stores.runs.listen(heard.append)
            await asyncio.to_thread(cut, database)
            # The listening connection comes back by itself.
            with psycopg.connect(database, autocommit=True) as admin:
                while Change(ChangeKind.WORK, "r") not in heard:
                    admin.execute('SELECT pg_notify(\'agent_changes\', \'{"k": "work", "r": "r"}\')')
                    await asyncio.sleep(0.05)
            return heard

    heard = run_apart(main())

    # What was told in between nobody has heard: whoever waits for anything has to look for himself.
    assert heard[:2] == [Change(ChangeKind.WORK, ""), Change(ChangeKind.LOOK, "")]
    assert Change(ChangeKind.WORK, "r") in heard
