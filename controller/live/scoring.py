"""Keeps one resource's score, and knows what the HPA alone would hold.  No I/O."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.hpa import ControllerSettings
from controller.live.alarms import AlarmBook
from controller.live.arrange import Setup
from controller.live.score import Counts, account
from controller.live.twin import HpaAlone, Starting, Totals, plan_of
from controller.resource.resource import Bounds
from controller.resource.spec import ActuatorKind
from controller.resource.status import ScoreStatus
from controller.spec import ScalingSpec
from controller.vocabulary import Decision, Observation

PREFIX = "forescale_controller"


class Scorekeeper:
    """One resource's.  Counters go on from `counts`, which were true until `until` (Unix seconds)."""

    def __init__(
        self,
        settings: ControllerSettings,
        *,
        counts: Counts | None = None,
        until: float | None = None,
        since: float | None = None,
    ) -> None:
        """settings: how the cluster's HPA controller is set up.  since: when counting began."""
        self._settings = settings
        self._before = counts or Counts()  # of earlier processes, alarms included
        self.counts = Counts.from_mapping(self._before.as_mapping())
        self._until, self._since = until, since
        self._twin: HpaAlone | None = None
        self._hpa_pods: Starting | None = None
        self._forecast_pods: Starting | None = None
        self._alarms: AlarmBook | None = None

    def hpa_alone(
        self, setup: Setup, bounds: Bounds, demand: float | None, startup_seconds: float, now: datetime
    ) -> int | None:
        """What the HPA alone would hold now; None where there is none and demand is not known."""
        hpa, spec, at = setup.hpa, setup.resource.spec, now.timestamp()
        if hpa is None and demand is None and self._twin is None:
            return None
        target = spec.reactive_target_per_replica or spec.target_per_replica
        lowest, highest = bounds if hpa is None else hpa.user_bounds
        # KEDA calls every Prometheus query alike, ours too: its HPA does not say what it would hold without us.
        is_mixed = hpa is not None and hpa.is_kedas and spec.actuator is ActuatorKind.METRIC
        text = None if hpa is None or is_mixed else hpa.spec_text
        plan = plan_of(text, lowest, highest, round(target * 1000))
        pods = 0 if hpa is None else hpa.current_replicas
        if self._twin is None:
            found = min(max(pods or lowest, lowest), highest)
            self._twin = HpaAlone(found, at)
            self._hpa_pods, self._forecast_pods = Starting(found, []), Starting(found, [])
        totals = Totals(() if hpa is None else hpa.readings, pods, demand)
        return self._twin.advance(plan, totals, self._settings, at)

    def account(
        self, spec: ScalingSpec, seen: Observation, decision: Decision, floor: int | None, ready: int, now: datetime
    ) -> None:
        """Count the time since the last call, and look at alarms once a step."""
        at = now.timestamp()
        if self._since is None:
            self._since = at
        hpa_ready = forecast_ready = None
        twin = self._twin
        if twin is not None and self._hpa_pods is not None and self._forecast_pods is not None:
            hpa_ready = self._hpa_pods.follow(twin.desired, spec.startup_seconds, at)
            forecast_ready = self._forecast_pods.follow(max(twin.desired, floor or 0), spec.startup_seconds, at)
            if not twin.is_settled(at):
                hpa_ready = forecast_ready = None
        if self._until is not None:
            account(
                self.counts,
                at - self._until,
                seen.demand,
                spec.target_per_replica,
                hpa_ready=hpa_ready,
                forecast_ready=forecast_ready,
                observed_ready=ready,
            )
        self._until = at if self._until is None else max(self._until, at)
        self._count_alarms(spec, seen, decision, at)

    def _count_alarms(self, spec: ScalingSpec, seen: Observation, decision: Decision, at: float) -> None:
        step = 60 if seen.forecast is None else seen.forecast.step_seconds
        if self._alarms is None or (seen.forecast is not None and self._alarms.step_seconds != step):
            self._alarms = AlarmBook(step)
        if self._alarms.add(at, seen.demand, decision.planned_demand, spec.target_per_replica):
            found, counts, before = self._alarms.counts, self.counts, self._before
            counts.hits, counts.false_alarms = before.hits + found.hits, before.false_alarms + found.false_alarms
            counts.surges, counts.surges_caught = before.surges + found.surges, before.surges_caught + found.caught

    def summary(self) -> ScoreStatus | None:
        """For the status."""
        if self._since is None:
            return None
        counts = self.counts
        return ScoreStatus(
            since=datetime.fromtimestamp(int(self._since), UTC),
            scored_minutes=int(counts.scored_seconds // 60),
            unscored_minutes=int(counts.unscored_seconds // 60),
            alarms=int(counts.hits + counts.false_alarms),
            false_alarms=int(counts.false_alarms),
            hits=int(counts.hits),
            surges=int(counts.surges),
            surges_caught=int(counts.surges_caught),
            replica_minutes_added=int(counts.added_replica_seconds // 60),
            under_minutes_hpa=int(counts.hpa_underprovisioned_seconds // 60),
            under_minutes=int(counts.forecast_underprovisioned_seconds // 60),
        )

    def scored_until(self) -> float | None:
        """Unix seconds up to which the counters count."""
        return self._until

    def scored_since(self) -> float | None:
        """Unix seconds from which they count."""
        return self._since
