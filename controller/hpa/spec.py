"""What an HPA is told to do, and how its controller is set up.  Frozen, defaults filled in, without I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from controller.hpa.manifest import INT32_MAX, Fields
from controller.hpa.quantity import to_float, to_milli
from predictor.errors import InputError

_LONGEST_WINDOW_SECONDS = 3600
_LONGEST_PERIOD_SECONDS = 1800


class Source(StrEnum):
    """Where a metric comes from.  ContainerResource is not reproduced."""

    RESOURCE = "Resource"
    PODS = "Pods"
    OBJECT = "Object"
    EXTERNAL = "External"


class TargetType(StrEnum):
    """What the target is compared with."""

    UTILIZATION = "Utilization"
    AVERAGE_VALUE = "AverageValue"
    VALUE = "Value"


class PolicyType(StrEnum):
    """Whether a rate limit counts replicas or a share of them."""

    PODS = "Pods"
    PERCENT = "Percent"


class SelectPolicy(StrEnum):
    """Which of several rate limits holds: that of the greatest or of the smallest change, or no change at all."""

    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


_FIELDS = {
    TargetType.UTILIZATION: "averageUtilization",
    TargetType.AVERAGE_VALUE: "averageValue",
    TargetType.VALUE: "value",
}
_TARGET_TYPES = {
    Source.RESOURCE: (TargetType.UTILIZATION, TargetType.AVERAGE_VALUE),
    Source.PODS: (TargetType.AVERAGE_VALUE,),
    Source.OBJECT: (TargetType.VALUE, TargetType.AVERAGE_VALUE),
    Source.EXTERNAL: (TargetType.VALUE, TargetType.AVERAGE_VALUE),
}
WITHOUT_PODS = (Source.OBJECT, Source.EXTERNAL)  # their metrics exist at zero replicas too


class Tolerances(NamedTuple):
    """How far a metric may be from its target, as a share of it, before replicas change; the edges belong to it."""

    down_ratio: float
    up_ratio: float

    def allow(self, ratio: float) -> bool:
        """Whether usage over target is near enough to 1."""
        return 1.0 - self.down_ratio <= ratio <= 1.0 + self.up_ratio


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Flags of kube-controller-manager that matter here, with its defaults."""

    tolerance: float = 0.1
    downscale_stabilization_seconds: int = 300
    cpu_initialization_period_seconds: int = 300
    initial_readiness_delay_seconds: int = 30
    sync_period_seconds: int = 15  # how often the caller steps the twin

    def __post_init__(self) -> None:
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
            raise InputError(f"tolerance is {self.tolerance}; give a share of 0 or more, such as 0.1")
        for name in (
            "downscale_stabilization_seconds",
            "cpu_initialization_period_seconds",
            "initial_readiness_delay_seconds",
        ):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; give 0 or more seconds")
        if self.sync_period_seconds <= 0:
            raise InputError(f"sync_period_seconds is {self.sync_period_seconds}; give a period above 0 seconds")


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric and its target: a percentage of the request for Utilization, milli-units otherwise."""

    source: Source
    target_type: TargetType
    target: int
    name: str = ""

    def __post_init__(self) -> None:
        where = f"metric {self.name or self.source}"
        if self.target_type not in _TARGET_TYPES[self.source]:
            allowed = " or ".join(_TARGET_TYPES[self.source])
            raise InputError(f"{where}: {self.source} metrics have no target type {self.target_type}; give {allowed}")
        if self.target <= 0:
            raise InputError(f"{where}: the target is {self.target}; give one above 0")

    @classmethod
    def from_fields(cls, fields: Fields) -> MetricSpec:
        """Read one entry of `spec.metrics`."""
        source = fields.required_choice("type", Source)
        body = fields.required_section(source.lower(), "the metric and its target")
        target = body.required_section("target", "{type: AverageValue, averageValue: 100m}")
        target_type = target.required_choice("type", TargetType)
        if target_type not in _TARGET_TYPES[source]:
            allowed = " or ".join(_TARGET_TYPES[source])
            raise InputError(f"{target.path('type')} is {target_type}, which {source} has not; give {allowed}")
        field = _FIELDS[target_type]
        others = [other for other in _FIELDS.values() if other != field and target.has(other)]
        if others:
            raise InputError(
                f"{target.where} has type {target_type} and a field {others[0]}; give {field} and nothing else"
            )
        if target_type is TargetType.UTILIZATION:
            value: int | None = target.integer(field, least=1)
        else:
            nano = target.nano(field)
            value = None if nano is None else to_milli(nano)
        if value is None or value <= 0:
            raise InputError(f"{target.path(field)} is {value}; {target_type} needs it, above 0")
        named = body if source is Source.RESOURCE else body.section("metric")
        return cls(source, target_type, value, named.text("name") if named else "")


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """A rate limit: so many replicas, or percent of them, within a period."""

    type: PolicyType
    value: int
    period_seconds: int

    def __post_init__(self) -> None:
        if not 0 < self.value <= INT32_MAX or not 0 < self.period_seconds <= _LONGEST_PERIOD_SECONDS:
            raise InputError(
                f"scaling policy {self.type}: {self.value} in {self.period_seconds} s; "
                f"give a value above 0 and a period of 1 to {_LONGEST_PERIOD_SECONDS} seconds"
            )

    @classmethod
    def from_fields(cls, fields: Fields) -> ScalingPolicy:
        """Read one entry of `policies`."""
        return cls(
            fields.required_choice("type", PolicyType),
            fields.required_integer("value", least=1),
            fields.required_integer("periodSeconds", least=1, most=_LONGEST_PERIOD_SECONDS),
        )


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """How replicas may move in one direction."""

    policies: tuple[ScalingPolicy, ...]
    select: SelectPolicy = SelectPolicy.MAX
    stabilization_window_seconds: int | None = None  # None: on the way up 0, on the way down what the controller says
    tolerance: float | None = None  # None: the controller's; 0 is a value of its own

    def __post_init__(self) -> None:
        if not self.policies:
            raise InputError("scaling rules without policies; give at least one, or leave the rules out")
        window, tolerance = self.stabilization_window_seconds, self.tolerance
        if window is not None and not 0 <= window <= _LONGEST_WINDOW_SECONDS:
            raise InputError(f"stabilization window of {window} s; give 0 to {_LONGEST_WINDOW_SECONDS} seconds")
        if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
            raise InputError(f"tolerance is {tolerance}; give a share of 0 or more, such as 0.05")

    @property
    def longest_period_seconds(self) -> int:
        """After so long no policy of this direction looks at a scale event any more."""
        return max(policy.period_seconds for policy in self.policies)

    @classmethod
    def from_fields(cls, fields: Fields | None, defaults: ScalingRules) -> ScalingRules:
        """Read `scaleUp` or `scaleDown`; each field left out gets its default."""
        if fields is None:
            return defaults
        policies = fields.sections("policies")
        if policies == ():
            raise InputError(f"{fields.path('policies')} is empty; give a policy, or leave the field out")
        tolerance = fields.nano("tolerance")
        if tolerance is not None and tolerance < 0:
            raise InputError(f"{fields.path('tolerance')} is negative; give 0 or more, such as 50m")
        return cls(
            defaults.policies if policies is None else tuple(ScalingPolicy.from_fields(each) for each in policies),
            fields.choice("selectPolicy", SelectPolicy) or defaults.select,
            fields.integer("stabilizationWindowSeconds", least=0, most=_LONGEST_WINDOW_SECONDS),
            None if tolerance is None else to_float(tolerance),
        )


DEFAULT_SCALE_UP = ScalingRules(
    (ScalingPolicy(PolicyType.PODS, 4, 15), ScalingPolicy(PolicyType.PERCENT, 100, 15)),
)
DEFAULT_SCALE_DOWN = ScalingRules((ScalingPolicy(PolicyType.PERCENT, 100, 15),))


@dataclass(frozen=True, slots=True)
class Behavior:
    """The rules of both directions.  An HPA without any behaves differently from one with these defaults."""

    scale_up: ScalingRules = DEFAULT_SCALE_UP
    scale_down: ScalingRules = DEFAULT_SCALE_DOWN


DEFAULT_METRICS = (MetricSpec(Source.RESOURCE, TargetType.UTILIZATION, 80, "cpu"),)


@dataclass(frozen=True, slots=True)
class HpaSpec:
    """The `spec` of an `autoscaling/v2` HorizontalPodAutoscaler after the API server has filled in its defaults."""

    min_replicas: int
    max_replicas: int
    metrics: tuple[MetricSpec, ...] = DEFAULT_METRICS
    behavior: Behavior | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_replicas <= self.max_replicas <= INT32_MAX or self.max_replicas < 1:
            raise InputError(
                f"HPA with {self.min_replicas} to {self.max_replicas} replicas; give 0 <= minReplicas <= maxReplicas "
                "and maxReplicas of 1 or more"
            )
        if not self.metrics:
            raise InputError("HPA without metrics; give at least one")
        if self.min_replicas == 0 and not self.outlives_pods:
            raise InputError(
                "HPA with minReplicas 0 and no Object or External metric, so nothing could wake it; "
                "add one or set minReplicas to 1"
            )

    @property
    def outlives_pods(self) -> bool:
        """Whether some metric exists without pods, so that the HPA may go to zero and come back."""
        return any(metric.source in WITHOUT_PODS for metric in self.metrics)

    def tolerances(self, settings: ControllerSettings) -> Tolerances:
        """The tolerance of each direction: the behavior's own before the controller's."""
        if self.behavior is None:
            return Tolerances(settings.tolerance, settings.tolerance)
        down, up = self.behavior.scale_down.tolerance, self.behavior.scale_up.tolerance
        return Tolerances(settings.tolerance if down is None else down, settings.tolerance if up is None else up)

    @classmethod
    def from_manifest(cls, spec: Mapping[str, object]) -> HpaSpec:
        """Read the `spec` part of an `autoscaling/v2` manifest, as a user writes it or as the cluster returns it."""
        fields = Fields(spec, "spec")
        max_replicas = fields.required_integer("maxReplicas", least=1)
        min_replicas = fields.integer("minReplicas", least=0, most=max_replicas)
        behavior = fields.section("behavior")
        return cls(
            1 if min_replicas is None else min_replicas,
            max_replicas,
            tuple(MetricSpec.from_fields(each) for each in fields.sections("metrics") or ()) or DEFAULT_METRICS,
            None
            if behavior is None
            else Behavior(
                ScalingRules.from_fields(behavior.section("scaleUp"), DEFAULT_SCALE_UP),
                ScalingRules.from_fields(behavior.section("scaleDown"), DEFAULT_SCALE_DOWN),
            ),
        )

    @classmethod
    def for_demand(
        cls,
        target_per_replica_milli: int,
        min_replicas: int,
        max_replicas: int,
        scale_down_stabilization_seconds: int | None = None,
        scale_up_stabilization_seconds: int | None = None,
    ) -> HpaSpec:
        """An HPA on one External metric, demand, as an average per replica.

        Without windows it has no behavior; with one it has the default behavior but for that window.
        """
        behavior = None
        if scale_down_stabilization_seconds is not None or scale_up_stabilization_seconds is not None:
            behavior = Behavior(
                ScalingRules(DEFAULT_SCALE_UP.policies, stabilization_window_seconds=scale_up_stabilization_seconds),
                ScalingRules(
                    DEFAULT_SCALE_DOWN.policies, stabilization_window_seconds=scale_down_stabilization_seconds
                ),
            )
        metric = MetricSpec(Source.EXTERNAL, TargetType.AVERAGE_VALUE, target_per_replica_milli, "demand")
        return cls(min_replicas, max_replicas, (metric,), behavior)
