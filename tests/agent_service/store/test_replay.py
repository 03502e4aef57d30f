"""Rows and events tell the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph_sdk import get_client

from agent_service.store.opening import Stores, open_stores
from agent_service.store.records import ATTEMPT_SPAN, Ending, Event, Run, RunStatus, Stop
from agent_service.store.replay import ReplayedRun, replayed
from tests.agent_service.builders import a_claim, a_run, a_thread, at, in_store, submit, success
from tests.agent_service.serving import Parts, serving
from tests.coroutines import run_apart


@pytest.mark.parametrize(
    ("graph", "asked"),
    [("steps", {"done": []}), ("failing", {"name": "x"}), ("approval", {"question": "?"}), ("steps", {"seconds": 9.0})],
)
def test_a_run_is_rebuilt_from_its_events(graph: str, asked: dict[str, Any], any_url: str) -> None:
    async def parts() -> Parts:
        stores = open_stores(any_url)
        await stores.open()
        return Parts(stores.runs, stores.events, stores.checkpoints)

    with serving(parts) as served:

        async def main() -> tuple[Any, list[Event], Any]:
            async with asyncio.timeout(30), get_client(url=served.url) as client:
                made: Any = client
                thread = await made.threads.create()
                run = await made.runs.create(thread["thread_id"], graph, input=asked)
                if "seconds" in asked:
                    await made.runs.cancel(thread["thread_id"], run["run_id"], wait=True)
                result = await made.runs.join(thread["thread_id"], run["run_id"])
                return await made.runs.get(thread["thread_id"], run["run_id"]), result, run["run_id"]

        row, result, run_id = run_apart(main())
        events = served.run(served.service.engine.events.read(run_id, 0))

    found = replayed(events)
    assert (found.run_id, found.status, found.attempt) == (run_id, RunStatus(row["status"]), 1)
    if graph == "failing":
        assert found.error == result["__error__"]  # type: ignore[call-overload]
    else:
        assert (found.values or {}) == result  # none where it was cut off before it had told any


def said(run: Run, *more: tuple[str, Any]) -> list[Event]:
    """What an execution of this attempt says, beginning with its metadata."""
    told = [("metadata", {"run_id": run.run_id, "attempt": run.attempt}), *more]
    first = (run.attempt - 1) * ATTEMPT_SPAN + 1
    return [Event(first + number, name, orjson.dumps(data)) for number, (name, data) in enumerate(told)]


def end(run: Run, status: RunStatus) -> tuple[str, Any]:
    return "end", {"run_id": run.run_id, "status": status}


_ERROR = {"error": "ValueError", "message": "no luck"}
_FAILED = Ending(RunStatus.ERROR, at(2), error=_ERROR)
_STOPPED = Ending(RunStatus.INTERRUPTED, at(2))


async def _success(stores: Stores, run: Run) -> None:
    await stores.runs.finish(run, success(), said(run, ("updates", {"a": 1}), end(run, RunStatus.SUCCESS)))


async def _failure(stores: Stores, run: Run) -> None:
    await stores.runs.finish(run, _FAILED, said(run, ("error", _ERROR), end(run, RunStatus.ERROR)))


async def _timeout(stores: Stores, run: Run) -> None:
    ending = Ending(RunStatus.TIMEOUT, at(2), error=_ERROR)
    await stores.runs.finish(run, ending, said(run, ("error", _ERROR), end(run, RunStatus.TIMEOUT)))


async def _cancelled_while_running(stores: Stores, run: Run) -> None:
    await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(1))
    await stores.runs.finish(run, _STOPPED, said(run, ("values", {"a": 1}), end(run, RunStatus.INTERRUPTED)))


async def _rolled_back(stores: Stores, run: Run) -> None:
    await stores.runs.request_stop(run.run_id, "", Stop.ROLLBACK, at(1))
    ending = Ending(RunStatus.INTERRUPTED, at(2), is_rolled_back=True)
    await stores.runs.finish(run, ending, said(run, end(run, RunStatus.INTERRUPTED)))


async def _given_up(stores: Stores, run: Run) -> None:
    await stores.events.append({run.run_id: said(run, ("values", {"a": 1}))})
    await stores.runs.reap(at(2), most_crashes=1)


async def _cancelled_while_its_replica_was_dead(stores: Stores, run: Run) -> None:
    await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(1))
    await stores.runs.reap(at(2), most_crashes=3)


async def _handed_over(stores: Stores, run: Run) -> None:
    await stores.runs.hand_over(run, said(run, ("values", {"a": 1})), at(2))
    (again,) = await stores.runs.claim(a_claim("two", 3), 1)
    told = said(again, ("values", {"a": 2}), end(again, RunStatus.SUCCESS))
    await stores.runs.finish(again, success(4), told)


async def _failed_once(stores: Stores, run: Run) -> None:
    """The failure was shown, but its holder died before it was written as the ending."""
    await stores.events.append({run.run_id: said(run, ("error", _ERROR))})
    await stores.runs.reap(at(2), most_crashes=3)
    (again,) = await stores.runs.claim(a_claim("two", 3), 1)
    await stores.runs.finish(again, success(4), said(again, end(again, RunStatus.SUCCESS)))


async def _failed_once_and_cancelled_while_pending(stores: Stores, run: Run) -> None:
    await stores.runs.hand_over(run, said(run, ("error", _ERROR)), at(2), is_crash=True)
    await stores.runs.request_stop(run.run_id, "", Stop.INTERRUPT, at(3))


LIVES = (
    _success, _failure, _timeout, _cancelled_while_running, _rolled_back, _given_up,
    _cancelled_while_its_replica_was_dead, _handed_over, _failed_once, _failed_once_and_cancelled_while_pending,
)  # fmt: skip


@pytest.mark.parametrize("live", LIVES, ids=[each.__name__.strip("_") for each in LIVES])
def test_a_row_and_its_events_tell_the_same_ending(
    live: Callable[[Stores, Run], Awaitable[None]], any_url: str
) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim(lease=-1))).run

        await live(stores, run)

        row, kept = await stores.runs.get_run(run.run_id, ""), await stores.runs.get_thread(thread.thread_id, "")
        found = replayed(await stores.events.read(run.run_id, 0))
        assert not row.status.is_active
        assert (found.run_id, found.status, found.error) == (run.run_id, row.status, kept.error)

    in_store(any_url, test)


@pytest.mark.parametrize("stop", list(Stop))
def test_a_run_that_was_stopped_before_it_began_tells_that_it_has_ended(any_url: str, stop: Stop) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread)).run

        row = await stores.runs.request_stop(run.run_id, "", stop, at(1))

        events = await stores.events.read(run.run_id, 0)
        assert [event.seq for event in events] == [1]
        found = replayed(events)
        assert (found.run_id, found.status, found.attempt) == (run.run_id, row.status, 0)

    in_store(any_url, test)


def test_a_reader_who_has_seen_more_than_was_stored_still_sees_the_end(any_url: str) -> None:
    async def test(stores: Stores) -> None:
        thread = a_thread()
        run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim(lease=-1))).run
        shown = said(run, *[("values", {"n": n}) for n in range(9)])
        await stores.events.append({run.run_id: shown[:3]})  # and then the replica died

        await stores.runs.reap(at(2), most_crashes=1)

        rest = await stores.events.read(run.run_id, shown[-1].seq)
        assert [event.name for event in rest] == ["error", "end"]
        assert orjson.loads(rest[0].data)["error"] == "RunLost"

    in_store(any_url, test)


def test_values_that_were_not_streamed_are_not_known() -> None:
    run = a_run("t", attempt=1)

    assert replayed(said(run, ("updates", {"a": 1}), end(run, RunStatus.SUCCESS))).values is None


@given(st.lists(st.integers(0, 9), max_size=30))
def test_events_that_are_told_again_change_nothing(cuts: list[int]) -> None:
    events = [
        Event(1, "metadata", orjson.dumps({"run_id": "r", "attempt": 1})),
        *(Event(seq, "values", orjson.dumps({"n": seq})) for seq in range(2, 9)),
        Event(1_000_001, "metadata", orjson.dumps({"run_id": "r", "attempt": 2})),
        Event(1_000_002, "end", orjson.dumps({"run_id": "r", "status": "success"})),
    ]
    once, again = replayed(events), ReplayedRun()

    for cut in cuts:  # deliveries that begin anywhere before what is known, as at-least-once delivery does
        position = sum(event.seq <= again.last_seq for event in events)
        again = replayed(events[max(position - cut, 0) : position + cut], again)
    again = replayed(events, again)

    assert again == once
    assert (once.status, once.attempt, once.values) == (RunStatus.SUCCESS, 2, {"n": 8})
