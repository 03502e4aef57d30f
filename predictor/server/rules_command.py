"""`forescale rules`: print the Prometheus rules that recompute the scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predictor.errors import InputError
from predictor.fleet.view import EXPORTED_LEVELS
from predictor.forecast import DEFAULT_HORIZON
from predictor.server.rules import alert_rules, as_yaml, recording_rules
from predictor.server.settings import read_settings

_STEP_SECONDS = 60


def rules(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take step and horizon from this forescale.yaml.")
    ] = None,
    step: Annotated[
        int | None, typer.Option(min=1, max=3600, help="Seconds between samples.", show_default=str(_STEP_SECONDS))
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(min=1, metavar="STEPS", help="Steps ahead.", show_default=str(DEFAULT_HORIZON))
    ] = None,
    window: Annotated[str, typer.Option(help="Span that the scores are of, like 6h or 1d.")] = "1d",
    alerts: Annotated[bool, typer.Option("--alerts", help="Add alerts on these scores.")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write here instead of to stdout.")] = None,
) -> None:
    """Print Prometheus rules that recompute errors, coverage, surges and alarms from exported forecasts.

    Examples:

      forescale rules --config forescale.yaml --alerts --out forescale-rules.yaml

      forescale rules --step 1 --window 30m
    """
    step_seconds, steps = (_STEP_SECONDS, DEFAULT_HORIZON) if config is None else _timing(config, step, horizon)
    step_seconds, steps = step or step_seconds, horizon or steps
    horizons = {max(1, steps // 3) * step_seconds, steps * step_seconds}  # those that `forescale serve` exports
    document = recording_rules(
        step_seconds=step_seconds,
        horizon_seconds=steps * step_seconds,
        score_horizons_seconds=sorted(horizons),
        levels=EXPORTED_LEVELS,
        window=window,
    )
    if alerts:
        watching = alert_rules(
            step_seconds=step_seconds, horizon_seconds=steps * step_seconds, levels=EXPORTED_LEVELS, window=window
        )
        document = {"groups": [*document["groups"], *watching["groups"]]}
    text = f"# forescale rules: step {step_seconds} s, horizon {steps} steps, window {window}\n{as_yaml(document)}"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


def _timing(config: Path, step: int | None, horizon: int | None) -> tuple[int, int]:
    """Step and horizon of all workloads, or what was given instead."""
    settings = read_settings(config)
    found = {(step or settings.step_of(one), horizon or settings.horizon_of(one)) for one in settings.workloads}
    if len(found) > 1:
        listed = ", ".join(f"{seconds} s × {steps}" for seconds, steps in sorted(found))
        raise InputError(
            f"{config}: workloads differ in step and horizon ({listed}), and rules are of one; run a server for each, "
            "or choose with --step and --horizon and read the scores of those workloads only"
        )
    return found.pop()
