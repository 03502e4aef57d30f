"""`forescale demo`: everything once, on generated demand."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from predictor.errors import InputError
from predictor.forecaster import Forecaster, History
from predictor.sources import SourceOptions, load
from training.commands import evaluate_all, learn_bundle, tell_learnt, write_report
from training.comparison.command import compare_all, report_on, write_comparison
from training.comparison.terminal import render_comparison
from training.fit import FitSettings
from training.learning import LearningSettings, learn_model
from training.simulator.prepare import Question
from training.simulator.search import QUICK
from training.synthetic import SyntheticDemand, generate
from training.terminal import render_report


def demo_model() -> Path:
    """The model that `forescale demo` left here, else one of its own under the user's cache, trained when needed."""
    for place in (Path("demo") / "model", _cache() / "demo-model"):
        try:
            Forecaster.load(place)
        except InputError:
            continue
        return place
    console = Console(stderr=True)
    console.print("No model of generated demand yet: training one, which takes about half a minute.")
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    series = generate(SyntheticDemand(), days=28, step_seconds=60, seed=0, end=now)
    learn_model([History(series)], LearningSettings(), place, now=now)
    return place


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forescale"


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where model and report go.")] = Path("demo"),
    days: Annotated[int, typer.Option(help="Days of generated demand.")] = 28,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
) -> None:
    """Train, evaluate and compare on generated demand, and write both reports: all that Forescale does, in minutes.

    Examples:

      forescale demo

      forescale demo --days 14 --out /tmp/demo
    """
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    console = Console()
    console.rule(f"{days} days of generated demand (synthetic: made by a statistical model, not recorded)")
    source = SourceOptions(synthetic=True, days=days)
    loaded = load(source, now=now, make_synthetic=context.obj.make_synthetic)
    settings = LearningSettings(fit=FitSettings(seed=seed))
    learnt = learn_bundle(loaded, settings, out / "model", holdout=0.25, now=now, resume=False, quiet=False)
    tell_learnt(learnt, out / "model", hint=False)
    console.rule("Judged on the quarter that training never saw")
    forecaster = Forecaster.load(out / "model")
    report = evaluate_all(forecaster, loaded, target=None, refits=0, forecasts=out / "forecasts.parquet")
    console.print(render_report(report))
    write_report(report, out / "score-card.json", out / "report.html", quiet=True)
    console.rule("Against the HPA, on the same quarter")
    compared = compare_all(forecaster, loaded, Question(effort=QUICK, seed=seed))
    comparison = report_on(compared)
    console.print(render_comparison(comparison))
    page = out / "comparison.html"
    write_comparison(
        comparison, compared, json_file=out / "comparison.json", html=page, runs=out / "runs.parquet", quiet=True
    )
    console.rule("Done")
    console.print(
        f"""\
Comparison: {page.absolute()}
Scores:     {(out / "report.html").absolute()}
Model:      {(out / "model").absolute()}
Forecasts:  {(out / "forecasts.parquet").absolute()} (every issued quantile beside what came)
Runs:       {(out / "runs.parquet").absolute()} (every policy's replicas, queue and waits per step)

Next, with your own Prometheus:

  URL=http://prometheus:9090 QUERY='sum(rate(http_requests_total[5m]))'
  forescale train    --prometheus "$URL" --query "$QUERY" --out model
  forescale evaluate --prometheus "$URL" --query "$QUERY" --model model --html report.html
  forescale compare  --prometheus "$URL" --query "$QUERY" --model model --html comparison.html
  forescale forecast --prometheus "$URL" --query "$QUERY" --model model
""",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
