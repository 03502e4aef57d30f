"""Threads, in memory, SQLite and PostgreSQL alike."""

from __future__ import annotations

import pytest

from agent_service.errors import ConflictError, InvalidError, NotFoundError
from agent_service.store.opening import Stores
from agent_service.store.records import (
    Change,
    ChangeKind,
    Finished,
    Json,
    ThreadQuery,
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


def test_a_deleted_thread_takes_its_runs_along_even_those_that_execute(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        with pytest.raises(NotFoundError):
            await stores.runs.delete_thread(thread.thread_id, "bob")

        await stores.runs.delete_thread(thread.thread_id, "")

        assert await stores.runs.renew(a_claim(), [run]) == {}
        assert await stores.runs.finish(run, success(), events(1)) is Finished.LOST
        await stores.events.append({run.run_id: events(2)})
        assert await stores.events.read(run.run_id, 0) == []

    in_store(any_url, test)


def test_a_nul_character_is_refused_wherever_it_would_enter(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread, runs = await stores.runs.create_thread(a_thread(metadata={"text": r"a backslash: \u0000"})), stores.runs
        bad = {"key": ["a", {"b": "nul \0"}]}

        with pytest.raises(InvalidError, match="metadata holds a NUL"):
            await runs.create_thread(a_thread(metadata=bad))
        with pytest.raises(InvalidError, match="metadata holds a NUL"):
            await runs.create_thread(a_thread(metadata={"\0": 1}))
        with pytest.raises(InvalidError, match="thread_id holds a NUL"):
            await runs.create_thread(a_thread(thread_id="\0"))
        with pytest.raises(InvalidError, match="metadata holds a NUL"):
            await runs.update_thread(thread.thread_id, "", metadata=bad, ttl_minutes=None, at=at(1))
        with pytest.raises(InvalidError, match="values holds a NUL"):
            await runs.set_values(thread.thread_id, "", b'{"a":"\\u0000"}', {}, at(1))
        with pytest.raises(InvalidError, match="metadata holds a NUL"):
            await runs.search_threads(ThreadQuery(metadata=bad))
        with pytest.raises(InvalidError, match="request holds a NUL"):
            await submit(stores, a_run(thread, request={"input": bad}))
        with pytest.raises(InvalidError, match="metadata holds a NUL"):
            await submit(stores, a_run(thread, metadata=bad))
        with pytest.raises(InvalidError, match="cannot be told as JSON"):
            await submit(stores, a_run(thread, metadata={"half of a character": "\ud800"}))
        assert await runs.get_thread(thread.thread_id, "") == thread

    in_store(any_url, test)


def test_what_a_graph_has_put_out_breaks_nobodys_search(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        odd, plain = a_thread(tenant="ann"), a_thread(tenant="bob", values=b'{"v":1}')
        run = (await submit(stores, a_run(odd, tenant="ann"), new_thread=odd, claim=a_claim())).run
        values = b'{"text":"\\u0000 and \\\\u0000","v":1}'
        await stores.runs.finish(run, success(values=values), [])
        await stores.runs.create_thread(plain)

        found, total = await stores.runs.search_threads(ThreadQuery(values={"v": 1}))

        assert total == 2
        assert {thread.thread_id for thread in found} == {odd.thread_id, plain.thread_id}
        assert (await stores.runs.get_thread(odd.thread_id, "ann")).values == values

    in_store(any_url, test)


@pytest.mark.parametrize(
    ("kept", "asked", "is_found"),
    [
        ({"a": {"b": 1, "c": [2]}}, {"a": {"c": [2], "b": 1}}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": [1, 0]}, {"a": [1, False]}, False),
        ({'say "a"': 1}, {'say "a"': 1}, True),
        ({"a.b": None}, {"a.b": None}, True),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, False),
        ({}, {"a": None}, False),
    ],
)
def test_a_search_compares_as_json_does(any_url: str, kept: Json, asked: Json, is_found: bool) -> None:
    async def test(stores: Stores) -> None:
        await stores.runs.create_thread(a_thread(metadata=kept))

        assert (await stores.runs.search_threads(ThreadQuery(metadata=asked)))[1] == is_found

    in_store(any_url, test)


def test_numbers_that_no_database_knows_are_taken_for_the_largest_and_the_smallest(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        await stores.events.append({run.run_id: events(1, 2)})

        async def found(limit: int, offset: int) -> int:
            return len((await stores.runs.search_threads(ThreadQuery(limit=limit, offset=offset)))[0])

        assert [await found(2**63, 0), await found(2**200, -(2**70)), await found(-1, 0)] == [1, 1, 0]
        assert [await found(2**63 - 1, 2**63 - 1), await found(10, 2**70)] == [0, 0]
        assert len(await stores.runs.list_runs(thread.thread_id, "", limit=2**70, offset=-5)) == 1
        assert await stores.runs.list_runs(thread.thread_id, "", limit=-1, offset=2**64) == []
        assert len(await stores.events.read(run.run_id, -(2**70), limit=2**70)) == 2
        assert await stores.events.read(run.run_id, 2**63) == []
        assert await stores.runs.claim(a_claim(), 2**70) == []
        with pytest.raises(InvalidError, match="after the end of all time"):
            await stores.runs.update_thread(thread.thread_id, "", metadata={}, ttl_minutes=1e300, at=at(1))

    in_store(any_url, test)


def test_whoever_executes_on_a_thread_that_is_deleted_is_told_to_stop(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
        heard: list[Change] = []
        stores.runs.listen(heard.append)

        await stores.runs.delete_thread(thread.thread_id, "")

        assert Change(ChangeKind.STOP, run.run_id) in heard
        assert Change(ChangeKind.FINISHED, run.run_id) in heard

    in_store(any_url, test)
