"""A store that is away, or whose answers are lost, is nobody's error: runs go on, or are tried again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import CheckpointTuple

from agent_service.errors import NotFoundError, StoreError
from agent_service.store.checkpoints import MemoryCheckpoints, TidySaver
from agent_service.store.memory import MemoryStore
from agent_service.store.records import (
    Claim,
    Ending,
    Event,
    Finished,
    Multitask,
    Run,
    RunStatus,
    Stop,
    Submission,
    Thread,
)
from agent_service.store.serializer import a_serializer
from tests.agent_service.builders import opened
from tests.agent_service.engine.replicas import (
    Gates,
    an_engine,
    begin,
    end_of,
    gated,
    in_memory,
    live,
    story_of,
    submit,
    until,
    values_of,
)
from tests.coroutines import run_apart

QUICK: dict[str, Any] = {"lease_seconds": 0.6}  # an attempt after one that failed waits for a third of it


class AwaySaver(TidySaver):
    """Cannot be reached for a number of calls."""

    failures = 0

    def _knock(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("the database is away: secret words of its driver")

    async def aput(self, *told: Any) -> Any:
        """See BaseCheckpointSaver."""
        self._knock()
        return await super().aput(*told)

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        """See BaseCheckpointSaver."""
        self._knock()
        return await super().aget_tuple(config)

    async def alist(self, config: Any, **told: Any) -> AsyncIterator[CheckpointTuple]:
        """See BaseCheckpointSaver."""
        self._knock()
        async for each in super().alist(config, **told):
            yield each


class AwayCheckpoints(MemoryCheckpoints):
    """With such a saver."""

    def __init__(self) -> None:
        super().__init__()
        self.away = AwaySaver(serde=a_serializer())
        self.saver = self.away

    async def roll_back(self, thread_id: str, run_id: str) -> None:
        """See Checkpoints."""
        self.away._knock()
        await super().roll_back(thread_id, run_id)


@pytest.mark.parametrize("durability", ["exit", "async", "sync"])
def test_checkpoints_that_are_away_for_a_moment_cost_an_attempt_and_not_the_run(durability: str) -> None:
    async def main() -> None:
        checkpoints, gates = AwayCheckpoints(), Gates("b")
        engine = an_engine(in_memory(checkpoints=checkpoints), gated(gates), **QUICK)
        async with live(engine):
            run = await begin(engine, "gated", durability=durability)
            await gates.reached("b")
            checkpoints.away.failures = 1
            gates.open("b")
            ended = await end_of(engine, run)
            told = await story_of(engine, run)

        assert (ended.status, ended.attempt, ended.crashes) == (RunStatus.SUCCESS, 2, 1)
        assert ended.result == b'{"done":["a","b","c"]}'
        assert [event.name for event in told if event.name in ("metadata", "error", "end")] == ["metadata"] * 2 + [
            "end"
        ]

    run_apart(main())


def test_checkpoints_that_stay_away_end_a_run_some_time_and_their_words_are_told_to_nobody() -> None:
    async def main() -> None:
        checkpoints = AwayCheckpoints()
        engine = an_engine(in_memory(checkpoints=checkpoints), gated(Gates()), **QUICK)
        async with live(engine):
            checkpoints.away.failures = 1000
            run = await begin(engine, "gated")
            ended = await end_of(engine, run)
            told = await story_of(engine, run)
            status = (await engine.runs.get_thread(run.thread_id, "")).status

        assert (ended.status, ended.attempt) == (RunStatus.ERROR, 3)
        assert b"could not be executed in 3 attempts" in (ended.result or b"")
        assert not [event for event in told if b"secret" in event.data]
        assert [event.name for event in told][-2:] == ["error", "end"]
        assert status == "error"

    run_apart(main())


def test_a_pause_that_cannot_be_read_for_a_moment_is_a_pause_still() -> None:
    async def main() -> None:
        checkpoints = AwayCheckpoints()
        engine = an_engine(in_memory(checkpoints=checkpoints), **QUICK)
        async with live(engine):
            run = await begin(engine, "approval", input={"question": "?"}, durability="sync")
            checkpoints.away.failures = 0
            await end_of(engine, run)
            thread = await engine.runs.get_thread(run.thread_id, "")
            again = await begin(engine, "approval", thread=run.thread_id, input={"question": "sure?"})
            checkpoints.away.failures = 2
            ended = await end_of(engine, again)

        assert thread.status == "interrupted"
        assert ended.status is RunStatus.SUCCESS
        assert b"__interrupt__" in (ended.result or b"")

    run_apart(main())


def test_a_rollback_that_cannot_be_done_is_done_by_the_next_attempt() -> None:
    async def main() -> None:
        checkpoints, gates = AwayCheckpoints(), Gates("b")
        engine = an_engine(in_memory(checkpoints=checkpoints), gated(gates), **QUICK)
        async with live(engine):
            run = await begin(engine, "gated", durability="sync")
            await gates.reached("b")
            checkpoints.away.failures = 1
            await engine.stop(run.run_id, "", Stop.ROLLBACK)
            with pytest.raises(NotFoundError):
                await end_of(engine, run)

        assert await values_of(engine, "gated", run.thread_id) == {}
        assert gates.performed == {"a": 1}

    run_apart(main())


class Forgetful(MemoryStore):
    """Does what it is asked, and then fails to say so; or does nothing at all."""

    def __init__(self, *, lost_answers: int = 0, failures: int = 0) -> None:
        super().__init__()
        self.lost_answers, self.failures, self.calls = lost_answers, failures, 0

    def _answer(self) -> None:
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreError("the connection was cut after the commit")

    def _do(self) -> None:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise StoreError("no connection")


class ForgetsEndings(Forgetful):
    """Of runs."""

    async def finish(self, run: Run, ending: Ending, events: Sequence[Event]) -> Finished:
        """See RunStore."""
        self._do()
        found = await super().finish(run, ending, events)
        self._answer()
        return found


class ForgetsSubmissions(Forgetful):
    """Of runs."""

    async def submit(
        self, run: Run, *, new_thread: Thread | None, strategy: Multitask, claim: Claim | None
    ) -> Submission:
        """See RunStore."""
        self._do()
        found = await super().submit(run, new_thread=new_thread, strategy=strategy, claim=claim)
        self._answer()
        return found


def test_an_ending_is_written_again_until_it_is_kept() -> None:
    async def main() -> None:
        store, finished = ForgetsEndings(failures=3), list[Run]()
        engine = an_engine(in_memory(store), told={"on_finished": finished.append})
        async with live(engine):
            run = await begin(engine, "steps")
            ended = await end_of(engine, run)

        assert (ended.status, ended.attempt, store.calls) == (RunStatus.SUCCESS, 1, 4)
        assert [each.run_id for each in finished] == [run.run_id]

    run_apart(main())


def test_an_ending_that_cannot_be_written_in_the_time_of_its_lease_is_left_to_another_attempt() -> None:
    async def main() -> None:
        store, gates = ForgetsEndings(failures=1_000_000), Gates()
        engine = an_engine(in_memory(store), gated(gates), lease_seconds=0.5)
        run = await begin(engine, "gated")  # without its loops nobody renews
        await until(lambda: engine.in_flight == 0)
        assert (await store.get_run(run.run_id, "")).status is RunStatus.RUNNING
        store.failures = 0
        async with live(engine):
            ended = await end_of(engine, run)

        assert (ended.status, ended.attempt, ended.crashes) == (RunStatus.SUCCESS, 2, 1)

    run_apart(main())


@pytest.mark.parametrize("stop", [None, Stop.ROLLBACK])
def test_an_ending_whose_acknowledgement_is_lost_holds_all_the_same(stop: Stop | None) -> None:
    async def main() -> None:
        store, finished, gates = ForgetsEndings(lost_answers=1), list[Run](), Gates("b")
        engine = an_engine(in_memory(store), gated(gates), told={"on_finished": finished.append})
        async with live(engine):
            run = await begin(engine, "gated")
            await gates.reached("b")
            if stop is not None:
                await engine.stop(run.run_id, "", stop)
            gates.open("b")
            await until(lambda: engine.in_flight == 0)
            left = await store.list_runs(run.thread_id, "")

        assert [each.run_id for each in finished] == ([] if stop else [run.run_id])  # what was rolled back never was
        assert [each.status for each in left] == ([] if stop else [RunStatus.SUCCESS])
        assert await store.active_runs("") == []

    run_apart(main())


def test_a_run_whose_acceptance_was_not_acknowledged_is_asked_for_again_and_executed_once() -> None:
    async def main() -> None:
        store, gates = ForgetsSubmissions(lost_answers=1), Gates()
        engine = an_engine(in_memory(store), gated(gates))
        async with live(engine):
            found = await submit(engine, "gated")
            ended = await end_of(engine, found.run)

        assert found.is_new
        assert (ended.status, ended.attempt, store.calls) == (RunStatus.SUCCESS, 1, 2)
        assert gates.performed == {"a": 1, "b": 1, "c": 1}

    run_apart(main())


def test_a_store_that_is_away_is_said_to_whoever_asks_for_a_run() -> None:
    async def main() -> None:
        engine = an_engine(in_memory(ForgetsSubmissions(failures=2)))
        with pytest.raises(StoreError):
            await begin(engine, "steps")
        assert engine._own.slots.free == engine.settings.slots

    run_apart(main())


@pytest.mark.parametrize("durability", ["exit", "async"])
def test_cut_connections_to_a_real_database_cost_no_run(database: str, durability: str) -> None:
    async def main() -> None:
        gates = Gates("b")
        async with opened(database) as stores:
            engine = an_engine(stores, gated(gates), lease_seconds=3)
            async with live(engine):
                runs = [await begin(engine, "gated", durability=durability) for _ in range(8)]
                await until(lambda: gates.performed["a"] >= 8)
                async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
                    await other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                    )
                gates.open("b")
                ended = [await end_of(engine, run) for run in runs]

        assert {run.status for run in ended} == {RunStatus.SUCCESS}
        assert {run.result for run in ended} == {b'{"done":["a","b","c"]}'}

    run_apart(main())


class Clumsy:
    """A companion that fails."""

    def begin(self, run: Run) -> Any:
        """See Companion."""
        raise RuntimeError("no traces today")

    def end(self, account: Any) -> None:
        """See Companion."""

    def unexecuted(self, run: Run) -> None:
        """See Companion."""


def test_whoever_goes_along_with_a_run_and_fails_keeps_no_slot() -> None:
    async def main() -> None:
        engine = an_engine(in_memory(), told={"companion": Clumsy()}, most_crashes=1, lease_seconds=0.6)
        async with live(engine):
            ended = await end_of(engine, await begin(engine, "steps"))
            await until(lambda: engine.in_flight == 0)

        assert ended.status is RunStatus.ERROR
        assert b"could not be executed in 1 attempts" in (ended.result or b"")

    run_apart(main())
