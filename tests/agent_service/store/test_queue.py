"""What waits, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from agent_service.store.opening import Stores
from tests.agent_service.builders import (
    NOON,
    a_claim,
    a_run,
    a_thread,
    at,
    in_store,
    submit,
)


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


def test_a_replica_sees_what_of_the_queue_it_has_accepted(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        one, two, three = a_thread(), a_thread(), a_thread()
        await submit(stores, a_run(one, accepted_by="a"), new_thread=one)
        await submit(stores, a_run(one, accepted_by="a"))
        await submit(stores, a_run(one, accepted_by="b"))
        await submit(stores, a_run(two, accepted_by="b"), new_thread=two)
        await submit(stores, a_run(three, accepted_by="a", not_before=at(99)), new_thread=three)

        depths = [await stores.runs.queue_depth(at(1), replica) for replica in ("a", "b", "c")]

        assert [(depth.mine, depth.mine_runnable) for depth in depths] == [(3, 1), (2, 1), (0, 0)]
        assert {(depth.runnable, depth.blocked) for depth in depths} == {(2, 2)}
        (run,) = await stores.runs.list_runs(two.thread_id, "")
        assert run.accepted_by == "b"

    in_store(any_url, test)
