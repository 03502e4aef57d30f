"""`forescale train` and `evaluate`: shells around learning and judging."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from predictor import access_options as access
from predictor import options as o
from predictor.errors import InputError
from predictor.forecast import DEFAULT_HORIZON, DEFAULT_LEVELS
from predictor.forecaster import Forecaster
from predictor.sources import Loaded, load
from training.dump import write_forecasts
from training.fit import FitSettings
from training.fit import Progress as FitProgress
from training.judging import score_card
from training.learning import LearningSettings, Learnt, code_version, learn_model, split_index
from training.page import render_page
from training.refit import roll_with_refits
from training.report import EvaluationReport, judge
from training.session import model_facts, series_facts, test_start, training_rows
from training.terminal import render_report

Levels = Annotated[str, typer.Option("--levels", help="Quantile levels, comma-separated.")]
_LEVELS = ",".join(f"{level:g}" for level in DEFAULT_LEVELS)


def train(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the bundle goes.")],
    prometheus: o.Url = None,
    query: o.Query = None,
    series: o.Files = None,
    synthetic: o.Synthetic = False,
    days: o.Days = 28,
    step: o.Step = 60,
    horizon: Annotated[int, typer.Option(help="Steps ahead, 1 to 60.")] = DEFAULT_HORIZON,
    holdout: Annotated[
        float, typer.Option(help="Share at the end kept for `evaluate`; 0 trains on everything.")
    ] = 0.25,
    levels: Levels = _LEVELS,
    seasons: o.Seasons = "1d,7d",
    seed: Annotated[int, typer.Option(help="Same seed, same data, same model.")] = 0,
    updates: Annotated[int, typer.Option(help="Most weight updates; early stopping usually ends before.")] = 200,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(help="torch threads; more than 1 only on an otherwise idle machine.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the training facts (docs/forecast-json.md).")] = False,
    max_missing: o.MaxMissing = 0.2,
    covariate: o.Covariates = None,
    events: o.Events = None,
    bearer_token_file: access.TokenFile = None,
    user: access.User = None,
    password_file: access.PasswordFile = None,
    header: access.Headers = None,
    ca_file: access.CaFile = None,
    client_cert: access.Certificate = None,
    client_key: access.Key = None,
    insecure: access.Insecure = False,
    timeout: access.Timeout = 30.0,
) -> None:
    """Train a model on metric history and write it as a bundle.

    One series makes one model; a query that gives many series makes one model over all of them.  Ctrl-C stops early and
    keeps the best weights so far; --resume goes on from there.

    Examples:

      forescale train --synthetic --out model

      forescale train --prometheus http://prometheus:9090 --query 'sum(rate(requests_total[5m]))' --out model
    """
    source = o.source_options(
        prometheus=prometheus,
        query=query,
        series=series,
        synthetic=synthetic,
        days=days,
        step=step,
        seasons=seasons,
        max_missing=max_missing,
        covariate=covariate,
        events=events,
        bearer_token_file=bearer_token_file,
        user=user,
        password_file=password_file,
        header=header,
        ca_file=ca_file,
        client_cert=client_cert,
        client_key=client_key,
        insecure=insecure,
        timeout=timeout,
        horizon=horizon,
    )
    now = datetime.now(UTC)
    settings = LearningSettings(
        horizon=horizon,
        levels=_levels(levels),
        season_seconds=source.season_seconds,
        covariates=tuple(source.covariates),
        fit=FitSettings(seed=seed, updates=updates, device=device, threads=threads),
    )
    loaded = load(source, now=now, make_synthetic=context.obj.make_synthetic)
    learnt = learn_bundle(loaded, settings, out, holdout=holdout, now=now, resume=resume, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(training_document(learnt, out), indent=2))
        return
    tell_learnt(learnt, out)


def evaluate(
    context: typer.Context,
    model: Annotated[Path, typer.Option(metavar="DIR", help="Bundle that `forescale train` wrote.")],
    prometheus: o.Url = None,
    query: o.Query = None,
    series: o.Files = None,
    synthetic: o.Synthetic = False,
    days: o.Days = 28,
    target: Annotated[
        float | None, typer.Option(help="Demand one replica carries; default: the peak needs 30 replicas.")
    ] = None,
    refit: Annotated[int, typer.Option(metavar="FOLDS", help="Train anew before each of so many parts; 0: never.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Score card (docs/score-card.md).")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Self-contained report.")] = None,
    forecasts: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="Every issued quantile beside what came.")
    ] = None,
    max_missing: o.MaxMissing = 0.2,
    covariate: o.Covariates = None,
    events: o.Events = None,
    bearer_token_file: access.TokenFile = None,
    user: access.User = None,
    password_file: access.PasswordFile = None,
    header: access.Headers = None,
    ca_file: access.CaFile = None,
    client_cert: access.Certificate = None,
    client_key: access.Key = None,
    insecure: access.Insecure = False,
    timeout: access.Timeout = 30.0,
) -> None:
    """Judge a model on the time after its training, beside the simple forecasts that it has to beat.

    Every step is an origin; nothing is fitted on what is judged.  Ends with a verdict: does the model earn its keep?

    Examples:

      forescale evaluate --model model --synthetic --html report.html

      forescale evaluate --model model --series history.csv.gz --json card.json --forecasts issued.parquet
    """
    forecaster = Forecaster.load(model)
    card = forecaster.bundle.card
    source = o.source_options(
        prometheus=prometheus,
        query=query,
        series=series,
        synthetic=synthetic,
        days=days,
        step=card.step_seconds,
        seasons=",".join(f"{season}s" for season in card.season_seconds),
        max_missing=max_missing,
        covariate=covariate,
        events=events,
        bearer_token_file=bearer_token_file,
        user=user,
        password_file=password_file,
        header=header,
        ca_file=ca_file,
        client_cert=client_cert,
        client_key=client_key,
        insecure=insecure,
        timeout=timeout,
        horizon=forecaster.horizon,
    )
    loaded = load(source, now=datetime.now(UTC), make_synthetic=context.obj.make_synthetic)
    report = evaluate_all(forecaster, loaded, target=target, refits=refit, forecasts=forecasts)
    Console().print(render_report(report))
    write_report(report, json_file, html)


def training_document(learnt: Learnt, out: Path) -> dict[str, object]:
    """What `train --json` prints; the whole card is in the bundle's model.json."""
    facts = learnt.bundle.card.training
    return {
        "schema_version": 1,
        "bundle": str(out),
        "hash": learnt.bundle.content_hash,
        "series": list(facts.series),
        "is_synthetic": facts.is_synthetic,
        "trained_from": facts.start,
        "trained_to": facts.end,
        "samples": facts.samples,
        "parameters": facts.parameters,
        "best_update": facts.best_update,
        "updates": facts.updates,
        "seconds": facts.seconds,
        "validation_skill_over_persistence": facts.validation_skill,
        "interrupted": learnt.result.interrupted,
        "seasons_left_out_seconds": list(learnt.seasons_left_out),
    }


def write_report(report: EvaluationReport, json_file: Path | None, html: Path | None, *, quiet: bool = False) -> None:
    """Write the two files that were asked for."""
    if json_file is not None:
        write_text(json_file, json.dumps(report.to_json(), indent=2, allow_nan=False), quiet=quiet)
    if html is not None:
        write_text(html, render_page(report), quiet=quiet)


def write_text(path: Path, text: str, *, quiet: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if not quiet:
        typer.echo(f"wrote {path}")


def learn_bundle(
    loaded: list[Loaded],
    settings: LearningSettings,
    out: Path,
    *,
    holdout: float,
    now: datetime,
    resume: bool,
    quiet: bool,
) -> Learnt:
    console = Console(stderr=True, quiet=quiet)
    for one in loaded:
        for note in (*one.quality.notes, *(f"the server warns: {text}" for text in one.warnings)):
            console.print(f"{one.history.series.name}: {note}", style="yellow", markup=False, highlight=False)
    histories = [one.history.until(split_index(len(one.history.series), holdout), settings.horizon) for one in loaded]
    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("reading", total=settings.fit.updates)

        def show(progress: FitProgress) -> None:
            text = (
                f"{progress.update}/{progress.updates} loss {progress.loss:.3f}, validation "
                f"{progress.validation_loss:.3f}, skill over persistence {progress.skill:+.1%}"
            )
            bar.update(task, completed=progress.update, description=text)
            if not console.is_terminal:
                console.print(f"{text}, {progress.seconds_left:.0f} s left", highlight=False)

        return learn_model(histories, settings, out, now=now, resume=resume, on_progress=show)


def tell_learnt(learnt: Learnt, out: Path, *, hint: bool = True) -> None:
    console, facts = Console(), learnt.bundle.card.training
    if learnt.result.interrupted:
        console.print("interrupted: the best weights so far were kept; --resume goes on", style="yellow")
    console.print(
        f"{facts.samples:,} samples of {len(facts.series)} series, {facts.start} to {facts.end}; {facts.parameters:,} "
        f"parameters, best at update {facts.best_update} of {facts.updates}, {facts.seconds:.0f} s\n"
        f"on the validation span: skill over persistence {facts.validation_skill:+.1%} at the last step ahead\n"
        f"wrote {out} ({learnt.bundle.short_hash})",
        markup=False,
        highlight=False,
    )
    if hint:
        console.print("next: forescale evaluate with the same source and --model", highlight=False)


def evaluate_all(
    forecaster: Forecaster, loaded: list[Loaded], *, target: float | None, refits: int, forecasts: Path | None
) -> EvaluationReport:
    console, cards, rolls = Console(stderr=True), [], []
    for one in loaded:
        name = one.history.series.name
        first = test_start(forecaster, one.history)

        def stage(text: str, name: str = name) -> None:
            console.print(f"{name}: {text}", markup=False, highlight=False)

        rolled = roll_with_refits(forecaster, one.history, first, folds=refits, on_stage=stage)
        rolls.append(rolled)
        stage("scoring")
        cards.append(
            score_card(
                rolled,
                series_facts(one),
                model_facts(forecaster.bundle),
                target=target,
                refits=refits,
                training=training_rows(forecaster.bundle),
            )
        )
    if forecasts is not None:
        write_forecasts(forecasts, rolls)
    return judge(
        tuple(cards), created_at=datetime.now(UTC), code_version=code_version(), command=typed_command(sys.argv)
    )


def typed_command(arguments: list[str]) -> str:
    """The command line for the report, without what may be secret."""
    shown, hide = ["forescale"], False
    for argument in arguments[1:]:
        if hide:
            shown.append("'***'")
        elif argument.startswith("--header="):
            shown.append("'--header=***'")
        else:
            shown.append(shlex.quote(argument))
        hide = argument == "--header"
    return " ".join(shown)


def _levels(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--levels {text}: give numbers in (0, 1), separated by commas") from error
