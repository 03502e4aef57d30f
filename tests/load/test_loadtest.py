"""The load test itself: short, and with a service that has no room."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from tests.agent_service.process.replicas import replica, url_of
from tests.servers.processes import ROOT, free_port

BIN = Path(sys.executable).parent
SHORT = {"AGENT_LOAD_USERS": "6", "AGENT_LOAD_STEPS": "2", "AGENT_LOAD_STEP_SECONDS": "1.5"}


def told(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **SHORT, **more}


def stats(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "run_stats.csv").open(encoding="utf-8") as lines:
        return {row["Name"]: row for row in csv.DictReader(lines)}


def locust(url: str, folder: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(BIN / "locust"), "-f", str(ROOT / "tests/load/locustfile.py"), "-H", url, "--headless", "--only-summary",
        "--csv", str(folder / "run"), *options,
    ]  # fmt: skip
    return subprocess.run(
        command, env=told(**more), cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_short_load_test_leaves_what_a_person_reads(tmp_path: Path) -> None:
    environment = told(LOADTEST_BIN=str(BIN), LOADTEST_PORT=str(free_port()))
    done = subprocess.run(
        [str(ROOT / "scripts/loadtest"), str(tmp_path)], env=environment, capture_output=True, text=True, timeout=180,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    rows = stats(tmp_path)
    assert {"/runs/wait", "/runs/stream (headers)", "SSE/time_to_first_event", "SSE/stream_total"} <= rows.keys()
    assert all(int(row["Failure Count"]) == 0 for row in rows.values())
    assert rows["SSE/stream_total"]["Request Count"] == rows["/runs/stream (headers)"]["Request Count"] != "0"
    assert (tmp_path / "run.html").stat().st_size > 10_000
    users = [int(line.split(",")[1]) for line in (tmp_path / "run_stats_history.csv").read_text().splitlines()[1:]]
    assert max(users) == 6
    assert users[-1] < 6  # it goes down as well
    assert "The slowest" in done.stdout  # the hotspots of its log


def test_a_service_that_refuses_is_no_failure_of_the_test_and_one_that_is_away_is(tmp_path: Path) -> None:
    settings = {"AGENT_PLANNER": "simulated"}
    with replica("memory://", tmp_path, "--slots", "1", "--queue-limit", "0", environment=settings) as process:
        refused = locust(url_of(process.port), tmp_path)
        rows = stats(tmp_path)
    away = locust(f"http://127.0.0.1:{free_port()}", tmp_path)

    assert refused.returncode == 0, refused.stdout + refused.stderr
    assert int(rows["Aggregated"]["Failure Count"]) > 0
    assert "429" in (refused.stdout + refused.stderr)
    assert away.returncode == 1


def test_a_master_judges_what_its_workers_saw(tmp_path: Path) -> None:
    settings = {"AGENT_PLANNER": "simulated"}
    with replica("memory://", tmp_path, environment=settings) as process:
        done = locust(url_of(process.port), tmp_path, "--processes", "2")
    rows = stats(tmp_path)
    away = locust(f"http://127.0.0.1:{free_port()}", tmp_path, "--processes", "2")

    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "2 workers" in told or "(index 1)" in told
    assert "exit code 1" not in told  # of a worker neither: a job in a cluster would be tried again
    assert int(rows["SSE/stream_total"]["Request Count"]) > 0
    assert away.returncode == 1


def test_an_open_load_starts_as_many_runs_as_its_rate_says(tmp_path: Path) -> None:
    settings = {"AGENT_PLANNER": "simulated"}
    with replica("memory://", tmp_path, environment=settings) as process:
        done = locust(url_of(process.port), tmp_path, AGENT_LOAD_SHAPE="open", AGENT_LOAD_RATE="8")

    assert done.returncode == 0, done.stdout + done.stderr
    rows = stats(tmp_path)
    runs = sum(int(rows[name]["Request Count"]) for name in ("/runs/wait", "/runs/stream (headers)") if name in rows)
    assert runs >= 20  # 8 a second for 6 s, and users that come one after the other
