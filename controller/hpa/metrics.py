"""From one metric's reading to the replicas it proposes, and from all metrics to one proposal.  Pure.

Replica counts are plain ints here.  The controller's are int32: proposals beyond two billion, which only a broken
metric makes, come out differently there on different processors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from controller.hpa.conditions import METRIC_FAILED, Condition
from controller.hpa.pods import count_ready, propose_from_pods
from controller.hpa.seen import PodValues, Seen, Values
from controller.hpa.spec import WITHOUT_PODS, ControllerSettings, HpaSpec, MetricSpec, TargetType, Tolerances
from predictor.errors import InputError


class Proposal(NamedTuple):
    """What the metrics together ask for."""

    replicas: int | None  # None: not enough of them could be read to decide
    failure: Condition | None  # of the first metric that could not be read; there may be replicas all the same


def propose(spec: HpaSpec, settings: ControllerSettings, seen: Seen) -> Proposal:
    """The highest proposal wins.  Where a metric fails the others may still scale up, but not down."""
    metrics, readings = spec.metrics, seen.readings
    if len(readings) != len(metrics):
        raise InputError(f"{len(readings)} readings for {len(metrics)} metrics; give one for each, Failed() if need be")
    tolerances = spec.tolerances(settings)
    replicas, has_answer, failure = 0, False, None
    for metric, reading in zip(metrics, readings, strict=True):
        answer: int | None = None
        if isinstance(reading, Values):
            if metric.source in WITHOUT_PODS:
                answer = propose_from_values(metric, tolerances, seen, reading)
        elif isinstance(reading, PodValues) and metric.source not in WITHOUT_PODS:
            answer = propose_from_pods(metric, settings, tolerances, seen, reading)
        if answer is None:
            failure = failure or METRIC_FAILED[metric.source]
        else:
            has_answer = True
            if replicas == 0 or answer > replicas:  # so that 0, then -3 from a negative metric, is -3, as it is there
                replicas = answer
    if not has_answer or (failure is not None and replicas < seen.spec_replicas):
        return Proposal(None, failure)
    return Proposal(max(replicas, 0), failure)


def propose_from_values(metric: MetricSpec, tolerances: Tolerances, seen: Seen, reading: Values) -> int | None:
    """Object and External metrics: the sum of the values against the target, per pod or as it is."""
    if not reading.milli:
        return None
    usage, target = float(sum(reading.milli)), float(metric.target)
    if metric.target_type is TargetType.AVERAGE_VALUE:
        # The pods that exist count here, not those asked for; without any, no tolerance can keep the present state.
        pods = seen.status_replicas
        if pods and tolerances.allow(usage / (target * float(pods))):
            return pods
        return math.ceil(usage / target)
    ratio = usage / target
    if seen.spec_replicas == 0:
        return math.ceil(ratio)
    if tolerances.allow(ratio):
        return seen.spec_replicas
    return math.ceil(ratio * float(count_ready(seen.pods))) if seen.pods else None
