from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from predictor.errors import InputError
from tests.training.cards import a_card, a_report, without_extras
from training.report import EvaluationReport, from_json, schema_text

SCHEMA = Path(__file__).parents[2] / "docs" / "score-card.schema.json"
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}


def violations(value: Any, rule: dict[str, Any], root: dict[str, Any], where: str = "$") -> list[str]:
    """What a document breaks of the part of JSON Schema that our schema uses."""
    if "$ref" in rule:
        return violations(value, root["$defs"][rule["$ref"].rsplit("/", 1)[1]], root, where)
    if "anyOf" in rule:
        tried = [violations(value, option, root, where) for option in rule["anyOf"]]
        return [] if any(not found for found in tried) else tried[0]
    if "enum" in rule:
        return [] if value in rule["enum"] else [f"{where}: {value!r}"]
    fits = type(value) in _TYPES[rule["type"]]  # not isinstance: true is no number in JSON
    if not fits:
        return [f"{where}: {value!r} is no {rule['type']}"]
    if rule["type"] == "array":
        return [v for i, item in enumerate(value) for v in violations(item, rule["items"], root, f"{where}[{i}]")]
    if rule["type"] != "object":
        return []
    found = [f"{where}.{name} is missing" for name in rule.get("required", []) if name not in value]
    for name, item in value.items():
        inner = rule.get("properties", {}).get(name) or rule.get("additionalProperties")
        found += violations(item, inner, root, f"{where}.{name}") if inner else [f"{where}.{name} is unknown"]
    return found


def written(report: EvaluationReport) -> Any:
    return json.loads(json.dumps(report.to_json(), allow_nan=False))


@pytest.mark.parametrize("card", [a_card(), without_extras(a_card()), a_card(pairs=10)])
def test_a_report_survives_the_way_through_json(card: Any) -> None:
    report = a_report(card, notes=("one was skipped",))

    assert from_json(written(report)) == report


def test_the_committed_schema_is_the_one_of_this_code() -> None:
    assert SCHEMA.read_text() == schema_text(), (
        "write schema_text() of training/report.py to docs/score-card.schema.json"
    )


@pytest.mark.parametrize("card", [a_card(), without_extras(a_card())])
def test_what_is_written_keeps_the_committed_schema(card: Any) -> None:
    schema = json.loads(SCHEMA.read_text())

    assert violations(written(a_report(card)), schema, schema) == []


def test_ratios_stand_beside_their_counts_in_json() -> None:
    alarms = written(a_report())["series"][0]["card"]["alarms"][0]

    assert (alarms["caught"], alarms["surges"], alarms["recall"]) == (26, 32, 26 / 32)
    assert (alarms["false_alarms"], alarms["hits"], alarms["false_alarm_ratio"]) == (4, 31, 4 / 35)


def test_a_ratio_without_denominator_is_null() -> None:
    silent = written(a_report())["series"][0]["card"]["alarms"][3]

    assert silent["forecaster"] == "mean_5min"
    assert (silent["false_alarm_ratio"], silent["recall"], silent["f1"]) == (None, 0.0, 0.0)


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_another_schema_version_is_refused(version: object) -> None:
    document = written(a_report()) | {"schema_version": version}

    with pytest.raises(InputError, match="schema_version"):
        from_json(document)


def test_a_damaged_report_is_refused_with_the_place() -> None:
    document = written(a_report())
    document["series"][0]["card"]["accuracy"][2]["pairs"] = "many"

    with pytest.raises(InputError, match=r"\$\.series\[0\]\.card\.accuracy\[2\]\.pairs: expected int, found str"):
        from_json(document)


def test_a_report_of_nothing_is_refused() -> None:
    empty = written(a_report()) | {"series": []}

    with pytest.raises(InputError, match="at least one"):
        from_json(empty)
