"""What is deleted when nobody needs it any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from agent_service.engine import sweeping
from agent_service.engine.engine import Engine
from agent_service.errors import StoreError
from agent_service.store.checkpoints import MemoryCheckpoints
from agent_service.store.opening import Stores
from agent_service.store.records import RunStatus, Thread
from tests.agent_service.builders import an_id, in_store
from tests.agent_service.engine import replicas
from tests.agent_service.engine.replicas import Gates, an_engine, begin, end_of, gated, in_memory, live, values_of
from tests.agent_service.engine.test_stopping import asking, pause_of, paused
from tests.coroutines import run_apart


async def old_threads(engine: Engine, count: int) -> list[str]:
    """Whose time to live is over."""
    then = engine.now() - timedelta(hours=1)
    ids = [an_id() for _ in range(count)]
    for thread_id in ids:
        await engine.runs.create_thread(Thread(thread_id, "", then, then, ttl_minutes=1, expires_at=then))
    return ids


def test_a_sweep_goes_on_until_nothing_is_left(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        engine = an_engine(stores, gated(Gates()))
        async with live(engine):
            run = await begin(engine, "gated", is_temporary=False, durability="async")
            await end_of(engine, run)
        now = engine.now()
        await stores.runs.update_thread(run.thread_id, "", metadata={}, ttl_minutes=1, at=now - timedelta(hours=1))
        await old_threads(engine, sweeping._AT_ONCE + 3)
        await engine._sweeper.sweep()

        assert await stores.runs.sweep(now, finished_before=now) == []
        assert await values_of(engine, "gated", run.thread_id) == {}

    in_store(any_url, test)


class Unwilling(MemoryCheckpoints):
    """Fails once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    async def delete_threads(self, thread_ids: Sequence[str]) -> None:
        """See Checkpoints."""
        self.asked.append(list(thread_ids))
        if len(self.asked) == 1:
            raise StoreError("away")
        await super().delete_threads(thread_ids)


def test_checkpoints_that_could_not_be_deleted_are_deleted_in_the_next_round() -> None:
    async def main() -> None:
        checkpoints = Unwilling()
        engine = an_engine(in_memory(checkpoints=checkpoints))
        first = await old_threads(engine, 2)
        await engine._sweeper.sweep()
        second = await old_threads(engine, 1)
        await engine._sweeper.sweep()
        await engine._sweeper.sweep()

        assert checkpoints.asked == [first, [*first, *second]]

    run_apart(main())


async def history_of(stores: Stores, thread_id: str) -> int:
    """How many checkpoints the thread has."""
    place = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    return len([each async for each in stores.checkpoints.saver.alist(place)])  # type: ignore[arg-type]


def test_threads_keep_their_history_unless_only_the_latest_is_asked_for(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        everything = an_engine(stores, gated(Gates()))
        latest = an_engine(stores, gated(Gates()), keep_checkpoints="latest")
        found = []
        for engine in (everything, latest):
            async with live(engine):
                run = await begin(engine, "gated", durability="async")
                await end_of(engine, run)
                await replicas.until(lambda engine=engine: engine.in_flight == 0)  # type: ignore[misc]
                found.append(await history_of(stores, run.thread_id))
                again = await end_of(engine, await begin(engine, "gated", thread=run.thread_id))
                assert (again.status, again.result) == (RunStatus.SUCCESS, b'{"done":["a","b","c","a","b","c"]}')

        assert found == [5, 1]

    in_store(any_url, test)


def test_a_paused_thread_whose_history_is_pruned_can_go_on(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        engine = an_engine(stores, asking(Gates()), keep_checkpoints="latest")
        async with live(engine):
            first = await paused(engine)
            await replicas.until(lambda: engine.in_flight == 0)
            pause = await pause_of(engine, first)
            ended = await end_of(
                engine, await begin(engine, "asking", thread=first.thread_id, command={"resume": "yes"})
            )

        assert pause == ("interrupted", [{"question": "?"}], [{"question": "?"}])
        assert ended.result == b'{"question":"?","answer":"yes"}'

    in_store(any_url, test)


def test_new_threads_live_as_long_as_the_settings_say_unless_they_say_otherwise_themselves() -> None:
    async def main() -> None:
        engine = an_engine(in_memory(), thread_ttl_minutes=60)
        async with live(engine):
            kept, passing = await begin(engine, "steps"), await begin(engine, "steps", is_temporary=True)
            threads = [await engine.runs.get_thread(run.thread_id, "") for run in (kept, passing)]
        now = engine.now()
        own = Thread("t", "", now, now, ttl_minutes=5, expires_at=now)

        assert [thread.ttl_minutes for thread in threads] == [60, None]
        assert threads[0].expires_at is not None
        assert threads[0].expires_at > now
        assert engine.settings.with_ttl(own, now) == own

    run_apart(main())
