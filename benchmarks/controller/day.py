"""A day on paper: the real cycle over 24 hours of demand with surges, alarms, faults and churn, as fast as it goes.

Run as a process of its own, since memory can only be told of a process that did nothing else; it prints JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from prometheus_client import generate_latest

from benchmarks.controller.answers import TARGET, a_forecast, no_forecast
from benchmarks.controller.paper import PaperCluster
from controller.hpa import ControllerSettings
from controller.live.cycle import Cycle
from controller.live.demand import DemandReader, Rows
from controller.live.forecasts import ForecastReader
from controller.live.metrics import ControllerMetrics
from controller.live.scoring import Scorekeeper
from controller.live.workload import Delays
from predictor import messages as m
from predictor.errors import SourceError
from predictor.forecast import DEFAULT_HORIZON
from predictor.series import FloatArray

CYCLE_SECONDS = 15
LOOKS = (2, 6, 12, 18, 24)  # hours
BEGIN = datetime(2026, 11, 24, tzinfo=UTC)
_SURGES_A_DAY = 12
_THREADS = 8
_SCRAPE_SECONDS = 300


class Weather:
    """Demand and what forecasts expect of it, by minute; both servers answer from it, and fail a while every hour."""

    def __init__(self, count: int, hours: int) -> None:
        chance = np.random.default_rng(0)
        minutes = hours * 60 + DEFAULT_HORIZON + 2
        at = np.arange(minutes)
        phase = chance.uniform(0, 0.3, (count, 1))
        base = TARGET * chance.uniform(2, 8, (count, 1)) * (1.2 + np.sin(2 * np.pi * (at / 1440 + phase)))
        self.demand, self.expected = base * chance.normal(1, 0.03, base.shape).clip(0.8, 1.2), base * 1.1
        for row in range(count):
            for begin in chance.integers(0, minutes - 30, _SURGES_A_DAY * hours // 24):
                what = slice(begin, begin + 25)
                kind = chance.random()
                if kind < 0.8:  # of the surges, some come unforeseen, and some that are foreseen do not come
                    self.demand[row, what] *= 2.5
                if kind > 0.2:
                    self.expected[row, what] *= 2.7
        self.now = BEGIN
        self.names = [f"w{each}" for each in range(count)]
        self._made: tuple[int, m.ForecastBatch] | None = None

    @property
    def minute(self) -> int:
        """Since the begin."""
        return int((self.now - BEGIN).total_seconds() // 60)

    def present(self) -> dict[str, float]:
        """By workload."""
        column: FloatArray = self.demand[:, self.minute]
        return dict(zip(self.names, column.tolist(), strict=True))

    def forget(self) -> None:
        """The answer that was made: names have changed."""
        self._made = None

    def at_present(self, query: str) -> Rows:
        """See `MetricServer`."""
        if self.minute % 60 in (40, 41):
            raise SourceError("the metric server is away")
        label = {"forescale_query": "0"}
        return tuple(({"app": name, **label}, value) for name, value in self.present().items())

    def forecasts(self, names: object = None, *, window_max: bool = True) -> m.ForecastBatch:
        """See `ForecastServer`."""
        at = self.minute
        if at % 60 in (20, 21):
            raise SourceError("the forecast server is away")
        if self._made is None or self._made[0] != at:
            issued, ahead = BEGIN + timedelta(minutes=at), slice(at + 1, at + 1 + DEFAULT_HORIZON)
            self._made = at, m.ForecastBatch(
                cycle=at,
                forecasts=[
                    no_forecast(name) if (at // 10 + row) % 50 == 0 else a_forecast(name, issued, values)
                    for row, (name, values) in enumerate(
                        zip(self.names, self.expected[:, ahead].tolist(), strict=True)
                    )
                ],
            )  # fmt: skip
        return self._made[1]


def main() -> int:
    """Live a day, and print what was needed."""
    count, hours = int(sys.argv[1]), int(sys.argv[2])
    weather, cluster = Weather(count, hours), PaperCluster()
    metrics = ControllerMetrics(lambda: True, "benchmark")
    looks: list[dict[str, float]] = []
    begun = time.perf_counter()
    with ThreadPoolExecutor(_THREADS) as executor:
        cycle = Cycle(
            cluster,
            DemandReader(weather, executor),
            ForecastReader(weather),
            executor,
            delays=Delays(CYCLE_SECONDS, CYCLE_SECONDS),
            make_scorekeeper=lambda _: Scorekeeper(ControllerSettings()),
            publishers=[metrics],
        )
        for name in weather.names:
            cluster.add(name, BEGIN)
        for at in range(hours * 3600 // CYCLE_SECONDS):
            weather.now = BEGIN + timedelta(seconds=at * CYCLE_SECONDS)
            since = at * CYCLE_SECONDS % 3600
            if since == 1800:  # every hour somebody renames a workload, and a GitOps tool puts minima back
                _rename(weather, cluster, at)
                for name in weather.names[:5]:
                    cluster.revert(name)
            cluster.scale_by(weather.present(), weather.now)
            cycle.run(weather.now)
            if since % _SCRAPE_SECONDS == 0:
                generate_latest(metrics.registry)
            hour = (at + 1) * CYCLE_SECONDS / 3600
            if hour in LOOKS or hour == 1:
                looks.append(_look(hour))
                print(f"day: {hour:g} of {hours} h, {looks[-1]['megabytes']:.1f} MB", file=sys.stderr)
    counts = [each.scorekeeper.counts for each in cycle.workloads.values()]
    found = {
        "resources": count,
        "hours": hours,
        "seconds": time.perf_counter() - begun,
        "writes": cluster.api.writes,
        "alarms": sum(each.hits + each.false_alarms for each in counts),
        "surges": sum(each.surges for each in counts),
        "looks": looks,
    }
    print(json.dumps(found))
    return 0


def _rename(weather: Weather, cluster: PaperCluster, at: int) -> None:
    row = at // 240 % len(weather.names)
    cluster.remove(weather.names[row])
    weather.names[row] = f"w{row}-{at}"
    cluster.add(weather.names[row], weather.now)
    weather.forget()


def _look(hour: float) -> dict[str, float]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "hour": hour,
        "megabytes": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        "blocks": sys.getallocatedblocks(),
    }


if __name__ == "__main__":
    sys.exit(main())
