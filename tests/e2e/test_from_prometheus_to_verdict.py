"""The main job through the command line, on real servers with 28 days of real demand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forescale.cli import main
from tests.servers.fixtures import Recorded
from tests.servers.metric_servers import MetricServer

QUERY = 'sum(rate(http_requests_total{app="web"}[5m]))'


def run(capsys: pytest.CaptureFixture[str], arguments: Sequence[str]) -> tuple[int, str]:
    code = main(list(arguments))
    return code, capsys.readouterr().out


def source(server: MetricServer, query: str = QUERY) -> list[str]:
    return ["--prometheus", server.url, "--query", query]


def test_a_model_is_trained_judged_and_asked_with_nothing_but_a_server_and_a_query(
    metric_server: MetricServer, recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, card_file = str(tmp_path / "model"), tmp_path / "card.json"
    at = (recorded.end - timedelta(minutes=10)).isoformat()

    trained, said = run(
        capsys, ["train", *source(metric_server), "--days", "27.9", "--out", model, "--updates", "60", "--json"]
    )
    judged, _ = run(capsys, ["evaluate", *source(metric_server), "--model", model, "--json", str(card_file)])
    asked, answer = run(capsys, ["forecast", *source(metric_server), "--model", model, "--at", at, "--json"])

    assert (trained, judged, asked) == (0, 0, 0)
    assert json.loads(said)["samples"] > 20 * 1440
    card: Any = json.loads(card_file.read_text())["series"][0]["card"]
    last = {row["forecaster"]: row["wape"] for row in card["accuracy"] if row["horizon"] == 15}
    assert last["lstm"] < last["persistence"]
    forecast = json.loads(answer)["forecasts"][0]
    assert forecast["status"] == "ok"
    now_per_second = np.nanmean(recorded.values[-30:-10]) / 60  # the recording counts per minute, rate() per second
    assert 0.5 < forecast["path"][0][4 - 1] / now_per_second < 2


def test_one_model_learns_all_workloads_of_a_query(
    filled_prometheus: MetricServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "sum by (app) (rate(http_requests_total[5m]))"
    model = str(tmp_path / "model")

    code, said = run(
        capsys,
        ["train", *source(filled_prometheus, query), "--days", "6", "--updates", "20", "--out", model, "--json"],
    )

    assert code == 0
    assert len(json.loads(said)["series"]) == 2


def test_a_counter_without_rate_is_named_before_anything_is_trained(
    filled_prometheus: MetricServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(
        ["train", *source(filled_prometheus, 'http_requests_total{app="web"}'), "--out", str(tmp_path / "model")]
    )

    assert code == 2
    assert "rate(" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
