"""The command itself: ready when it says so, talked to from a terminal, traced, and gone without an error."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forescale.cli import main
from tests.agent_service.process.replicas import logged, replica, url_of
from tests.servers.apps import listening
from tests.servers.processes import ROOT, free_port

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_service_is_ready_answers_in_a_terminal_and_leaves_quietly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with replica(f"sqlite:///{tmp_path / 'agent.db'}", tmp_path) as process:
        url = url_of(process.port)
        probes = {
            path: httpx.get(url + path) for path in ("/livez", "/readyz", "/startupz", "/ok", "/info", "/metrics")
        }
        assert main(["agent", "chat", "--url", url, "what is the forecast for shop/agent?"]) == 0
        answer = capsys.readouterr().out
        assert main(["agent", "chat", "--url", url, "--json", "help"]) == 0
        told = json.loads(capsys.readouterr().out)
        run = httpx.post(f"{url}/runs/wait", json={"assistant_id": "steps", "input": {"done": []}},
                         headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})  # fmt: skip
        scraped = httpx.get(url + "/metrics", headers={"accept": "application/openmetrics-text"}).text
        process.handle.send_signal(signal.SIGTERM)
        assert process.handle.wait(30) == 0

    assert {path: found.status_code for path, found in probes.items()} == dict.fromkeys(probes, 200)
    assert probes["/info"].json()["graphs"] == {
        "operations": {"planner": "deterministic"}, "steps": {"planner": "custom"},
    }  # fmt: skip
    assert set(probes["/startupz"].json()["seconds"]) >= {"bind", "import", "store", "compile", "ready"}
    assert 'agent_start_seconds{phase="ready"}' in probes["/metrics"].text
    assert "set FORESCALE_URL" in answer
    assert "Answered by rules, no language model." in answer
    assert "I explain the autoscaler" in told["answer"]
    assert run.json() == {"done": [*"abcde"]}
    assert f'trace_id="{TRACE}"' in scraped
    lines = logged(tmp_path / "one.log")
    finished = [line for line in lines if line.get("event") == "run_finished"]
    assert Counter(line["graph"] for line in finished) == {"operations": 2, "steps": 1}
    (ours,) = [line for line in finished if line["graph"] == "steps"]
    assert (ours["trace_id"], ours["trace_flags"], ours["status"], ours["attempt"]) == (TRACE, "01", "success", 1)
    assert set(ours["nodes_s"]) == set("abcde")
    assert 0 <= sum(ours["nodes_s"].values()) <= ours["duration_s"]
    assert [line for line in lines if line["severity"] in ("ERROR", "CRITICAL")] == []


def test_spans_of_a_run_go_under_the_callers(tmp_path: Path) -> None:
    exported: list[ExportTraceServiceRequest] = []

    async def collect(request: Request) -> Response:
        exported.append(ExportTraceServiceRequest.FromString(await request.body()))
        return Response()

    with listening(Starlette(routes=[Route("/v1/traces", collect, methods=["POST"])])) as collector:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
        with replica("memory://", tmp_path, environment=told) as process:
            httpx.post(f"{url_of(process.port)}/runs/wait", json={"assistant_id": "steps", "input": {"done": []}},
                       headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})  # fmt: skip
            process.handle.terminate()
            assert process.handle.wait(30) == 0

    spans = [span for request in exported for resource in request.resource_spans
             for scope in resource.scope_spans for span in scope.spans]  # fmt: skip
    by_name = {span.name: span for span in spans}
    root = by_name["invoke_agent steps"]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert root.parent_span_id.hex() == SPAN
    assert {name for name, span in by_name.items() if span.parent_span_id == root.span_id} == set("abcde")


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (["--host", "0.0.0.0"], {}, "can be reached from elsewhere"),
        (["--graph", "x=nowhere:graph"], {}, "nowhere:graph cannot be loaded"),
        (["--graph", "x=json:dumps"], {}, "json:dumps"),
        (["--store", "mysql://a:secret@b"], {}, "begins with none of memory:, sqlite:, postgresql:"),
        ([], {"AGENT_PLANNER": "gpt"}, "AGENT_PLANNER is 'gpt'"),
        ([], {"FORESCALE_URL": "forecasts:8080"}, "FORESCALE_URL is no http or https URL"),
        (["--slots", "0"], {}, "Invalid value for '--slots'"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    tmp_path: Path, options: list[str], environment: dict[str, str], words: str
) -> None:
    done = serve(tmp_path, options, environment)

    assert done.returncode == 2, done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with replica("memory://", tmp_path) as process:
        done = serve(tmp_path, ["--port", str(process.port)], {})

    assert done.returncode == 2
    assert "cannot listen there" in done.stderr
    assert "Traceback" not in done.stderr


def serve(folder: Path, options: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Until it gives up."""
    command = [sys.executable, "-m", "forescale", "agent", "serve", "--port", "0", "--store", "memory://", *options]
    told = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=60, check=False)


def test_nobody_there_is_said_to_whoever_wants_to_chat(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "chat", "--url", f"http://127.0.0.1:{free_port()}", "hello"]) == 3
    assert main(["agent", "chat", "--url", "nonsense", "hello"]) == 2
    assert main(["agent", "chat", "--json"]) == 2

    errors = capsys.readouterr().err
    assert "no agent answers (ConnectError); start one with: forescale agent serve" in errors
