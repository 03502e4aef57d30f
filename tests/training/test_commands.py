from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forescale.cli import main
from tests.builders import DAY, daily_demand
from training.commands import typed_command

LEVELS = "0.05,0.5,0.95"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of ten short days in a file, a model of its first three quarters, and an evaluation of the rest."""
    folder = tmp_path_factory.mktemp("work")
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=10 * DAY + 60)
    stamps = [(start + timedelta(seconds=i)).isoformat() for i in range(10 * DAY)]
    values = daily_demand(10 * DAY)
    values[700:710] = np.nan
    pd.DataFrame({"timestamp": stamps, "requests": values}).to_csv(folder / "web.csv", index=False)
    assert (
        main(
            [
                *("train", "--series", str(folder / "web.csv"), "--out", str(folder / "model")),
                *("--step", "1", "--seasons", f"{DAY}s", "--horizon", "5", "--levels", LEVELS, "--updates", "40"),
            ]
        )
        == 0
    )
    assert (
        main(
            [
                *("evaluate", "--series", str(folder / "web.csv"), "--model", str(folder / "model")),
                *("--json", str(folder / "card.json"), "--html", str(folder / "report.html")),
                *("--forecasts", str(folder / "issued.parquet")),
            ]
        )
        == 0
    )
    return folder


def the_card(folder: Path) -> Any:
    return json.loads((folder / "card.json").read_text())["series"][0]["card"]


def test_evaluation_begins_a_horizon_after_training_ended(folder: Path) -> None:
    model = json.loads((folder / "model" / "model.json").read_text())
    protocol = the_card(folder)["protocol"]

    gap = datetime.fromisoformat(protocol["start"]) - datetime.fromisoformat(model["training"]["end"])

    assert gap.total_seconds() == 5 + 1
    assert protocol["origins"] == 10 * DAY // 4 - 5


def test_every_score_can_be_recomputed_from_the_issued_forecasts(folder: Path) -> None:
    issued = pd.read_parquet(folder / "issued.parquet")
    card = the_card(folder)

    last = issued[(issued["head"] == "step") & (issued["horizon_step"] == 5)].dropna(subset="actual")
    wape = (last["actual"] - last["q0.5"]).abs().sum() / last["actual"].sum()
    peak = issued[(issued["head"] == "peak") & (issued["horizon_step"] == 5)].dropna(subset="actual")
    covered = int((peak["actual"] <= peak["q0.95"]).sum())

    said = next(row for row in card["accuracy"] if row["forecaster"] == "lstm" and row["horizon"] == 5)
    assert said["pairs"] == len(last)
    assert said["wape"] == pytest.approx(wape, rel=1e-5)
    kept = next(
        row
        for row in card["coverage"]
        if (row["forecaster"], row["head"], row["horizon"], row["level"]) == ("lstm", "peak", 5, 0.95)
    )
    assert (kept["pairs"], kept["covered"]) == (len(peak), covered)


def test_the_model_beats_repeating_the_present_on_a_daily_wave(folder: Path) -> None:
    accuracy = {(row["forecaster"], row["horizon"]): row["wape"] for row in the_card(folder)["accuracy"]}

    assert accuracy["lstm", 5] < accuracy["persistence", 5]


def test_the_report_is_one_self_contained_page(folder: Path) -> None:
    page = (folder / "report.html").read_text()

    assert page.startswith(("<!doctype html>", "<!DOCTYPE html>"))
    assert 'src="http' not in page
    assert "web" in page


def test_refitting_before_each_part_judges_the_same_origins(folder: Path, tmp_path: Path) -> None:
    code = main(
        [
            *("evaluate", "--series", str(folder / "web.csv"), "--model", str(folder / "model")),
            *("--refit", "2", "--json", str(tmp_path / "card.json")),
        ]
    )

    protocol = the_card(tmp_path)["protocol"]
    assert code == 0
    assert protocol["refits"] == 2
    assert protocol["origins"] == the_card(folder)["protocol"]["origins"]


def test_a_forecast_as_json_has_every_quantile_of_both_heads(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "f.png"

    code = main(
        [
            *("forecast", "--series", str(folder / "web.csv"), "--model", str(folder / "model")),
            *("--json", "--plot", str(plot)),
        ]
    )

    document = json.loads(capsys.readouterr().out)
    forecast = document["forecasts"][0]
    assert code == 0
    assert document["schema_version"] == 1
    assert forecast["status"] == "ok"
    assert np.array(forecast["path"]).shape == np.array(forecast["peak"]).shape == (5, 3)
    assert len(forecast["times"]) == 5
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_forecast_of_the_past_knows_nothing_later(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    end = pd.read_csv(folder / "web.csv")["timestamp"].iloc[-300]

    code = main(
        [*("forecast", "--series", str(folder / "web.csv"), "--model", str(folder / "model")), "--json", "--at", end]
    )

    forecast = json.loads(capsys.readouterr().out)["forecasts"][0]
    assert code == 0
    assert datetime.fromisoformat(forecast["issued_at"]) == datetime.fromisoformat(end)


def test_a_stale_series_is_refused_with_a_reason_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()

    code = main(
        [*("forecast", "--series", str(folder / "web.csv"), "--model", str(folder / "model")), "--json", "--at", later]
    )

    forecast = json.loads(capsys.readouterr().out)["forecasts"][0]
    assert code == 2
    assert (forecast["status"], forecast["reason"]) == ("unavailable", "DataStale")
    assert "path" not in forecast


def test_a_dead_prometheus_is_exit_code_3(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(
        [
            *("forecast", "--model", str(folder / "model")),
            *("--prometheus", "http://127.0.0.1:9", "--query", "sum(rate(x[1m]))"),
        ]
    )

    assert code == 3
    assert "127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--out", "m"], "give one source"),
        (["train", "--out", "m", "--synthetic", "--series", "x.csv"], "give one source"),
        (["train", "--out", "m", "--prometheus", "http://p:9090"], "--query"),
        (["train", "--out", "m", "--synthetic", "--horizon", "61"], "--horizon 61"),
        (["train", "--out", "m", "--synthetic", "--levels", "0.1,0.9"], "0.5 among them"),
        (["train", "--out", "m", "--synthetic", "--holdout", "2"], "--holdout"),
        (["train", "--out", "m", "--synthetic", "--seasons", "often"], "--seasons often"),
        (["evaluate", "--model", "nowhere", "--synthetic"], "forescale train"),
        (["forecast", "--model", "nowhere", "--synthetic"], "forescale train"),
    ],
)
def test_bad_usage_is_exit_code_2_and_says_what_to_do(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(arguments)

    assert code == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_a_model_trained_on_everything_has_nothing_left_to_be_judged_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = main(
        [
            *("train", "--series", str(folder / "web.csv"), "--out", str(tmp_path / "m"), "--holdout", "0", "--json"),
            *("--step", "1", "--seasons", f"{DAY}s", "--horizon", "5", "--updates", "2"),
        ]
    )
    facts = json.loads(capsys.readouterr().out)

    code = main(["evaluate", "--series", str(folder / "web.csv"), "--model", str(tmp_path / "m")])

    assert (trained, code) == (0, 2)
    assert facts["updates"] == 2
    assert facts["bundle"] == str(tmp_path / "m")
    assert "--holdout" in capsys.readouterr().err


def test_the_command_in_a_report_leaves_secrets_out() -> None:
    shown = typed_command(["forescale", "evaluate", "--header", "X-Token: s3cret", "--header=Y:s3cret", "--model", "m"])

    assert "s3cret" not in shown
    assert "--model m" in shown
