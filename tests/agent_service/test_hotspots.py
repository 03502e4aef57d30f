"""Which node makes slow runs slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent_service.hotspots import OUTSIDE, QUEUE, rank, read_runs
from forescale.cli import main


def a_line(run: str, nodes: dict[str, float], waited: float = 0.0, **more: object) -> str:
    told = {
        "event": "run_finished", "run_id": run, "graph": "g", "duration_s": sum(nodes.values()) + 0.01,
        "queue_wait_s": waited, "nodes_s": nodes, **more,
    }  # fmt: skip
    return json.dumps(told) + "\n"


LOG = [
    *(a_line(f"quick-{number}", {"plan": 0.1, "answer": 0.1}) for number in range(198)),
    a_line("slow-1", {"plan": 0.1, "answer": 7.9}),
    a_line("slow-2", {"plan": 1.0, "answer": 4.0}, waited=4.0),
]


def test_nodes_are_ranked_by_their_share_of_the_slowest_hundredth() -> None:
    found = rank(read_runs(LOG))

    assert (found.runs, found.slow_runs, found.examples) == (200, 2, ("slow-2", "slow-1"))
    assert [spot.node for spot in found.hotspots] == ["answer", QUEUE, "plan", OUTSIDE]
    first = found.hotspots[0]
    assert first.share == pytest.approx(11.9 / 17.02)
    assert first.slow_mean_seconds == pytest.approx(5.95)
    assert first.mean_seconds == pytest.approx((198 * 0.1 + 11.9) / 200)
    assert sum(spot.share for spot in found.hotspots) == pytest.approx(1)


def test_nodes_side_by_side_do_not_leave_a_negative_rest() -> None:
    line = json.loads(a_line("r", {"a": 1.0, "b": 1.0})) | {"duration_s": 1.2}

    (spot,) = [spot for spot in rank(read_runs([json.dumps(line)])).hotspots if spot.node == OUTSIDE]

    assert spot.share == 0


def test_other_lines_are_passed_over_and_broken_ones_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "agent.log"
    noise = ["starting\n", '{"event": "run_left"}\n', '{"event": "run_finished", "run_id"\n',
             a_line("x", {"a": 1.0}, duration_s="nan")]  # fmt: skip
    prefixed = "2026-11-24T12:00:00Z stdout F " + a_line("prefixed", {"a": 1.0})  # as container runtimes write it
    log.write_text("".join([*noise, *LOG, prefixed]), encoding="utf-8")

    assert main(["agent", "hotspots", str(log), "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert (found["runs"], found["skipped_lines"]) == (201, 2)
    assert found["slowest_run_ids"][0] == "slow-2"


def test_the_table_shows_shares_and_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "agent.log"
    log.write_text("".join([*LOG, a_line("y", {"b": 1.0}, graph="other")]), encoding="utf-8")

    assert main(["agent", "hotspots", str(log), "--graph", "g", "--slowest", "0.005"]) == 0

    output = capsys.readouterr().out
    assert "The slowest 1 of 200 runs took 9.010 s or more." in output
    assert "answer" in output
    assert "44.4%" in output


def test_a_log_without_runs_says_what_to_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.log").write_text("nothing\n")

    assert main(["agent", "hotspots", str(tmp_path / "empty.log")]) == 2
    assert main(["agent", "hotspots", str(tmp_path / "absent.log")]) == 2

    errors = capsys.readouterr().err
    assert "serve --json-logs" in errors
    assert "absent.log" in errors
