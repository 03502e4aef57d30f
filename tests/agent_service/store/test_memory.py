"""What only the store in memory has to deal with: it is never emptied from outside."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

from langgraph.checkpoint.base import empty_checkpoint

from agent_service.store.checkpoints import MemoryCheckpoints, TidySaver
from agent_service.store.opening import Stores
from agent_service.store.records import Event, Run, Thread
from tests.agent_service.builders import a_claim, a_run, a_thread, at, events, in_store, submit, success


def test_nothing_is_left_of_thousands_of_temporary_threads() -> None:
    async def test(stores: Stores) -> None:
        saver: Any = stores.checkpoints.saver

        def counted() -> tuple[int, int, int, int]:
            gc.collect()
            kinds = Counter(type(each) for each in gc.get_objects())
            return kinds[Thread], kinds[Run], kinds[Event], len(saver.storage) + len(saver.writes) + len(saver.blobs)

        async def live(number: int) -> None:
            thread = a_thread(is_temporary=True)
            place: Any = {"configurable": {"thread_id": thread.thread_id, "checkpoint_ns": ""}}
            run = a_run(thread, idempotency_key=f"{number}")
            run = (await submit(stores, run, new_thread=thread, claim=a_claim())).run
            await saver.aget_tuple(place)
            if number % 2:
                kept = await saver.aput(place, empty_checkpoint(), {"run_id": run.run_id}, {})
                await saver.aput_writes(kept, [("a", 1)], "task")
            await stores.runs.finish(run, success(), events(1, 2))

        before = counted()
        for number in range(3000):
            await live(number)
            if number % 500 == 499:
                while gone := await stores.runs.sweep(at(99), finished_before=at(99)):
                    await stores.checkpoints.delete_threads(gone)

        assert counted() == before

    in_store("memory://", test)


def test_many_threads_are_deleted_in_one_pass() -> None:
    passes: list[int] = []

    class Counted(dict[Any, Any]):
        def __iter__(self) -> Any:
            passes.append(len(self))
            return super().__iter__()

    checkpoints = MemoryCheckpoints()
    kept: Any = Counted({(f"t{number}", "", "c"): {} for number in range(100)})
    checkpoints.saver.writes = kept

    checkpoints.saver.delete_threads([f"t{number}" for number in range(50)])

    assert len(kept) == 50
    assert len(passes) == 1


def test_a_saver_that_is_asked_for_what_it_does_not_have_keeps_nothing_of_it() -> None:
    saver = TidySaver()
    place: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}

    assert saver.get_tuple(place) is None
    assert list(saver.list(place)) == []

    assert not saver.storage
