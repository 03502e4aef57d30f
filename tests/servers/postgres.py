"""A real PostgreSQL, started for the tests."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.servers.processes import absent, running

_USER = "postgres"


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Its URL, without a database, while the block lasts.  Skips the test where PostgreSQL is not installed."""
    programs = _programs()
    data = folder / "data"
    data.mkdir(parents=True)
    if os.geteuid() == 0:  # it refuses to run as root
        for each in (folder, data):
            shutil.chown(each, _USER)
        for above in folder.parents:
            if above != Path("/") and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o011)
    _run([programs / "initdb", "-D", data, "-A", "trust", "--no-sync", "-U", _USER], folder)

    def command(port: int) -> Sequence[str]:
        options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(data), "-c", "fsync=off"]
        return [*_as_postgres(), str(programs / "postgres"), *options]

    def answers(port: int) -> bool:
        try:
            psycopg.connect(_url(port, _USER), connect_timeout=1).close()
        except psycopg.Error:
            return False
        return True

    with running(command, folder / "log", answers, name="PostgreSQL") as process:
        yield f"postgresql://{_USER}@127.0.0.1:{process.port}"


def fresh_database(server: str, name: str) -> str:
    """The URL of a new, empty one."""
    with psycopg.connect(f"{server}/{_USER}", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return f"{server}/{name}"


def _programs() -> Path:
    on_path = shutil.which("initdb")
    found = [path for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")) if (path / "initdb").is_file()]
    if found:
        return found[-1]
    if on_path is None:
        absent("PostgreSQL is not here: apt-get install postgresql")
    return Path(on_path).resolve().parent


def _as_postgres() -> list[str]:
    return [] if getpass.getuser() == _USER or os.geteuid() != 0 else ["runuser", "-u", _USER, "--"]


def _run(command: Sequence[object], folder: Path) -> None:
    done = subprocess.run(
        [*_as_postgres(), *map(str, command)], cwd=folder, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _url(port: int, database: str) -> str:
    return f"postgresql://{_USER}@127.0.0.1:{port}/{database}"
