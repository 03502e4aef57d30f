"""Where the built programs are, the ports they get, and processes that do not outlive the tests."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.processes import ROOT, absent

_CACHE = ROOT / ".cache" / "cluster"
_READY_SECONDS = 60
_POLL_SECONDS = 0.05
_PORTS = range(20_000, 32_000)
# Kills what it was told of when its input ends, and that ends with the test process, however this ends.  A death signal
# set on the programs themselves would come as soon as the *thread* that started them is over.
_REAPER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
watched = []
for line in iter(sys.stdin.readline, ""):
    try:
        watched.append(os.pidfd_open(int(line)))  # unlike a number, this never comes to mean another process
    except ProcessLookupError:
        pass
for each in watched:
    try:
        signal.pidfd_send_signal(each, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


def built(name: str) -> Path:
    """The folder of what `scripts/build-cluster` made of a module; skips, or fails, without it."""
    go_mod = Path(__file__).parent / "modules" / name / "go.mod"
    stated = re.search(r"^require \S+ (v\S+)$", go_mod.read_text(), re.MULTILINE)
    assert stated, f"modules/{name}/go.mod requires nothing"
    folder = Path(os.environ.get("FORESCALE_CLUSTER_CACHE", _CACHE)) / f"{name}-{stated[1]}"
    if not (folder / "complete").is_file():
        absent(f"{name} {stated[1]} is not built: run scripts/build-cluster (30 minutes the first time)")
    return folder


def lasting_port() -> int:
    """A free loopback port that stays free while its server is away.

    Below the range that the kernel takes outgoing connections' ports from: a client that keeps knocking at a port of
    that range would sooner or later be given this very port, and be connected to itself.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"every port of {_PORTS} is taken")


@dataclass(slots=True)
class Programs:
    """Named processes of one cluster, with a log each.  Any thread may start and end them."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, tuple[Sequence[str], Mapping[str, str]]] = field(default_factory=dict)
    reaper: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _REAPER], stdin=subprocess.PIPE, start_new_session=True
        )

    def start(self, name: str, command: Sequence[str], **environment: str) -> None:
        """Start one; its output goes to NAME.log."""
        assert name not in self.running, f"{name} runs already"
        self.commands[name] = (command, environment)
        with (self.folder / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C is for the tests, which then end the rest in order
            )
        self.running[name] = started
        assert self.reaper.stdin
        self.reaper.stdin.write(b"%d\n" % started.pid)
        self.reaper.stdin.flush()

    def again(self, name: str, *changed: str) -> None:
        """Start one as it was started before; `changed` arguments go last, and so win."""
        command, environment = self.commands[name]
        self.start(name, [*command, *changed], **environment)

    def kill(self, name: str) -> None:
        """End one without a warning, paused or not."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal."""
        self.running[name].send_signal(number)

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Poll; a process that ends by itself meanwhile is an error with the end of its log."""
        deadline = time.monotonic() + _READY_SECONDS
        while not holds():
            for name, process in list(self.running.items()):
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{self._tail(name)}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self._tail(name, 5)}" for name in self.running)
                raise RuntimeError(f"after {_READY_SECONDS} s still not: {what}\n{logs}")
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End all, at once: nothing of it is needed any more."""
        for name in reversed(list(self.running)):
            self.kill(name)
        self.reaper.communicate()

    def _tail(self, name: str, lines: int = 20) -> str:
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
