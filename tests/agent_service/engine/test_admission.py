"""Who is let in, and who is asked to come back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from agent_service.engine.admission import Admission, DrainingError, OverloadedError
from agent_service.engine.settings import EngineSettings
from agent_service.errors import InvalidError, SettingsError
from agent_service.store.memory import MemoryStore
from agent_service.store.opening import Stores
from agent_service.store.records import Claim, QueueDepth, Run, RunStatus
from tests.agent_service.builders import in_store
from tests.agent_service.engine.replicas import Gates, an_engine, begin, end_of, gated, in_memory, live, submit
from tests.coroutines import run_apart


def an_admission(**settings: Any) -> Admission:
    return Admission(EngineSettings(**{"slots": 2, **settings}))


def test_whoever_finds_no_place_in_the_queue_is_told_when_to_come_back() -> None:
    admission = an_admission()
    for _ in range(8):
        admission.admit(has_free_slot=False)
        admission.queued(is_runnable=True)

    with pytest.raises(OverloadedError) as refused:
        admission.admit(has_free_slot=False)

    assert refused.value.retry_after_seconds >= 1


def test_the_wait_is_never_shorter_than_a_second_nor_longer_than_a_minute() -> None:
    admission = an_admission()
    admission.took(0.001)
    assert admission.retry_after_seconds() == 1
    admission.looked(QueueDepth(runnable=8, mine=8, mine_runnable=8))
    for _ in range(500):
        admission.took(600)
    assert admission.retry_after_seconds() == 60


def test_what_other_replicas_have_accepted_takes_no_place_here() -> None:
    admission = an_admission()
    admission.looked(QueueDepth(runnable=1000, blocked=1000, mine=0, mine_runnable=0))

    admission.admit(has_free_slot=False)


def test_runs_that_wait_for_their_thread_take_no_place_of_those_that_wait_for_a_slot() -> None:
    async def main() -> None:
        gates = Gates("a")
        engine = an_engine(in_memory(), gated(gates), slots=2, queue_limit=4)
        async with live(engine):
            hot = await begin(engine, "gated")
            await gates.reached("a")
            for _ in range(30):
                await begin(engine, "gated", thread=hot.thread_id)
            other = await begin(engine, "gated")
            assert other.status is RunStatus.RUNNING  # there is a slot, and nobody waits for one
            for _ in range(9):
                await begin(engine, "gated", thread=hot.thread_id)
            await begin(engine, "gated", thread=hot.thread_id)
            with pytest.raises(OverloadedError):  # 10 times the limit: they are not without end either
                await begin(engine, "gated", thread=hot.thread_id)
            await engine.look_at_queue()
            assert (engine.admission.mine, engine.admission.mine_runnable) == (40, 0)

    run_apart(main())


def test_a_repeated_request_is_answered_even_when_nobody_else_is_let_in(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("a")
        engine = an_engine(stores, gated(gates), slots=1, queue_limit=0)
        async with live(engine):
            first = await submit(engine, "gated", key="k")
            await gates.reached("a")
            with pytest.raises(OverloadedError):
                await submit(engine, "gated", key="another")
            again = await submit(engine, "gated", thread=first.run.thread_id, key="k")
            with pytest.raises(InvalidError):
                await submit(engine, "gated", thread=first.run.thread_id, key="k", input={"done": ["other"]})
            engine.admission.is_draining = True
            with pytest.raises(DrainingError):
                await submit(engine, "gated", key="another")
            late = await submit(engine, "gated", thread=first.run.thread_id, key="k")

            assert {again.run.run_id, late.run.run_id} == {first.run.run_id}
            assert not again.is_new
            gates.open("a")
            await end_of(engine, first.run)

    in_store(any_url, test)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"node_seconds": 0}, "node_seconds is 0"),
        ({"thread_ttl_minutes": -1}, "thread_ttl_minutes is -1"),
        ({"keep_checkpoints": "some"}, "keep_checkpoints is 'some'; give all or latest"),
        ({"most_event_bytes": 0}, "most_event_bytes is 0"),
        ({"grace_seconds": -1}, "grace_seconds is -1"),
        ({"look_seconds": 0}, "look_seconds is 0"),
        ({"sweep_seconds": 0}, "sweep_seconds is 0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(told: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        EngineSettings(**told)


class SlowToClaim(MemoryStore):
    """Takes its time when it is asked for work."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def claim(self, claim: Claim, limit: int, *, graphs: Collection[str] | None = None) -> list[Run]:
        self.is_asked.set()
        await self.may_answer.wait()
        return await super().claim(claim, limit, graphs=graphs)


def test_whoever_comes_while_the_store_is_asked_for_work_begins_at_once() -> None:
    async def main() -> None:
        store, gates = SlowToClaim(), Gates("a")
        engine = an_engine(in_memory(store), gated(gates), slots=3)
        async with live(engine):
            await store.is_asked.wait()
            runs = [await begin(engine, "gated") for _ in range(2)]
            assert [run.status for run in runs] == [RunStatus.RUNNING] * 2
            waiting = await begin(engine, "gated")  # the third slot is for what the store may find
            assert waiting.status is RunStatus.PENDING
            store.may_answer.set()
            gates.open("a")
            assert {(await end_of(engine, run)).status for run in (*runs, waiting)} == {RunStatus.SUCCESS}

    run_apart(main())


def test_those_who_ask_at_once_find_no_more_places_than_there_are(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        gates = Gates("a")
        engine = an_engine(stores, gated(gates), slots=1, queue_limit=3)
        async with live(engine):
            await begin(engine, "gated")
            await gates.reached("a")
            found = await asyncio.gather(*(submit(engine, "gated") for _ in range(10)), return_exceptions=True)
            gates.open("a")

        assert sum(isinstance(each, OverloadedError) for each in found) == 7

    in_store(any_url, test)
