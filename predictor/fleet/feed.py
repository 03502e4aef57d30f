"""Where a fleet's demand comes from: one read per query and cycle, and the history once.  Reads; keeps no demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from predictor.errors import InputError
from predictor.forecast import Float32Array
from predictor.prometheus import Prometheus, PrometheusAccess
from predictor.prometheus_answer import MAX_POINTS, Labels
from predictor.series import Series

_SAMPLES_AT_ONCE = 200_000  # of one answer: its JSON and what Python makes of it stay below some 50 MB
_FIRST_STEPS = 500  # of the first answer, which tells how many series there are


class Feed(Protocol):
    """Anything that gives demand.  Called from several threads."""

    is_synthetic: bool

    def read(self, query: str, first_step: int, last_step: int, step_seconds: int) -> tuple[Series, ...]:
        """Every series of the query over the steps, both included; raises ForescaleError."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


class PrometheusFeed:
    """A Prometheus server; every thread has a connection of its own."""

    is_synthetic = False

    def __init__(self, access: PrometheusAccess) -> None:
        self._access = access
        self._mine = threading.local()
        self._all: list[Prometheus] = []
        self._lock = threading.Lock()

    def read(self, query: str, first_step: int, last_step: int, step_seconds: int) -> tuple[Series, ...]:
        """See `Feed`."""
        start, end = _instant(first_step, step_seconds), _instant(last_step, step_seconds)
        try:
            return self._server().fetch(query, start, end, step_seconds).series
        except InputError as error:
            raise type(error)(self._without_paths(str(error))) from error

    def _without_paths(self, message: str) -> str:
        """Whoever reads the API need not know where credentials lie."""
        access = self._access
        for path in (access.bearer_token_file, access.password_file, access.ca_file, access.client_key):
            if path is not None:
                message = message.replace(str(path), "a credentials file")
        return message

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for server in self._all:
                server.close()
            self._all.clear()

    def _server(self) -> Prometheus:
        server: Prometheus | None = getattr(self._mine, "server", None)
        if server is None:
            server = self._mine.server = Prometheus(self._access)
            with self._lock:
                self._all.append(server)
        return server


class SyntheticFeed:
    """Generated demand; the query is the seed."""

    is_synthetic = True

    def __init__(self, make: Callable[[int, int, datetime, int], Series]) -> None:
        """make: (days, step_seconds, end, seed) -> Series."""
        self._make = make

    def read(self, query: str, first_step: int, last_step: int, step_seconds: int) -> tuple[Series, ...]:
        """See `Feed`."""
        steps = last_step - first_step + 1
        days = -(-steps * step_seconds // 86_400)
        whole = self._make(days, step_seconds, _instant(last_step, step_seconds), int(query))
        return (whole.between(len(whole) - steps, len(whole)),)

    def close(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """History of every series of one query, on common steps."""

    first_step: int
    values: Mapping[Labels, Float32Array]  # (steps,) each
    names: Mapping[Labels, str]


def read_past(feed: Feed, query: str, first_step: int, last_step: int, step_seconds: int) -> Past:
    """Read a long history newest first, in answers of bounded size."""
    steps = last_step - first_step + 1
    values: dict[Labels, Float32Array] = {}
    names: dict[Labels, str] = {}
    end, size = last_step, min(_FIRST_STEPS, steps)
    while end >= first_step:
        begin = max(end - size + 1, first_step)
        found = {tuple(sorted(series.labels.items())): series for series in feed.read(query, begin, end, step_seconds)}
        fresh = [labels for labels in found if labels not in values]
        # One block for all: many small ones would leave holes in the memory that nothing else fits into.
        values |= dict(zip(fresh, np.full((len(fresh), steps), np.nan, dtype=np.float32), strict=True))
        for labels, series in found.items():
            names[labels] = series.name
            values[labels][begin - first_step : end - first_step + 1] = series.values
        end = begin - 1
        size = max(min(_SAMPLES_AT_ONCE // max(len(values), 1), MAX_POINTS), 60)
    return Past(first_step, values, names)


def _instant(step: int, step_seconds: int) -> datetime:
    return datetime.fromtimestamp(step * step_seconds, UTC)
