"""`forescale controller run` as a process: what it says when something is missing, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.live.process import ProcessSettings
from predictor.errors import InputError
from tests.cluster.launcher import Cluster, write_kubeconfig
from tests.servers.processes import ROOT, free_port, wait_until

URLS = ("--prometheus=http://127.0.0.1:9", "--forecasts=http://127.0.0.1:9")
COMMAND = (sys.executable, "-m", "forescale", "controller", "run")


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "KUBECONFIG"} | {"PYTHONPATH": str(ROOT)}


def run(*options: str) -> tuple[int, str]:
    """Exit code, and what it says, of one that cannot start."""
    done = subprocess.run(
        [*COMMAND, *options], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


def test_without_a_way_into_a_cluster_it_says_how_to_give_one() -> None:
    code, said = run(*URLS, "--kubeconfig=/nonexistent")

    assert code == 2
    assert "give --kubeconfig FILE, or run in a pod" in said


@pytest.mark.parametrize("name", ["cycle_seconds", "hpa_sync_seconds"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, 301.0, float("nan")])
def test_times_out_of_range_are_refused(name: str, seconds: float) -> None:
    given: dict[str, Any] = {name: seconds}
    with pytest.raises(InputError, match=f"{name} is .*; give more than 0 and at most 300 seconds"):
        ProcessSettings("one", "forescale", **given)


def test_a_port_that_is_taken_is_named(cluster: Cluster) -> None:
    taken = cluster.url.rpartition(":")[2]

    code, said = run(
        *URLS, f"--kubeconfig={cluster.kubeconfig}", "--host=127.0.0.1", f"--port={taken}", "--keda-port=0"
    )

    assert code == 2
    assert f"127.0.0.1:{taken}: cannot listen there" in said


def test_an_api_server_that_is_away_is_waited_for_and_said_to_be_away(cluster: Cluster, tmp_path: Path) -> None:
    config, log = tmp_path / "kubeconfig", tmp_path / "log"
    write_kubeconfig(config, f"https://127.0.0.1:{free_port()}", cluster.certificates.ca, cluster.token)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, *URLS, f"--kubeconfig={config}", "--host=127.0.0.1", "--port=0", "--keda-port=0"],
            cwd=ROOT, env=environment(), stderr=output, stdout=output,
        )  # fmt: skip
    try:
        wait_until(lambda: "the API server cannot be reached" in log.read_text(), "it says what is missing", 60)
        assert process.poll() is None, "it goes on trying"

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
