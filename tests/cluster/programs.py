"""Where the built programs are, and processes that do not outlive the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.processes import ROOT, absent

_CACHE = ROOT / ".cache" / "cluster"
_READY_SECONDS = 60


def built(name: str) -> Path:
    """The folder of what `scripts/build-cluster` made of a module; skips, or fails, without it."""
    go_mod = Path(__file__).parent / "modules" / name / "go.mod"
    version = next(
        line.split()[2] for line in go_mod.read_text().splitlines() if line.startswith("require ") and "(" not in line
    )
    folder = Path(os.environ.get("FORESCALE_CLUSTER_CACHE", _CACHE)) / f"{name}-{version}"
    if not (folder / "complete").is_file():
        absent(f"{name} {version} is not built: scripts/build-cluster (30 minutes the first time)")
    return folder


@dataclass(slots=True)
class Programs:
    """Named processes of one cluster, with a log each; ended in reverse order."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    commands: dict[str, tuple[Sequence[str], Mapping[str, str]]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str], **environment: str) -> None:
        """Start one; its output goes to NAME.log."""
        self.commands[name] = (command, environment)
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                # It is to die with the tests, also when these are killed.
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **environment},
            )

    def again(self, name: str) -> None:
        """Start one as it was started before."""
        command, environment = self.commands[name]
        self.start(name, command, **environment)

    def kill(self, name: str) -> None:
        """End one without a warning."""
        self.running[name].kill()
        self.running[name].wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal."""
        self.running[name].send_signal(number)

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Poll; a process that ends meanwhile is an error with the end of its log."""
        deadline = time.monotonic() + _READY_SECONDS
        while not holds():
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{self._tail(name)}")
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self._tail(name, 5)}" for name in self.running)
                raise RuntimeError(f"after {_READY_SECONDS} s still not: {what}\n{logs}")
            time.sleep(0.05)

    def close(self) -> None:
        """End all."""
        for process in reversed(self.running.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()  # nothing of it is needed any more
                process.wait()

    def _tail(self, name: str, lines: int = 20) -> str:
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
