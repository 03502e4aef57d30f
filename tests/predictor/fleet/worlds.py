"""A metric server in memory, and fleets that read it; a step is a second and a day four minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from predictor.errors import ForescaleError
from predictor.fleet.fleet import Fleet
from predictor.fleet.view import Snapshot, View
from predictor.prometheus_answer import name_of
from predictor.series import FloatArray, Series
from predictor.server.settings import settings_from
from tests.builders import DAY, START, daily_demand

FIRST = int(START.timestamp())  # step number of every stream's first sample


def at(step: int) -> datetime:
    """The instant of a stream's sample number `step`."""
    return datetime.fromtimestamp(FIRST + step, UTC)


@dataclass(slots=True)
class MemoryFeed:
    """Streams by query: each a list of series with labels; what is asked for is written down."""

    streams: dict[str, list[tuple[dict[str, str], FloatArray]]]
    reads: list[tuple[str, int, int]] = field(default_factory=list)  # query, first and last sample
    failing: dict[str, ForescaleError] = field(default_factory=dict)  # by query, "*" for all
    is_synthetic: bool = False

    def read(self, query: str, first_step: int, last_step: int, step_seconds: int) -> tuple[Series, ...]:
        self.reads.append((query, first_step - FIRST, last_step - FIRST))
        error = self.failing.get(query) or self.failing.get("*")
        if error is not None:
            raise error
        found = []
        for labels, values in self.streams.get(query, []):
            steps = np.arange(first_step, last_step + 1) - FIRST
            inside = (steps >= 0) & (steps < len(values))
            if not inside.any() or np.isnan(values[steps[inside]]).all():
                continue  # as a metric server leaves out what has no samples
            cut = np.where(inside, values[np.clip(steps, 0, len(values) - 1)], np.nan)
            name = name_of(tuple(sorted(labels.items())), query)
            found.append(Series(name, datetime.fromtimestamp(first_step, UTC), step_seconds, cut, labels))
        return tuple(found)

    def close(self) -> None:
        """Nothing to close."""


class AtOnce(Executor):
    """Does what it is given before it returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def demand_of(*apps: str, days: int = 10) -> list[tuple[dict[str, str], FloatArray]]:
    """One series per app, each with noise of its own."""
    return [({"app": app}, daily_demand(days * DAY, seed=seed)) for seed, app in enumerate(apps)]


def a_fleet(model: Path, feed: MemoryFeed, workloads: Iterable[Mapping[str, Any]] | None = None, **more: Any) -> Fleet:
    """One workload per query unless told otherwise; samples are there at once."""
    listed = list(workloads or ({"name": query, "query": query} for query in feed.streams))
    document = {"model": str(model), "settle_seconds": 0, "workloads": listed, **more}
    return Fleet(settings_from(document, source="test"), feed, AtOnce())


def run(fleet: Fleet, steps: Sequence[int] | range, *, is_warmed: bool = True) -> Snapshot:
    """A cycle at each of these samples; replays are finished after the first."""
    for step in steps:
        fleet.cycle(at(step))
        fleet.collect(at(step))
        while is_warmed and fleet.warm(at(step)):
            pass
    return fleet.snapshot


def view_of(snapshot: Snapshot, name: str) -> View:
    """One workload."""
    return snapshot.views[name]
