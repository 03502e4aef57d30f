"""Resource and Pods metrics: from samples of single pods to a replica proposal.  Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from controller.hpa.seen import Phase, Pod, PodValues, Seen
from controller.hpa.spec import ControllerSettings, MetricSpec, Source, TargetType, Tolerances

Usage = dict[str, int]  # milli-units by pod name


class PodGroups(NamedTuple):
    """Pods by what their samples are worth."""

    counted: int
    unready: tuple[str, ...]
    missing: tuple[str, ...]  # alive, but without a sample
    ignored: tuple[str, ...]  # on their way out


def propose_from_pods(
    metric: MetricSpec, settings: ControllerSettings, tolerances: Tolerances, seen: Seen, reading: PodValues
) -> int | None:
    """The replicas that bring the pods' usage to its target, or None when that cannot be said.

    Looks twice: first at the pods with samples worth counting; if others exist, then again with cautious guesses for
    those, and only what both looks agree on is proposed.
    """
    if not seen.pods:
        return None
    is_resource = metric.source is Source.RESOURCE
    groups = group_pods(seen.pods, reading, settings, now=seen.now, is_cpu=is_resource and metric.name == "cpu")
    left_out = {*groups.ignored, *groups.unready}
    usage = {name: sample.milli for name, sample in reading.samples.items() if name not in left_out}
    if not usage:
        return None
    if metric.target_type is TargetType.UTILIZATION:
        requests = total_requests(seen.pods, metric.name)
        if requests is None:
            return None
        return _propose(groups, usage, _Utilization(metric.target, requests), tolerances, seen.spec_replicas)
    return _propose(groups, usage, _Average(metric.target), tolerances, seen.spec_replicas)


def group_pods(
    pods: Sequence[Pod], reading: PodValues, settings: ControllerSettings, *, now: float, is_cpu: bool
) -> PodGroups:
    """Sort the pods; the order of the questions matters, and only CPU asks whether a pod is ready."""
    unready, missing, ignored = [], [], []
    for pod in pods:
        if pod.is_deleting or pod.phase is Phase.FAILED:
            ignored.append(pod.name)
        elif pod.phase is Phase.PENDING:
            unready.append(pod.name)
        elif pod.name not in reading.samples:
            missing.append(pod.name)
        elif is_cpu and _is_unready(pod, reading, settings, now):
            unready.append(pod.name)
    counted = len(pods) - len(unready) - len(missing) - len(ignored)
    return PodGroups(counted, tuple(unready), tuple(missing), tuple(ignored))


def _is_unready(pod: Pod, reading: PodValues, settings: ControllerSettings, now: float) -> bool:
    """Whether the CPU a pod burns says nothing about load, because it is still starting."""
    if pod.is_ready is None or pod.ready_since is None or pod.started is None:
        return True
    if pod.started + settings.cpu_initialization_period_seconds > now:
        # A sample counts only if all of its window came after the last change of readiness.
        return not pod.is_ready or reading.samples[pod.name].at < pod.ready_since + reading.window_seconds
    # Later only a pod that has never been ready: its condition has not changed since shortly after the start.
    return not pod.is_ready and pod.started + settings.initial_readiness_delay_seconds > pod.ready_since


def count_ready(pods: Sequence[Pod]) -> int:
    """Pods that run and are ready, those being deleted among them: what Object and External values multiply."""
    return sum(pod.phase is Phase.RUNNING and pod.is_ready is True for pod in pods)


def total_requests(pods: Sequence[Pod], resource: str) -> dict[str, int] | None:
    """Each pod's request in milli-units, or None if a single one has none: the controller then gives up."""
    requests = {pod.name: pod.requests_milli.get(resource) for pod in pods}
    known = {name: request for name, request in requests.items() if request is not None}
    return known if len(known) == len(requests) else None


class _Average(NamedTuple):
    """Compares the average per sample with a target in milli-units."""

    target_milli: int

    def ratio(self, usage: Usage) -> float:
        return float(truncated_quotient(sum(usage.values()), len(usage))) / float(self.target_milli)

    def cautious(self, _name: str) -> int:
        return self.target_milli


class _Utilization(NamedTuple):
    """Compares usage, as a whole percentage of what is requested, with a target percentage."""

    target_percent: int
    requests_milli: Mapping[str, int]

    def ratio(self, usage: Usage) -> float | None:
        """None when no sample is of a pod we know, for then there is no request to compare with."""
        known = [name for name in usage if name in self.requests_milli]
        requested = sum(self.requests_milli[name] for name in known)
        if requested == 0:
            return None
        percent = truncated_quotient(sum(usage[name] for name in known) * 100, requested)
        return float(percent) / float(self.target_percent)

    def cautious(self, name: str) -> int:
        """All that the pod requested, or more where the target is more."""
        return truncated_quotient(self.requests_milli[name] * max(100, self.target_percent), 100)


def _propose(
    groups: PodGroups, usage: Usage, measure: _Average | _Utilization, tolerances: Tolerances, current: int
) -> int | None:
    ratio = measure.ratio(usage)
    if ratio is None:
        return None
    if not groups.missing and not (groups.unready and ratio > 1.0):
        return current if tolerances.allow(ratio) else math.ceil(ratio * float(groups.counted))
    guessed = dict(usage)
    if ratio < 1.0:
        guessed.update((name, measure.cautious(name)) for name in groups.missing)
    elif ratio > 1.0:
        guessed.update((name, 0) for name in (*groups.missing, *groups.unready))
    second = measure.ratio(guessed)
    assert second is not None  # noqa: S101 - the second look only adds pods, so there are requests
    turns = (ratio < 1.0 < second) or (second < 1.0 < ratio)
    if tolerances.allow(second) or turns:
        return current
    proposal = math.ceil(second * float(len(guessed)))
    moves_against = (second < 1.0 and proposal > current) or (second > 1.0 and proposal < current)
    return current if moves_against else proposal


def truncated_quotient(dividend: int, divisor: int) -> int:
    """Integer division as Go does it, towards zero; Python's own goes down.  The divisor is positive."""
    return dividend // divisor if dividend >= 0 else -(-dividend // divisor)
