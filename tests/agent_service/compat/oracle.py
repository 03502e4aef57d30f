"""The same steps asked of LangGraph's own development server and of ours; prints where the answers differ.

Run it with `make agent-oracle`.  The development server (`langgraph dev`, Elastic-2.0) lives in an environment of its
own and is no dependency of anything here.  Exit code 1 when it can do a step that ours cannot.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from tests.agent_service.compat import driver
from tests.agent_service.process.replicas import replica, url_of
from tests.servers.processes import ROOT, running

ORACLE = ROOT / ".cache/oracle/bin"


def main() -> int:
    """Ask both, print a table."""
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        graphs = {name: f"{ROOT / 'tests/agent_service/graphs.py'}:{name}" for name in driver.GRAPHS}
        (folder / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": graphs}))
        quiet = [
            "env",
            "LANGSMITH_TRACING=false",
            "LANGGRAPH_CLI_NO_ANALYTICS=1",
            f"PATH={ORACLE}:{os.environ['PATH']}",
        ]
        theirs = stack.enter_context(
            running(
                lambda port: [*quiet, "langgraph", "dev", "--no-browser", "--no-reload", "--port", str(port),
                              "--n-jobs-per-worker", "8"],
                folder / "oracle.log", _is_ok, name="langgraph dev",
            )
        )  # fmt: skip
        options = [part for name in driver.GRAPHS for part in ("--graph", f"{name}=tests.agent_service.graphs:{name}")]
        ours = stack.enter_context(replica(f"sqlite:///{folder / 'agent.db'}", folder, *options))
        reference, found = (asked(url_of(port)) for port in (theirs.port, ours.port))
    lines = list(differences(reference["steps"], found["steps"]))
    sys.stdout.write(f"langgraph {reference['langgraph']}, langgraph-sdk {reference['langgraph-sdk']}\n")
    for who, told in (("theirs", reference), ("ours", found)):
        good = sum(step["ok"] for step in told["steps"].values())
        sys.stdout.write(f"{who}: {good} of {len(told['steps'])} steps\n")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return int(any(step["ok"] and not found["steps"][name]["ok"] for name, step in reference["steps"].items()))


def asked(url: str) -> dict[str, Any]:
    """What the driver says, run by the client that came with the reference."""
    command = [str(ORACLE / "python"), "-W", "ignore", driver.__file__, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def differences(reference: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
    """Steps that only one of them can do, and fields that only one of them sends."""
    for name, theirs in reference.items():
        found = ours[name]
        if not (theirs["ok"] and found["ok"]):
            for who, told in (("theirs", theirs), ("ours", found)):
                if not told["ok"]:
                    yield f"{name}: {who}: {told['error']}"
            continue
        sent, answered = _fields(theirs["shape"]), _fields(found["shape"])
        for who, more in (("theirs", sent - answered), ("ours", answered - sent)):
            if more:
                yield f"{name}: only {who}: {', '.join(sorted(more))}"


def _fields(shape: Any, above: str = "") -> set[str]:
    """Every key, with those above it."""
    if isinstance(shape, list):
        return {each for part in shape for each in _fields(part, above)}
    if not isinstance(shape, dict):
        return set()
    return {above + key for key in shape}.union(*(_fields(each, f"{above}{key}.") for key, each in shape.items()))


def _is_ok(port: int) -> bool:
    try:
        return httpx.get(url_of(port) + "/ok", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    raise SystemExit(main())
