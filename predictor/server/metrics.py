"""What a metrics server scrapes: forecasts, their scores with the counts they come from, and the server's own health.

Every workload gives the same bounded number of series (docs/serving.md counts them); what is not known is absent, never
zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from predictor.fleet.tally import Tally
from predictor.fleet.view import EXPORTED_LEVELS, Snapshot, View

_CYCLE_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
_REQUEST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


def exported_horizons(horizon: int) -> tuple[int, ...]:
    """Steps ahead that are exported: a third of the horizon, and all of it."""
    return tuple(sorted({max(1, horizon // 3), horizon}))


class ServerMetrics:
    """The registry, and what is counted as it happens."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        tally: Callable[[str], Tally | None],
        version: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody reads
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.cycle_seconds = Histogram(
            "forescale_cycle_duration_seconds",
            "Reading, forecasting, scoring and publishing all workloads once.",
            buckets=_CYCLE_BUCKETS,
            registry=self.registry,
        )
        self.cycle_failures = Counter(
            "forescale_cycle_failures", "Cycles that ended with an error of ours.", registry=self.registry
        )
        self.request_seconds = Histogram(
            "forescale_http_request_duration_seconds",
            "From the request to the last byte of its answer.",
            ["method", "route"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.requests = Counter(
            "forescale_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.registry.register(_SnapshotCollector(snapshot, tally, version, clock))


class _SnapshotCollector(Collector):
    """Turns the last snapshot into metrics when it is asked."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        tally: Callable[[str], Tally | None],
        version: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._snapshot, self._tally, self._version, self._clock = snapshot, tally, version, clock

    def describe(self) -> Iterable[Metric]:
        """Nothing is collected at registration: there is no snapshot yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family, the empty ones too, so that a scrape shows what there is."""
        snapshot, now = self._snapshot(), self._clock()
        yield _gauge("forescale_build", "The running version.", ["version"], [([self._version], 1.0)], suffix="_info")
        yield _gauge("forescale_workloads", "Workloads known.", [], [([], float(len(snapshot.views)))])
        yield CounterMetricFamily("forescale_cycles", "Snapshots published.", value=snapshot.cycle)
        yield _gauge("forescale_ready", "1 once every query was read.", [], [([], float(snapshot.is_ready))])
        families = _Families()
        for view in snapshot.views.values():
            _add_forecast(families, view, now)
            _add_scores(families, view)
            tally = self._tally(view.name)
            if tally is not None:
                _add_counts(families, view.name, tally)
        yield from families.all()


class _Families:
    """Metric families by name, in order."""

    def __init__(self) -> None:
        self.gauges: dict[str, GaugeMetricFamily] = {}
        self.counters: dict[str, CounterMetricFamily] = {}
        for name, labels, text in _GAUGES:
            self.gauges[name] = GaugeMetricFamily(f"forescale_{name}", text, labels=["workload", *labels])
        for name, labels, text in _COUNTERS:
            self.counters[name] = CounterMetricFamily(f"forescale_{name}", text, labels=["workload", *labels])

    def set(self, name: str, value: float | None, *labels: str) -> None:
        """One sample; none when the value is not known."""
        if value is not None:
            self.gauges[name].add_metric(labels, value)

    def all(self) -> Iterator[Metric]:
        """Everything."""
        yield from self.gauges.values()
        yield from self.counters.values()


_GAUGES: tuple[tuple[str, list[str], str], ...] = (
    ("demand", [], "Newest observed demand, in the unit of its query."),
    ("target_per_replica", [], "Demand that one replica carries, as configured or derived."),
    ("observed_replicas", [], "Newest observed replicas."),
    ("forecast_demand", ["quantile", "horizon_seconds"], "Demand expected so far ahead."),
    ("forecast_window_max_demand", ["quantile", "horizon_seconds"], "Highest demand expected until then."),
    ("alarm_demand", [], "Demand that the alarm rule compares with what is held."),
    ("forecast_age_seconds", [], "Since the newest sample that the forecast knows."),
    ("forecast_available", [], "1 when a forecast can be given out."),
    ("forecast_unavailable", ["reason"], "1 with the reason when none can."),
    ("data_age_seconds", [], "Since the newest observed sample."),
    ("calibrated", [], "1 when the online layer is rebuilt from all history that is kept."),
    ("trust", ["state"], "1 with the state: trusted, distrusted or unproven."),
    ("score_pairs", ["horizon_seconds"], "Forecasts of the window whose outcome is known: what the ratios come from."),
    ("score_wape_ratio", ["horizon_seconds"], "Sum of absolute errors / sum of demand, of the median."),
    ("score_persistence_wape_ratio", ["horizon_seconds"], "The same of repeating the last value."),
    ("score_skill_ratio", ["horizon_seconds"], "1 - WAPE / persistence's WAPE."),
    ("score_coverage_ratio", ["head", "quantile", "horizon_seconds"], "Share of outcomes at or below the quantile."),
    ("score_coverage_pairs", ["head", "horizon_seconds"], "Outcomes that the coverage comes from."),
    ("score_recall_ratio", [], "Surges with an alarm 5 to 20 minutes before / surges."),
    ("score_surges", [], "Surges of the window."),
    ("score_false_alarm_ratio", [], "False alarms / resolved alarms."),
    ("score_resolved_alarms", [], "Alarms of the window that were hits or false."),
    ("score_window_seconds", [], "Length of the window that the scores are of."),
)
_COUNTERS: tuple[tuple[str, list[str], str], ...] = (
    ("alarms", ["outcome"], "Alarms resolved since the start: hit, false, or unobserved."),
    ("surges", ["outcome"], "Surges since the start: caught or missed."),
)


def _add_forecast(families: _Families, view: View, now: datetime) -> None:
    name, refusal = view.name, view.refusal_at(now)
    families.set("demand", view.demand, name)
    families.set("target_per_replica", view.target, name)
    families.set("observed_replicas", view.replicas, name)
    families.set("forecast_available", float(refusal is None), name)
    if view.freshness.last_sample_at is not None:
        families.set("data_age_seconds", (now - view.freshness.last_sample_at).total_seconds(), name)
    if refusal is not None:
        families.set("forecast_unavailable", 1.0, name, refusal[0].value)
        return
    if view.path is None or view.peak is None or view.issued_at is None or view.step_seconds is None:
        return
    families.set("forecast_age_seconds", (now - view.issued_at).total_seconds(), name)
    families.set("alarm_demand", view.alarm_demand, name)
    columns = [(at, f"{level:g}") for at, level in enumerate(view.levels) if level in EXPORTED_LEVELS]
    for step in exported_horizons(len(view.path)):
        ahead = str(step * view.step_seconds)
        for at, quantile in columns:
            families.set("forecast_demand", float(view.path[step - 1, at]), name, quantile, ahead)
            families.set("forecast_window_max_demand", float(view.peak[step - 1, at]), name, quantile, ahead)


def _add_scores(families: _Families, view: View) -> None:
    name = view.name
    families.set("trust", 1.0, name, view.trust.state.value)
    if view.calibration is not None:
        families.set("calibrated", float(view.calibration.is_warm), name)
    if view.score is not None:
        ahead = str(view.score.horizon_seconds)
        families.set("score_pairs", float(view.score.pairs), name, ahead)
        families.set("score_wape_ratio", view.score.wape, name, ahead)
        families.set("score_persistence_wape_ratio", view.score.persistence_wape, name, ahead)
        families.set("score_skill_ratio", view.score.skill, name, ahead)
        families.set("score_window_seconds", float(view.score.window_seconds), name)
        for head, level, pairs, covered in view.coverage:
            families.set("score_coverage_ratio", covered / pairs if pairs else None, name, head, f"{level:g}", ahead)
        for head, pairs in dict.fromkeys((head, pairs) for head, _, pairs, _ in view.coverage):
            families.set("score_coverage_pairs", float(pairs), name, head, ahead)
    if view.alarms is not None:
        families.set("score_recall_ratio", view.alarms.recall, name)
        families.set("score_surges", float(view.alarms.surges), name)
        families.set("score_false_alarm_ratio", view.alarms.false_alarm_ratio, name)
        families.set("score_resolved_alarms", float(view.alarms.hits + view.alarms.false_alarms), name)


def _add_counts(families: _Families, name: str, tally: Tally) -> None:
    for outcome, count in (("hit", tally.hits), ("false", tally.false_alarms), ("unobserved", tally.unobserved)):
        families.counters["alarms"].add_metric([name, outcome], count)
    for outcome, count in (("caught", tally.caught), ("missed", tally.missed)):
        families.counters["surges"].add_metric([name, outcome], count)


def _gauge(
    name: str, text: str, labels: list[str], samples: list[tuple[list[str], float]], *, suffix: str = ""
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name + suffix, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def series_per_workload(horizon: int) -> int:
    """The most series that one workload gives: what to reckon with for a large fleet."""
    quantiles, horizons = len(EXPORTED_LEVELS), len(exported_horizons(horizon))
    shares = {
        "forecast_demand": quantiles * horizons,
        "forecast_window_max_demand": quantiles * horizons,
        "score_coverage_ratio": 2 * quantiles,
        "score_coverage_pairs": 2,
    }
    return sum(shares.get(name, 1) for name, _, _ in _GAUGES) + 3 + 2
