"""What the HPA alone would hold on the same load, whatever we did: the HPA twin, run live.  Pure.

Every reading of the real HPA is turned into the total over all pods, and that total is divided by the *twin's* pods:
more pods of ours make each one idler, which must not look like less load.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from controller.hpa import (
    ControllerSettings,
    Failed,
    HpaMemory,
    HpaSpec,
    MetricSpec,
    Phase,
    Pod,
    Reading,
    Seen,
    Source,
    TargetType,
    Values,
    reconcile,
)
from controller.kube.hpas import Current
from predictor.errors import InputError

_MOST_STEPS_AT_ONCE = 4  # after a long pause the HPA's next steps matter, not all that were missed
_OURS = "forescale"  # metrics of ours, through which a user's HPA follows the recommendation
_PERCENT = 1000  # milli-units of a percent of the request


@dataclass(frozen=True, slots=True)
class Plan:
    """An HPA as the twin runs it: metrics by their totals, without those that we publish."""

    spec: HpaSpec
    sources: tuple[int, ...]  # position in the HPA's own list of each metric, or none: demand itself


class Totals(NamedTuple):
    """Readings of the real HPA, and of how many pods they are averages."""

    readings: tuple[Current, ...]
    pods: int
    demand: float | None


@lru_cache(maxsize=4096)
def plan_of(spec_text: str | None, lowest: int, highest: int, demand_target_milli: int) -> Plan:
    """From an HPA's spec as JSON; without one, or with metrics beyond the twin, an HPA on demand itself.

    lowest, highest: the user's own bounds.
    """
    bounds = {"minReplicas": lowest, "maxReplicas": max(highest, lowest, 1)}
    if spec_text is not None:
        try:
            spec = HpaSpec.from_manifest(json.loads(spec_text) | bounds)
            kept = [(at, metric) for at, metric in enumerate(spec.metrics) if _OURS not in metric.name]
            if kept:
                metrics = tuple(_by_total(metric) for _, metric in kept)
                converted = HpaSpec(max(lowest, 0), bounds["maxReplicas"], metrics, spec.behavior)
                return Plan(converted, tuple(at for at, _ in kept))
        except InputError:
            pass
    return Plan(HpaSpec.for_demand(max(demand_target_milli, 1), lowest, bounds["maxReplicas"]), ())


def _by_total(metric: MetricSpec) -> MetricSpec:
    """The same comparison with the total over all pods."""
    if metric.target_type is TargetType.VALUE:
        return MetricSpec(Source.EXTERNAL, TargetType.VALUE, metric.target, metric.name)
    scale = _PERCENT if metric.target_type is TargetType.UTILIZATION else 1
    return MetricSpec(Source.EXTERNAL, TargetType.AVERAGE_VALUE, metric.target * scale, metric.name)


def readings_of(plan: Plan, totals: Totals) -> tuple[Reading, ...]:
    """One per metric of the plan."""
    if not plan.sources:
        return (Failed("demand is not known") if totals.demand is None else Values((round(totals.demand * 1000),)),)
    return tuple(_reading(totals.readings, at, totals.pods) for at in plan.sources)


def _reading(readings: Sequence[Current], at: int, pods: int) -> Reading:
    if at >= len(readings):
        return Failed("not read yet")
    found = readings[at]
    if found.utilization_percent is not None:
        return Values((found.utilization_percent * _PERCENT * pods,))
    if found.average_milli is not None:
        return Values((found.average_milli * pods,))
    if found.value_milli is not None:
        return Values((found.value_milli,))
    return Failed("not read")


@dataclass(slots=True)
class Starting:
    """Pods that were asked for and are not Ready yet."""

    ready: int
    pending: list[tuple[float, int]]  # when they will be, how many

    def follow(self, asked: int, startup_seconds: float, now: float) -> int:
        """Ready pods at `now`, with so many asked for from now on; fewer takes those that start first."""
        self.ready += sum(count for at, count in self.pending if at <= now)
        self.pending = [(at, count) for at, count in self.pending if at > now]
        missing = asked - self.ready - sum(count for _, count in self.pending)
        if missing > 0:
            self.pending.append((now + startup_seconds, missing))
        while missing < 0 and self.pending:
            at, count = self.pending.pop()
            taken = min(count, -missing)
            missing += taken
            if count > taken:
                self.pending.append((at, count - taken))
        self.ready = min(self.ready, asked)
        return self.ready


class HpaAlone:
    """The twin of one target's HPA."""

    def __init__(self, replicas: int, now: float) -> None:
        """replicas: what was found at the start; nothing better is known."""
        self.desired = replicas
        self._memory = HpaMemory()
        self._synced_at: float | None = None
        self._begun_at = now
        self._window_seconds = 300.0

    def is_settled(self, now: float) -> bool:
        """Whether what was found at the start has no effect any more: the HPA remembers one stabilization window."""
        return now - self._begun_at >= self._window_seconds

    def advance(self, plan: Plan, totals: Totals, settings: ControllerSettings, now: float) -> int:
        """Replicas that it holds at `now` (seconds); time that runs backwards stands still."""
        spec = plan.spec
        window = None if spec.behavior is None else spec.behavior.scale_down.stabilization_window_seconds
        self._window_seconds = float(settings.downscale_stabilization_seconds if window is None else window)
        period = settings.sync_period_seconds
        last = self._synced_at
        steps = 1 if last is None else min(int((now - last) / period), _MOST_STEPS_AT_ONCE)
        readings = readings_of(plan, totals)
        for left in reversed(range(max(steps, 0))):
            self._sync(spec, settings, readings, now - left * period)
            self._synced_at = now
        # The bounds hold at once, as the real controller acts on a changed spec.
        self.desired = min(max(self.desired, spec.min_replicas), spec.max_replicas)
        return self.desired

    def _sync(self, spec: HpaSpec, settings: ControllerSettings, readings: tuple[Reading, ...], at: float) -> None:
        needs_pods = any(metric.target_type is TargetType.VALUE for metric in spec.metrics)
        pods = _ready_pods(self.desired) if needs_pods else ()
        seen = Seen(at, self.desired, self.desired, pods=pods, readings=readings)
        outcome, self._memory = reconcile(spec, settings, seen, self._memory)
        if outcome.scaled_to is not None:
            self.desired = outcome.scaled_to


@lru_cache(maxsize=512)
def _ready_pods(count: int) -> tuple[Pod, ...]:
    return tuple(Pod(f"pod-{at}", Phase.RUNNING, is_ready=True, ready_since=0.0, started=0.0) for at in range(count))
