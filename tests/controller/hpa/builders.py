"""HPAs, pods and looks for tests, with everything filled in that does not matter."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.hpa import (
    Behavior,
    ControllerSettings,
    HpaMemory,
    HpaSpec,
    MetricSpec,
    Outcome,
    Phase,
    Pod,
    PodValues,
    PolicyType,
    Reading,
    Sample,
    ScalingPolicy,
    ScalingRules,
    Seen,
    SelectPolicy,
    Source,
    TargetType,
    Values,
    reconcile,
)

EXACT = ControllerSettings(tolerance=0.0)  # so that every wish is a proposal
LONG_AGO = -10_000.0

DEMAND = MetricSpec(Source.EXTERNAL, TargetType.AVERAGE_VALUE, 1000, "demand")
QUEUE = MetricSpec(Source.OBJECT, TargetType.AVERAGE_VALUE, 1000, "queue")
CPU = MetricSpec(Source.RESOURCE, TargetType.UTILIZATION, 50, "cpu")
CPU_AVERAGE = MetricSpec(Source.RESOURCE, TargetType.AVERAGE_VALUE, 100, "cpu")
RATE = MetricSpec(Source.PODS, TargetType.AVERAGE_VALUE, 100, "rate")
NO_LIMIT = ScalingPolicy(PolicyType.PODS, 10_000, 15)  # a percentage would not get away from zero
ALL_AT_ONCE = ScalingPolicy(PolicyType.PERCENT, 100, 15)


def wants(replicas: int) -> Values:
    """A reading of `DEMAND` or `QUEUE` that asks for so many replicas."""
    return Values((replicas * 1000,))


def in_pods(count: int, period_seconds: int = 60) -> ScalingPolicy:
    return ScalingPolicy(PolicyType.PODS, count, period_seconds)


def in_percent(percent: int, period_seconds: int = 60) -> ScalingPolicy:
    return ScalingPolicy(PolicyType.PERCENT, percent, period_seconds)


def rules(
    *policies: ScalingPolicy,
    select: SelectPolicy = SelectPolicy.MAX,
    window_seconds: int | None = 0,
    tolerance: float | None = None,
) -> ScalingRules:
    return ScalingRules(policies, select, window_seconds, tolerance)


def a_spec(
    *metrics: MetricSpec,
    bounds: tuple[int, int] = (1, 1000),
    up: ScalingRules | None = None,
    down: ScalingRules | None = None,
) -> HpaSpec:
    """On demand unless metrics are given; without behavior unless rules for a direction are."""
    behavior = None
    if up is not None or down is not None:
        behavior = Behavior(up or rules(NO_LIMIT), down or rules(ALL_AT_ONCE))
    return HpaSpec(*bounds, metrics or (DEMAND,), behavior)


def a_pod(
    name: str = "p0",
    *,
    phase: Phase = Phase.RUNNING,
    is_ready: bool | None = True,
    ready_since: float | None = LONG_AGO,
    started: float | None = LONG_AGO,
    is_deleting: bool = False,
    request_milli: int | None = 100,
) -> Pod:
    requests = {} if request_milli is None else {"cpu": request_milli}
    return Pod(name, phase, is_ready, ready_since, started, is_deleting, requests)


def some_pods(count: int) -> tuple[Pod, ...]:
    return tuple(a_pod(f"p{index}") for index in range(count))


def samples(*milli: int, at: float = 0.0, window_seconds: float = 15.0, **named: int) -> PodValues:
    """Of p0, p1 and so on, then of the pods named."""
    values = {**{f"p{index}": value for index, value in enumerate(milli)}, **named}
    return PodValues({name: Sample(value, at) for name, value in values.items()}, window_seconds)


@dataclass
class Stepped:
    """An HPA that remembers from one look to the next."""

    spec: HpaSpec = field(default_factory=a_spec)
    settings: ControllerSettings = EXACT
    memory: HpaMemory = field(default_factory=HpaMemory)

    def look(
        self,
        now: float,
        replicas: int,
        *readings: Reading,
        pods: tuple[Pod, ...] = (),
        status_replicas: int | None = None,
        bounds: tuple[int, int] | None = None,
    ) -> Outcome:
        status = replicas if status_replicas is None else status_replicas
        lowest, highest = bounds or (None, None)
        seen = Seen(now, replicas, status, lowest, highest, pods, readings)
        outcome, self.memory = reconcile(self.spec, self.settings, seen, self.memory)
        return outcome


def reasons(outcome: Outcome) -> dict[str, str]:
    """Condition type -> reason."""
    return {name: condition.reason for name, condition in outcome.conditions.by_type().items()}
