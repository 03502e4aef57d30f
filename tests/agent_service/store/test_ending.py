"""How runs end, or are stopped, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

import pytest

from agent_service.errors import ConflictError, NotFoundError
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


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (success(), ThreadStatus.IDLE),
        (success(interrupts={"task": [{"value": 1, "id": "i"}]}), ThreadStatus.INTERRUPTED),
        (Ending(RunStatus.ERROR, at(1), error={"error": "E", "message": "m"}), ThreadStatus.ERROR),
        (Ending(RunStatus.TIMEOUT, at(1), error={"error": "E", "message": "m"}), ThreadStatus.ERROR),
        (Ending(RunStatus.INTERRUPTED, at(1)), ThreadStatus.IDLE),
    ],
)
def test_a_run_and_its_thread_end_together(any_url: str, ending: Ending, status: ThreadStatus) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread(values=b'{"before":1}')
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run

        assert await stores.runs.finish(run, ending, events(1, 2)) is Finished.KEPT

        kept, settled = await stores.runs.get_run(run.run_id, ""), await stores.runs.get_thread(thread.thread_id, "")
        assert (kept.status, kept.result, kept.finished_at) == (ending.status, ending.result, at(1))
        assert (kept.holder, kept.lease_until) == ("one", None)
        assert (settled.status, settled.error, settled.interrupts) == (status, ending.error, ending.interrupts)
        assert settled.values == (ending.values or b'{"before":1}')
        assert await stores.events.read(run.run_id, 0) == events(1, 2)

    in_store(any_url, test)


def test_a_thread_stays_busy_while_another_of_its_runs_is_active(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        await submit(stores, a_run(thread))

        await stores.runs.finish(run, success(interrupts={"t": [{"value": 1, "id": "i"}]}), [])

        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.BUSY

    in_store(any_url, test)


def test_a_stop_ends_what_waits_marks_what_runs_and_refuses_what_has_ended(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        running = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        waiting = (await submit(stores, a_run(thread))).run

        assert (
            await stores.runs.request_stop(waiting.run_id, "", Stop.INTERRUPT, at(1))
        ).status is RunStatus.INTERRUPTED
        marked = await stores.runs.request_stop(running.run_id, "", Stop.ROLLBACK, at(1))
        assert (marked.status, marked.stop) == (RunStatus.RUNNING, Stop.ROLLBACK)
        with pytest.raises(ConflictError, match="nothing to cancel"):
            await stores.runs.request_stop(waiting.run_id, "", Stop.INTERRUPT, at(2))
        with pytest.raises(NotFoundError):
            await stores.runs.request_stop(running.run_id, "bob", Stop.INTERRUPT, at(2))

    in_store(any_url, test)


def test_an_ended_run_is_deleted_with_its_events_and_an_active_one_is_not(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        with pytest.raises(ConflictError, match="cancel it before"):
            await stores.runs.delete_run(run.run_id, "", thread.thread_id)
        await stores.runs.finish(run, success(), events(1))

        await stores.runs.delete_run(run.run_id, "", thread.thread_id)

        with pytest.raises(NotFoundError):
            await stores.runs.get_run(run.run_id, "")
        assert await stores.events.read(run.run_id, 0) == []

    in_store(any_url, test)


def test_runs_are_listed_newest_first_by_status_and_by_page(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        runs = [(await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run for _ in range(4)]

        async def ids(**asked: object) -> list[int]:
            found = await stores.runs.list_runs(thread.thread_id, "", **asked)  # type: ignore[arg-type]
            return [[run.run_id for run in runs].index(each.run_id) for each in found]

        assert await ids() == [3, 2, 1, 0]
        assert await ids(limit=2, offset=1) == [2, 1]
        assert await ids(status=RunStatus.RUNNING) == [0]
        assert [run.run_id for run in await stores.runs.active_runs("")] == [run.run_id for run in runs]
        assert [run.run_id for run in await stores.runs.active_runs("", RunStatus.PENDING)] == [
            run.run_id for run in runs[1:]
        ]
        assert await stores.runs.active_runs("bob") == []

    in_store(any_url, test)


def test_an_ending_whose_receipt_was_lost_is_kept_when_it_comes_again(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run

        assert await stores.runs.finish(run, success(), events(1, 2)) is Finished.KEPT
        assert await stores.runs.finish(run, success(9), events(1, 2)) is Finished.KEPT

        kept = await stores.runs.get_run(run.run_id, "")
        assert (kept.status, kept.finished_at) == (RunStatus.SUCCESS, at(1))
        assert await stores.events.read(run.run_id, 0) == events(1, 2)
        await stores.runs.delete_run(run.run_id, "", thread.thread_id)
        assert await stores.runs.finish(run, success(9), []) is Finished.LOST

    in_store(any_url, test)


def test_a_run_that_somebody_else_has_ended_is_lost_for_its_holder(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim(lease=-1))).run
        await stores.runs.reap(at(1), most_crashes=1)

        assert await stores.runs.finish(run, success(), []) is Finished.LOST

    in_store(any_url, test)


def test_a_run_that_is_to_be_rolled_back_ends_only_after_that(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread(values=b'{"before":1}')
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        await stores.runs.request_stop(run.run_id, "", Stop.ROLLBACK, at(1))

        assert await stores.runs.finish(run, success(2), events(1)) is Finished.ROLLED_BACK
        assert (await stores.runs.get_run(run.run_id, "")).status is RunStatus.RUNNING
        assert await stores.events.read(run.run_id, 0) == []
        ending = Ending(RunStatus.INTERRUPTED, at(3), is_rolled_back=True)
        assert await stores.runs.finish(run, ending, events(1)) is Finished.KEPT
        assert await stores.runs.finish(run, ending, events(1)) is Finished.KEPT

        assert (await stores.runs.get_run(run.run_id, "")).status is RunStatus.INTERRUPTED
        settled = await stores.runs.get_thread(thread.thread_id, "")
        assert (settled.status, settled.values) == (ThreadStatus.IDLE, b'{"before":1}')

    in_store(any_url, test)


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (Stop.INTERRUPT, Stop.ROLLBACK, Stop.ROLLBACK),
        (Stop.ROLLBACK, Stop.INTERRUPT, Stop.ROLLBACK),
        (Stop.INTERRUPT, Stop.INTERRUPT, Stop.INTERRUPT),
    ],
)
def test_a_rollback_counts_more_than_an_interrupt(any_url: str, first: Stop, second: Stop, counts: Stop) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run

        await stores.runs.request_stop(run.run_id, "", first, at(1))
        marked = await stores.runs.request_stop(run.run_id, "", second, at(2))

        assert marked.stop is counts
        assert await stores.runs.renew(a_claim(), [run]) == {run.run_id: counts}

    in_store(any_url, test)


def test_a_waiting_run_that_had_begun_is_rolled_back_by_whoever_claims_it(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        await stores.runs.hand_over(run, events(1), at(1))

        marked = await stores.runs.request_stop(run.run_id, "", Stop.ROLLBACK, at(2))
        same = await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(3))

        assert (marked.status, marked.stop) == (same.status, same.stop) == (RunStatus.PENDING, Stop.ROLLBACK)
        (taken,) = await stores.runs.claim(a_claim("two", seconds=4), 1)
        assert (taken.run_id, taken.stop) == (run.run_id, Stop.ROLLBACK)

    in_store(any_url, test)


def test_a_waiting_run_that_had_begun_is_interrupted_at_once(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        await stores.runs.hand_over(run, events(1), at(1))

        stopped = await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(2))

        assert stopped.status is RunStatus.INTERRUPTED
        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.IDLE

    in_store(any_url, test)
