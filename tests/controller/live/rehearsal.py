"""The whole cycle in memory: the controller's own classes between an API in memory, a metric and a forecast server.

`agent` has the resource; `alone` is the same HPA, written to by the same users, that nobody helps.  Both HPAs are run
by the twin of the real HPA controller, without tolerance: with it, more pods may make an HPA ask for fewer.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np

from controller.actuators.min_replicas import MinReplicas
from controller.hpa import ControllerSettings, HpaMemory, HpaSpec, Seen, Values, reconcile
from controller.kube.api import Json
from controller.kube.errors import NotLeadingError, UnreachableError
from controller.kube.events import EventType
from controller.kube.hpas import Hpa, reduce_hpa
from controller.kube.pods import PodBook
from controller.live.continuity import Continuity
from controller.live.cycle import Cycle
from controller.live.demand import DemandReader, Rows
from controller.live.forecasts import ForecastReader
from controller.live.metrics import families, snapshot
from controller.live.workload import Delays, Workload
from controller.resource.resource import Key, Resource
from controller.resource.status import AutoscalerStatus
from controller.vocabulary import Reason
from predictor import messages as m
from predictor.errors import SourceError
from tests.cluster.workloads import an_autoscaler, an_hpa, hpas
from tests.controller.kube.fake_api import FakeApi, Store

SHOP = "shop"
KEY = Key(SHOP, "agent")
OURS, ALONE = hpas(SHOP, "agent"), hpas(SHOP, "alone")
BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
HPA_SETTINGS = ControllerSettings(tolerance=0.0, downscale_stabilization_seconds=60)
LEVELS = [0.5, 0.9, 0.99]
T = TypeVar("T")


class Inline(Executor):
    """Everything at once, in the caller's thread: the same sequence gives the same outcome."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@dataclass(slots=True)
class Metrics:
    """A metric server that knows one demand, and what the controller exported when it was scraped last."""

    demand: float | None = None
    is_away: bool = False
    scraped: Rows = ()

    def at_present(self, query: str) -> Rows:
        if self.is_away:
            raise SourceError("the metric server does not answer")
        if "scored_until" in query:
            return self.scraped
        return () if self.demand is None else (({"forescale_query": "0", "app": "agent"}, self.demand),)


@dataclass(slots=True)
class Forecasts:
    """A forecast server with one answer."""

    answer: m.ForecastAnswer | None = None

    def forecasts(self, names: Sequence[str] | None = None, *, window_max: bool = True) -> m.ForecastBatch:
        if self.answer is None:
            raise SourceError("the forecast server does not answer")
        return m.ForecastBatch(cycle=1, forecasts=[self.answer])


def an_answer(peak: float, issued_at: datetime, *, is_trusted: bool = True) -> m.ForecastAnswer:
    """The 90 % quantile of the coming peak is `peak` for 15 minutes."""
    rows = (np.array([[0.8, 1.0, 1.2]] * 15) * peak).tolist()
    state = m.TrustState.TRUSTED if is_trusted else m.TrustState.DISTRUSTED
    reason = m.TrustReason.EARNED if is_trusted else m.TrustReason.FALSE_ALARMS
    return m.ForecastAnswer(
        workload="agent", status="ok", issued_at=issued_at, step_seconds=60, levels=LEVELS, path=rows,
        window_max=rows, trust=m.Trust(state=state, reason=reason, message="as told"),
    )  # fmt: skip


class Stage:
    """See `controller.live.cycle.Cluster`."""

    def __init__(self, api: FakeApi, may_write: Callable[[], None]) -> None:
        self.pods = PodBook()
        self.api, self.lags = api, False
        self.resource: Resource | None = None
        self.told: list[Reason] = []
        self.statuses: list[AutoscalerStatus] = []
        self._writer = api.guarded(may_write)
        self._min_replicas = MinReplicas(self._writer, wrote=self._put)
        self._known: dict[str, Hpa] = {}

    def resources(self) -> Iterable[Resource]:
        return () if self.resource is None else (self.resource,)

    def hpas(self) -> Iterable[Hpa]:
        if not self.lags:
            self._known = {path: reduce_hpa(one.manifest()) for path, one in self.api.store.objects.items()}
        return tuple(self._known.values())

    def raise_floor(self, hpa: Hpa, floor: int, resource: Key) -> Hpa | None:
        return self._min_replicas.raise_to(hpa, floor, resource)

    def give_back(self, hpa: Hpa) -> Hpa | None:
        return self._min_replicas.give_back(hpa)

    def scale(self, resource: Resource, replicas: int) -> None:
        raise AssertionError("nothing here has no HPA")

    def write_status(self, resource: Resource, status: AutoscalerStatus) -> None:
        self.statuses.append(status)

    def tell(self, resource: Resource, kind: EventType, reason: Reason, note: str, now: datetime) -> None:
        self.told.append(reason)

    def _put(self, manifest: Json) -> None:
        hpa = reduce_hpa(manifest)
        self._known[hpas(*hpa.key)] = hpa


@dataclass(slots=True)
class Scaled:
    """A target and its HPA controller."""

    path: str
    replicas: int = 2
    uid: str = ""
    memory: HpaMemory = field(default_factory=HpaMemory)

    def sync(self, api: FakeApi, demand: float, at: float) -> None:
        """One look of the HPA controller, which reads demand whether we can or not."""
        stored = api.store.objects.get(self.path)
        if stored is None:
            return
        if stored.body["metadata"]["uid"] != self.uid:
            self.uid, self.memory = stored.body["metadata"]["uid"], HpaMemory()
        spec = HpaSpec.from_manifest(stored.body["spec"])
        seen = Seen(at, self.replicas, self.replicas, readings=(Values((round(demand * 1000),)),))
        outcome, self.memory = reconcile(spec, HPA_SETTINGS, seen, self.memory)
        self.replicas = self.replicas if outcome.scaled_to is None else outcome.scaled_to
        metric = copy.deepcopy(stored.body["spec"]["metrics"][0])
        metric["external"]["current"] = {"averageValue": f"{round(demand * 1000 / self.replicas)}m"}
        api.set_status(self.path, {"currentReplicas": self.replicas, "currentMetrics": [metric]})


class Rehearsal:
    """One resource, its HPA, the HPA alone, and a controller that may be restarted."""

    def __init__(self, *, lowest: int | None = 2, highest: int = 30, **spec: Any) -> None:
        self.now, self.demand = BEGIN, 20.0
        self.acting, self._written = False, 0  # whether the controller, not a user, writes
        self.store = Store(before_write=self._before_write, wrote=self._wrote)
        self.users = FakeApi(self.store)
        for name in ("agent", "alone"):
            self.users.create(hpas(SHOP), an_hpa(name, lowest=lowest, highest=highest))
        self.ours, self.alone = Scaled(OURS), Scaled(ALONE)
        self.metrics, self.forecasts = Metrics(self.demand), Forecasts()
        self.leads = True
        self.before_write: dict[int, Callable[[], None]] = {}  # what somebody does before the nth write of a cycle
        self.writes_until_fault: int | None = None  # then the API server or the lease goes
        self.fault: Exception = UnreachableError("the API server has gone")
        self.writes: list[tuple[str, bool]] = []  # of the controller: path, and whether it led
        self.after_write: Callable[[], None] = lambda: None
        self.stage = Stage(self.users, self._check)
        self._spec: dict[str, Any] = spec
        self._generation = 1
        self.start()

    def set_spec(self, **changed: Any) -> None:
        """The user writes the resource."""
        self._spec, self._generation = changed, self._generation + 1
        self._show_resource()

    def _show_resource(self) -> None:
        manifest = an_autoscaler("agent", **self._spec)
        status = {} if not self.stage.statuses else self.stage.statuses[-1].model_dump(mode="json", by_alias=True)
        manifest["metadata"] |= {
            "namespace": SHOP, "uid": "of-the-resource", "generation": self._generation,
            "creationTimestamp": BEGIN.isoformat(),
        }  # fmt: skip
        self.stage.resource = Resource.from_manifest(manifest | {"status": status})

    def start(self) -> None:
        """A controller that knows what is on the cluster and in the metric server, and nothing else."""
        self.leads = True
        self._show_resource()
        executor = Inline()
        continuity = Continuity.read(HPA_SETTINGS, self.metrics)
        self.cycle = Cycle(
            self.stage,
            DemandReader(self.metrics, executor),
            ForecastReader(self.forecasts),
            executor,
            delays=Delays(15.0, 15.0),
            make_scorekeeper=lambda one: continuity.scorekeeper(one.key, one.created_at, self.now),
        )

    @property
    def workload(self) -> Workload:
        return self.cycle.workloads[KEY]

    def hpa(self, path: str = OURS) -> Hpa | None:
        """As it is."""
        stored = self.store.objects.get(path)
        return None if stored is None else reduce_hpa(stored.manifest())

    def scrape(self) -> None:
        """What the controller exports becomes what the metric server knows."""
        rows: list[tuple[Mapping[str, str], float]] = []
        for family in families(snapshot(self.cycle.workloads)):
            rows += [(sample.labels | {"__name__": sample.name}, sample.value) for sample in family.samples]
        self.metrics.scraped = tuple(rows)

    def pass_time(self, seconds: float) -> None:
        """The HPAs look, then the controller."""
        self.now += timedelta(seconds=seconds)
        for target in (self.ours, self.alone) * 2:  # a look that finds too few replicas for the minimum reads nothing
            target.sync(self.users, self.demand, self.now.timestamp())
        self.acting, self._written = True, 0
        try:
            self.cycle.run(self.now)
        except NotLeadingError:
            self.leads = False  # nothing more is written, and the next to lead begins anew
        finally:
            self.acting, self.writes_until_fault = False, None
            self.before_write.clear()
        for target in (self.ours, self.alone):  # a changed HPA is acted on at once
            target.sync(self.users, self.demand, self.now.timestamp())

    def _check(self) -> None:
        if not self.leads:
            raise NotLeadingError("somebody else leads")

    def _before_write(self, method: str, path: str) -> None:
        if not self.acting:
            return
        if self.writes_until_fault is not None:
            if self.writes_until_fault == 0:
                if isinstance(self.fault, NotLeadingError):
                    self.leads = False
                raise self.fault
            self.writes_until_fault -= 1
        self.acting = False
        self.before_write.pop(self._written, lambda: None)()
        self.acting, self._written = True, self._written + 1
        self.writes.append((path, self.leads))

    def _wrote(self, method: str, path: str) -> None:
        if self.acting:
            self.after_write()
