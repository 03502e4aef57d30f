"""What every store promises, of memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

import pytest

from agent_service.errors import ConflictError, NotFoundError
from agent_service.store.opening import Stores
from agent_service.store.records import (
    Change,
    ChangeKind,
    Ending,
    Multitask,
    RunStatus,
    Stop,
    ThreadQuery,
    ThreadStatus,
)
from tests.agent_service.builders import (
    NOON,
    a_claim,
    a_run,
    a_thread,
    an_id,
    at,
    events,
    in_store,
    submit,
    success,
)


def test_a_thread_is_kept_as_it_was_made(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread(
            metadata={"a": [1, {"b": None}]}, values=b'{"x":"\xc3\xa4"}', ttl_minutes=1.5, expires_at=at(90)
        )
        await stores.runs.create_thread(thread)

        assert await stores.runs.get_thread(thread.thread_id, "") == thread

    in_store(any_url, test)


def test_an_id_is_taken_once_and_never_shared_between_tenants(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = await stores.runs.create_thread(a_thread(tenant="ann"))

        with pytest.raises(ConflictError, match="exists already"):
            await stores.runs.create_thread(a_thread(thread_id=thread.thread_id, tenant="ann"))
        again = a_thread(thread_id=thread.thread_id, tenant="ann", metadata={"other": 1})
        assert await stores.runs.create_thread(again, may_exist=True) == thread
        with pytest.raises(ConflictError):
            await stores.runs.create_thread(a_thread(thread_id=thread.thread_id, tenant="bob"), may_exist=True)
        with pytest.raises(NotFoundError):
            await stores.runs.get_thread(thread.thread_id, "bob")

    in_store(any_url, test)


def test_metadata_is_merged_and_a_time_to_live_counts_from_the_update(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = await stores.runs.create_thread(a_thread(metadata={"a": 1, "b": 1}))

        changed = await stores.runs.update_thread(thread.thread_id, "", metadata={"b": 2}, ttl_minutes=2, at=at(10))

        assert changed.metadata == {"a": 1, "b": 2}
        assert changed.expires_at == at(130)
        assert await stores.runs.get_thread(thread.thread_id, "") == changed

    in_store(any_url, test)


def test_a_search_pages_sorts_and_looks_into_metadata_and_values(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        made = [
            await stores.runs.create_thread(
                a_thread(created_at=at(n), metadata={"n": n % 2, "x": {"y": n}}, values=b'{"v":%d}' % n, tenant="ann")
            )
            for n in range(5)
        ]
        await stores.runs.create_thread(a_thread(tenant="bob"))
        await stores.runs.create_thread(a_thread(tenant="ann", is_temporary=True))

        async def ids(**asked: object) -> tuple[list[int], int]:
            found, total = await stores.runs.search_threads(ThreadQuery(tenant="ann", **asked))  # type: ignore[arg-type]
            return [made.index(thread) for thread in found], total

        assert await ids() == ([4, 3, 2, 1, 0], 5)
        assert await ids(limit=2, offset=1) == ([3, 2], 5)
        assert await ids(is_descending=False, limit=2) == ([0, 1], 5)
        assert await ids(metadata={"n": 1}) == ([3, 1], 2)
        assert await ids(metadata={"x": {"y": 2}}) == ([2], 1)
        assert await ids(values={"v": 4}) == ([4], 1)
        assert await ids(ids=(made[0].thread_id, made[2].thread_id)) == ([2, 0], 2)
        assert await ids(status=ThreadStatus.BUSY) == ([], 0)
        assert await ids(metadata={'"; DROP TABLE agent_threads; --': 1}) == ([], 0)
        assert await ids(sort_by="state_updated_at") == ([4, 3, 2, 1, 0], 5)

    in_store(any_url, test)


def test_a_run_begins_at_once_in_the_hands_of_a_claim_that_comes_with_it(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = a_run(thread, request={"input": {"a": None}}, metadata={"m": 1}, traceparent="00-1-2-3")

        found = await submit(stores, run, new_thread=thread, claim=a_claim())

        assert (found.run.status, found.run.holder, found.run.attempt) == (RunStatus.RUNNING, "one", 1)
        assert await stores.runs.get_run(run.run_id, "", thread.thread_id) == found.run
        kept = await stores.runs.get_thread(thread.thread_id, "")
        assert (kept.status, kept.metadata) == (ThreadStatus.BUSY, {"graph_id": "g", "assistant_id": "a"})

    in_store(any_url, test)


def test_a_run_without_its_thread_is_refused_unless_the_thread_may_be_made(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        with pytest.raises(NotFoundError, match="if_not_exists: create"):
            await submit(stores, a_run(an_id()))
        theirs = await stores.runs.create_thread(a_thread(tenant="bob"))
        with pytest.raises(NotFoundError):
            await submit(stores, a_run(theirs), new_thread=a_thread(thread_id=theirs.thread_id))

    in_store(any_url, test)


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
        assert await stores.runs.finish(first, success(), [])
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
        assert await stores.runs.finish((await stores.runs.get_run(soon.run_id, "")), success(), [])
        assert [run.run_id for run in await stores.runs.claim(a_claim(seconds=61), 9)] == [late.run_id]

    in_store(any_url, test)


def test_a_busy_thread_rejects_when_told_to(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        await submit(stores, a_run(thread), new_thread=thread)

        with pytest.raises(ConflictError, match="multitask_strategy is reject"):
            await submit(stores, a_run(thread), Multitask.REJECT)

    in_store(any_url, test)


@pytest.mark.parametrize("strategy", [Multitask.INTERRUPT, Multitask.ROLLBACK])
def test_a_run_that_takes_precedence_ends_what_waits_and_marks_what_runs(any_url: str, strategy: Multitask) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        running = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        waiting = (await submit(stores, a_run(thread))).run

        found = await submit(stores, a_run(thread), strategy, claim=a_claim())

        assert [(run.run_id, run.status, run.stop) for run in found.to_stop] == [
            (running.run_id, RunStatus.RUNNING, Stop(strategy.value)),
            (waiting.run_id, RunStatus.INTERRUPTED, Stop(strategy.value)),
        ]
        assert found.run.status is RunStatus.PENDING
        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.BUSY
        assert await stores.runs.renew(a_claim(), [running.run_id]) == {running.run_id: Stop(strategy.value)}

    in_store(any_url, test)


def test_what_takes_precedence_over_waiting_runs_alone_begins_at_once(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        await submit(stores, a_run(thread), new_thread=thread)

        found = await submit(stores, a_run(thread), Multitask.INTERRUPT, claim=a_claim())

        assert found.run.status is RunStatus.RUNNING

    in_store(any_url, test)


def test_an_idempotency_key_makes_one_run_for_each_tenant(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread, theirs = a_thread(), a_thread(tenant="bob")
        first = await submit(stores, a_run(thread, idempotency_key="k"), new_thread=thread)

        again = await submit(stores, a_run(thread, idempotency_key="k"), new_thread=thread)
        other = await submit(stores, a_run(theirs, tenant="bob", idempotency_key="k"), new_thread=theirs)

        assert (again.is_new, again.run) == (False, first.run)
        assert other.is_new
        assert len(await stores.runs.list_runs(thread.thread_id, "")) == 1

    in_store(any_url, test)


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

        assert await stores.runs.finish(run, ending, events(1, 2))

        kept, settled = await stores.runs.get_run(run.run_id, ""), await stores.runs.get_thread(thread.thread_id, "")
        assert (kept.status, kept.result, kept.finished_at) == (ending.status, ending.result, at(1))
        assert (kept.holder, kept.lease_until) == (None, None)
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


def test_only_whoever_holds_a_run_in_its_present_attempt_ends_it(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        stale = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim("one", lease=30))).run
        (reaped,) = await stores.runs.reap(at(31), most_crashes=3)
        assert (reaped.status, reaped.crashes) == (RunStatus.PENDING, 1)
        (fresh,) = await stores.runs.claim(a_claim("one", seconds=32), 1)  # even the same replica, later

        assert not await stores.runs.finish(stale, success(), events(1))
        assert not await stores.runs.hand_over(stale, events(2), at(33))
        assert await stores.events.read(stale.run_id, 0) == []
        assert (fresh.attempt, fresh.crashes) == (2, 1)
        assert await stores.runs.finish(fresh, success(34), [])
        assert not await stores.runs.finish(fresh, success(35), [])

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
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim("one", lease=30))).run

        assert await stores.runs.renew(a_claim("one", seconds=20), [run.run_id, an_id()]) == {run.run_id: None}
        assert await stores.runs.renew(a_claim("two", seconds=20), [run.run_id]) == {}
        assert await stores.runs.reap(at(49), most_crashes=3) == []
        assert len(await stores.runs.reap(at(51), most_crashes=3)) == 1

    in_store(any_url, test)


def test_a_run_that_takes_down_too_many_replicas_is_given_up_and_its_thread_released(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        await submit(stores, a_run(thread), new_thread=thread)
        reaped = []
        for crash in range(3):
            await stores.runs.claim(a_claim(seconds=100 * crash), 1)
            reaped += await stores.runs.reap(at(100 * crash + 31), most_crashes=3)

        assert [(run.status, run.crashes) for run in reaped] == [
            (RunStatus.PENDING, 1), (RunStatus.PENDING, 2), (RunStatus.ERROR, 3),
        ]  # fmt: skip
        assert b"3 replicas stopped answering" in (reaped[-1].result or b"")
        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.ERROR

    in_store(any_url, test)


def test_a_run_that_was_to_stop_when_its_replica_died_is_not_taken_up_again(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(1))

        (reaped,) = await stores.runs.reap(at(31), most_crashes=3)

        assert reaped.status is RunStatus.INTERRUPTED
        assert (await stores.runs.get_thread(thread.thread_id, "")).status is ThreadStatus.IDLE

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


def test_a_deleted_thread_takes_its_runs_along_even_those_that_execute(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        with pytest.raises(NotFoundError):
            await stores.runs.delete_thread(thread.thread_id, "bob")

        await stores.runs.delete_thread(thread.thread_id, "")

        assert await stores.runs.renew(a_claim(), [run.run_id]) == {}
        assert not await stores.runs.finish(run, success(), events(1))
        await stores.events.append(run.run_id, events(2))
        assert await stores.events.read(run.run_id, 0) == []

    in_store(any_url, test)


def test_the_queue_tells_what_only_waits_for_a_slot_from_what_waits_for_its_thread(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        one, two = a_thread(), a_thread()
        await submit(stores, a_run(one, created_at=at(1), not_before=at(1)), new_thread=one)
        await submit(stores, a_run(one, created_at=at(2), not_before=at(2)))
        await submit(stores, a_run(two), new_thread=two, claim=a_claim())
        await submit(stores, a_run(two, created_at=at(3), not_before=at(3)))
        await submit(stores, a_run(two, created_at=at(4), not_before=at(400)))

        depth = await stores.runs.queue_depth(at(10))

        assert (depth.runnable, depth.blocked) == (1, 2)
        assert (depth.oldest_runnable_at, depth.oldest_blocked_at) == (at(1), at(2))

    in_store(any_url, test)


def test_an_empty_queue_has_no_oldest(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        depth = await stores.runs.queue_depth(NOON)

        assert (depth.runnable, depth.blocked, depth.oldest_runnable_at, depth.oldest_blocked_at) == (0, 0, None, None)

    in_store(any_url, test)


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


def test_events_written_twice_are_there_once_and_are_read_from_where_the_reader_is(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run

        await stores.events.append(run.run_id, events(1, 2))
        await stores.events.append(run.run_id, events(2, 3))
        await stores.events.append(run.run_id, [])
        await stores.runs.finish(run, success(), events(3, 4))

        assert await stores.events.read(run.run_id, 0) == events(1, 2, 3, 4)
        assert await stores.events.read(run.run_id, 2) == events(3, 4)
        assert await stores.events.read(run.run_id, 0, limit=2) == events(1, 2)

    in_store(any_url, test)


def test_values_set_by_hand_settle_a_thread_that_nothing_runs_on(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = await stores.runs.create_thread(a_thread())

        await stores.runs.set_values(thread.thread_id, "", b'{"v":1}', {"t": [{"id": "i", "value": 1}]}, at(5))
        asked = await stores.runs.get_thread(thread.thread_id, "")
        await stores.runs.set_values(thread.thread_id, "", b'{"v":2}', {}, at(6))
        answered = await stores.runs.get_thread(thread.thread_id, "")

        assert (asked.status, asked.values, asked.state_updated_at) == (ThreadStatus.INTERRUPTED, b'{"v":1}', at(5))
        assert (answered.status, answered.interrupts) == (ThreadStatus.IDLE, {})

    in_store(any_url, test)


def test_listeners_hear_of_work_stops_events_and_endings(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        heard: list[Change] = []
        stores.runs.listen(heard.append)
        thread = a_thread()
        waiting = (await submit(stores, a_run(thread), new_thread=thread)).run
        (run,) = await stores.runs.claim(a_claim(), 1)
        await stores.events.append(run.run_id, events(1))
        await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(1))
        await stores.runs.finish(run, Ending(RunStatus.INTERRUPTED, at(2)), [])

        kinds = [ChangeKind.WORK, ChangeKind.EVENTS, ChangeKind.STOP, ChangeKind.FINISHED]
        assert list(dict.fromkeys(heard)) == [Change(kind, waiting.run_id) for kind in kinds]

    in_store(any_url, test)


def test_a_store_that_is_there_answers(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        await stores.runs.ping()

    in_store(any_url, test)
