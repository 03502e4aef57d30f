from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest

from forescale.cli import main
from training.comparison.document import comparison_schema, schema_text

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def document(folder: Path) -> Any:
    return json.loads((folder / "comparison.json").read_text())


@pytest.fixture(scope="module")
def told(document: Any) -> Any:
    return document["comparisons"][0]


def frozen(told: Any, key: str) -> Any:
    return next(o for o in told["outcomes"] if o["policy"]["key"] == key and o["tuning"] != "rechosen")


def test_every_policy_has_its_row_with_counts(told: Any) -> None:
    keys = [(o["policy"]["key"], o["tuning"]) for o in told["outcomes"]]

    assert keys == [
        ("static_peak", "none"), ("static_p95", "none"), ("hpa_shipped", "none"), ("hpa", "frozen"),
        ("hpa", "rechosen"), ("schedule", "frozen"), ("persistence", "frozen"), ("level_adjusted", "frozen"),
        ("holt_winters", "frozen"), ("lstm", "frozen"), ("lstm", "rechosen"), ("placebo_lstm", "frozen"),
        ("oracle", "none"),
    ]  # fmt: skip
    assert len({o["requests"] for o in told["outcomes"]}) == 1
    for outcome in told["outcomes"]:
        assert 0 <= outcome["late"] <= outcome["requests"]
        assert outcome["money"] == pytest.approx(0.5 * outcome["replica_hours"])


def test_perfect_foresight_is_the_limit(told: Any) -> None:
    oracle = frozen(told, "oracle")

    assert oracle["late"] == 0
    for outcome in told["outcomes"]:
        assert outcome["replica_hours"] >= oracle["replica_hours"] or outcome["late"] > 0


def test_the_spans_follow_each_other(told: Any) -> None:
    setup = told["setup"]

    assert setup["tuned_from"] < setup["test_from"] < setup["test_to"]
    assert setup["train_end"] <= setup["test_from"]


def test_a_gap_is_told_at_three_risks_with_its_placebo(told: Any) -> None:
    gaps = [gap for gap in told["gaps"] if gap["policy"]["key"] == "lstm"]

    assert [gap["goal"] for gap in gaps] == [0.01, 0.001, 0.0001]
    for gap in gaps:
        if gap["closed"] is not None:
            expected = (gap["hpa_hours"] - gap["policy_hours"]) / (gap["hpa_hours"] - gap["oracle_hours"])
            assert gap["closed"] == pytest.approx(expected)
            assert gap["closed"] >= 0  # its space holds the HPA's


def test_the_table_can_be_recomputed_from_the_runs(folder: Path, told: Any) -> None:
    runs = pd.read_parquet(folder / "runs.parquet")
    step = told["setup"]["step_seconds"]

    for outcome in told["outcomes"]:
        rows = runs[(runs.policy == outcome["policy"]["key"]) & (runs.tuning == outcome["tuning"]) & runs.is_observed]
        assert rows.requests.sum() == pytest.approx(outcome["requests"])
        assert rows.late.sum() == pytest.approx(outcome["late"])
        assert rows.replicas_paid.sum() * step / 3600 == pytest.approx(outcome["replica_hours"])


def test_the_document_keeps_its_schema(document: Any) -> None:
    jsonschema.validate(document, comparison_schema())


def test_the_schema_is_the_one_in_the_documentation() -> None:
    assert (DOCS / "comparison.schema.json").read_text(encoding="utf-8") == schema_text(), (
        "write schema_text() of training/comparison/document.py to docs/comparison.schema.json"
    )


def test_every_field_of_the_document_is_documented(told: Any) -> None:
    text = (DOCS / "comparison.md").read_text(encoding="utf-8")

    names = [*told, *told["setup"], *told["outcomes"][0], *told["gaps"][0], *told["day"], *told["verdict"]]
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target-violation", "0"], "--target-violation 0.0: give a share between 0 and 1"),
        (["--target-per-replica", "-3"], "--target-per-replica -3.0: give a number above 0"),
        (["--startup-seconds", "-1"], "--startup-seconds -1.0: give 0 or more"),
        (["--startup-seconds", "900"], "train with a longer --horizon"),
        (["--slo-wait-seconds", "60"], "lower --slo-wait-seconds"),
        (["--model", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_says_what_to_do(
    folder: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = [] if "--model" in options else ["--model", str(folder / "model")]

    code = main(["compare", "--series", str(folder / "web.csv"), *model, *options, "--quick"])

    assert code == 2
    assert message in " ".join(capsys.readouterr().err.split())
