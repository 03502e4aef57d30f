"""Who executes a run, and for how long, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace

from agent_service.store.opening import Stores
from agent_service.store.records import (
    Ending,
    Finished,
    RunStatus,
    Stop,
    ThreadStatus,
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


def test_runs_of_one_thread_execute_one_after_the_other_and_those_of_others_do_not_wait(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        one, two = a_thread(), a_thread()
        first = (await submit(stores, a_run(one), new_thread=one, claim=a_claim())).run
        second = (await submit(stores, a_run(one), claim=a_claim())).run
        third = (await submit(stores, a_run(one))).run
        other = (await submit(stores, a_run(two), new_thread=two)).run
        assert second.status is RunStatus.PENDING

        claimed = await stores.runs.claim(a_claim("two"), 10)
        assert [run.run_id for run in claimed] == [other.run_id]
        assert await stores.runs.finish(first, success(), []) is Finished.KEPT
        claimed = await stores.runs.claim(a_claim("two"), 10)
        assert [run.run_id for run in claimed] == [second.run_id]
        assert await stores.runs.claim(a_claim("two"), 10) == []
        assert (await stores.runs.get_run(third.run_id, "")).status is RunStatus.PENDING

    in_store(any_url, test)


def test_claims_take_the_oldest_first_and_no_more_than_asked(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        threads = [a_thread() for _ in range(4)]
        runs = [(await submit(stores, a_run(thread), new_thread=thread)).run for thread in threads]

        first, second = await stores.runs.claim(a_claim(), 3), await stores.runs.claim(a_claim(), 3)

        assert [run.run_id for run in [*first, *second]] == [run.run_id for run in runs]
        assert len(first) == 3
        assert {run.status for run in [*first, *second]} == {RunStatus.RUNNING}

    in_store(any_url, test)


def test_a_run_that_is_to_begin_later_waits_and_does_not_hold_up_a_later_one(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        late = (await submit(stores, a_run(thread, not_before=at(60)), new_thread=thread, claim=a_claim())).run
        assert late.status is RunStatus.PENDING
        soon = (await submit(stores, a_run(thread))).run

        assert [run.run_id for run in await stores.runs.claim(a_claim(seconds=59), 9)] == [soon.run_id]
        assert await stores.runs.claim(a_claim(seconds=61), 9) == []
        assert await stores.runs.finish((await stores.runs.get_run(soon.run_id, "")), success(), []) is Finished.KEPT
        assert [run.run_id for run in await stores.runs.claim(a_claim(seconds=61), 9)] == [late.run_id]

    in_store(any_url, test)


def test_only_whoever_holds_a_run_in_its_present_attempt_ends_it(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        stale = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim("one", lease=-1))).run
        (reaped,) = await stores.runs.reap(at(31), most_crashes=3)
        assert (reaped.status, reaped.crashes) == (RunStatus.PENDING, 1)
        (fresh,) = await stores.runs.claim(a_claim("one", seconds=32), 1)  # even the same replica, later

        assert await stores.runs.finish(stale, success(), events(1)) is Finished.LOST
        assert not await stores.runs.hand_over(stale, events(2), at(33))
        assert await stores.events.read(stale.run_id, 0) == []
        assert (fresh.attempt, fresh.crashes) == (2, 1)
        assert await stores.runs.finish(fresh, success(34), []) is Finished.KEPT
        assert await stores.runs.finish(stale, success(35), []) is Finished.LOST

    in_store(any_url, test)


def test_a_run_handed_over_waits_for_another_and_does_not_count_as_a_crash(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim("one"))).run

        assert await stores.runs.hand_over(run, events(1), at(2))

        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.BUSY
        (taken,) = await stores.runs.claim(a_claim("two", seconds=3), 5)
        assert (taken.run_id, taken.attempt, taken.crashes, taken.holder) == (run.run_id, 2, 0, "two")
        assert await stores.events.read(run.run_id, 0) == events(1)

    in_store(any_url, test)


def test_leases_are_renewed_for_whoever_still_holds_them(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim("one", lease=-1))).run

        assert await stores.runs.renew(a_claim("one", lease=30), [run, a_run(thread)]) == {run.run_id: None}
        assert await stores.runs.renew(a_claim("two", lease=-1), [run]) == {}
        assert await stores.runs.renew(a_claim("one", lease=-1), [replace(run, attempt=2)]) == {}
        assert await stores.runs.reap(at(1), most_crashes=3) == []
        assert await stores.runs.renew(a_claim("one", lease=-1), [run]) == {run.run_id: None}
        assert len(await stores.runs.reap(at(1), most_crashes=3)) == 1

    in_store(any_url, test)


def test_a_run_that_takes_down_too_many_replicas_is_given_up_and_its_thread_released(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        await submit(stores, a_run(thread), new_thread=thread)
        reaped = []
        for crash in range(3):
            await stores.runs.claim(a_claim(seconds=crash, lease=-1), 1)
            reaped += await stores.runs.reap(at(crash), most_crashes=3)

        assert [(run.status, run.crashes) for run in reaped] == [
            (RunStatus.PENDING, 1), (RunStatus.PENDING, 2), (RunStatus.ERROR, 3),
        ]  # fmt: skip
        assert b"3 replicas stopped answering" in (reaped[-1].result or b"")
        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.ERROR

    in_store(any_url, test)


def test_a_run_that_was_to_stop_when_its_replica_died_is_not_taken_up_again(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim(lease=-1))).run
        await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(1))

        (reaped,) = await stores.runs.reap(at(31), most_crashes=3)

        assert reaped.status is RunStatus.INTERRUPTED
        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.IDLE

    in_store(any_url, test)


def test_a_replica_leaves_runs_of_graphs_that_it_does_not_have(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        one, two = a_thread(), a_thread()
        unknown = (await submit(stores, a_run(one, graph_id="new"), new_thread=one)).run
        behind = (await submit(stores, a_run(one))).run
        known = (await submit(stores, a_run(two), new_thread=two)).run

        async def claimed(graphs: list[str] | None) -> list[str]:
            return [run.run_id for run in await stores.runs.claim(a_claim(), 9, graphs=graphs)]

        assert await claimed([]) == []
        assert await claimed(["g"]) == [known.run_id]  # not the one behind: runs of a thread keep their order
        assert await claimed(["g"]) == []
        assert await claimed(["g", "new"]) == [unknown.run_id]
        assert (await stores.runs.get_run(behind.run_id, "")).status is RunStatus.PENDING

    in_store(any_url, test)


def test_a_run_that_need_not_wait_is_due_for_a_replica_whose_clock_is_behind(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread, later = a_thread(), a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread)).run
        await submit(stores, a_run(later, not_before=at(0.5)), new_thread=later)

        assert (await stores.runs.queue_depth(at(-2))).runnable == 1
        assert [each.run_id for each in await stores.runs.claim(a_claim("two", seconds=-2), 9)] == [run.run_id]

    in_store(any_url, test)


def test_a_run_handed_over_because_the_store_failed_counts_as_a_crash(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim("one"))).run

        assert await stores.runs.hand_over(run, [], at(2), is_crash=True)

        (taken,) = await stores.runs.claim(a_claim("two", seconds=3), 5)
        assert (taken.attempt, taken.crashes) == (2, 1)
        assert not await stores.runs.hand_over(run, [], at(4))

    in_store(any_url, test)


def test_a_run_that_was_to_be_rolled_back_when_its_replica_died_is_taken_up_to_clean_up(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim(lease=-1))).run
        await stores.runs.request_stop(run.run_id, "", Stop.ROLLBACK, at(1))
        behind = (await submit(stores, a_run(thread))).run

        (reaped,) = await stores.runs.reap(at(31), most_crashes=3)
        (taken,) = await stores.runs.claim(a_claim("two", seconds=32), 5)

        assert (reaped.status, reaped.stop, reaped.crashes) == (RunStatus.PENDING, Stop.ROLLBACK, 1)
        assert (taken.run_id, taken.stop, taken.attempt) == (run.run_id, Stop.ROLLBACK, 2)
        ending = Ending(RunStatus.INTERRUPTED, at(33), is_rolled_back=True)
        assert await stores.runs.finish(taken, ending, []) is Finished.KEPT
        await stores.runs.delete_run(run.run_id, "", thread.thread_id)
        assert [each.run_id for each in await stores.runs.claim(a_claim(seconds=34), 5)] == [behind.run_id]

    in_store(any_url, test)


def test_cleaning_up_is_given_up_as_well_in_the_end(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim(lease=-1))).run
        await stores.runs.request_stop(run.run_id, "", Stop.ROLLBACK, at(1))

        (reaped,) = await stores.runs.reap(at(31), most_crashes=1)

        assert reaped.status is RunStatus.ERROR

    in_store(any_url, test)
