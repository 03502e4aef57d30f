"""Where a command's demand comes from: Prometheus, files, or the generator.  Reads; decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from predictor.errors import InputError, SeriesError, SeriesGapError
from predictor.events import flag_events, read_events
from predictor.files import read_file
from predictor.forecaster import History
from predictor.prometheus import Answer, Prometheus, PrometheusAccess
from predictor.promql import find_metrics, repeats_last_sample
from predictor.quality import DEFAULT_MAX_MISSING, Quality, Reading, inspect, trim
from predictor.series import Series

MakeSynthetic = Callable[[int, int, datetime], Series]  # days, step_seconds, end -> Series

_LATE_START_RATIO = 0.02  # of the time asked for; a history that begins later than this is worth a word
_SHOWN = 5
_REPEATS = "the query has no window like [5m], so gaps under 5 minutes do not show: the server repeats the last sample"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Exactly one of `prometheus` with `query`, `files` or `synthetic`.

    covariates: name -> PromQL of a leading indicator, or with `files` the name of a column.  Ordered by name, so that
    a model sees them in the same order whichever way they were typed.
    """

    prometheus: PrometheusAccess | None = None
    query: str | None = None
    files: tuple[Path, ...] = ()
    synthetic: bool = False
    days: float = 28.0
    step_seconds: int = 60
    season_seconds: tuple[int, ...] = (86400, 604800)
    max_missing_ratio: float = DEFAULT_MAX_MISSING
    covariates: Mapping[str, str] = field(default_factory=dict)
    events: Path | None = None
    horizon: int = 15  # steps beyond the end for which events are known

    def __post_init__(self) -> None:
        if (self.prometheus is not None) + bool(self.files) + self.synthetic != 1:
            raise InputError("give one source: --prometheus URL --query PROMQL, --series FILE, or --synthetic")
        if (self.prometheus is None) != (self.query is None):
            raise InputError("--prometheus and --query belong together; give both")
        if self.covariates and self.synthetic:
            raise InputError(
                "--covariate needs --prometheus, or --series with such a column; generated demand has none"
            )
        if self.days <= 0 or (self.synthetic and self.days < 1):
            raise InputError(f"--days {self.days:g}: give {'at least 1' if self.synthetic else 'a positive number'}")
        if not 0 <= self.max_missing_ratio <= 1:
            raise InputError(f"--max-missing {self.max_missing_ratio:g}: give a share between 0 and 1")
        object.__setattr__(self, "covariates", dict(sorted(self.covariates.items())))


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """One series with what else is known about it, and what was found in it."""

    history: History
    quality: Quality
    warnings: tuple[str, ...] = ()  # the server's


def load(options: SourceOptions, *, now: datetime, make_synthetic: MakeSynthetic) -> list[Loaded]:
    """Read every series of the source, up to `now`.

    Raises InputError when the data or the options cannot be used and SourceError when the server cannot be reached.
    """
    if options.prometheus is not None and options.query is not None:
        with Prometheus(options.prometheus) as server:
            return _from_prometheus(server, options.query, options, now)
    if options.files:
        readings = [read_file(path, options.step_seconds, tuple(options.covariates.values())) for path in options.files]
        return _inspected(_with_own_names(readings, options.files), options, now)
    last = datetime.fromtimestamp(now.timestamp() // options.step_seconds * options.step_seconds, UTC)
    return _inspected([Reading(make_synthetic(int(options.days), options.step_seconds, last))], options, now)


def only(loaded: Sequence[Loaded]) -> Loaded:
    """The one series where a command can use just one."""
    if len(loaded) != 1:
        names = "; ".join(one.history.series.name for one in loaded[:_SHOWN])
        raise InputError(
            f"{len(loaded)} series where one is expected: {names}; choose one with labels, or add them up with sum(...)"
        )
    return loaded[0]


def _from_prometheus(server: Prometheus, query: str, options: SourceOptions, now: datetime) -> list[Loaded]:
    start = now - timedelta(days=options.days)
    answer = server.fetch(query, start, now, options.step_seconds, now=now)
    if not answer.readings:
        raise InputError(
            f"the query {query!r} gives nothing between {start:%F %T} and {now:%F %T} UTC at {server.access.url}: "
            f"{server.why_empty(query, start, now)}"
        )
    covariates = [
        (name, server.fetch(promql, start, now, options.step_seconds, now=now))
        for name, promql in options.covariates.items()
    ]
    uses = find_metrics(query)
    notes = (_REPEATS,) if repeats_last_sample(query) else ()
    warnings = dict.fromkeys(text for one in (answer, *(extra for _, extra in covariates)) for text in one.warnings)
    return _inspected(
        [_joined(replace(reading, notes=(*reading.notes, *notes)), covariates) for reading in answer.readings],
        options,
        now,
        warnings=tuple(warnings),
        is_rate=bool(uses) and all(use.is_rated for use in uses),
        suspected_counters=server.suspected_counters(query),
        asked_from=start,
    )


def _joined(reading: Reading, covariates: Sequence[tuple[str, Answer]]) -> Reading:
    """A reading with its leading indicators: one for all series, or per series the one with the same labels."""
    if not covariates:
        return reading
    labels = _without_name(reading.series.labels)
    columns = []
    for name, answer in covariates:
        same = [one for one in answer.series if _without_name(one.labels) == labels]
        if len(answer.series) == 1:
            same = list(answer.series)
        if len(same) != 1:
            raise InputError(
                f"--covariate {name}: {len(answer.series)} series, none of them for {reading.series.name}; give a "
                "query with one series, or one with the same labels as the demand"
            )
        columns.append(same[0].values)
    return replace(reading, covariates=np.column_stack(columns))


def _with_own_names(readings: Sequence[Reading], paths: Sequence[Path]) -> list[Reading]:
    """Files of the same name in different folders keep their folders, since a series is known by its name."""
    seen = Counter(reading.series.name for reading in readings)
    return [
        reading
        if seen[reading.series.name] == 1
        else replace(reading, series=replace(reading.series, name=f"{path.parent.as_posix()}/{reading.series.name}"))
        for reading, path in zip(readings, paths, strict=True)
    ]


def _inspected(
    readings: Sequence[Reading],
    options: SourceOptions,
    now: datetime,
    *,
    warnings: tuple[str, ...] = (),
    is_rate: bool = False,
    suspected_counters: Sequence[str] = (),
    asked_from: datetime | None = None,
) -> list[Loaded]:
    """Every reading with what was found in it; raises for all that cannot be used at once."""
    events = None if options.events is None else read_events(options.events)
    loaded, refused = [], []
    for whole in readings:
        reading = trim(whole)
        try:
            quality = inspect(
                reading,
                now=now,
                season_seconds=options.season_seconds,
                max_missing_ratio=options.max_missing_ratio,
                is_rate=is_rate,
                suspected_counters=suspected_counters,
            )
        except SeriesError as error:
            refused.append(error)
            continue
        if asked_from is not None:
            quality = replace(quality, notes=(*_late_start(reading.series, options.days, asked_from), *quality.notes))
        flags = None if events is None else flag_events(events, reading.series, options.horizon)
        loaded.append(Loaded(History(reading.series, reading.covariates, flags), quality, warnings))
    if len(refused) == 1 and len(readings) == 1:
        raise refused[0]
    if refused:
        kind = SeriesGapError if all(isinstance(error, SeriesGapError) for error in refused) else SeriesError
        more = f"\n... and {len(refused) - _SHOWN} more" if len(refused) > _SHOWN else ""
        raise kind(
            f"{len(refused)} of {len(readings)} series cannot be used; leave them out of the source, or mend them:\n"
            + "\n".join(str(error) for error in refused[:_SHOWN])
            + more
        )
    return loaded


def _late_start(series: Series, days: float, asked_from: datetime) -> tuple[str, ...]:
    late_days = (series.start - asked_from).total_seconds() / 86400
    if late_days <= _LATE_START_RATIO * days:
        return ()
    note = (
        f"{days:g} days were asked for, but the first sample is of {series.start:%F %T} UTC, {late_days:.1f} days "
        "later; is the server's retention shorter, or the metric younger?"
    )
    return (note,)


def _without_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != "__name__"}
