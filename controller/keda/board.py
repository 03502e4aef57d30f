"""What KEDA is told: the floor of each resource, for as long as somebody stands behind it.

The cycle writes, the scaler reads, each in a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from controller.live.workload import Workload
from controller.resource.resource import Key, Resource
from controller.resource.spec import ActuatorKind
from controller.resource.status import ConditionType, Verdict


class Opinion(NamedTuple):
    """Replicas to hold at least, until an instant of a monotonic clock."""

    floor: int
    until: float


class OpinionBoard:
    """The opinions now.  Absence is none: it is told as 0 replicas and not active, which lowers nothing."""

    def __init__(self, least_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """least_seconds: how long an opinion stands without being renewed; longer where the resource says `hold`."""
        self._least, self._monotonic = least_seconds, monotonic
        self._opinions: Mapping[Key, Opinion] = {}
        self.changed: Callable[[], None] = lambda: None

    def floor_of(self, key: Key) -> int:
        """0 without an opinion."""
        opinion = self._opinions.get(key)
        return 0 if opinion is None or opinion.until < self._monotonic() else opinion.floor

    def publish(self, workloads: Mapping[Key, Workload], now: datetime) -> None:
        """Take over what a cycle of this process decided: all of it, so that what is gone is gone."""
        self._replace({key: found for key, workload in workloads.items() if (found := self._decided(workload))})

    def follow(self, resources: Iterable[Resource]) -> None:
        """Take over what the leader says that it does, as its resources' status has it."""
        self._replace({one.key: found for one in resources if (found := self._reported(one))})

    def _decided(self, workload: Workload) -> Opinion | None:
        outcome = workload.outcome
        if outcome is None or not outcome.acts or not outcome.floor:
            return None
        return self._opinion(outcome.setup.resource, outcome.floor)

    def _reported(self, resource: Resource) -> Opinion | None:
        status = resource.status
        acts = any(each.type == ConditionType.ACTING and each.status is Verdict.TRUE for each in status.conditions)
        return self._opinion(resource, status.floor) if acts and status.floor else None

    def _opinion(self, resource: Resource, floor: int) -> Opinion | None:
        spec = resource.spec
        if spec.actuator is not ActuatorKind.KEDA:
            return None
        return Opinion(floor, self._monotonic() + max(spec.guardrails.hold_seconds, self._least))

    def _replace(self, opinions: Mapping[Key, Opinion]) -> None:
        self._opinions = opinions  # whole: readers see the old one or the new one
        self.changed()
