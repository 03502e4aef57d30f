"""Where a command's demand comes from: Prometheus, files, or the generator.  Reads; decides nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from predictor.errors import InputError, SeriesError
from predictor.files import read_series_file
from predictor.forecaster import History
from predictor.prometheus import Prometheus, PrometheusAccess
from predictor.quality import DEFAULT_MAX_MISSING, Quality, inspect, trim
from predictor.series import FloatArray, Series

MakeSynthetic = Callable[[int, int, datetime], Series]  # days, step_seconds, end -> Series

_RATE = re.compile(r"\b(rate|irate|increase|deriv|delta)\s*\(")


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Exactly one of `prometheus` with `query`, `files` or `synthetic`."""

    prometheus: PrometheusAccess | None = None
    query: str | None = None
    files: tuple[Path, ...] = ()
    synthetic: bool = False
    days: float = 28.0
    step_seconds: int = 60
    season_seconds: tuple[int, ...] = (86400, 604800)
    max_missing_ratio: float = DEFAULT_MAX_MISSING
    covariates: Mapping[str, str] = field(default_factory=dict)  # name -> PromQL
    events: Path | None = None
    horizon: int = 15

    def __post_init__(self) -> None:
        chosen = [self.prometheus is not None, bool(self.files), self.synthetic]
        if sum(chosen) != 1:
            raise InputError("give one source: --prometheus URL --query PROMQL, --series FILE, or --synthetic")
        if (self.prometheus is None) != (self.query is None):
            raise InputError("--prometheus and --query belong together; give both")
        if self.covariates and self.prometheus is None:
            raise InputError("--covariate NAME=PROMQL needs --prometheus")
        if self.days <= 0:
            raise InputError(f"--days {self.days:g}: give a positive number")


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """One series with what else is known about it, and what was found in it."""

    history: History
    quality: Quality
    warnings: tuple[str, ...] = ()


def load(options: SourceOptions, *, now: datetime, make_synthetic: MakeSynthetic) -> list[Loaded]:
    """Read every series of the source; raises InputError or SourceError with what to do."""
    if options.synthetic:
        minute = now.replace(second=0, microsecond=0)
        return [_loaded(options, make_synthetic(int(options.days), options.step_seconds, minute), now)]
    if options.files:
        return [_loaded(options, read_series_file(path, options.step_seconds), now) for path in options.files]
    return _from_prometheus(options, now)


def only(loaded: list[Loaded]) -> Loaded:
    """The one series where a command can use just one."""
    if len(loaded) != 1:
        names = ", ".join(one.history.series.name for one in loaded[:8])
        raise InputError(
            f"{len(loaded)} series where one is expected: {names}; add labels to the query, or aggregate it with sum(...)"
        )
    return loaded[0]


def _from_prometheus(options: SourceOptions, now: datetime) -> list[Loaded]:
    assert options.prometheus is not None and options.query is not None
    server = Prometheus(options.prometheus)
    start = now - timedelta(days=options.days)
    answer = server.fetch(options.query, start, now, options.step_seconds)
    if not answer.series:
        raise InputError(
            f"the query {options.query!r} gave nothing between {start:%F %T} and {now:%F %T} UTC at "
            f"{options.prometheus.url}; try it in the server's own page, and check the retention"
        )
    columns, warnings = [], list(answer.warnings)
    for name, query in options.covariates.items():
        extra = server.fetch(query, start, now, options.step_seconds)
        warnings += extra.warnings
        if len(extra.series) != 1:
            raise InputError(
                f"--covariate {name}: {len(extra.series)} series where one is expected; aggregate the query"
            )
        columns.append(np.asarray(extra.series[0].values))
    covariates = np.stack(columns, axis=1) if columns else None
    is_rate = bool(_RATE.search(options.query))
    return [_loaded(options, one, now, covariates, tuple(warnings), is_rate=is_rate) for one in answer.series]


def _loaded(
    options: SourceOptions,
    series: Series,
    now: datetime,
    covariates: FloatArray | None = None,
    warnings: tuple[str, ...] = (),
    *,
    is_rate: bool = False,
) -> Loaded:
    whole, series = series, trim(series)
    if covariates is not None:
        skipped = whole.index_of(series.start)
        covariates = covariates[skipped : skipped + len(series)]
    quality = inspect(
        series,
        now=now,
        season_seconds=options.season_seconds,
        max_missing_ratio=options.max_missing_ratio,
        is_rate=is_rate,
    )
    events = None if options.events is None else read_events(options.events, series, options.horizon)
    return Loaded(History(series, covariates, events), quality, warnings)


def read_events(path: Path, series: Series, horizon: int) -> FloatArray:
    """Known events as 0/1 flags of every step of the series and `horizon` beyond: CSV with `start,end` in ISO 8601."""
    try:
        table = pd.read_csv(path)
        spans = [pd.to_datetime(table[column], utc=True, format="ISO8601") for column in ("start", "end")]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as events ({error}); the columns are start,end in ISO 8601"
        ) from error
    flags = np.zeros(len(series) + horizon)
    for row, (start, end) in enumerate(zip(*spans, strict=True)):
        if pd.isna(start) or pd.isna(end) or end <= start:
            raise SeriesError(f"{path}, line {row + 2}: an event must end after it starts")
        first = max(series.index_of(start.to_pydatetime()) + 1, 0)
        flags[first : max(series.index_of(end.to_pydatetime()) + 1, 0)] = 1.0
    return flags
