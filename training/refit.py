"""Rolling refits: judge a training recipe, not one model, by training anew before each part of the test span."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from predictor.errors import InputError
from predictor.forecaster import Forecaster, History
from training.evaluation import Rolled, Span, assemble, cut, join, roll
from training.fit import FitSettings
from training.learning import LearningSettings, learn_model


def roll_with_refits(
    forecaster: Forecaster,
    history: History,
    test: int,
    *,
    folds: int,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Rolled:
    """`roll`, with a model trained on everything before each of `folds` equal parts; 0 keeps the given model."""
    if folds == 0:
        return roll(forecaster, history, test, on_stage=on_stage)
    if not 1 <= folds <= 20:
        raise InputError(f"--refit {folds}: give 1 to 20 parts")
    card, horizon = forecaster.bundle.card, forecaster.horizon
    end = len(history.series)
    season = forecaster.schema.season_steps[0] if forecaster.schema.season_steps else None
    span = Span.around(test, end, shortest=forecaster.schema.minimum_steps, season=season)
    cuts = np.linspace(test, end, folds + 1).astype(int)
    settings = LearningSettings(
        horizon=horizon,
        levels=card.levels,
        season_seconds=card.season_seconds,
        covariates=card.schema.covariates,
        fit=FitSettings(seed=card.training.seed),
    )
    replays = []
    with tempfile.TemporaryDirectory(prefix="forescale-refit-") as directory:
        for number, (first, last) in enumerate(pairwise(cuts), start=1):
            on_stage(f"training for part {number} of {folds}")
            known = history.until(int(first) - horizon, horizon)  # the embargo: no outcome of the part is learnt
            path = Path(directory) / str(number)
            learn_model([known], settings, path, now=datetime.fromisoformat(card.created_at))
            fresh = Forecaster.load(path)
            warm = span.warm if number == 1 else max(span.warm, int(first) - (span.test - span.warm))
            replay = fresh.replay(history, warm, int(last))
            keep = 0 if number == 1 else int(first) - warm
            replays.append(
                replace(
                    replay,
                    calibrated=cut(replay.calibrated, slice(keep, None)),
                    raw=cut(replay.raw, slice(keep, None)),
                )
            )
    return assemble(history, span, join(replays), forecaster, on_stage=on_stage)
