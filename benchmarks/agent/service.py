"""The service in a process of its own, and what that process used by the kernel's accounts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.servers.processes import ROOT, free_port

_TICK = os.sysconf("SC_CLK_TCK")
_READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Service:
    """A running one."""

    url: str
    pid: int
    ready_cpu_seconds: float  # that it had used when it said that it was ready

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return cpu_seconds(self.pid)

    def rss_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Of a process, threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


@contextmanager
def service(
    store: str, folder: Path, *options: str, core: int | None = 0, environment: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Ready, on one core, while the block lasts."""
    port = free_port()
    command = [
        sys.executable, "-m", "forescale", "agent", "serve", "--port", str(port), "--store", store,
        "--graph", "bench=benchmarks.agent.workload:graph", "--json-logs", *options,
    ]  # fmt: skip
    if core is not None and hasattr(os, "sched_setaffinity"):
        command = ["taskset", "-c", str(core), *command]
    with (folder / "service.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + _READY_SECONDS
            while not _is_ready(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"the service did not start; see {folder / 'service.log'}")
                time.sleep(0.02)
            yield Service(url, process.pid, cpu_seconds(process.pid))
        finally:
            process.terminate()
            process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
