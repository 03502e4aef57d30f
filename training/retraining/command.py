"""`forescale retrain`: a job that keeps models young, and never makes them worse."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from predictor.errors import ForescaleError, InputError
from predictor.server.settings import Settings, WorkloadSettings, read_settings, settings_from
from training.fit import Progress as FitProgress
from training.retraining.job import Outcome, read_histories, retrain, roll_back
from training.retraining.judging import Judged, Verdict
from training.retraining.versions import Versions

SCHEMA_VERSION = 1


def command(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="forescale.yaml (docs/retraining.md).")] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Generated demand; with --model.")] = False,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="Only this model; all when left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Train and judge, promote nothing.")] = False,
    rollback: Annotated[
        str | None, typer.Option(metavar="HASH", help="Put a kept version back; 'last' for the newest other one.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="Show kept versions and past decisions.")] = False,
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    updates: Annotated[int, typer.Option(help="Most weight updates.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train every model anew, judge it against the one in service on the newest span, and promote it when it is better.

    Better means: it would have planned capacity at less cost, by the pinball loss of the highest demand within the
    horizon at the levels from 0.9, by at least retrain.min_gain_ratio, and for no workload by a tenth more. A model in
    service that is damaged is replaced. The old one is kept.

    Examples:

      forescale retrain --config forescale.yaml

      forescale retrain --config forescale.yaml --model models/web --rollback last
    """
    if (config is None) == (not synthetic):
        raise InputError("give --config FILE, or --synthetic with --model DIR")
    settings = read_settings(config) if config is not None else _synthetic(model)
    models = _models(settings, model)
    now = datetime.now(UTC)
    if rollback is not None:
        if len(models) != 1:
            raise InputError("--rollback is for one model: give --model DIR")
        path = next(iter(models))
        wanted = "" if rollback == "last" else rollback
        version = roll_back(path, wanted, keep=settings.retrain.keep_versions, now=now)
        _say({"model": path.name, "in_service": version}, f"{path}: version {version} is in service again", as_json)
        return
    if show:
        _list(models, as_json)
        return
    outcomes: list[Outcome] = []
    failures: dict[Path, ForescaleError] = {}
    for path, users in models.items():
        try:
            outcomes.append(_one(context, settings, path, users, synthetic, dry_run, seed, updates, now, as_json))
        except ForescaleError as error:
            failures[path] = error  # the others have their turn
            Console(stderr=True).print(f"{path}: {error}", style="red", markup=False, soft_wrap=True)
    if as_json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "dry_run": dry_run,
            "models": [outcome.document() for outcome in outcomes],
            "failed": {path.name: str(error) for path, error in failures.items()},
        }
        typer.echo(json.dumps(document, indent=2))
    if failures:
        raise typer.Exit(max(error.exit_code for error in failures.values()))


def _one(
    context: typer.Context,
    settings: Settings,
    path: Path,
    users: list[WorkloadSettings],
    synthetic: bool,
    dry_run: bool,
    seed: int,
    updates: int,
    now: datetime,
    as_json: bool,
) -> Outcome:
    console = Console(stderr=True, quiet=as_json)
    histories = read_histories(
        settings,
        users,
        step_seconds=settings.step_of(users[0]),
        now=now,
        make_synthetic=context.obj.make_synthetic if synthetic else None,
    )
    columns = (
        TextColumn(f"{path.name}: training"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("reading", total=updates)

        def progress(step: FitProgress) -> None:
            text = f"{step.update}/{step.updates} skill over persistence {step.skill:+.1%}"
            bar.update(task, completed=step.update, description=text)

        outcome = retrain(
            settings, path, histories, now=now, seed=seed, updates=updates, dry_run=dry_run, on_progress=progress
        )
    if not as_json:
        _show(outcome, dry_run)
    return outcome


def _show(outcome: Outcome, dry_run: bool) -> None:
    console = Console()
    table = Table(
        title=f"{outcome.model.name}, judged on {outcome.judged_from:%F %H:%M} to {outcome.judged_to:%F %H:%M}"
    )
    table.add_column("Workload")
    for name in ("Model", "Loss", "WAPE", "Coverage", "Surges caught", "False alarms", "Outcomes"):
        table.add_column(name, justify="left" if name == "Model" else "right")
    for trial in outcome.trials:
        for kind, judged in (
            ("challenger", trial.challenger), ("champion", trial.champion), ("persistence", trial.persistence)
        ):  # fmt: skip
            if judged is not None:
                table.add_row(trial.workload if kind == "challenger" else "", kind, *_cells(judged))
    console.print(table)
    for note in outcome.notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    done = {
        (Verdict.PROMOTE, False): f"promoted {outcome.challenger}",
        (Verdict.PROMOTE, True): f"would promote {outcome.challenger}",
    }.get((outcome.decision.verdict, dry_run), f"kept {outcome.champion}")
    console.print(f"{outcome.model.name}: {done}: {outcome.decision.reason}", markup=False, highlight=False)


def _cells(judged: Judged) -> list[str]:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.1%}"

    return [
        "–" if judged.loss is None else f"{judged.loss:.4f}",
        share(judged.wape),
        share(judged.coverage),
        f"{judged.caught} of {judged.surges}",
        f"{judged.false_alarms} of {judged.resolved_alarms}",
        f"{judged.pairs:,}",
    ]


def _list(models: dict[Path, list[WorkloadSettings]], as_json: bool) -> None:
    found: dict[str, Any] = {}
    for path in models:
        versions = Versions(path)
        kept = [
            {"hash": one.hash, "created_at": one.bundle.card.created_at, "path": str(one.path)}
            for one in versions.kept()
        ]
        found[path.name] = {"kept": kept, "decisions": versions.notes()}
        if not as_json:
            console = Console()
            table = Table(title=f"{path.name}: kept versions")
            for column in ("hash", "created_at", "path"):
                table.add_column(column)
            for row in kept:
                table.add_row(*row.values())
            console.print(table)
            for note in versions.notes():
                console.print(
                    f"{note.get('at')}  {note.get('verdict')}  {note.get('in_service')}  {note.get('reason', '')}",
                    markup=False, highlight=False,
                )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found, indent=2))


def _models(settings: Settings, only: Path | None) -> dict[Path, list[WorkloadSettings]]:
    found: dict[Path, list[WorkloadSettings]] = {}
    for user in settings.workloads:
        path = settings.model_of(user)
        if path is not None and (only is None or path.resolve() == only.resolve()):
            found.setdefault(path, []).append(user)
    if not found:
        raise InputError(f"--model {only}: no workload of the configuration uses it")
    return found


def _synthetic(model: Path | None) -> Settings:
    if model is None:
        raise InputError("--synthetic needs --model DIR, where the model is or will be")
    return settings_from(
        {"model": str(model), "workloads": [{"name": "synthetic", "query": "0"}]}, source="--synthetic"
    )


def _say(document: dict[str, Any], words: str, as_json: bool) -> None:
    typer.echo(json.dumps(document) if as_json else words)
