"""The controller's process: stands for election, watches, and runs a cycle every so often while it leads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from controller.hpa import ControllerSettings
from controller.kube.api import KubeApi
from controller.kube.errors import NotLeadingError
from controller.kube.leadership import Leadership
from controller.live.cluster import WatchedCluster
from controller.live.continuity import Continuity
from controller.live.cycle import Cycle, Publisher
from controller.live.demand import DemandReader, MetricServer
from controller.live.forecasts import ForecastReader, ForecastServer
from controller.live.memory import release_memory
from controller.live.metrics import ControllerMetrics
from controller.live.scoring import Scorekeeper
from controller.live.web import Web
from controller.live.workload import Delays
from controller.resource.resource import Resource
from predictor.errors import ForescaleError, InputError

log = logging.getLogger("forescale.controller")

_THREADS = 8
_LEAST_SECONDS_BETWEEN = 1.0  # however often resources change
_DEAD_AFTER_CYCLES = 8
_SYNC_SECONDS = 60.0
_STAND_BY_SECONDS = 1.0


class Follower(Protocol):
    """Who answers for the leader while this process stands by: KEDA asks any of them."""

    def follow(self, resources: Iterable[Resource]) -> None:
        """What the leader says that it does."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the process is run."""

    identity: str
    lease_namespace: str
    lease_name: str = "forescale-controller"
    namespace: str | None = None  # None: all
    cycle_seconds: float = 15.0
    hpa_sync_seconds: float = 15.0
    downscale_stabilization_seconds: int = 300
    host: str = "0.0.0.0"  # noqa: S104 - Prometheus and the kubelet's probes come from outside the pod
    port: int = 8081
    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        for name in ("cycle_seconds", "hpa_sync_seconds"):
            if not 0 < getattr(self, name) <= 300:
                raise InputError(f"{name} is {getattr(self, name):g}; give more than 0 and at most 300 seconds")


class Process:
    """See the module."""

    def __init__(
        self,
        settings: ProcessSettings,
        api: KubeApi,
        server: MetricServer,
        forecasts: ForecastServer,
        *,
        version: str,
        publishers: Iterable[Publisher] = (),
        followers: Iterable[Follower] = (),
        has_scaler: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings, self._clock, self._server = settings, clock, server
        self._hpa_settings = ControllerSettings(
            sync_period_seconds=max(1, round(settings.hpa_sync_seconds)),
            downscale_stabilization_seconds=settings.downscale_stabilization_seconds,
        )
        self.leadership = Leadership(
            api,
            namespace=settings.lease_namespace,
            name=settings.lease_name,
            identity=settings.identity,
            lease_seconds=settings.lease_seconds,
            renew_seconds=settings.renew_seconds,
            retry_seconds=settings.retry_seconds,
            changed=lambda leads: self._wake.set(),
        )
        self._wake = threading.Event()
        self._stop = threading.Event()
        self.cluster = WatchedCluster(
            api,
            api.guarded(self.leadership.check),
            identity=settings.identity,
            namespace=settings.namespace,
        )
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="forescale")
        self._demand = DemandReader(server, self._executor)
        self._forecasts = ForecastReader(forecasts)
        self.metrics = ControllerMetrics(lambda: self.leadership.is_leading, version)
        self._has_scaler = has_scaler
        self._publishers, self._followers = (self.metrics, *publishers), tuple(followers)
        self.cycle: Cycle = self._new_cycle(Continuity(self._hpa_settings, {}))
        self._cycled_at: float | None = None
        self.web = Web(
            settings.host,
            settings.port,
            self.metrics.registry,
            self.cycle.records,
            live=self._is_live,
            ready=self._is_ready,
        )

    def stop(self) -> None:
        """Any thread, also a signal handler: end after the cycle under way."""
        self._stop.set()
        self._wake.set()
        self.cluster.news.set()

    def run(self) -> None:
        """Until `stop`.  Floors stay in force: another replica, or the next start, takes them over."""
        self.cluster.start()
        self.leadership.start()
        try:
            while not self._stop.is_set():
                if not self.leadership.is_leading:
                    self._stand_by()
                    continue
                self._lead()
        finally:
            self.leadership.stop()
            self.cluster.stop()
            self._executor.shutdown(wait=False, cancel_futures=True)
            self.web.close()

    def _stand_by(self) -> None:
        if self.leadership.hears_leader and self.cluster.is_synced:
            resources = self.cluster.resources()
            for follower in self._followers:
                follower.follow(resources)
        self._wake.wait(_STAND_BY_SECONDS)
        self._wake.clear()

    def _lead(self) -> None:
        """Cycles until leadership ends.  What an earlier leader knew is taken from the cluster and from Prometheus."""
        begun = time.monotonic()
        while not self.cluster.is_synced and self.leadership.is_leading and not self._stop.is_set():
            if time.monotonic() - begun > _SYNC_SECONDS:
                log.warning("the cluster's objects could not be listed yet; see the errors above")
                begun = time.monotonic()
            self._stop.wait(0.1)
        if self._stop.is_set() or not self.leadership.is_leading:
            return
        self.cycle = self._new_cycle(Continuity.read(self._hpa_settings, self._server))
        self.web.records = self.cycle.records
        due = time.monotonic()
        while not self._stop.is_set() and self.leadership.is_leading:
            self.cluster.news.wait(max(due - time.monotonic(), 0.0))
            if self._stop.is_set() or not self.leadership.is_leading:
                return
            self.cluster.news.clear()
            begun = time.monotonic()
            self._once()
            release_memory()
            due = max(begun + self.settings.cycle_seconds, time.monotonic())
            self._stop.wait(_LEAST_SECONDS_BETWEEN - (time.monotonic() - begun))

    def _once(self) -> None:
        begun = time.monotonic()
        try:
            tally = self.cycle.run(self._clock())
        except NotLeadingError as error:
            log.warning("%s", error)
            return
        except ForescaleError as error:
            self.metrics.cycle_failures.inc()
            log.error("a cycle failed: %s", error)  # noqa: TRY400 - the message says it all
            return
        except Exception:
            # A bug in one cycle must not end the next; the floors in force stay.
            self.metrics.cycle_failures.inc()
            log.exception("a cycle failed")
            return
        self._cycled_at = time.monotonic()
        took = self._cycled_at - begun
        self.metrics.cycle_seconds.observe(took)
        for what, count in (("raised", tally.raised), ("released", tally.released), ("statuses", tally.statuses)):
            self.metrics.writes.labels(what).inc(count)
        self.metrics.write_failures.inc(tally.failures)
        level = logging.INFO if tally.did_something else logging.DEBUG
        log.log(level, "%s in %.2f s", tally, took)

    def _new_cycle(self, continuity: Continuity) -> Cycle:
        def make(resource: Resource) -> Scorekeeper:
            return continuity.scorekeeper(resource.key, resource.created_at, self._clock())

        return Cycle(
            self.cluster,
            self._demand,
            self._forecasts,
            self._executor,
            delays=Delays(self.settings.cycle_seconds, self.settings.hpa_sync_seconds),
            make_scorekeeper=make,
            publishers=self._publishers,
            has_scaler=self._has_scaler,
        )

    def _is_live(self) -> tuple[bool, str]:
        """A leader that has not finished a cycle for long is stuck; an API server that is away is not our death."""
        if not self.leadership.is_leading or self._cycled_at is None:
            return True, "stands by" if not self.leadership.is_leading else "starting"
        age = time.monotonic() - self._cycled_at
        return age < max(_DEAD_AFTER_CYCLES * self.settings.cycle_seconds, 120.0), f"last cycle {age:.0f} s ago"

    def _is_ready(self) -> tuple[bool, str]:
        if not self.cluster.is_synced:
            waiting = [name for name, one in self.cluster.reflectors.items() if not one.is_synced]
            return False, f"not listed yet: {', '.join(waiting)}"
        return True, "leads" if self.leadership.is_leading else "stands by"
