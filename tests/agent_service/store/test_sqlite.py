"""What only the file store has to deal with."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from agent_service.errors import SettingsError, StoreError
from agent_service.store.opening import Stores, open_stores
from agent_service.store.records import RunStatus
from agent_service.store.sqlite_file import SCHEMA_VERSION
from tests.agent_service.builders import a_claim, a_run, a_thread, events, in_store, opened, submit
from tests.coroutines import run_apart


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
        await stores.events.append(run.run_id, events(1))

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
        with pytest.raises((StoreError, RuntimeError)):
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
