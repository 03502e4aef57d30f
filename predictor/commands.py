"""`forescale forecast`: what a bundle expects of a series."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from predictor import access_options as access
from predictor import options as o
from predictor.errors import InputError
from predictor.forecast import Forecast
from predictor.forecaster import Forecaster, History, Refusal
from predictor.sources import load

SCHEMA_VERSION = 1
_SHOWN_LEVELS = (0.05, 0.5, 0.95, 0.99)


def forecast(
    context: typer.Context,
    model: Annotated[Path, typer.Option(metavar="DIR", help="Bundle that `forescale train` wrote.")],
    prometheus: o.Url = None,
    query: o.Query = None,
    series: o.Files = None,
    synthetic: o.Synthetic = False,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Forecast as of then, ISO 8601; default now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (docs/forecast-json.md).")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the first series.")] = None,
    days: o.Days = 11,
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
    """Forecast the next minutes: quantiles at each step, and of the highest demand until then.

    Step, horizon and seasons come from the model.  A stale or gappy series is refused with a reason, not guessed.

    Examples:

      forescale forecast --model model --synthetic

      forescale forecast --model model --prometheus http://prom:9090 --query 'sum(rate(requests_total[5m]))' --json
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
    if tuple(sorted(source.covariates)) != tuple(sorted(card.schema.covariates)):
        wanted = ", ".join(card.schema.covariates) or "none"
        raise InputError(f"the model was trained with the covariates: {wanted}; give the same with --covariate")
    now = datetime.now(UTC) if at is None else access.parse_instant(at)
    loaded = load(source, now=datetime.now(UTC) if series else now, make_synthetic=context.obj.make_synthetic)
    # A file ends when it ends: without --at its last sample is "now".
    check_age = None if series and at is None else now
    answers = [forecaster.forecast(_as_of(one.history, now, at, forecaster.horizon), now=check_age) for one in loaded]
    if as_json:
        typer.echo(
            json.dumps({"schema_version": SCHEMA_VERSION, "forecasts": [as_document(a) for a in answers]}, indent=2)
        )
    else:
        for answer in answers:
            _show(answer)
        for warning in dict.fromkeys(text for one in loaded for text in one.warnings):
            typer.echo(f"the server warns: {warning}", err=True)
    if plot is not None and isinstance(answers[0], Forecast):
        from predictor.plot import plot_forecast  # matplotlib takes a second to import

        plot_forecast(_as_of(loaded[0].history, now, at, forecaster.horizon).series, answers[0], plot)
    if all(isinstance(answer, Refusal) for answer in answers):
        raise typer.Exit(InputError.exit_code)


def as_document(answer: Forecast | Refusal) -> dict[str, Any]:
    """The stable JSON form of a forecast, or of why there is none."""
    if isinstance(answer, Refusal):
        return {"series": answer.series, "status": "unavailable", "reason": answer.reason, "message": answer.message}
    return {
        "series": answer.series,
        "status": "ok",
        "issued_at": answer.issued_at.isoformat(),
        "step_seconds": answer.step_seconds,
        "model": answer.model,
        "is_synthetic": answer.is_synthetic,
        "levels": list(answer.levels),
        "times": [instant.isoformat() for instant in answer.instants()],
        "path": [[round(value, 6) for value in row] for row in answer.path.tolist()],
        "peak": [[round(value, 6) for value in row] for row in answer.peak.tolist()],
    }


def _as_of(history: History, now: datetime, at: str | None, horizon: int) -> History:
    """What was known at `--at`."""
    if at is None:
        return history
    end = history.series.index_of(now) + 1
    if not end > 0:
        raise InputError(f"{history.series.name}: starts at {history.series.start.isoformat()}, after --at {at}")
    return history.until(min(end, len(history.series)), horizon)


def _show(answer: Forecast | Refusal) -> None:
    console = Console()
    if isinstance(answer, Refusal):
        Console(stderr=True).print(f"no forecast ({answer.reason}): {answer.message}", style="yellow", markup=False)
        return
    mark = "  SYNTHETIC" if answer.is_synthetic else ""
    console.print(
        f"{answer.series}{mark}  issued {answer.issued_at:%F %T} UTC, model {answer.model}",
        markup=False,
        highlight=False,
    )
    table = Table(caption="demand at each step; the highest demand until then")
    shown = [position for position, level in enumerate(answer.levels) if level in _SHOWN_LEVELS]
    table.add_column("UTC", no_wrap=True)
    for name in ("", "peak "):
        for position in shown:
            table.add_column(f"{name}q{answer.levels[position]:g}", justify="right")
    for instant, path, peak in zip(answer.instants(), answer.path, answer.peak, strict=True):
        values = [path[p] for p in shown] + [peak[p] for p in shown]
        table.add_row(
            f"{instant:%H:%M}" if answer.step_seconds % 60 == 0 else f"{instant:%H:%M:%S}",
            *(f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in values),
        )
    console.print(table)
