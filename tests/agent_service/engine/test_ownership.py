"""Whose a run is: one replica's at a time, in one attempt; and nobody's any more when its thread is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from agent_service.engine.replica import utc_now
from agent_service.errors import NotFoundError, StoreError
from agent_service.store.memory import MemoryStore
from agent_service.store.opening import Stores
from agent_service.store.records import Claim, Run, RunStatus, Stop, Thread
from tests.agent_service.builders import in_store, opened
from tests.agent_service.engine.replicas import (
    Gates,
    an_engine,
    begin,
    end_of,
    gated,
    in_memory,
    lapse,
    live,
    until,
    values_of,
)
from tests.agent_service.graphs import all_sources
from tests.coroutines import run_apart


@pytest.mark.parametrize("is_temporary", [False, True])
def test_a_run_that_comes_back_to_its_replica_is_executed_by_the_new_attempt_alone(
    any_url: str, is_temporary: bool
) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        engine = an_engine(stores, gated(gates))
        async with live(engine):
            run = await begin(engine, "gated", is_temporary=is_temporary)
            await gates.reached("b")
            first = engine.execution_of(run.run_id)
            await lapse(engine, run)
            await gates.reached("b")  # again
            second = engine.execution_of(run.run_id)
            gates.open("b")
            ended = await end_of(engine, run)
            await until(lambda: engine.in_flight == 0)

        assert first is not second
        assert (ended.status, ended.attempt) == (RunStatus.SUCCESS, 2)
        # The first attempt never got past the second node; of a kept thread, it left where it stood.
        assert gates.performed == {"a": 1 + is_temporary, "b": 1, "c": 1}
        assert ended.result == b'{"done":["a","b","c"]}'

    in_store(any_url, test)


def test_leases_are_renewed_for_an_attempt_and_not_for_a_run() -> None:
    async def main() -> None:
        gates = Gates("a")
        engine = an_engine(in_memory(), gated(gates))
        async with live(engine):
            run = await begin(engine, "gated")
            await gates.reached("a")
            old = engine.execution_of(run.run_id)
            assert old is not None
            await lapse(engine, run)
            await gates.reached("a")
            await engine._leases.renew([old])
            assert (await engine.runs.get_run(run.run_id, "")).attempt == 2
            await until(lambda: engine.in_flight == 1)
            gates.open("a")
            assert (await end_of(engine, run)).status is RunStatus.SUCCESS

    run_apart(main())


class Silent(MemoryStore):
    """Does not answer when asked to renew."""

    is_silent = False

    async def renew(self, claim: Claim, runs: Sequence[Run]) -> dict[str, Stop | None]:
        """See RunStore."""
        if self.is_silent:
            raise StoreError("no answer")
        return await super().renew(claim, runs)


def test_a_replica_gives_a_run_up_before_its_lease_is_over_when_it_cannot_renew_it() -> None:
    async def main() -> None:
        seconds = 0.0
        store, gates = Silent(), Gates("a")
        engine = an_engine(in_memory(store), gated(gates), told={"clock": lambda: seconds}, lease_seconds=30)
        run = await begin(engine, "gated")
        await gates.reached("a")
        execution = engine.execution_of(run.run_id)
        assert execution is not None

        seconds = 20
        await engine._leases.renew_all()
        assert execution.lease_ends == 20 + 30 - 3  # from when its time was read, less what stopping may take
        store.is_silent = True
        seconds = 46.9
        await engine._leases.renew_all()
        engine._leases.give_up_lapsed()
        assert engine.in_flight == 1
        seconds = 47
        engine._leases.give_up_lapsed()
        await until(lambda: engine.in_flight == 0)

        assert gates.performed == {}
        assert (await engine.runs.get_run(run.run_id, "")).status is RunStatus.RUNNING  # nothing was written
        await engine.close()

    run_apart(main())


def test_a_lost_run_leaves_what_the_next_attempt_has_done_alone(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates, others = Gates("b"), Gates()
        one = an_engine(stores, gated(gates), lease_seconds=600)
        two = an_engine(stores, gated(others), name="two")
        run = await begin(one, "gated", durability="async")
        await gates.reached("b")
        await lapse(one, run)
        async with live(two):
            ended = await end_of(two, run)
        await one._leases.renew_all()
        await until(lambda: one.in_flight == 0)

        assert (ended.status, ended.attempt) == (RunStatus.SUCCESS, 2)
        assert await values_of(two, "gated", run.thread_id) == {"done": ["a", "b", "c"]}
        assert gates.performed + others.performed == {"a": 1, "b": 1, "c": 1}
        await one.close()

    in_store(any_url, test)


@pytest.mark.parametrize("durability", ["async", "exit"])
def test_a_deleted_thread_stops_and_nothing_of_it_comes_back(any_url: str, durability: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        engine = an_engine(stores, gated(gates))
        async with live(engine):
            run = await begin(engine, "gated", tenant="ann", input={"done": ["secret"]}, durability=durability)
            await gates.reached("b")
            await stores.runs.delete_thread(run.thread_id, "ann")
            await stores.checkpoints.delete_threads([run.thread_id])
            await until(lambda: engine.in_flight == 0)

            assert gates.performed == {"a": 1}
            assert await values_of(engine, "gated", run.thread_id) == {}

    in_store(any_url, test)


def test_whoever_makes_a_thread_anew_sees_nothing_of_the_run_that_went_on_there(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("b")
        engine = an_engine(stores, gated(gates), lease_seconds=600)  # not open: it hears of the deletion when we say so
        run = await begin(engine, "gated", tenant="ann", input={"done": ["secret"]}, durability="async")
        await gates.reached("b")
        await stores.runs.delete_thread(run.thread_id, "ann")
        await stores.checkpoints.delete_threads([run.thread_id])
        now = utc_now()
        await stores.runs.create_thread(Thread(run.thread_id, "bob", now, now))
        gates.open("b")
        await until(lambda: engine.in_flight == 0)

        assert await values_of(engine, "gated", run.thread_id) == {}
        assert (await stores.runs.get_thread(run.thread_id, "bob")).status == "idle"
        await engine.close()

    in_store(any_url, test)


def test_a_run_waits_for_a_replica_that_serves_its_graph(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates()
        new, old = (
            an_engine(stores, *sources, name=name, accepts_while_draining=True)
            for name, sources in (("new", (*all_sources(), gated(gates))), ("old", all_sources()))
        )
        new.admission.is_draining = True  # so that it leaves what it accepts to others
        run = await begin(new, "gated")
        async with live(old):
            other = await begin(old, "steps")
            assert (await end_of(old, other)).status is RunStatus.SUCCESS
            await old._claims.claim()
            assert (await stores.runs.get_run(run.run_id, "")).status is RunStatus.PENDING
            new.admission.is_draining = False
            async with live(new):
                assert (await end_of(new, run)).status is RunStatus.SUCCESS

    in_store(any_url, test)


def test_a_request_that_cannot_be_read_ends_with_an_error_that_a_stream_tells_too() -> None:
    async def main() -> None:
        stores, finished = in_memory(), list[Run]()
        engine = an_engine(stores, told={"on_finished": finished.append})
        async with live(engine):
            run = await begin(engine, "steps", kept={"stream_mode": ["of a later version"]})
            ended = await end_of(engine, run)

        assert ended.status is RunStatus.ERROR
        assert b"this run's request cannot be read" in (ended.result or b"")
        assert [event.name for event in await stores.events.read(run.run_id, 0)] == ["error", "end"]
        assert [each.run_id for each in finished] == [run.run_id]

    run_apart(main())


def test_two_replicas_on_one_database_execute_every_run_once(database: str) -> None:
    async def main() -> None:
        gates = Gates()
        async with opened(database) as first, opened(database) as second, asyncio.timeout(60):
            one = an_engine(first, gated(gates), slots=2, queue_limit=100)
            two = an_engine(second, gated(gates), slots=2, queue_limit=100, name="two")
            async with live(one, two):
                runs = [await begin(engine, "gated") for _ in range(20) for engine in (one, two)]
                ended = [await end_of(one, run) for run in runs]

        assert {(run.status, run.attempt) for run in ended} == {(RunStatus.SUCCESS, 1)}
        assert gates.performed == {"a": 40, "b": 40, "c": 40}

    run_apart(main())


def test_a_run_that_is_gone_is_gone_for_who_waits_for_it() -> None:
    async def main() -> None:
        gates = Gates("a")
        engine = an_engine(in_memory(), gated(gates))
        async with live(engine):
            run = await begin(engine, "gated")
            await gates.reached("a")
            waiting = asyncio.create_task(end_of(engine, run))
            await engine.runs.delete_thread(run.thread_id, "")
            with pytest.raises(NotFoundError):
                await waiting

    run_apart(main())


def test_the_time_that_a_run_was_to_wait_is_not_taken_for_waiting() -> None:
    async def main() -> None:
        engine = an_engine(in_memory())
        async with live(engine):
            run = await begin(engine, "steps", after_seconds=3600)
            assert run.status is RunStatus.PENDING
            assert run.not_before == run.created_at + timedelta(hours=1)
            assert engine.admission.mine_runnable == 0

    run_apart(main())
