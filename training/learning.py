"""From histories to a model bundle: the whole of `forescale train` but its printing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from predictor.bundle import Bundle, ModelCard, TrainingFacts, write_bundle
from predictor.errors import InputError
from predictor.features import FeatureSchema
from predictor.forecast import DEFAULT_HORIZON, DEFAULT_LEVELS, MAX_HORIZON
from predictor.forecaster import History, first_step, with_levels
from predictor.marks import Mark, find_mark
from predictor.online import OnlineSettings
from training.artifact import export_onnx
from training.dataset import make_example, usable_seasons
from training.fit import FitResult, FitSettings, Progress, fit

DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """What to learn; the rest of the training recipe is in `fit`."""

    horizon: int = DEFAULT_HORIZON
    levels: tuple[float, ...] = DEFAULT_LEVELS
    season_seconds: tuple[int, ...] = (DAY_SECONDS, 7 * DAY_SECONDS)
    validation_ratio: float = 0.15
    covariates: tuple[str, ...] = ()
    fit: FitSettings = field(default_factory=FitSettings)

    def __post_init__(self) -> None:
        if not 1 <= self.horizon <= MAX_HORIZON:
            raise InputError(f"--horizon {self.horizon}: give 1 to {MAX_HORIZON} steps")
        if 0.5 not in self.levels or list(self.levels) != sorted(set(self.levels)) or not self.levels[0] > 0:
            raise InputError(f"--levels {self.levels}: give rising quantile levels within (0, 1), 0.5 among them")
        if self.levels[-1] >= 1:
            raise InputError(f"--levels {self.levels}: a level of 1 or more cannot be learnt; the highest is below 1")


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """A trained model on disk, and how training went."""

    bundle: Bundle
    result: FitResult
    seasons_left_out: tuple[int, ...]  # seconds; too few cycles in the training span


def split_index(samples: int, holdout: float) -> int:
    """First sample that is held out of training."""
    if not 0 <= holdout < 0.9:
        raise InputError(f"--holdout {holdout}: give a share from 0 to 0.9")
    return samples - int(samples * holdout)


def learn_model(
    histories: Sequence[History],
    settings: LearningSettings,
    directory: Path,
    *,
    now: datetime,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Learnt:
    """Train one model over all histories (each already cut to its training span) and write its bundle."""
    if not histories:
        raise InputError("no series to learn from; check the query or the files")
    step = histories[0].series.step_seconds
    if any(history.series.step_seconds != step for history in histories):
        raise InputError("the series have different steps; read them with one --step")
    shortest = min(len(history.series) for history in histories)
    wanted = tuple(season // step for season in settings.season_seconds if season >= 2 * step)
    seasons = usable_seasons(wanted, shortest)
    schema = FeatureSchema(
        season_steps=seasons,
        horizon=settings.horizon,
        covariates=settings.covariates,
        has_events=any(history.events is not None for history in histories),
    )
    recipe = replace(settings.fit, levels=settings.levels, warm_steps=schema.context)
    examples = [
        make_example(
            schema,
            history.series,
            validation_ratio=settings.validation_ratio,
            covariates=history.covariates,
            events=history.events,
        )
        for history in histories
    ]
    checkpoint = directory.absolute().parent / f".{directory.absolute().name}.checkpoint"
    result = fit(examples, recipe, checkpoint=checkpoint, resume=resume, on_progress=on_progress)
    online = with_levels(OnlineSettings(levels=settings.levels, horizon=settings.horizon), seasons)
    card = ModelCard(
        step_seconds=step,
        season_seconds=settings.season_seconds,
        levels=settings.levels,
        schema=schema,
        online=online,
        offsets={example.name: example.offset for example in examples},
        training=_facts(histories, result, recipe.seed),
        code_version=code_version(),
        created_at=now.isoformat(timespec="seconds"),
        marks=_marks(histories, {example.name: example.offset for example in examples}),
    )
    bundle = write_bundle(directory, card, export_onnx(result.network, schema))
    if not result.interrupted:
        checkpoint.unlink(missing_ok=True)
    left_out = tuple(season * step for season in wanted if season not in seasons)
    return Learnt(bundle, result, left_out)


def _marks(histories: Sequence[History], offsets: Mapping[str, float]) -> dict[str, Mark]:
    """The round times at which demand jumps, for the series that have any."""
    found = {}
    for history in histories:
        series = history.series
        mark = find_mark(np.asarray(series.values), first_step(series), series.step_seconds, offsets[series.name])
        if mark is not None:
            found[series.name] = mark
    return found


def code_version() -> str:
    """The installed version of forescale."""
    try:
        return version("forescale")
    except PackageNotFoundError:
        return "uninstalled"


def _facts(histories: Sequence[History], result: FitResult, seed: int) -> TrainingFacts:
    series = [history.series for history in histories]
    best = next(p for p in result.history if p.update == result.best_update) if result.history else None
    return TrainingFacts(
        series=tuple(one.name for one in series),
        is_synthetic=any(one.is_synthetic for one in series),
        start=min(one.start for one in series).isoformat(),
        end=max(one.end for one in series).isoformat(),
        samples=sum(len(one) for one in series),
        missing_ratio=float(np.mean([one.missing_ratio for one in series])),
        seed=seed,
        updates=result.updates,
        best_update=result.best_update,
        parameters=sum(p.numel() for p in result.network.parameters()),
        seconds=round(result.seconds, 1),
        validation_loss=best.validation_loss if best else float("nan"),
        validation_skill=best.skill if best else float("nan"),
        history=tuple((float(p.update), p.loss, p.validation_loss, p.skill) for p in result.history),
    )
