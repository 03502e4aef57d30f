"""Prometheus metrics: demand, capacity, queue, durations.  Base units; never a run, a thread or a user as a label."""

from __future__ import annotations

from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from agent_service.engine.meters import Account, Meters
from agent_service.store.records import QueueDepth, Run, RunStatus

# The buckets that OpenTelemetry's GenAI conventions ask for.
RUN_BUCKETS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
CALL_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
WAIT_BUCKETS = (0.001, 0.01, *CALL_BUCKETS[2:])
_LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class PrometheusMeters(Meters):
    """What the engine tells, counted."""

    def __init__(
        self, registry: CollectorRegistry, *, slots: int, planners: dict[str, str], as_langgraph: bool = False
    ) -> None:
        """planners: graph name -> who plans there, a label.  as_langgraph: also under LangGraph Server's names."""
        self._planners = planners
        self._slots = slots
        self._waiting = 0
        self._running = 0

        def gauge(name: str, words: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, words, labels, registry=registry)

        def counter(name: str, words: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(name, words, labels, registry=registry)

        def histogram(name: str, words: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
            return Histogram(name, words, labels, buckets=buckets, registry=registry)

        gauge("agent_run_slots", "Runs that can execute at once here").set(slots)
        self._in_flight = gauge("agent_runs_in_flight", "Runs that execute here; those that wait for a person do not")
        self._depth = gauge(
            "agent_run_queue_depth", "Runs that wait, in all replicas; blocked: for another of their thread", ("state",)
        )
        self._oldest = gauge("agent_run_queue_oldest_seconds", "For how long the oldest of them has waited", ("state",))
        self._arrivals = counter("agent_run_arrivals", "Runs asked for, those that were refused included")
        self._rejected = counter("agent_run_rejected", "Runs refused", ("reason",))
        self._runs = counter("agent_runs", "Runs that ended here", ("status", "planner", "durability"))
        self._seconds = histogram(
            "agent_run_duration_seconds", "From the start of a run to its end, without the queue", RUN_BUCKETS
        )
        self._invocations = histogram(
            "gen_ai_invoke_agent_duration_seconds", "The same, under the name of OpenTelemetry's GenAI conventions",
            RUN_BUCKETS, ("gen_ai_agent_name",),
        )  # fmt: skip
        self._waits = histogram("agent_run_queue_wait_seconds", "From being due to being taken up", WAIT_BUCKETS)
        self._nodes = histogram("agent_node_duration_seconds", "Of a node of a graph", CALL_BUCKETS, ("node",))
        self._saturation = gauge(
            "agent_saturation_ratio", "Runs in flight here and runnable ones that were accepted here, by slots"
        )
        self._lag = histogram("agent_event_loop_lag_seconds", "By how much the event loop woke up late", _LAG_BUCKETS)
        self._draining = gauge("agent_draining", "1 while this replica shuts down")
        self._drained = counter("agent_runs_drained", "Runs handed to another replica between two steps")
        self._resumed = counter("agent_runs_resumed", "Runs taken up that had begun elsewhere")
        self._attempts = histogram("agent_run_attempts", "Attempts of a run when it is taken up", (1, 2, 3, 4, 6, 8))
        self._webhooks = counter("agent_webhooks", "Webhooks by outcome", ("outcome",))
        self._foreign = _ForeignNames(registry, slots) if as_langgraph else None
        for reason in ("queue_full", "draining", "auth", "invalid", "too_large"):
            self._rejected.labels(reason)  # a rate needs the zero before the first

    def arrived(self) -> None:
        """See Meters."""
        self._arrivals.inc()

    def rejected(self, reason: str) -> None:
        """See Meters."""
        self._rejected.labels(reason).inc()

    def in_flight(self, count: int) -> None:
        """See Meters."""
        self._running = count
        self._in_flight.set(count)
        self._saturation.set((count + self._waiting) / self._slots)
        if self._foreign is not None:
            self._foreign.in_flight(count)

    def began(self, waited_seconds: float, *, attempt: int) -> None:
        """See Meters."""
        self._waits.observe(waited_seconds)
        self._attempts.observe(attempt)
        if attempt > 1:
            self._resumed.inc()

    def finished(self, account: Account) -> None:
        """See Meters."""
        run, ending = account.run, account.ending
        if ending is None:
            return
        self._count(run, ending.status)
        exemplar = {"trace_id": account.trace_id} if account.trace_id else None
        self._seconds.observe(account.took_seconds, exemplar)
        self._invocations.labels(run.graph_id).observe(account.took_seconds, exemplar)

    def unexecuted(self, run: Run) -> None:
        """See Meters."""
        self._count(run, run.status)

    def _count(self, run: Run, status: RunStatus) -> None:
        planner = self._planners.get(run.graph_id, "unknown")
        self._runs.labels(status.value, planner, run.request.get("durability", "exit")).inc()

    def node(self, name: str, seconds: float) -> None:
        """See Meters."""
        self._nodes.labels(name).observe(seconds)

    def drained(self) -> None:
        """See Meters."""
        self._drained.inc()

    def draining(self, is_draining: bool) -> None:
        """See Meters."""
        self._draining.set(is_draining)

    def waiting(self, depth: QueueDepth, *, runnable_seconds: float, blocked_seconds: float) -> None:
        """See Meters."""
        self._waiting = depth.mine_runnable
        self._depth.labels("runnable").set(depth.runnable)
        self._depth.labels("blocked").set(depth.blocked)
        self._oldest.labels("runnable").set(runnable_seconds)
        self._oldest.labels("blocked").set(blocked_seconds)
        self._saturation.set((self._running + depth.mine_runnable) / self._slots)
        if self._foreign is not None:
            self._foreign.waiting(depth, runnable_seconds, blocked_seconds)

    def lag(self, seconds: float) -> None:
        """See Meters."""
        self._lag.observe(seconds)

    def webhook(self, outcome: str) -> None:
        """See Meters."""
        self._webhooks.labels(outcome).inc()


def _queue_json(registry: CollectorRegistry) -> dict[str, Any]:
    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(name, labels) or 0.0

    runnable, blocked = (value("agent_run_queue_depth", state=state) for state in ("runnable", "blocked"))
    ages = [value("agent_run_queue_oldest_seconds", state=state) for state in ("runnable", "blocked")]
    slots, running = value("agent_run_slots"), value("agent_runs_in_flight")
    return {
        "queue": {
            "n_pending": int(runnable + blocked),
            "n_running": int(running),
            "pending_runs_wait_time_max_secs": max(ages) if runnable + blocked else None,
            "pending_unblocked_runs_wait_time_max_secs": ages[0] if runnable else None,
        },
        "workers": {"max": int(slots), "active": int(running), "available": int(slots - running)},
    }


class _ForeignNames:
    """LangGraph Server's own gauges, for autoscalers that were set up for it."""

    def __init__(self, registry: CollectorRegistry, slots: int) -> None:
        def gauge(name: str, words: str) -> Gauge:
            return Gauge(f"lg_api_{name}", f"{words} (LangGraph Server's name)", registry=registry)

        self._slots = slots
        self._pending, self._running = gauge("num_pending_runs", "Waiting"), gauge("num_running_runs", "Executing")
        self._oldest = gauge("pending_runs_wait_time_max", "Seconds that the oldest waits")
        self._oldest_free = gauge(
            "pending_unblocked_runs_wait_time_max", "Seconds, of those that wait for a slot alone"
        )
        gauge("workers_max", "Slots").set(slots)
        self._active, self._available = (
            gauge("workers_active", "Slots in use"),
            gauge("workers_available", "Free slots"),
        )
        self.in_flight(0)

    def in_flight(self, count: int) -> None:
        self._running.set(count)
        self._active.set(count)
        self._available.set(self._slots - count)

    def waiting(self, depth: QueueDepth, runnable_seconds: float, blocked_seconds: float) -> None:
        self._pending.set(depth.runnable + depth.blocked)
        self._oldest.set(max(runnable_seconds, blocked_seconds))
        self._oldest_free.set(runnable_seconds)


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """What a scrape gets; exemplars only in OpenMetrics.  JSON is LangGraph Server's own, for tools that read that."""
    if accept == "application/json":
        return orjson.dumps(_queue_json(registry)), accept
    if "application/openmetrics-text" in accept:
        return generate_openmetrics(registry), OPENMETRICS  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
