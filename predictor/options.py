"""The command-line options that every command with a source shares, and how they become `SourceOptions`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from predictor.access_options import pair, prometheus_access
from predictor.errors import InputError
from predictor.sources import SourceOptions

_SOURCE, _DATA = "Source (give one)", "Data"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Url = Annotated[
    str | None, typer.Option("--prometheus", metavar="URL", help="Server to read.", rich_help_panel=_SOURCE)
]
Query = Annotated[
    str | None,
    typer.Option(metavar="PROMQL", help="Demand, for example sum(rate(requests_total[5m])).", rich_help_panel=_SOURCE),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--series", metavar="FILE", help="CSV or Parquet: timestamp,requests.", rich_help_panel=_SOURCE),
]
Synthetic = Annotated[bool, typer.Option("--synthetic", help="Generated demand, seeded.", rich_help_panel=_SOURCE)]
Days = Annotated[float, typer.Option(help="Days of history to read.", rich_help_panel=_DATA)]
Step = Annotated[int, typer.Option(help="Seconds between samples, 1 to 3600.", rich_help_panel=_DATA)]
Seasons = Annotated[
    str, typer.Option("--seasons", help="Seasonal periods, comma-separated, like 1d,7d.", rich_help_panel=_DATA)
]
MaxMissing = Annotated[
    float, typer.Option("--max-missing", help="Share of samples that may be missing.", rich_help_panel=_DATA)
]
Covariates = Annotated[
    list[str] | None,
    typer.Option(
        "--covariate",
        metavar="NAME=PROMQL",
        help="Leading indicator, past only; with --series NAME=COLUMN.",
        rich_help_panel=_DATA,
    ),
]
Events = Annotated[
    Path | None, typer.Option("--events", metavar="FILE", help="CSV start,end of known events.", rich_help_panel=_DATA)
]


def source_options(
    *,
    prometheus: str | None,
    query: str | None,
    series: list[Path] | None,
    synthetic: bool,
    days: float,
    step: int,
    seasons: str,
    max_missing: float,
    covariate: list[str] | None,
    events: Path | None,
    bearer_token_file: Path | None,
    user: str | None,
    password_file: Path | None,
    header: list[str] | None,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    insecure: bool,
    timeout: float,
    horizon: int = 15,
) -> SourceOptions:
    """Turn what was typed into validated options; raises InputError."""
    access = None
    if prometheus is not None:
        access = prometheus_access(
            prometheus,
            bearer_token_file=bearer_token_file,
            user=user,
            password_file=password_file,
            header=header,
            ca_file=ca_file,
            client_cert=client_cert,
            client_key=client_key,
            insecure=insecure,
            timeout=timeout,
        )
    return SourceOptions(
        prometheus=access,
        query=query,
        files=tuple(series or ()),
        synthetic=synthetic,
        days=days,
        step_seconds=step,
        season_seconds=parse_durations(seasons),
        max_missing_ratio=max_missing,
        covariates=dict(pair(text, "=", "--covariate") for text in covariate or []),
        events=events,
        horizon=horizon,
    )


def parse_durations(text: str) -> tuple[int, ...]:
    """`1d,7d` in seconds; empty for none."""
    found = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = re.fullmatch(r"(\d+)([smhdw])", part)
        if match is None or int(match[1]) == 0:
            raise InputError(f"--seasons {part}: give periods like 24m, 1d or 7d, separated by commas")
        found.append(int(match[1]) * _UNITS[match[2]])
    return tuple(sorted(set(found)))
