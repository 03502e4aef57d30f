"""Puts a service together from its settings, and takes it apart.  Heavy: imported while probes answer already."""

from __future__ import annotations

import gc
import logging
import os
import socket
import time
import uuid
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector

from agent_service.engine.engine import Engine
from agent_service.engine.graphs import Graphs
from agent_service.engine.meters import Account
from agent_service.engine.settings import EngineSettings
from agent_service.models import budget
from agent_service.models.settings import ModelSettings
from agent_service.server import logs
from agent_service.server.app import build_app
from agent_service.server.catalogue import Catalogue
from agent_service.server.front import Front
from agent_service.server.keys import Keys
from agent_service.server.metrics import PrometheusMeters, exposition
from agent_service.server.part_metrics import ModelMeters, StoreMeters
from agent_service.server.service import Service
from agent_service.server.settings import ServiceSettings
from agent_service.server.tracing import Traces, open_traces, parent_of
from agent_service.server.webhooks import Webhooks
from agent_service.store.checkpoints import TidySaver
from agent_service.store.opening import Stores, open_stores
from agent_service.store.records import Ending, Run, RunStatus

log = logging.getLogger("forescale.agent")

_FLUSH_SECONDS = {"memory": 0.25, "sqlite": 1.0, "postgresql": 0.05}  # only in a fleet does anybody else read them
_KEEP_SECONDS = {"memory": 60.0, "sqlite": 3600.0, "postgresql": 3600.0}


class Assembly:
    """One service, from open to close."""

    def __init__(self, settings: ServiceSettings, keys: Keys, front: Front) -> None:
        self._settings, self._keys, self._front = settings, keys, front
        self._catalogue: Catalogue | None = None
        self._stores: Stores | None = None
        self._traces: Traces = Traces()
        self.service: Service | None = None
        self.registry = CollectorRegistry()

    async def open(self, since: float) -> None:
        """Everything, to the first dry run; then the front is told.  since: when imports were done.

        Raises SettingsError.
        """
        settings, front = self._settings, self._front
        stores = self._stores = open_stores(settings.store)
        await stores.open()
        since = front.took("store", since)
        models = ModelSettings.from_environment(os.environ)
        catalogue = self._catalogue = Catalogue(settings, models, ModelMeters(self.registry))
        kept = StoreMeters(self.registry)
        kept.watch(stores.checkpoints.saver)
        kept.watch_pool(stores.waiting)
        scratch = TidySaver(serde=stores.checkpoints.saver.serde)
        graphs = Graphs(catalogue.graphs, stores.checkpoints.saver, scratch)
        since = front.took("compile", since)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        planners = {served.name: served.planner for served in graphs.all}
        foreign = settings.has_langgraph_metrics
        meters = PrometheusMeters(self.registry, slots=settings.slots, planners=planners, as_langgraph=foreign)
        self._traces = open_traces()
        webhooks = Webhooks(settings.webhook_hosts, meters)
        engine = Engine(
            graphs,
            stores.runs,
            stores.events,
            stores.checkpoints,
            scratch,
            settings=EngineSettings(
                slots=settings.slots,
                queue_limit=settings.queue_limit,
                lease_seconds=settings.lease_seconds,
                run_seconds=settings.run_seconds,
                node_seconds=settings.node_seconds,
                thread_ttl_minutes=settings.thread_ttl_minutes,
                keep_checkpoints=settings.keep_checkpoints,
                drain_seconds=settings.drain_seconds,
                flush_seconds=_FLUSH_SECONDS[stores.kind],
                keep_seconds=_KEEP_SECONDS[stores.kind],
                accepts_while_draining=stores.kind == "postgresql",
            ),
            replica=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
            meters=meters,
            companion=_Companion(self._traces, models),
            on_finished=webhooks.send,
        )
        self.service = Service(engine, meters, webhooks, _info(graphs, stores.kind), self._traces)
        app = build_app(self.service, settings, self._keys)
        await catalogue.rehearse()
        await engine.rehearse()
        await engine.open()
        front.took("dry_run", since)
        front.seconds["ready"] = time.monotonic() - front.began_at
        _tell_start(self.registry, front.seconds)
        # What was loaded stays: no need to look at it again and again, nor now, which would cost a tenth of a second.
        gc.freeze()
        front.open(app, lambda accept: exposition(self.registry, accept), stores.runs.ping)

    async def drain(self) -> None:
        """Not ready any more; runs go to others."""
        self._front.leave()
        if self.service is not None:
            await self.service.engine.drain()

    async def close(self) -> None:
        """Give everything back."""
        if self.service is not None:
            await self.service.engine.close()
            await self.service.webhooks.close()
        if self._catalogue is not None:
            await self._catalogue.close()
        if self._stores is not None:
            await self._stores.close()
        await self._traces.close()


class _Companion:
    """Goes along with every run: its budget, its trace, its line in the log."""

    def __init__(self, traces: Traces, models: ModelSettings) -> None:
        self._traces, self._models = traces, models

    def begin(self, run: Run) -> tuple[tuple[Any, ...], Account]:
        """See engine.Companion."""
        budget.assign(budget.Budget(self._models.most_calls, self._models.most_tokens))
        return self._traces.begin(run)

    def end(self, account: Account) -> None:
        """See engine.Companion."""
        self._traces.end(account)
        logs.log_finished(account)

    def unexecuted(self, run: Run) -> None:
        """See engine.Companion."""
        parent = parent_of(run) or ("", "", "00")
        ending = Ending(run.status, run.finished_at or run.updated_at)
        error = None if run.status is RunStatus.INTERRUPTED else run.status.value
        account = Account(run, ending, trace_id=parent[0], span_id=parent[1], trace_flags=parent[2], error=error)
        logs.log_finished(account)


def _info(graphs: Graphs, kind: str) -> dict[str, Any]:
    return {
        "version": _version(),
        "langgraph_py_version": version("langgraph"),
        "flags": {"assistants": True, "crons": False, "langsmith": False},
        "store": kind,
        "graphs": {served.name: {"planner": served.planner} for served in graphs.all},
    }


def _version() -> str:
    try:
        return version("forescale")
    except PackageNotFoundError:
        return "(not installed, running from its source)"


def _tell_start(registry: CollectorRegistry, seconds: Mapping[str, float]) -> None:

    start = Gauge(
        "agent_start_seconds", "What each step of starting took; ready is all of it", ("phase",), registry=registry
    )
    for step, took in seconds.items():
        start.labels(step).set(took)
