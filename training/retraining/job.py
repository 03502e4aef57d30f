"""One model's turn: read its workloads' history, train a challenger, judge, decide, promote."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from predictor.errors import BundleError, ForescaleError, InputError
from predictor.fleet.line import Line, assign
from predictor.forecaster import Forecaster, History
from predictor.server.settings import Settings, WorkloadSettings
from predictor.sources import MakeSynthetic, SourceOptions, load
from training.fit import FitSettings
from training.fit import Progress as FitProgress
from training.learning import LearningSettings, learn_model
from training.retraining.judging import Decision, Trial, Verdict, decide, judge_model, judge_persistence
from training.retraining.versions import Versions

OnProgress = Callable[[FitProgress], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model."""

    model: Path
    decision: Decision
    trials: tuple[Trial, ...]
    champion: str | None  # short hash before
    challenger: str | None
    in_service: str | None  # short hash after
    judged_from: datetime | None
    judged_to: datetime | None
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As JSON tells it."""
        return {
            "model": self.model.name,
            "verdict": self.decision.verdict.value,
            "reason": self.decision.reason,
            "loss_ratio": self.decision.loss_ratio,
            "champion": self.champion,
            "challenger": self.challenger,
            "in_service": self.in_service,
            "judged_from": None if self.judged_from is None else self.judged_from.isoformat(),
            "judged_to": None if self.judged_to is None else self.judged_to.isoformat(),
            "workloads": [asdict(trial) for trial in self.trials],
            "notes": list(self.notes),
        }


def read_histories(
    settings: Settings,
    users: list[WorkloadSettings],
    *,
    step_seconds: int,
    now: datetime,
    make_synthetic: MakeSynthetic | None,
) -> dict[str, History]:
    """History of every workload, by name; one read per query.  Raises InputError and SourceError."""
    if make_synthetic is not None:
        options = SourceOptions(synthetic=True, days=settings.retrain.days, step_seconds=step_seconds)
        return {users[0].name: load(options, now=now, make_synthetic=make_synthetic)[0].history}
    if settings.prometheus is None:
        raise InputError("no `prometheus:` in the configuration; say where demand is read")
    found: dict[str, History] = {}
    for query in dict.fromkeys(user.query for user in users):
        line = Line(query, step_seconds, [user for user in users if user.query == query])
        options = SourceOptions(
            prometheus=settings.prometheus.access(dict(os.environ)),
            query=query,
            days=settings.retrain.days,
            step_seconds=step_seconds,
            season_seconds=settings.season_seconds,
        )
        loaded = load(options, now=now, make_synthetic=_no_synthetic)
        by_labels = {tuple(sorted(one.history.series.labels.items())): one.history for one in loaded}
        claims = assign(line, by_labels)
        if claims.missing:
            raise InputError("; ".join(f"{name}: {why}" for name, why in claims.missing.items()))
        found |= {claim.name: by_labels[claim.labels] for claim in claims.found}
    return found


def retrain(
    settings: Settings,
    model: Path,
    histories: Mapping[str, History],
    *,
    now: datetime,
    seed: int = 0,
    updates: int = 200,
    dry_run: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> Outcome:
    """Train a challenger on all but the newest span, judge both there, and promote the challenger if it is better."""
    versions = Versions(model)
    with versions.lock():
        champion, broken = _champion(model, histories)
        notes: list[str] = []
        learning = _like(champion, settings, seed, updates)
        cuts = {name: _cut(settings, history, learning.horizon) for name, history in histories.items()}
        usable = {name: histories[name] for name, cut in cuts.items() if cut is not None}
        notes += [f"{name}: too little history to train and to judge; left out" for name in histories.keys() - usable]
        if not usable:
            raise InputError(
                f"{model.name}: no workload has history enough to train and to judge {settings.retrain.judged_days:g} "
                "days; lower retrain.judged_days, or wait"
            )
        first = {name: cuts[name] or 0 for name in usable}
        with tempfile.TemporaryDirectory(prefix=".challenger-", dir=versions.folder) as folder:
            training = [
                history.until(first[name] - learning.horizon, learning.horizon) for name, history in usable.items()
            ]
            learnt = learn_model(training, learning, Path(folder) / "model", now=now, on_progress=on_progress)
            challenger = Forecaster.load(Path(folder) / "model")
        if champion is not None and _saw(champion, usable, first):
            notes.append("the champion was trained on part of the judged span, which favours it")
        trials = []
        for name, history in usable.items():
            ours = judge_model(challenger, history, first[name])
            nothing = judge_persistence(history, first[name], challenger.levels, challenger.horizon)
            theirs = None
            if champion is not None:
                try:
                    theirs = judge_model(champion, history, first[name])
                except ForescaleError as error:
                    champion, broken = None, str(error)
            trials.append(Trial(name, ours, nothing, theirs))
        decision = decide(trials, min_gain_ratio=settings.retrain.min_gain_ratio, broken=broken)
        before = None if champion is None else champion.bundle.short_hash
        if decision.verdict is Verdict.PROMOTE and not dry_run:
            versions.promote(learnt.bundle, settings.retrain.keep_versions)
        series = next(iter(usable.values())).series
        is_promoted = decision.verdict is Verdict.PROMOTE and not dry_run
        outcome = Outcome(
            model=model,
            decision=decision,
            trials=tuple(trials),
            champion=before,
            challenger=challenger.bundle.short_hash,
            in_service=challenger.bundle.short_hash if is_promoted else before,
            judged_from=series.instant(first[next(iter(usable))]),
            judged_to=series.end,
            notes=tuple(notes),
        )
        if not dry_run:
            versions.note({"at": now.isoformat(), **outcome.document()})
        return outcome


def roll_back(model: Path, wanted: str, *, keep: int, now: datetime) -> str:
    """Put a kept version in service again; returns its short hash."""
    versions = Versions(model)
    with versions.lock():
        version = versions.find(wanted)
        versions.promote(version.bundle, keep)
        versions.note({"at": now.isoformat(), "model": model.name, "verdict": "rollback", "in_service": version.hash})
        return version.hash


def _champion(model: Path, histories: Mapping[str, History]) -> tuple[Forecaster | None, str | None]:
    """The model in service, or why it cannot serve."""
    if not model.exists():
        return None, "there is none yet"
    try:
        champion = Forecaster.load(model)
    except BundleError as error:
        return None, str(error)
    steps = {history.series.step_seconds for history in histories.values()}
    if steps - {champion.bundle.card.step_seconds}:
        return None, f"its step is {champion.bundle.card.step_seconds} s, that of the history {min(steps)} s"
    return champion, None


def _like(champion: Forecaster | None, settings: Settings, seed: int, updates: int) -> LearningSettings:
    """The recipe: horizon and levels of the champion, so that whoever reads its forecasts finds the same ones."""
    fit, seasons = FitSettings(seed=seed, updates=updates), settings.season_seconds
    if champion is None:
        return LearningSettings(horizon=settings.horizon_steps, season_seconds=seasons, fit=fit)
    card = champion.bundle.card
    return LearningSettings(horizon=card.schema.horizon, levels=card.levels, season_seconds=seasons, fit=fit)


def _cut(settings: Settings, history: History, horizon: int) -> int | None:
    """First judged origin; None when too little would be left to train on."""
    judged = int(timedelta(days=settings.retrain.judged_days).total_seconds() // history.series.step_seconds)
    first = len(history.series) - judged
    return first if first - horizon >= 2 * judged else None


def _saw(champion: Forecaster, histories: Mapping[str, History], first: Mapping[str, int]) -> bool:
    """Whether the champion learnt from part of what is judged."""
    end = datetime.fromisoformat(champion.bundle.card.training.end).astimezone(UTC)
    return any(end > history.series.instant(first[name]) for name, history in histories.items())


def _no_synthetic(days: int, step_seconds: int, end: datetime) -> Any:
    raise AssertionError("demand is read from Prometheus")
