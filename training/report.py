"""What one `forescale evaluate` found, over one series or many, and its JSON.  Pure.

`to_json` is the documented `--json` output: `docs/score-card.md` explains it, `docs/score-card.schema.json`
is its schema.  A field may be added under the same `schema_version`; a changed or removed one raises it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from predictor.errors import InputError
from training.card import SCHEMA_VERSION, ScoreCard
from training.jsonable import Json, decode, encode, schema
from training.verdict import Verdict, verdict


@dataclass(frozen=True, slots=True)
class JudgedSeries:
    """A score card and what follows from it."""

    verdict: Verdict
    card: ScoreCard


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """One run of `forescale evaluate`; at least one series."""

    created_at: datetime
    code_version: str
    command: str  # the command line that makes this report again, secrets left out
    series: tuple[JudgedSeries, ...]
    notes: tuple[str, ...] = ()  # about the run as a whole, such as series that were skipped and why
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not self.series:
            raise InputError("a report needs at least one evaluated series; see the notes on why all were skipped")

    @property
    def cards(self) -> tuple[ScoreCard, ...]:
        """The score cards alone."""
        return tuple(judged.card for judged in self.series)

    @property
    def is_synthetic(self) -> bool:
        """Whether any number in it comes from generated demand."""
        return any(card.series.is_synthetic or card.model.is_trained_on_synthetic for card in self.cards)

    def to_json(self) -> dict[str, Json]:
        """What `json.dumps(..., allow_nan=False)` takes: instants as ISO 8601, absent scores as null."""
        document: dict[str, Json] = encode(self)
        return document


def judge(
    cards: tuple[ScoreCard, ...],
    *,
    created_at: datetime,
    code_version: str,
    command: str,
    notes: tuple[str, ...] = (),
) -> EvaluationReport:
    """Give every card its verdict."""
    series = tuple(JudgedSeries(verdict(card), card) for card in cards)
    return EvaluationReport(created_at, code_version, command, series, notes)


def from_json(document: Json) -> EvaluationReport:
    """Read a report back.  Raises InputError when it is not one, or of another schema version."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise InputError(
            f"schema_version is {version!r}, this version reads {SCHEMA_VERSION}; run the evaluation again"
        )
    return decode(EvaluationReport, document)


def report_schema() -> dict[str, Json]:
    """The JSON schema of `to_json`."""
    return schema(EvaluationReport, "Forescale evaluation report")


def schema_text() -> str:
    """The committed schema file's content."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"
