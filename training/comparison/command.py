"""`forescale compare`: a shell around `compare_series`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from predictor import access_options as access
from predictor import options as o
from predictor.errors import InputError
from predictor.forecaster import Forecaster
from predictor.sources import Loaded, SourceOptions, load
from training.commands import learn_bundle, typed_command, write_text
from training.comparison.document import to_json
from training.comparison.facts import ComparisonReport
from training.comparison.page import render_comparison_page
from training.comparison.runs import write_runs
from training.comparison.study import Compared, compare_series
from training.comparison.terminal import render_comparison
from training.fit import FitSettings
from training.learning import LearningSettings, code_version
from training.simulator.cluster import Spread
from training.simulator.prepare import Question
from training.simulator.search import FULL, QUICK

_CLUSTER = "Your cluster"
_TEST_SHARE = 0.3  # of the history, when the model is trained on the fly


def compare(
    context: typer.Context,
    prometheus: o.Url = None,
    query: o.Query = None,
    series: o.Files = None,
    synthetic: o.Synthetic = False,
    model: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Bundle of `forescale train`; default: train on the first 70 %.")
    ] = None,
    startup_seconds: Annotated[
        float, typer.Option(help="From asking for a pod to its serving.", rich_help_panel=_CLUSTER)
    ] = 120.0,
    startup_spread: Annotated[
        float, typer.Option(help="Deviation of its logarithm; 0: always the same.", rich_help_panel=_CLUSTER)
    ] = 0.0,
    slo_wait_seconds: Annotated[
        float, typer.Option(help="A request that waits longer is late.", rich_help_panel=_CLUSTER)
    ] = 2.0,
    target_violation: Annotated[
        float, typer.Option(help="Share of requests that may be late.", rich_help_panel=_CLUSTER)
    ] = 0.001,
    target_per_replica: Annotated[
        float | None,
        typer.Option(help="Demand that fills one replica; default: the peak needs 30.", rich_help_panel=_CLUSTER),
    ] = None,
    free_replicas: Annotated[
        int | None,
        typer.Option(help="Replicas that fit on the present nodes; default: always enough.", rich_help_panel=_CLUSTER),
    ] = None,
    provisioning_seconds: Annotated[
        float, typer.Option(help="Longer wait of a pod that needs a new node.", rich_help_panel=_CLUSTER)
    ] = 0.0,
    replica_cost_per_hour: Annotated[
        float | None, typer.Option(help="Shows money beside replica-hours.", rich_help_panel=_CLUSTER)
    ] = None,
    spread: Annotated[
        Spread, typer.Option(help="How a sample's requests arrive within it.", rich_help_panel=_CLUSTER)
    ] = Spread.SMOOTH,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Everything (docs/comparison.md).")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Self-contained report.")] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="Every policy's replicas, queue and waits per step.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Search fewer settings, for everybody alike.")] = False,
    jobs: Annotated[int | None, typer.Option(help="Processes; default: 2, or 1 on one core.")] = None,
    seed: Annotated[int, typer.Option(help="Of training, start-up times and arrivals.")] = 0,
    days: o.Days = 28,
    step: o.Step = 60,
    seasons: o.Seasons = "1d,7d",
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
    """Show what predictive scaling would have cost on your own history, against an HPA tuned in the same way.

    Simulates static replicas, the HPA as shipped and tuned, an HPA with a schedule, predictive policies and perfect
    foresight in 15-second steps; knobs are chosen on the week before what is judged, for everybody alike.  Ends with a
    verdict: use it, observe first, or keep your HPA.

    Examples:

      forescale compare --synthetic --startup-seconds 120 --html comparison.html

      forescale compare --series history.csv.gz --target-per-replica 40 --replica-cost-per-hour 0.12

      forescale compare --prometheus http://prometheus:9090 --query 'sum(rate(http_requests_total[1m]))' --model model
    """
    question = Question(
        startup_seconds=_at_least("--startup-seconds", startup_seconds, 0),
        startup_spread=_at_least("--startup-spread", startup_spread, 0),
        slo_wait_seconds=_at_least("--slo-wait-seconds", slo_wait_seconds, 0),
        target_violation=_share("--target-violation", target_violation),
        target_per_replica=_above("--target-per-replica", target_per_replica),
        spread=spread,
        seed=seed,
        free_replicas=free_replicas,
        provisioning_seconds=_at_least("--provisioning-seconds", provisioning_seconds, 0),
        effort=QUICK if quick else FULL,
    )
    price = _above("--replica-cost-per-hour", replica_cost_per_hour)
    with ExitStack() as stack:
        forecaster = None if model is None else Forecaster.load(model)
        card = None if forecaster is None else forecaster.bundle.card
        source = o.source_options(
            prometheus=prometheus,
            query=query,
            series=series,
            synthetic=synthetic,
            days=days,
            step=step if card is None else card.step_seconds,
            seasons=seasons if card is None else ",".join(f"{season}s" for season in card.season_seconds),
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
            horizon=LearningSettings().horizon if forecaster is None else forecaster.horizon,
        )
        loaded = load(source, now=datetime.now(UTC), make_synthetic=context.obj.make_synthetic)
        if forecaster is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forescale-compare-")))
            forecaster = _train(loaded, source, directory / "model", seed)
        compared = compare_all(forecaster, loaded, question, price=price, query=query, jobs=jobs)
    report = report_on(compared)
    Console().print(render_comparison(report))
    write_comparison(report, compared, json_file=json_file, html=html, runs=runs)


def compare_all(
    forecaster: Forecaster,
    loaded: Sequence[Loaded],
    question: Question,
    *,
    price: float | None = None,
    query: str | None = None,
    jobs: int | None = None,
) -> list[Compared]:
    """Compare every series, telling on stderr what is going on."""
    console = Console(stderr=True)

    def stage(name: str) -> Callable[[str], None]:
        return lambda text: console.print(f"{name}: {text}", markup=False, highlight=False)

    return [
        compare_series(
            forecaster, one, question, price=price, query=query, jobs=jobs, on_stage=stage(one.history.series.name)
        )
        for one in loaded
    ]


def report_on(compared: Sequence[Compared]) -> ComparisonReport:
    """The report of all series."""
    return ComparisonReport(
        comparisons=tuple(one.comparison for one in compared),
        created_at=datetime.now(UTC),
        code_version=code_version(),
        command=typed_command(sys.argv),
    )


def write_comparison(
    report: ComparisonReport,
    compared: Sequence[Compared],
    *,
    json_file: Path | None,
    html: Path | None,
    runs: Path | None,
    quiet: bool = False,
) -> None:
    """Write the files that were asked for."""
    if json_file is not None:
        write_text(json_file, json.dumps(to_json(report), indent=2, allow_nan=False), quiet=quiet)
    if html is not None:
        write_text(html, render_comparison_page(report), quiet=quiet)
    if runs is not None:
        write_runs(runs, [(one.comparison.series.name, one.case, one.rows) for one in compared])
        if not quiet:
            typer.echo(f"wrote {runs}")


def _train(loaded: list[Loaded], source: SourceOptions, out: Path, seed: int) -> Forecaster:
    settings = LearningSettings(
        season_seconds=source.season_seconds, covariates=tuple(source.covariates), fit=FitSettings(seed=seed)
    )
    learn_bundle(loaded, settings, out, holdout=_TEST_SHARE, now=datetime.now(UTC), resume=False, quiet=False)
    return Forecaster.load(out)


def _at_least(option: str, value: float, least: float) -> float:
    if not value >= least:
        raise InputError(f"{option} {value}: give {least:g} or more")
    return value


def _share(option: str, value: float) -> float:
    if not 0 < value < 1:
        raise InputError(f"{option} {value}: give a share between 0 and 1, such as 0.001")
    return value


def _above(option: str, value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise InputError(f"{option} {value}: give a number above 0")
    return value
