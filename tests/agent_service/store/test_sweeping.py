"""What goes by and by, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from agent_service.store.opening import Stores
from agent_service.store.records import (
    Ending,
    RunStatus,
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


def test_a_sweep_takes_expired_and_ended_temporary_threads_and_old_streams(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        kept, expired = a_thread(), a_thread(ttl_minutes=1, expires_at=at(60))
        temporary, busy = a_thread(is_temporary=True), a_thread(is_temporary=True, expires_at=at(1))
        await stores.runs.create_thread(expired)
        ran = []
        for thread in (kept, temporary):
            run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
            await stores.runs.finish(run, success(5), events(1))
            ran.append(run)
        await submit(stores, a_run(busy), new_thread=busy, claim=a_claim())

        assert await stores.runs.sweep(at(59), finished_before=at(5)) == []
        gone = await stores.runs.sweep(at(60), finished_before=at(6))

        assert set(gone) == {expired.thread_id, temporary.thread_id}
        old = await stores.runs.get_run(ran[0].run_id, "")
        assert (old.status, old.result, await stores.events.read(old.run_id, 0)) == (RunStatus.SUCCESS, None, [])
        assert (await stores.runs.get_thread(kept.thread_id, "")).values == b'{"a":1}'

    in_store(any_url, test)


def test_runs_lose_their_events_even_when_they_had_no_result_and_however_many_there_are(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = await stores.runs.create_thread(a_thread())
        ran = []
        for number in range(7):
            run = (await submit(stores, a_run(thread), claim=a_claim())).run
            await stores.runs.finish(run, Ending(RunStatus.INTERRUPTED, at(number)), events(1))
            ran.append(run)

        gone = await stores.runs.sweep(at(99), finished_before=at(5), limit=2)

        assert gone == []
        left = [len(await stores.events.read(run.run_id, 0)) for run in ran]
        assert left == [0, 0, 0, 0, 0, 1, 1]
        assert await stores.runs.sweep(at(99), finished_before=at(99)) == []
        assert [await stores.events.read(run.run_id, 0) for run in ran] == [[]] * 7

    in_store(any_url, test)


def test_a_sweep_takes_no_more_threads_than_it_was_asked_to(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        for _ in range(5):
            await stores.runs.create_thread(a_thread(expires_at=at(1)))

        taken = [len(await stores.runs.sweep(at(2), finished_before=at(0), limit=2)) for _ in range(4)]

        assert taken == [2, 2, 1, 0]

    in_store(any_url, test)
