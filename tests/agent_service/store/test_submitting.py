"""What becomes of a new run, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent_service.errors import ConflictError, InvalidError, NotFoundError
from agent_service.store.opening import Stores
from agent_service.store.records import (
    Claim,
    Multitask,
    RunStatus,
    Stop,
    ThreadStatus,
)
from tests.agent_service.builders import (
    a_claim,
    a_run,
    a_thread,
    an_id,
    at,
    in_store,
    submit,
)


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
        assert await stores.runs.renew(a_claim(), [running]) == {running.run_id: Stop(strategy.value)}

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


@pytest.mark.parametrize("claim", [None, a_claim()])
def test_a_run_that_is_submitted_once_more_is_the_run_that_is_there(any_url: str, claim: Claim | None) -> None:
    """Whoever did not hear the store's answer asks again, and must not make a second run nor lose the first."""

    async def test(stores: Stores) -> None:
        thread = a_thread()
        running = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        await submit(stores, a_run(thread))
        run = a_run(thread, created_at=at(5), not_before=at(5))

        first = await submit(stores, run, Multitask.INTERRUPT, claim=claim)
        again = await submit(stores, run, Multitask.INTERRUPT, claim=claim)

        assert again == first
        assert first.is_new
        assert [each.run_id for each in first.to_stop][:1] == [running.run_id]
        assert len(await stores.runs.list_runs(thread.thread_id, "")) == 3
        with pytest.raises(ConflictError, match="give each run an id of its own"):
            await submit(stores, replace(run, tenant="bob"))

    in_store(any_url, test)


def test_a_run_that_began_at_once_has_still_begun_when_it_is_submitted_again(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = a_run(thread)

        first = await submit(stores, run, new_thread=thread, claim=a_claim())
        again = await submit(stores, run, new_thread=thread, claim=a_claim())

        assert again == first
        assert (again.run.status, again.run.holder, again.run.attempt) == (RunStatus.RUNNING, "one", 1)

    in_store(any_url, test)


@pytest.mark.parametrize(
    "other",
    [{"graph_id": "another"}, {"request": {"input": 2}}, {"thread_id": "another"}],
)
def test_an_idempotency_key_is_not_used_for_something_else(any_url: str, other: dict[str, Any]) -> None:
    async def test(stores: Stores) -> None:
        thread, another = a_thread(), a_thread(thread_id="another")
        await stores.runs.create_thread(another)
        run = a_run(thread, idempotency_key="k", request={"input": 1, "config": {"a": 1, "b": 2}})
        first = (await submit(stores, run, new_thread=thread)).run

        same = replace(run, run_id=an_id(), request={"config": {"b": 2, "a": 1}, "input": 1})
        assert (await submit(stores, same)).run == first
        with pytest.raises(InvalidError, match="send a new key"):
            await submit(stores, replace(run, run_id=an_id(), **other))

    in_store(any_url, test)


@pytest.mark.parametrize("mark", ["is_temporary", "is_stateless"])
def test_a_run_whose_thread_nobody_named_is_repeated_on_whatever_thread_comes_with_it(any_url: str, mark: str) -> None:
    async def test(stores: Stores) -> None:
        one, two = a_thread(is_temporary=True), a_thread(is_temporary=True)
        first = await submit(stores, a_run(one, idempotency_key="k", request={mark: True}), new_thread=one)

        again = await submit(stores, a_run(two, idempotency_key="k", request={mark: True}), new_thread=two)

        assert (again.is_new, again.run) == (False, first.run)
        with pytest.raises(NotFoundError):
            await stores.runs.get_thread(two.thread_id, "")

    in_store(any_url, test)


def test_a_key_is_looked_up_for_its_tenant(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread, idempotency_key="k"), new_thread=thread)).run

        assert await stores.runs.find_by_key("", "k") == run
        assert await stores.runs.find_by_key("bob", "k") is None
        assert await stores.runs.find_by_key("", "l") is None

    in_store(any_url, test)


def test_only_a_run_that_waits_for_nothing_but_a_slot_is_runnable(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        one, two = a_thread(), a_thread()

        assert (await submit(stores, a_run(one), new_thread=one)).is_runnable
        assert not (await submit(stores, a_run(one))).is_runnable  # behind the first
        assert not (await submit(stores, a_run(two, not_before=at(60)), new_thread=two)).is_runnable  # not yet
        assert (await submit(stores, a_run(two))).is_runnable  # what comes later holds nobody up
        assert not (await submit(stores, a_run(a := a_thread()), new_thread=a, claim=a_claim())).is_runnable  # runs

    in_store(any_url, test)


def test_a_run_does_not_wait_for_one_whose_time_has_not_come(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        await submit(stores, a_run(thread, not_before=at(60)), new_thread=thread)

        assert (await submit(stores, a_run(thread), claim=a_claim())).run.status is RunStatus.RUNNING

    in_store(any_url, test)
