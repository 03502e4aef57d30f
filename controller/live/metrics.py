"""What Prometheus scrapes of the controller: recommendations, the live score with its counts, and its own health.

Every resource gives the same bounded number of series.  What is not known is absent, never zero; only a
recommendation is 0 without an opinion, since an HPA that lacks a metric does not scale down any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.live.score import HELP
from controller.live.scoring import PREFIX
from controller.live.workload import Workload
from controller.resource.resource import Key

LABELS = ["namespace", "name"]
_BUCKETS = (0.05, 0.1, 0.3, 1, 3, 5, 10, 15, 30, 60)


class ControllerMetrics:
    """The registry.  `publish` is called after each cycle, scrapes come from other threads."""

    def __init__(self, is_leading: Callable[[], bool], version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody reads
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.cycle_seconds = Histogram(
            f"{PREFIX}_cycle_duration_seconds", "One cycle for all resources.", buckets=_BUCKETS, registry=self.registry
        )
        self.cycle_failures = Counter(
            f"{PREFIX}_cycle_failures", "Cycles that ended with an error of ours.", registry=self.registry
        )
        self.writes = Counter(f"{PREFIX}_writes", "Changes written to the cluster.", ["what"], registry=self.registry)
        self.write_failures = Counter(
            f"{PREFIX}_write_failures", "Changes that the API server did not take.", registry=self.registry
        )
        self._collector = _Workloads(is_leading, version)
        self.registry.register(self._collector)

    def publish(self, workloads: Mapping[Key, Workload], now: datetime) -> None:
        """Take over what a cycle found."""
        self._collector.rows = snapshot(workloads)


class _Workloads(Collector):
    """Gives what the last cycle left: a scrape never sees half a cycle."""

    def __init__(self, is_leading: Callable[[], bool], version: str) -> None:
        self._is_leading, self._version = is_leading, version
        self.rows: Sequence[Row] = ()

    def describe(self) -> Iterable[Metric]:
        """Nothing is collected at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Whole families; a process that does not lead has no opinion on anything."""
        leads = self._is_leading()
        build = GaugeMetricFamily(f"{PREFIX}_build_info", "The running version.", labels=["version"])
        build.add_metric([self._version], 1.0)
        yield build
        yield GaugeMetricFamily(f"{PREFIX}_leading", "1 while this process may write.", value=float(leads))
        if leads:
            yield from families(self.rows)


class Row(NamedTuple):
    """One resource's numbers, much smaller than the samples that a scrape makes of them."""

    key: Key
    gauges: tuple[float | None, ...]  # as _GAUGES has them
    counters: tuple[float, ...]  # as _COUNTERS has them


def snapshot(workloads: Mapping[Key, Workload]) -> list[Row]:
    """Everything about every resource, at once: a scrape comes when it likes."""
    return [Row(key, _gauges(workload), _counters(workload)) for key, workload in workloads.items()]


def _gauges(workload: Workload) -> tuple[float | None, ...]:
    found = _values(workload)
    return tuple(found.get(name) for name in _GAUGES)


def _counters(workload: Workload) -> tuple[float, ...]:
    counts = workload.scorekeeper.counts.as_mapping()
    return *(counts[name] for name in HELP), float(workload.reverts)


def families(rows: Sequence[Row]) -> Iterator[Metric]:
    """One after the other, so that the samples of all are never in memory together."""
    for at, (name, text) in enumerate(_GAUGES.items()):
        gauge = GaugeMetricFamily(name, text, labels=LABELS)
        for row in rows:
            value = row.gauges[at]
            if value is not None:
                gauge.add_metric(row.key, float(value))
        yield gauge
    for at, (name, text) in enumerate(_COUNTERS.items()):
        counter = CounterMetricFamily(name, text, labels=LABELS)
        for row in rows:
            counter.add_metric(row.key, row.counters[at])
        yield counter


_COUNTERS = {
    **{f"{PREFIX}_{name}": text for name, text in HELP.items()},
    f"{PREFIX}_reverts": "Times another manager put the floor back.",
}
_GAUGES = {
    "forescale_recommended_replicas": "Floor to follow; 0 when there is none, and unless the resource is to act.",
    "forescale_recommended_demand": "Demand that the recommendation is planned for, in the unit of the query.",
    f"{PREFIX}_floor_replicas": "Floor in force; absent when there is none of ours.",
    f"{PREFIX}_decided_floor_replicas": "Floor that acting would hold, or holds; absent when there is none.",
    f"{PREFIX}_hpa_alone_replicas": "Replicas that the HPA alone would hold on the same demand.",
    f"{PREFIX}_forecast_replicas": "Replicas that the forecast alone asks for.",
    f"{PREFIX}_target_replicas": "Replicas that the target was asked for.",
    f"{PREFIX}_demand": "Present demand, in the unit of the query.",
    f"{PREFIX}_startup_seconds": "Start-up time of pods that is planned with.",
    f"{PREFIX}_startup_pods": "Pods that it was measured on; 0 when it is not measured.",
    f"{PREFIX}_trusted": "1 while forecasts are trusted.",
    f"{PREFIX}_has_opinion": "1 while a fresh and trusted forecast stands behind the recommendation.",
    f"{PREFIX}_scored_until_timestamp_seconds": "Up to then the score counts.",
    f"{PREFIX}_scored_since_timestamp_seconds": "From then on the score counts.",
}


def _values(workload: Workload) -> dict[str, float | None]:
    outcome = workload.outcome
    if outcome is None:
        return {}
    seen, decision = outcome.seen, outcome.decision
    return {
        # An autoscaler may follow this one: what only watches must not move it.
        "forescale_recommended_replicas": None if decision is None else (outcome.floor or 0) * outcome.acts,
        "forescale_recommended_demand": None if decision is None else decision.planned_demand,
        f"{PREFIX}_floor_replicas": workload.floor,
        f"{PREFIX}_decided_floor_replicas": outcome.floor,
        f"{PREFIX}_hpa_alone_replicas": None if seen is None else seen.hpa_alone_replicas,
        f"{PREFIX}_forecast_replicas": None if decision is None else decision.forecast_replicas,
        f"{PREFIX}_target_replicas": None if seen is None else seen.replicas,
        f"{PREFIX}_demand": outcome.found.demand,
        f"{PREFIX}_startup_seconds": outcome.startup.seconds,
        f"{PREFIX}_startup_pods": outcome.startup.samples,
        f"{PREFIX}_trusted": None if seen is None else float(seen.is_trusted),
        f"{PREFIX}_has_opinion": None if decision is None else float(decision.has_opinion),
        f"{PREFIX}_scored_until_timestamp_seconds": workload.scorekeeper.scored_until(),
        f"{PREFIX}_scored_since_timestamp_seconds": workload.scorekeeper.scored_since(),
    }
