"""What only the file store has to deal with."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint

from agent_service.errors import SettingsError, StoreError
from agent_service.store.opening import Stores, open_stores
from agent_service.store.records import RunStatus
from agent_service.store.sqlite_file import SCHEMA_VERSION
from tests.agent_service.builders import a_claim, a_run, a_thread, events, in_store, opened, submit
from tests.coroutines import run_apart
from tests.servers.processes import ROOT


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_file_belongs_to_one_process_at_a_time(tmp_path: Path) -> None:
    async def test(stores: Stores) -> None:
        second = open_stores(url_of(tmp_path / "agent.db"))
        with pytest.raises(SettingsError, match="is in use by another process"):
            await second.open()
        await second.close()

    in_store(url_of(tmp_path / "agent.db"), test)
    in_store(url_of(tmp_path / "agent.db"), lambda stores: stores.runs.ping())  # given back


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    in_store(url_of(tmp_path / "agent.db"), lambda stores: stores.runs.ping())

    modes = {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("agent.db*") if "lock" not in file.name
    }
    assert set(modes.values()) == {0o600}


def test_a_run_that_was_running_when_the_process_died_is_taken_up_again(tmp_path: Path) -> None:
    url, thread = url_of(tmp_path / "agent.db"), a_thread()
    run = a_run(thread)

    async def begin(stores: Stores) -> None:
        await submit(stores, run, new_thread=thread, claim=a_claim(lease=10_000))
        await stores.events.append({run.run_id: events(1)})

    async def go_on(stores: Stores) -> None:
        found = await stores.runs.get_run(run.run_id, "")
        assert (found.status, found.crashes, found.attempt) == (RunStatus.PENDING, 1, 1)
        (claimed,) = await stores.runs.claim(a_claim("two"), 1)
        assert (claimed.run_id, claimed.attempt) == (run.run_id, 2)
        assert await stores.events.read(run.run_id, 0) == events(1)

    in_store(url, begin)
    in_store(url, go_on)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"this is no database at all" * 100), "not a database that can be used"),
        (lambda path: sqlite3.connect(path).executescript("CREATE TABLE mine (a)").close(), "of another program"),
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "other.db"
    make(path)  # type: ignore[operator]
    before = path.read_bytes()

    with pytest.raises(SettingsError, match=words):
        in_store(url_of(path), lambda stores: stores.runs.ping())

    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    in_store(url_of(path), lambda stores: stores.runs.ping())
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()

    with pytest.raises(SettingsError, match="was written by a newer version"):
        in_store(url_of(path), lambda stores: stores.runs.ping())


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="in a folder that can be written"):
        in_store(url_of(tmp_path / "file" / "agent.db"), lambda stores: stores.runs.ping())


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(url_of(tmp_path / "agent.db")) as stores:
            pass
        with pytest.raises(StoreError, match="is closed"):
            await stores.runs.ping()

    run_apart(main())


def test_writes_from_many_at_once_are_all_kept(tmp_path: Path) -> None:
    async def test(stores: Stores) -> None:
        threads = [a_thread() for _ in range(50)]
        found = await asyncio.gather(
            *(submit(stores, a_run(thread), new_thread=thread, claim=a_claim()) for thread in threads)
        )
        assert {each.run.status for each in found} == {RunStatus.RUNNING}
        assert len(await stores.runs.active_runs("")) == 50

    in_store(url_of(tmp_path / "agent.db"), test)


def test_a_broken_file_of_checkpoints_is_said_so_and_keeps_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "agent.db.checkpoints").write_bytes(b"this is no database at all" * 100)
    told = in_a_process(
        """
        async def main(url):
            both = open_stores(url), open_stores(url)
            for stores in both:
                try:
                    await stores.open()
                except SettingsError as error:
                    print(error)
        """,
        tmp_path,
    )

    assert told.count("not a database that can be used") == 2  # the second time it was not in use either


def test_what_failed_half_way_is_not_kept_with_what_comes_next(tmp_path: Path) -> None:
    async def test(stores: Stores) -> None:
        saver: Any = stores.checkpoints.saver
        place: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}

        def fail_half_way() -> None:
            with saver.cursor() as cursor:
                columns = "thread_id, checkpoint_id, task_id, idx, channel"
                cursor.execute(f"INSERT INTO writes ({columns}) VALUES ('t', 'c', 'half', 0, 'a')")  # noqa: S608
                raise LookupError

        with pytest.raises(LookupError):
            fail_half_way()
        await saver.aput_writes(place, [("a", 1)], "whole")

        assert saver.conn.execute("SELECT task_id FROM writes").fetchall() == [("whole",)]

    in_store(url_of(tmp_path / "agent.db"), test)


def test_checkpoints_of_a_cancelled_run_are_whole_and_written_before_whatever_comes_next(tmp_path: Path) -> None:
    async def test(stores: Stores) -> None:
        saver: Any = stores.checkpoints.saver
        place: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}
        is_there, may_go_on = asyncio.Event(), threading.Event()
        loop, put = asyncio.get_running_loop(), saver.put

        def slow(*args: Any) -> Any:
            loop.call_soon_threadsafe(is_there.set)
            may_go_on.wait(10)
            return put(*args)

        saver.put = slow
        task = asyncio.create_task(saver.aput(place, empty_checkpoint() | {"id": "c"}, {"run_id": "r"}, {}))
        await is_there.wait()
        task.cancel()
        undoing = asyncio.create_task(stores.checkpoints.roll_back("t", "r"))
        await asyncio.sleep(0)
        may_go_on.set()
        await undoing

        assert await saver.aget_tuple(place) is None

    in_store(url_of(tmp_path / "agent.db"), test)


def test_checkpoints_that_are_closed_say_so(tmp_path: Path) -> None:
    async def test(stores: Stores) -> None:
        saver = stores.checkpoints.saver
        await stores.checkpoints.close()

        for _ in range(2):
            with pytest.raises(StoreError, match="closed"):
                await saver.aget_tuple({"configurable": {"thread_id": "t"}})
        await stores.checkpoints.close()  # once more is nothing

    in_store(url_of(tmp_path / "agent.db"), test)


def test_a_full_disk_is_an_error_of_the_store_and_what_is_there_stays_readable(tmp_path: Path) -> None:
    told = in_a_process(
        """
        async def main(url):
            stores = open_stores(url)
            await stores.open()
            thread = a_thread()
            run = (await submit(stores, a_run(thread), new_thread=thread, claim=a_claim())).run
            place = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}
            saver, large = stores.checkpoints.saver, "x" * 400_000
            await saver.aput(place, empty_checkpoint(), {"run_id": "r"}, {})
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
            for write in (
                lambda: stores.runs.set_values(thread.thread_id, "", dumps(large), {}, NOON),
                lambda: stores.events.append({run.run_id: [Event(1, "values", dumps(large))]}),
                lambda: stores.runs.finish(run, success(values=dumps(large)), []),
                lambda: saver.aput_writes(place, [("a", 1), ("b", large)], "task"),
                lambda: stores.checkpoints.copy_thread("t", large),
            ):
                try:
                    await write()
                    print("written")
                except StoreError:
                    print("refused")
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print((await stores.runs.get_run(run.run_id, "")).status, await stores.events.read(run.run_id, 0))
            place["configurable"]["checkpoint_id"] = "d"
            await saver.aput_writes(place, [("a", 2)], "other")
            print(saver.conn.execute("SELECT task_id FROM writes").fetchall())
            print(await stores.runs.finish(run, success(), []))
            await stores.close()
        """,
        tmp_path,
    )

    assert told.splitlines() == ["refused"] * 5 + ["running []", "[('other',)]", "kept"]


def in_a_process(program: str, folder: Path) -> str:
    """What it prints; a process of its own, since threads that do not end would keep it, and limits count for all."""
    source = f"""
import asyncio, resource, sys
from langgraph.checkpoint.base import empty_checkpoint
from orjson import dumps
from agent_service.errors import SettingsError, StoreError
from agent_service.store.opening import open_stores
from agent_service.store.records import Event
from tests.agent_service.builders import NOON, a_claim, a_run, a_thread, submit, success
{textwrap.dedent(program)}
asyncio.run(main({url_of(folder / "agent.db")!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
