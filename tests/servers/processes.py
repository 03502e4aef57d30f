"""Starts a server program, waits until it answers, and ends it again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
_READY_SECONDS = 30
_POLL_SECONDS = 0.05
_ATTEMPTS = 3  # another process may take a free port before the server does


@dataclass(frozen=True, slots=True)
class Process:
    """A running server."""

    port: int
    handle: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it at once and without farewell, as a crash does."""
        self.handle.kill()
        self.handle.wait()


@contextmanager
def running(
    command: Callable[[int], Sequence[str]], log: Path, is_ready: Callable[[int], bool], *, name: str
) -> Iterator[Process]:
    """Run `command(port)` while the block lasts; `is_ready(port)` is asked until it says yes."""
    process = next(filter(None, (_start(command, log, is_ready) for _ in range(_ATTEMPTS))), None)
    if process is None:
        pytest.fail(f"{name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
    try:
        yield process
    finally:
        stop(process.handle)


def wait_until(holds: Callable[[], bool], what: str, seconds: float = _READY_SECONDS) -> None:
    """Ask again and again, since a server becomes consistent when it likes."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:g} s still not: {what}")
        time.sleep(_POLL_SECONDS)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(name: str, *, variable: str | None = None, built: Path | None = None, how: str) -> Path:
    """The program given by an environment variable, built under the repository, or on PATH.

    Skips the test without it, unless FORESCALE_REQUIRE_SERVERS says that nothing may be skipped.
    """
    given = os.environ.get(variable, "") if variable else ""
    candidates = [Path(given)] if given else [built] if built else []
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    found = None if variable else shutil.which(name)
    if found is None:
        absent(f"{name} is not here: {how}")
    return Path(found)


def absent(what: str) -> NoReturn:
    """Skip for want of a server, or fail where that is not allowed."""
    if os.environ.get("FORESCALE_REQUIRE_SERVERS"):
        pytest.fail(what)
    pytest.skip(what)


def stop(handle: subprocess.Popen[bytes]) -> None:
    """End a process, politely first."""
    if handle.poll() is None:
        handle.terminate()
        try:
            handle.wait(timeout=10)
        except subprocess.TimeoutExpired:
            handle.kill()
    handle.wait()


def _start(command: Callable[[int], Sequence[str]], log: Path, is_ready: Callable[[int], bool]) -> Process | None:
    """A process that answers, or None."""
    port = free_port()
    with log.open("wb") as output:
        handle = subprocess.Popen(command(port), stdout=output, stderr=output, cwd=log.parent)
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and handle.poll() is None:
        if is_ready(port):
            return Process(port, handle)
        time.sleep(_POLL_SECONDS)
    stop(handle)
    return None
