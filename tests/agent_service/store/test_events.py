"""The event log, and who is told, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from agent_service.store.opening import Stores
from agent_service.store.records import (
    Change,
    ChangeKind,
    Ending,
    RunStatus,
    Stop,
)
from tests.agent_service.builders import (
    a_claim,
    a_run,
    a_thread,
    at,
    events,
    in_store,
    submit,
    success,
)


def test_events_written_twice_are_there_once_and_are_read_from_where_the_reader_is(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run

        await stores.events.append({run.run_id: events(1, 2)})
        await stores.events.append({run.run_id: events(2, 3)})
        await stores.events.append({run.run_id: []})
        await stores.runs.finish(run, success(), events(3, 4))

        assert await stores.events.read(run.run_id, 0) == events(1, 2, 3, 4)
        assert await stores.events.read(run.run_id, 2) == events(3, 4)
        assert await stores.events.read(run.run_id, 0, limit=2) == events(1, 2)

    in_store(any_url, test)


def test_what_several_runs_said_is_kept_at_once_and_whoever_follows_one_hears_of_it(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        runs = []
        for _ in range(3):
            thread = a_thread()
            runs.append((await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run)
        one, old, other = runs
        await stores.events.append({old.run_id: events(1)})
        heard: list[Change] = []
        stores.runs.listen(heard.append)

        gone = a_run(a_thread()).run_id
        await stores.events.append(
            {one.run_id: events(1, 2), gone: events(1), old.run_id: events(1), other.run_id: events(7)}
        )

        assert await stores.events.read(one.run_id, 0) == events(1, 2)
        assert await stores.events.read(other.run_id, 0) == events(7)
        assert await stores.events.read(old.run_id, 0) == events(1)
        assert await stores.events.read(gone, 0) == []
        assert {Change(ChangeKind.EVENTS, each.run_id) for each in (one, other)} <= set(heard)
        assert gone not in {change.run_id for change in heard}

    in_store(any_url, test)


def test_listeners_hear_of_work_stops_events_and_endings(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        heard: list[Change] = []
        stores.runs.listen(heard.append)
        thread = a_thread()
        waiting = (await submit(stores, a_run(thread), new_thread=thread)).run
        (run,) = await stores.runs.claim(a_claim(), 1)
        await stores.events.append({run.run_id: events(1)})
        await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(1))
        await stores.runs.finish(run, Ending(RunStatus.INTERRUPTED, at(2)), [])

        kinds = [ChangeKind.WORK, ChangeKind.EVENTS, ChangeKind.STOP, ChangeKind.FINISHED]
        assert list(dict.fromkeys(heard)) == [Change(kind, waiting.run_id) for kind in kinds]

    in_store(any_url, test)


def test_a_store_that_is_there_answers(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        await stores.runs.ping()

    in_store(any_url, test)
