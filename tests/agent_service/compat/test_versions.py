"""The same calls from the oldest supported client and from the current one, each in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.agent_service.compat import driver
from tests.agent_service.process.replicas import replica, url_of
from tests.servers.processes import ROOT, absent

OLDEST = ROOT / ".cache/clients/oldest/bin/python"
PINS = Path(__file__).parent / "oldest-client.txt"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service in a process of its own."""
    folder = tmp_path_factory.mktemp("versions")
    options = [part for name in driver.GRAPHS for part in ("--graph", f"{name}=tests.agent_service.graphs:{name}")]
    with replica(f"sqlite:///{folder / 'agent.db'}", folder, *options) as process:
        yield url_of(process.port)


def driven(python: Path, url: str) -> dict[str, Any]:
    """What the driver says, run by that interpreter."""
    command = [str(python), "-W", "ignore", driver.__file__, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def failures(told: dict[str, Any]) -> dict[str, str]:
    return {name: step["error"] for name, step in told["steps"].items() if not step["ok"]}


def pinned(package: str) -> str:
    (line,) = [line for line in PINS.read_text().splitlines() if line.startswith(f"{package}==")]
    return line.partition("==")[2].split()[0]


def test_the_current_client_makes_every_call(url: str) -> None:
    told = driven(Path(sys.executable), url)

    assert told["langgraph-sdk"] == version("langgraph-sdk")
    assert failures(told) == {}
    assert told["steps"].keys() == driver.STEPS.keys()


def test_the_oldest_client_makes_every_call(url: str) -> None:
    if not OLDEST.exists():
        absent("the oldest client is not here; scripts/setup test installs it")
    told = driven(OLDEST, url)

    assert (told["langgraph-sdk"], told["langgraph"]) == (pinned("langgraph-sdk"), pinned("langgraph"))
    assert failures(told) == {}
    assert told["steps"].keys() == driver.STEPS.keys()
