"""What a kubelet and a load balancer see of a process that starts, serves, loses its store, and leaves."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.agent_service.process.replicas import replica, url_of
from tests.servers.postgres import fresh_database, postgresql
from tests.servers.processes import ROOT, free_port, wait_until

KEY = "ann-has-this-long-key"


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_a_process_whose_store_is_silent_lives_is_not_ready_and_leaves_when_told(tmp_path: Path) -> None:
    port = free_port()
    with silent() as database:
        store = f"postgresql://nobody@127.0.0.1:{database}/none"
        command = [sys.executable, "-m", "forescale", "agent", "serve", "--port", str(port), "--store", store]
        process = subprocess.Popen(command, cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        try:
            wait_until(lambda: answers(port, "/livez") == 200, "it lives")
            assert (answers(port, "/readyz"), answers(port, "/startupz"), answers(port, "/threads")) == (503, 503, 503)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()

    assert (process.returncode, errors) == (0, "")


def answers(port: int, path: str) -> int:
    """The status, 0 for none."""
    try:
        return httpx.get(url_of(port) + path, timeout=5).status_code
    except httpx.HTTPError:
        return 0


def test_a_process_that_leaves_is_not_ready_refuses_and_lives_until_its_runs_have_stopped(tmp_path: Path) -> None:
    with replica(f"sqlite:///{tmp_path / 'agent.db'}", tmp_path) as process:
        url = url_of(process.port)
        run = httpx.post(f"{url}/runs", json={"assistant_id": "steps", "input": {"seconds": 2.0}}).json()
        path = f"{url}/threads/{run['thread_id']}/runs/{run['run_id']}"
        wait_until(lambda: httpx.get(path).json()["status"] == "running", "it runs")
        process.handle.send_signal(signal.SIGTERM)
        wait_until(lambda: answers(process.port, "/readyz") == 503, "it leaves")
        seen = httpx.get(f"{url}/readyz").json()["phase"], answers(process.port, "/livez")
        refused = httpx.post(f"{url}/runs", json={"assistant_id": "steps", "input": {}})
        metrics = httpx.get(f"{url}/metrics").text
        code = process.handle.wait(30)

    assert seen == ("draining", 200)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "agent_draining 1.0" in metrics
    assert code == 0


def test_probes_and_metrics_ask_for_no_key_and_say_when_the_store_is_gone(tmp_path: Path) -> None:
    with postgresql(tmp_path / "postgres") as server:
        database = fresh_database(server, "agent")
        told = {"AGENT_API_KEYS": f"ann:{KEY}"}
        with replica(database, tmp_path, environment=told) as process:
            open_to_all = [
                answers(process.port, path) for path in ("/livez", "/readyz", "/startupz", "/metrics", "/ok")
            ]
            closed = answers(process.port, "/info")
            stop_postgres(tmp_path / "postgres" / "data")
            wait_until(lambda: answers(process.port, "/readyz") == 503, "it notices")
            lives = answers(process.port, "/livez")
            asked = httpx.post(f"{url_of(process.port)}/threads", json={}, headers={"x-api-key": KEY}, timeout=30)

    assert open_to_all == [200] * 5
    assert (closed, lives) == (401, 200)
    assert (asked.status_code, asked.headers["retry-after"]) == (503, "1")
    assert isinstance(asked.json()["detail"], str)


def stop_postgres(data: Path) -> None:
    """At once, as a crash does."""
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    subprocess.run(["kill", "-QUIT", str(pid)], check=True)
