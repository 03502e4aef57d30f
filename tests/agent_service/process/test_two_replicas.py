"""Two replicas on one database, one of which leaves or dies under load: what is lost, and what is done twice."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from tests.agent_service.process.counted import NODES
from tests.agent_service.process.replicas import logged, performed, replica, url_of
from tests.coroutines import run_apart
from tests.servers.processes import Process

RUNS = 24
NODE_SECONDS = 1.0  # five nodes: twenty-four runs must begin before the first of them has ended, on a busy machine too


async def leave_in_the_middle(first: Process, second: Process, how: signal.Signals, **asked: Any) -> dict[str, Any]:
    """Begin runs at the first replica, end it while all execute, wait for them at the second; by run id: what came."""
    async with (
        asyncio.timeout(120),
        get_client(url=url_of(first.port)) as one,
        get_client(url=url_of(second.port)) as two,
    ):
        threads: list[Any] = [await one.threads.create() for _ in range(RUNS)]
        begun: list[Any] = await asyncio.gather(
            *(
                one.runs.create(thread["thread_id"], "steps", input={"seconds": NODE_SECONDS, "done": []}, **asked)
                for thread in threads
            )
        )
        await asyncio.sleep(1.5 * NODE_SECONDS)  # in the second node, or the third
        first.handle.send_signal(how)
        results = await asyncio.gather(*(two.runs.join(run["thread_id"], run["run_id"]) for run in begun))
        ended: list[Any] = await asyncio.gather(*(two.runs.get(run["thread_id"], run["run_id"]) for run in begun))
        assert {run["status"] for run in ended} == {"success"}
        return {run["run_id"]: result for run, result in zip(begun, results, strict=True)}


def test_a_replica_that_is_asked_to_leave_loses_no_run_and_repeats_no_node(database: str, tmp_path: Path) -> None:
    with replica(database, tmp_path, name="one") as first, replica(database, tmp_path, name="two") as second:
        results = run_apart(leave_in_the_middle(first, second, signal.SIGTERM))
        exit_code = first.handle.wait(30)

    assert exit_code == 0
    assert len(results) == RUNS
    assert all(result["done"] == [*NODES] for result in results.values())
    counts = Counter(performed(tmp_path))
    assert counts == {(run_id, node): 1 for run_id in results for node in NODES}
    left = [line for line in logged(tmp_path / "one.log") if line.get("event") == "run_left"]
    finished = [line for line in logged(tmp_path / "two.log") if line.get("event") == "run_finished"]
    assert len(left) == len(finished) == RUNS  # every run was handed over, and finished by the other
    assert {line["attempt"] for line in finished} == {2}


@pytest.mark.parametrize(("durability", "most_repeated"), [("async", 1), ("exit", len(NODES))])
def test_a_replica_that_is_killed_loses_no_run(
    database: str, tmp_path: Path, durability: str, most_repeated: int
) -> None:
    quick = ("--lease-seconds", "3")
    with (
        replica(database, tmp_path, *quick, name="one") as first,
        replica(database, tmp_path, *quick, name="two") as second,
    ):
        results = run_apart(leave_in_the_middle(first, second, signal.SIGKILL, durability=durability))

    assert len(results) == RUNS
    assert all(result["done"] == [*NODES] for result in results.values())
    counts = Counter(performed(tmp_path))
    assert set(counts) == {(run_id, node) for run_id in results for node in NODES}
    repeated = Counter(run_id for (run_id, _), count in counts.items() for _ in range(count - 1))
    assert max(repeated.values(), default=0) <= most_repeated
    if durability == "exit":  # nothing is kept before the end: what was performed is performed again
        assert sum(repeated.values()) >= RUNS


def test_a_stream_goes_on_at_another_replica_when_its_own_leaves(database: str, tmp_path: Path) -> None:
    with replica(database, tmp_path, name="one") as first, replica(database, tmp_path, name="two") as second:

        async def main() -> tuple[list[Any], list[Any]]:
            async with (
                asyncio.timeout(60),
                get_client(url=url_of(first.port)) as one,
                get_client(url=url_of(second.port)) as two,
            ):
                thread: Any = await one.threads.create()
                run: Any = await one.runs.create(
                    thread["thread_id"], "steps", input={"seconds": NODE_SECONDS, "done": []}, stream_mode="updates"
                )  # fmt: skip
                seen: list[Any] = []
                async for part in one.runs.join_stream(thread["thread_id"], run["run_id"], stream_mode=None):
                    seen.append(part)
                    if part.event == "updates":
                        break
                first.handle.terminate()
                rest = two.runs.join_stream(thread["thread_id"], run["run_id"], last_event_id=seen[-1].id)
                return seen, [part async for part in rest]

        seen, rest = run_apart(main())

    nodes = [next(iter(part.data)) for part in (*seen, *rest) if part.event == "updates"]
    assert nodes == [*NODES]
    assert rest[-1].event == "end"
    ids = [int(part.id) for part in (*seen, *rest)]
    assert ids == sorted(set(ids))


def test_a_replica_that_was_stopped_for_longer_than_its_lease_leaves_its_runs_to_who_took_them(
    database: str, tmp_path: Path
) -> None:
    quick = ("--lease-seconds", "3")

    async def stop_and_go_on(first: Process, second: Process) -> list[Any]:
        async with (
            asyncio.timeout(120),
            get_client(url=url_of(first.port)) as one,
            get_client(url=url_of(second.port)) as two,
        ):
            threads: list[Any] = [await one.threads.create() for _ in range(4)]
            begun: list[Any] = [
                await one.runs.create(
                    thread["thread_id"], "steps", input={"seconds": NODE_SECONDS, "done": []}, durability="async"
                )
                for thread in threads
            ]
            first.handle.send_signal(signal.SIGSTOP)
            try:
                results = await asyncio.gather(*(two.runs.join(run["thread_id"], run["run_id"]) for run in begun))
            finally:
                first.handle.send_signal(signal.SIGCONT)
            assert all(result["done"] == [*NODES] for result in results)
            # It notices by itself, and is of use again.
            late: Any = await one.threads.create()
            assert (await one.runs.wait(late["thread_id"], "steps", input={"done": []}))["done"] == [*NODES]  # type: ignore[call-overload]
            return [await two.runs.get(run["thread_id"], run["run_id"]) for run in begun]

    with (
        replica(database, tmp_path, *quick, name="one") as first,
        replica(database, tmp_path, *quick, name="two") as second,
    ):
        ended = run_apart(stop_and_go_on(first, second))
        first.handle.terminate()
        assert first.handle.wait(30) == 0

    assert {run["status"] for run in ended} == {"success"}
    finished = [line for line in logged(tmp_path / "two.log") if line.get("event") == "run_finished"]
    assert {line["attempt"] for line in finished} == {2}
    given_up = [line for line in logged(tmp_path / "one.log") if "does not count" in str(line.get("body"))]
    assert len(given_up) == len(ended)
    counts = Counter(performed(tmp_path))
    assert max(counts[(run["run_id"], node)] for run in ended for node in NODES) <= 2
