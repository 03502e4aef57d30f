"""One `PredictiveAutoscaler` as the API server gives it, and what it means to the decision core.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from controller.resource.spec import AutoscalerSpec, EventSpec, LeadKind
from controller.resource.status import AutoscalerStatus
from controller.spec import Cron, Event, GuardrailSettings, Override, ScalingSpec
from predictor.errors import InputError

DEFAULT_QUANTILE = 0.95
_SHOWN_PROBLEMS = 3


class Key(NamedTuple):
    """Names a namespaced object of a known kind."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class TargetKey(NamedTuple):
    """Names what is scaled.  Without the API group: two groups with one kind of the same name are not told apart."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource whose spec could be read."""

    key: Key
    uid: str
    generation: int
    created_at: datetime
    resource_version: str
    spec: AutoscalerSpec
    status: AutoscalerStatus

    @property
    def target(self) -> TargetKey:
        """What it scales."""
        ref = self.spec.scale_target_ref
        return TargetKey(self.key.namespace, ref.kind, ref.name)

    @property
    def workload(self) -> str:
        """Its name at the forecast server."""
        return self.spec.demand.workload or f"{self.key.namespace}.{self.key.name}"

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Resource:
        """Raises InputError when the spec is none: the CRD's schema may be older or newer than we are."""
        meta = manifest["metadata"]
        key = Key(meta["namespace"], meta["name"])
        try:
            spec = AutoscalerSpec.model_validate(manifest.get("spec") or {})
        except ValidationError as error:
            raise InputError(
                f"{key}: {_in_words(error)}; `kubectl explain pas.spec` says what belongs there"
            ) from error
        try:
            status = AutoscalerStatus.model_validate(manifest.get("status") or {})
        except ValidationError:  # another version's: it is a summary, and is written anew
            status = AutoscalerStatus()
        return cls(
            key,
            meta.get("uid", ""),
            meta.get("generation", 0),
            datetime.fromisoformat(meta.get("creationTimestamp", "1970-01-01T00:00:00Z")),
            meta.get("resourceVersion", ""),
            spec,
            status,
        )


class Bounds(NamedTuple):
    """Replicas between which the user lets the target be."""

    lowest: int
    highest: int


def bounds_of(spec: AutoscalerSpec, hpa: Bounds | None) -> Bounds:
    """The user's bounds here within those of the HPA; never above the HPA's maximum."""
    lowest = spec.bounds.min_replicas
    highest = spec.bounds.max_replicas
    if hpa is not None:
        lowest = hpa.lowest if lowest is None else max(lowest, hpa.lowest)
        highest = hpa.highest if highest is None else min(highest, hpa.highest)
    lowest = 1 if lowest is None else lowest
    highest = max(lowest, 1, 100) if highest is None else highest
    return Bounds(min(lowest, highest), highest)


def scaling_spec(
    resource: Resource,
    bounds: Bounds,
    *,
    startup_seconds: float,
    control_delay_seconds: float,
    horizon_seconds: int,
) -> ScalingSpec:
    """The decision core's spec.

    startup_seconds: measured or given.  control_delay_seconds: a cycle, an HPA sync and the metric's delay.
    horizon_seconds: how far the forecast at hand reaches.  Raises InputError when new pods take longer than that.
    """
    spec = resource.spec
    quantile = spec.quantile
    if spec.slo is not None:
        quantile = 1 - spec.slo.violation_target
    elif quantile is None and spec.cost_ratio is None:
        quantile = DEFAULT_QUANTILE
    rails = spec.guardrails
    return ScalingSpec(
        target=str(resource.target),
        demand_query=spec.demand.query,
        target_per_replica=spec.target_per_replica,
        reactive_target_per_replica=spec.reactive_target_per_replica or spec.target_per_replica,
        min_replicas=bounds.lowest,
        max_replicas=bounds.highest,
        startup_seconds=startup_seconds,
        control_delay_seconds=control_delay_seconds,
        slo_wait_seconds=spec.slo.wait_seconds if spec.slo is not None else 2.0,
        horizon_seconds=horizon_seconds,
        quantile=quantile,
        cost_ratio=spec.cost_ratio,
        mode=spec.mode,
        is_paused=spec.paused,
        overrides=tuple(_override(event) for event in spec.events),
        guardrails=GuardrailSettings(
            stale_after_seconds=rails.stale_after_seconds,
            hold_seconds=rails.hold_seconds,
            small_change_ratio=rails.small_change_ratio,
            scale_down_window_seconds=rails.scale_down_window_seconds,
            release_ratio_per_minute=rails.release_ratio_per_minute,
            collapse_ratio=rails.collapse_ratio,
            scale_up_ratio=rails.scale_up_ratio,
            scale_up_replicas=rails.scale_up_replicas,
            experience_demand=rails.experience_demand,
        ),
    )


def fixed_startup_seconds(spec: AutoscalerSpec) -> float | None:
    """The start-up time that the user gives instead of a measured one."""
    return float(spec.lead.startup_seconds or 0) if spec.lead.type is LeadKind.FIXED else None


def _override(event: EventSpec) -> Override:
    if event.cron is not None:
        return Cron(
            event.name,
            event.cron,
            event.duration_seconds or 0,
            event.time_zone,
            event.min_replicas,
            event.demand_factor,
        )
    if event.start is None or event.end is None:
        raise InputError(f"event {event.name}: give start and end, or cron and durationSeconds")
    return Event(event.name, event.start, event.end, event.min_replicas, event.demand_factor)


def _in_words(error: ValidationError) -> str:
    wrong = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"spec.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong[:_SHOWN_PROBLEMS]]
    more = f" and {len(wrong) - len(told)} more" if len(wrong) > len(told) else ""
    return "; ".join(told) + more
