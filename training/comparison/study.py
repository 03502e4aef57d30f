"""One loaded series and a model, compared: forecasts, search, runs, verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from predictor.forecaster import Forecaster
from predictor.sources import Loaded
from training.comparison.build import build
from training.comparison.facts import Comparison
from training.comparison.policies import Row
from training.session import series_facts, test_start
from training.simulator.forecasters import SIMPLE, Source
from training.simulator.prepare import Question, issue_all, make_case
from training.simulator.study import Case, search_all

_TWICE = 2  # families are searched side by side; more processes than cores only wait for each other


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A comparison and the runs that it was made from."""

    comparison: Comparison
    case: Case
    rows: Sequence[Row]


def compare_series(
    forecaster: Forecaster,
    loaded: Loaded,
    question: Question,
    *,
    price: float | None,
    query: str | None,
    jobs: int | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Compared:
    """Compare all policies on the part of a series that the model has not seen."""
    history = loaded.history
    first = test_start(forecaster, history)
    train_end = history.series.index_of(datetime.fromisoformat(forecaster.bundle.card.training.end)) + 1
    if train_end < forecaster.schema.minimum_steps:  # trained on other data: capacity comes from what lies before
        train_end = first
    forecasts = issue_all(forecaster, history, first, on_stage=on_stage)
    case = make_case(history, forecasts, question, train_end=train_end)
    sources = [source for source in (Source.LSTM, *SIMPLE) if source in forecasts.issued]
    found = search_all(
        case,
        sources,
        sources,
        jobs=jobs if jobs is not None else min(_TWICE, os.cpu_count() or 1),
        on_done=lambda name, done, total: on_stage(f"searched {done} of {total} policy families ({name})"),
    )
    comparison, rows = build(
        case,
        found,
        question,
        series_facts(loaded),
        np.asarray(history.series.values),
        train_end=train_end,
        price=price,
        query=query,
        on_stage=on_stage,
    )
    return Compared(comparison, case, rows)
