"""The comparison as JSON; docs/comparison.md says what every field means."""

from __future__ import annotations

import json

from training.comparison.facts import ComparisonReport
from training.jsonable import Json, encode, schema


def to_json(report: ComparisonReport) -> Json:
    """Everything of a report, in full precision."""
    return encode(report)


def comparison_schema() -> dict[str, Json]:
    """The JSON schema of `to_json`."""
    return schema(ComparisonReport, "Forescale comparison")


def schema_text() -> str:
    """The committed schema file's content."""
    return json.dumps(comparison_schema(), indent=2, ensure_ascii=False) + "\n"
