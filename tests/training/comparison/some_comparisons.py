"""A comparison read back from its JSON, so that a test may change what it shows."""

from __future__ import annotations

import json
from pathlib import Path

from training.comparison.facts import ComparisonReport
from training.jsonable import decode


def a_report(folder: Path) -> ComparisonReport:
    """The report that the command wrote."""
    return decode(ComparisonReport, json.loads((folder / "comparison.json").read_text()))
