from __future__ import annotations

import json
from pathlib import Path

import pytest

from forescale.cli import main
from predictor.bundle import read_bundle
from tests.servers.metric_servers import MetricServer


def config(folder: Path, server: MetricServer) -> Path:
    path = folder / "forescale.yaml"
    path.write_text(
        f"prometheus: {{url: '{server.url}'}}\n"
        "model: models/web\n"
        "workloads:\n"
        "  - {name: web, query: demand, select: {app: web}}\n"
        "  - {name: other, query: 'sum(demand{app=\"web\"})', model: models/other}\n"
        "retrain: {days: 27.9, judged_days: 1}\n"
    )
    return path


def test_models_are_trained_from_prometheus_kept_and_listed(
    filled_prometheus: MetricServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config(tmp_path, filled_prometheus)
    only = ["--config", str(file), "--model", str(tmp_path / "models" / "web")]

    assert main(["retrain", *only, "--updates", "20", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["models"][0]["verdict"] == "promote"
    assert document["models"][0]["workloads"][0]["workload"] == "web"
    assert document["models"][0]["workloads"][0]["challenger"]["pairs"] > 1000
    hash_ = read_bundle(tmp_path / "models" / "web").short_hash
    assert document["models"][0]["in_service"] == hash_

    assert main(["retrain", *only, "--list"]) == 0
    assert hash_ in capsys.readouterr().out
    assert main(["retrain", *only, "--rollback", "last"]) == 2  # there is no other one yet
    assert "no version to go back to" in capsys.readouterr().err


def test_one_model_that_fails_does_not_keep_the_others_from_their_turn(
    filled_prometheus: MetricServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "forescale.yaml"
    file.write_text(
        f"prometheus: {{url: '{filled_prometheus.url}'}}\n"
        "workloads:\n"
        "  - {name: none, query: no_such_metric, model: models/none}\n"
        "  - {name: web, query: 'demand{app=\"web\"}', model: models/web}\n"
        "retrain: {days: 10, judged_days: 1}\n"
    )

    code = main(["retrain", "--config", str(file), "--updates", "20", "--json"])

    found = capsys.readouterr()
    document = json.loads(found.out)
    assert code == 2
    assert "no_such_metric" in document["failed"]["none"]
    assert document["models"][0]["model"] == "web"
    assert (tmp_path / "models" / "web").is_dir()


@pytest.mark.parametrize("options", [[], ["--synthetic"], ["--config", "none.yaml"]])
def test_what_is_missing_is_asked_for(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retrain", *options]) == 2
    assert "--" in capsys.readouterr().err
