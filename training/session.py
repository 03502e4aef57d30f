"""What a score card says about the series and the model, taken from what was loaded.  Pure."""

from __future__ import annotations

from datetime import datetime

from predictor.bundle import Bundle
from predictor.errors import InputError
from predictor.forecaster import Forecaster, History
from predictor.sources import Loaded
from training import card as c


def test_start(forecaster: Forecaster, history: History) -> int:
    """First origin that may be judged: an embargo of one horizon after the last training sample."""
    facts, series = forecaster.bundle.card.training, history.series
    first = max(series.index_of(datetime.fromisoformat(facts.end)) + 1 + forecaster.horizon, 0)
    if len(series) - first < 4 * forecaster.horizon:
        raise InputError(
            f"{series.name}: only {max(len(series) - first, 0)} samples come after the model's training, which ends "
            f"{facts.end}; train with --holdout 0.25, or evaluate later"
        )
    if first < forecaster.schema.minimum_steps + 2:
        raise InputError(
            f"{series.name}: no history before the test span; read more --days, so that some lies before {facts.end}"
        )
    return first


def series_facts(loaded: Loaded) -> c.SeriesFacts:
    """The series as the card names it."""
    series = loaded.history.series
    return c.SeriesFacts(
        name=series.name,
        unit="",
        step_seconds=series.step_seconds,
        start=series.start,
        end=series.end,
        samples=len(series),
        missing=series.missing,
        is_synthetic=series.is_synthetic,
        labels=dict(series.labels),
        quality_notes=(*loaded.quality.notes, *loaded.warnings),
    )


def model_facts(bundle: Bundle) -> c.ModelFacts:
    """The model as the card names it."""
    card, facts = bundle.card, bundle.card.training
    return c.ModelFacts(
        hash=bundle.short_hash,
        parameters=facts.parameters,
        horizon=card.schema.horizon,
        levels=card.levels,
        season_seconds=tuple(period * card.step_seconds for period in card.schema.season_steps),
        trained_from=datetime.fromisoformat(facts.start),
        trained_to=datetime.fromisoformat(facts.end),
        training_series=len(facts.series),
        code_version=card.code_version,
        seed=facts.seed,
        training_seconds=facts.seconds,
        best_update=facts.best_update,
        is_trained_on_synthetic=facts.is_synthetic,
    )


def training_rows(bundle: Bundle) -> tuple[c.TrainingCheck, ...]:
    """How the loss fell, check by check."""
    return tuple(
        c.TrainingCheck(int(update), loss, validation, skill)
        for update, loss, validation, skill in bundle.card.training.history
    )
