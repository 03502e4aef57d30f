"""The service as a user runs it: `forescale agent serve`, a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers.processes import ROOT, Process, running

GRAPH = "steps=tests.agent_service.process.counted:graph"


@contextmanager
def replica(
    store: str, folder: Path, *options: str, name: str = "one", environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Ready, with our own graph beside the assistant.  Each performed node is a line of `folder/performed`."""
    told = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AGENT_TEST_PERFORMED": str(folder / "performed"),
        **(environment or {}),
    }

    def command(port: int) -> list[str]:
        serve = [sys.executable, "-m", "forescale", "agent", "serve", "--port", str(port), "--store", store]
        settings = [f"{key}={value}" for key, value in told.items() if os.environ.get(key) != value]
        return ["env", *settings, *serve, "--graph", GRAPH, "--json-logs", *options]

    def is_ready(port: int) -> bool:
        try:
            return httpx.get(url_of(port) + "/readyz", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    with running(command, folder / f"{name}.log", is_ready, name=f"replica {name}") as process:
        yield process


def url_of(port: int) -> str:
    """Of a replica here."""
    return f"http://127.0.0.1:{port}"


def performed(folder: Path) -> list[tuple[str, str]]:
    """Run and node of everything that was performed, in order."""
    lines = (folder / "performed").read_text(encoding="utf-8").splitlines()
    return [(line.split()[0], line.split()[1]) for line in lines]


def logged(log: Path) -> list[dict[str, Any]]:
    """The lines of a JSON log."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
