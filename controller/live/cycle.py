"""One cycle for all resources: look, ask once, decide for each, act on changes only, say what changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from controller.kube.errors import KubeError
from controller.kube.events import EventType
from controller.kube.hpas import Hpa
from controller.kube.pods import PodBook
from controller.live.arrange import Setup, arrange, orphans
from controller.live.conditions import is_worth_writing, take_over, turn_of
from controller.live.demand import DemandReader, Found, Wanted
from controller.live.forecasts import ForecastReader, Told
from controller.live.notices import Notice, notices_of_conditions, notices_of_floor
from controller.live.records import DecisionBook, record_of
from controller.live.scoring import Scorekeeper
from controller.live.status import status_of
from controller.live.workload import Delays, Outcome, Workload
from controller.resource.resource import Key, Resource
from controller.resource.spec import ActuatorKind
from controller.resource.status import AutoscalerStatus
from controller.vocabulary import Reason

log = logging.getLogger("forescale.cycle")

_PEAK_SECONDS = 3600


class Cluster(Protocol):
    """What the cycle sees of the cluster, and how it acts on it."""

    pods: PodBook

    def resources(self) -> Iterable[Resource]:
        """Every resource whose spec can be read."""
        ...

    def hpas(self) -> Iterable[Hpa]:
        """Every HPA."""
        ...

    def raise_floor(self, hpa: Hpa, floor: int, resource: Key) -> Hpa | None:
        """Put a floor in force; raises KubeError or NotLeadingError."""
        ...

    def give_back(self, hpa: Hpa) -> Hpa | None:
        """Put the user's own minimum in force."""
        ...

    def scale(self, resource: Resource, replicas: int) -> None:
        """Set replicas where there is no HPA."""
        ...

    def write_status(self, resource: Resource, status: AutoscalerStatus) -> None:
        """Write the whole status."""
        ...

    def tell(self, resource: Resource, kind: EventType, reason: Reason, note: str, now: datetime) -> None:
        """Record a Kubernetes Event."""
        ...


class Publisher(Protocol):
    """Who else wants to know what a cycle decided: metrics, and KEDA's scaler."""

    def publish(self, workloads: Mapping[Key, Workload], now: datetime) -> None:
        """After every cycle."""
        ...


@dataclass(slots=True)
class Tally:
    """What one cycle did."""

    resources: int = 0
    raised: int = 0
    released: int = 0
    statuses: int = 0
    failures: int = 0
    queries: int = 0

    @property
    def did_something(self) -> bool:
        """Whether it is worth a line in the log."""
        return bool(self.raised or self.released or self.failures)

    def __str__(self) -> str:
        return (
            f"{self.resources} resources: {self.raised} raised, {self.released} released, {self.statuses} statuses, "
            f"{self.failures} refused"
        )


class Cycle:
    """See the module.  One thread runs it."""

    def __init__(
        self,
        cluster: Cluster,
        demand: DemandReader,
        forecasts: ForecastReader,
        executor: Executor,
        *,
        delays: Delays,
        make_scorekeeper: Callable[[Resource], Scorekeeper],
        publishers: Iterable[Publisher] = (),
        has_scaler: bool = True,
    ) -> None:
        """has_scaler: whether KEDA is answered."""
        self._cluster, self._demand, self._forecasts = cluster, demand, forecasts
        self._executor, self._delays = executor, delays
        self._make_scorekeeper, self._publishers = make_scorekeeper, tuple(publishers)
        self._has_scaler = has_scaler
        self.workloads: dict[Key, Workload] = {}
        self.records = DecisionBook()

    def run(self, now: datetime) -> Tally:
        """Once for everything.  Raises NotLeadingError when leadership ended under way; nothing is written after it."""
        hpas = list(self._cluster.hpas())
        setups = arrange(self._cluster.resources(), hpas, has_scaler=self._has_scaler)
        self._forget(setups)
        tally = Tally(resources=len(setups))
        found, told = self._read(setups, now)
        tally.queries = self._demand.requests
        steps = {key: self._step_apart(setup, found[key], told[key], tally, now) for key, setup in setups.items()}
        outcomes = {key: outcome for key, outcome in steps.items() if outcome is not None}
        for _ in self._executor.map(lambda outcome: self._act(outcome, tally, now), outcomes.values()):
            pass
        acting = {key: outcome.floor if outcome.acts else None for key, outcome in outcomes.items()}
        for hpa in orphans(setups, hpas, acting):
            self._give_back(hpa, tally)
        for _ in self._executor.map(lambda key: self._report(self.workloads[key], tally, now), outcomes):
            pass
        for publisher in self._publishers:
            publisher.publish(self.workloads, now)
        return tally

    def _forget(self, setups: Mapping[Key, Setup]) -> None:
        gone = self.workloads.keys() - setups.keys()
        for key in gone:
            del self.workloads[key]
        self.records.forget(gone)
        self._cluster.pods.keep_only({setup.resource.target for setup in setups.values()})

    def _read(self, setups: Mapping[Key, Setup], now: datetime) -> tuple[dict[Key, Found], dict[Key, Told]]:
        """Demand and forecasts at the same time: neither waits for the other's outage."""
        wanted = {key: _wanted(setup) for key, setup in setups.items()}
        forecasts = self._executor.submit(
            self._forecasts.read, {key: setup.resource.workload for key, setup in setups.items()}
        )
        new = {key: each for key, each in wanted.items() if key not in self.workloads}
        found = self._demand.read(wanted)
        told = forecasts.result()
        for key in wanted:
            if key not in self.workloads:
                resource = setups[key].resource
                status_at = take_over(resource.status, now, turn_of(str(key)))
                self.workloads[key] = Workload(key, self._make_scorekeeper(resource), status_at=status_at)
        self._seed_peaks(new, setups, now)
        return found, told

    def _seed_peaks(self, new: Mapping[Key, Wanted], setups: Mapping[Key, Setup], now: datetime) -> None:
        """A restart must not forget that demand has just collapsed."""
        by_step: dict[int, dict[Key, Wanted]] = {}
        for key, wanted in new.items():
            by_step.setdefault(setups[key].resource.spec.demand.step_seconds, {})[key] = wanted
        for step, group in by_step.items():
            for key, peak in self._demand.read_peaks(group, seconds=_PEAK_SECONDS, step_seconds=step).items():
                self.workloads[key].seed_peak(peak.demand, now)

    def _step_apart(self, setup: Setup, found: Found, told: Told, tally: Tally, now: datetime) -> Outcome | None:
        """A fault of ours with one resource is not the others'; its floor is held for a while, then let go of."""
        try:
            return self._step(setup, found, told, now)
        except Exception:
            tally.failures += 1
            log.exception("%s could not be decided", setup.resource.key)
        workload = self.workloads[setup.resource.key]
        last, hold = workload.outcome, timedelta(seconds=setup.resource.spec.guardrails.hold_seconds)
        if last is None or last.decision is None or now - last.decision.at > hold:
            workload.outcome = None
            return None
        return replace(last, setup=setup)

    def _step(self, setup: Setup, found: Found, told: Told, now: datetime) -> Outcome:
        resource = setup.resource
        pods, lead = self._cluster.pods, resource.spec.lead
        fallback = None if lead.startup_seconds is None else float(lead.startup_seconds)
        startup = pods.startup(resource.target, fallback)
        workload = self.workloads[resource.key]
        outcome = workload.step(setup, found, told, startup, pods.ready(resource.target), self._delays, now)
        if outcome.reason is not None and self.records.is_due(resource.key, outcome.floor, outcome.reason.value, now):
            self.records.add(resource.key, record_of(resource.key, outcome))
        self.records.inputs.add(resource.key, outcome)
        return outcome

    def _act(self, outcome: Outcome, tally: Tally, now: datetime) -> None:
        """Carry out what is different from what is in force."""
        resource = outcome.setup.resource
        workload = self.workloads[resource.key]
        wanted = outcome.floor if outcome.acts else None
        before = _floor_before(workload, outcome)
        try:
            match resource.spec.actuator:
                case ActuatorKind.HPA_MIN_REPLICAS:
                    self._act_on_hpa(workload, outcome, wanted, tally, now)
                case ActuatorKind.SCALE if wanted is not None:
                    self._scale(workload, outcome, wanted, tally)
                case _:
                    workload.floor = wanted
            workload.write_error = ""
        except KubeError as error:
            tally.failures += 1
            workload.write_error = str(error)
            log.warning("%s: %s", resource.key, error)
            return
        if workload.floor != before:
            workload.changed_at = now
            self._tell(resource, notices_of_floor(before, workload.floor, outcome.reason), now)

    def _act_on_hpa(
        self, workload: Workload, outcome: Outcome, wanted: int | None, tally: Tally, now: datetime
    ) -> None:
        hpa, resource = outcome.setup.hpa, outcome.setup.resource
        if hpa is None or outcome.refusal is not None:
            workload.floor = None  # what we left on an HPA, if anything, is an orphan now
            return
        is_same = workload.hpa_uid == hpa.uid
        if hpa.is_reverted or (workload.floor is not None and hpa.record is None and is_same):
            workload.reverts += 1
            self._cluster.tell(
                resource, EventType.WARNING, Reason.REVERTED,
                f"another manager put minReplicas of {hpa.key.name} back to {hpa.min_replicas}", now,
            )  # fmt: skip
        if wanted is None:
            if hpa.record is not None or hpa.has_damaged_record:
                self._cluster.give_back(hpa)
                tally.released += 1
            workload.floor = None
        elif not (hpa.is_raised and hpa.record is not None and hpa.record.floor == min(wanted, hpa.max_replicas)):
            done = self._cluster.raise_floor(hpa, wanted, resource.key)
            workload.floor = None if done is None or not done.is_raised else wanted
            workload.hpa_uid = hpa.uid
            tally.raised += 1
        else:
            workload.floor = wanted

    def _scale(self, workload: Workload, outcome: Outcome, wanted: int, tally: Tally) -> None:
        if outcome.refusal is None:
            self._cluster.scale(outcome.setup.resource, wanted)
            if workload.floor != wanted:
                tally.raised += 1
            workload.floor = wanted

    def _give_back(self, hpa: Hpa, tally: Tally) -> None:
        try:
            self._cluster.give_back(hpa)
            tally.released += 1
        except KubeError as error:
            tally.failures += 1
            log.warning("the user's minimum of HPA %s could not be restored, trying again: %s", hpa.key, error)

    def _report(self, workload: Workload, tally: Tally, now: datetime) -> None:
        """Write the status if it has changed enough."""
        assert workload.outcome is not None  # noqa: S101 - asked only of those that were decided
        resource = workload.outcome.setup.resource
        status, before = status_of(workload, now), workload.status or resource.status
        self._tell(resource, notices_of_conditions(before, status), now)
        if not is_worth_writing(before, status, workload.status_at, now, turn_of(str(resource.key))):
            return
        try:
            self._cluster.write_status(resource, status)
            workload.status, workload.status_at = status, now
            tally.statuses += 1
        except KubeError as error:
            tally.failures += 1
            log.warning("the status of %s could not be written: %s", resource.key, error)

    def _tell(self, resource: Resource, notices: Iterable[Notice], now: datetime) -> None:
        for kind, reason, note in notices:
            self._cluster.tell(resource, kind, reason, note, now)


def _floor_before(workload: Workload, outcome: Outcome) -> int | None:
    """The floor in force until now, also one that an earlier controller put there."""
    hpa = outcome.setup.hpa
    if workload.floor is not None or hpa is None or hpa.record is None or not hpa.is_raised:
        return workload.floor
    is_ours = hpa.record.resource == str(workload.key)
    return hpa.record.floor if is_ours and workload.hpa_uid == "" else None


def _wanted(setup: Setup) -> Wanted:
    demand = setup.resource.spec.demand
    return Wanted(demand.query, tuple(sorted(demand.series.items())))
