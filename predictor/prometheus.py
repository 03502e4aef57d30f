"""Reads demand from the Prometheus HTTP API (Prometheus 2 and 3, VictoriaMetrics) through prometheus-api-client.

The library sends one request as it is told and takes the answer apart; here and in the modules beside this one are
the parts that it leaves out: splitting a range so that no answer has more points than servers give, aligning it to
the step, bounded time and retries, the server's warnings, and errors that say what to do.
"""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

import urllib3
from prometheus_api_client import PrometheusConnect

from predictor.errors import ForescaleError, InputError, SourceError
from predictor.prometheus_access import PrometheusAccess
from predictor.prometheus_answer import MAX_POINTS, Collector, Grid
from predictor.prometheus_transport import Transport
from predictor.promql import find_metrics
from predictor.quality import Reading
from predictor.series import Series

__all__ = ["MAX_POINTS", "Answer", "Prometheus", "PrometheusAccess"]

_UNCACHED = {"nocache": "1"}  # VictoriaMetrics would answer from before a backfill; the others ignore it
_CLOCKS_MAY_DIFFER_SECONDS = 5
_SHOWN_SERIES = 8
_SHOWN_NAMES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one query gave over a range, on the regular grid; empty when the server has nothing."""

    query: str
    readings: tuple[Reading, ...]
    warnings: tuple[str, ...]  # the server's own words, for example about partial answers

    @property
    def series(self) -> tuple[Series, ...]:
        """One per label set, in the order of their labels."""
        return tuple(reading.series for reading in self.readings)

    def only(self) -> Reading:
        """The one series, where one is needed; raises InputError listing what there is instead."""
        if len(self.readings) == 1:
            return self.readings[0]
        if not self.readings:
            raise InputError(f"{self.query}: no series where one is expected; check the metric and its labels")
        names = [one.name for one in self.series[:_SHOWN_SERIES]]
        more = f" and {len(self.readings) - len(names)} more" if len(self.readings) > len(names) else ""
        raise InputError(
            f"{self.query}: {len(self.readings)} series where one is expected: {'; '.join(names)}{more}; "
            "choose one with labels, or add them up with sum(...)"
        )


class Prometheus:
    """One server.  Every call asks it anew; nothing is kept but the connection."""

    def __init__(self, access: PrometheusAccess, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.access = access
        self._transport = Transport(access, sleep=sleep)
        url = access.url.rstrip("/")
        self._client = PrometheusConnect(
            url=url,
            session=self._transport.session,
            timeout=access.timeout_seconds,  # without one the library waits for ever
            retry=urllib3.Retry(0),
        )
        self._transport.mount(url)

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def fetch(
        self, query: str, start: datetime, end: datetime, step_seconds: int, *, now: datetime | None = None
    ) -> Answer:
        """Evaluate `query` at every multiple of the step within [start, end]; one series per label set.

        Instants at which the server gives nothing are NaN.  To go on where the last read ended, ask from one step
        after its end.  Mind that a plain selector repeats a metric's last sample for five minutes, by Prometheus'
        own rule; a rate() does not.

        now: nothing later is asked for, since at instants to come a server repeats the present.
        Raises InputError when the query is at fault and SourceError when the server cannot be reached or fails.
        """
        grid = Grid.covering(start, end if now is None else min(end, now), step_seconds)
        collector = Collector(grid, query, self.access.url)
        self._transport.forget()
        for first, last in grid.requests():
            rows = self._transport.run(
                lambda first=first, last=last: self._client.custom_query_range(  # type: ignore[misc]
                    query, first, last, str(step_seconds), params=dict(_UNCACHED)
                ),
                asked=query,
            )
            collector.add(rows)
        warnings = [*self._transport.warnings, *self._clock_warning(grid.instant(grid.length - 1), step_seconds)]
        return Answer(query, collector.readings(), tuple(warnings))

    def at_present(self, query: str) -> tuple[tuple[Mapping[str, str], float], ...]:
        """Labels and value of every series of `query` now, by the server's clock; values may be NaN or infinite.

        Raises as `fetch` does.
        """
        self._transport.forget()
        rows = self._transport.run(lambda: self._client.custom_query(query, params=dict(_UNCACHED)), asked=query)
        try:
            return tuple((row["metric"], float(row["value"][1])) for row in rows)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SourceError(
                f"{self.access.url}: answers, but not with one value per series; is {query!r} an instant vector, and "
                "the path in the URL right?"
            ) from error

    def suspected_counters(self, query: str) -> tuple[str, ...]:
        """Metrics that `query` uses without rate() although their name or the server's metadata says counter."""
        bare = [use for use in find_metrics(query) if not use.is_rated]
        return tuple(use.name for use in bare if use.looks_like_counter or self._is_counter(use.name))

    def why_empty(self, query: str, start: datetime, end: datetime) -> str:
        """The likely cause of an empty answer, in words; asks the server which of the query's metrics it has."""
        for name in [use.name for use in find_metrics(query)][:_SHOWN_NAMES]:
            if self._has_samples(name, start, end) is not False:
                continue
            known = self._ask(lambda: self._client.get_label_values("__name__"), query)
            if known is None:
                break
            if name in known:
                return f"{name} has no samples in this time; check --days and the server's retention"
            near = difflib.get_close_matches(name, known, n=_SHOWN_NAMES)
            return f"the server has no metric {name}" + (f"; did you mean {' or '.join(near)}?" if near else "")
        return (
            "a label matcher may exclude everything, or a rate window be too short: it must hold at least two samples, "
            "better four scrape intervals"
        )

    def _has_samples(self, name: str, start: datetime, end: datetime) -> bool | None:
        """None: the server would not say, perhaps because there are too many."""
        window = max(math.ceil((end - start).total_seconds()), 1)
        query = f'count(last_over_time({{__name__="{name}"}}[{window}s]))'
        found = self._ask(lambda: self._client.custom_query(query, params={"time": end.timestamp()}), query)
        return None if found is None else bool(found)

    def _is_counter(self, name: str) -> bool:
        found = self._ask(lambda: self._client.get_metric_metadata(name, limit=1), name) or []
        return any(one["metric_name"] == name and one["type"] == "counter" for one in found)

    def _ask(self, send: Callable[[], list[Any]], asked: str) -> list[Any] | None:
        """For what only makes a message better: no answer is fine."""
        try:
            return self._transport.run(send, asked=asked)
        except ForescaleError:
            return None

    def _clock_warning(self, last: datetime, step_seconds: int) -> tuple[str, ...]:
        server = self._transport.server_time
        if server is None or (last - server).total_seconds() < max(step_seconds, _CLOCKS_MAY_DIFFER_SECONDS):
            return ()
        behind = int((last - server).total_seconds())
        warning = (
            f"by the server's clock the last instant asked for is {behind} s in the future, where it repeats the "
            "present; set both clocks by NTP"
        )
        return (warning,)
