"""Metrics of the models and of the store's checkpoints."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from agent_service.models.observer import OUTCOMES, REFUSED, ModelObserver
from agent_service.server.metrics import CALL_BUCKETS, WAIT_BUCKETS


class ModelMeters(ModelObserver):
    """What models tell, counted; also under the names of OpenTelemetry's GenAI conventions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter("agent_llm_requests", "Calls of a model", ("outcome",), registry=registry)
        for outcome in OUTCOMES:
            self._requests.labels(outcome)  # there from the start, so that the first of a kind is an increase
        self._throttled = Counter(
            "agent_llm_throttled", "429s of the provider: a reason not to scale", registry=registry
        )
        self._open = Gauge(
            "agent_llm_circuit_open", "1 from when calls are refused untried until one has succeeded", registry=registry
        )
        self._tokens = Counter("agent_tokens", "Tokens", ("direction",), registry=registry)
        self._estimated = Counter(
            "agent_tokens_estimated",
            "Of agent_tokens, those that the endpoint did not count: a quarter of the text's bytes",
            ("direction",),
            registry=registry,
        )
        self._seconds = Histogram(
            "gen_ai_client_operation_duration_seconds", "Of a call of a model", buckets=CALL_BUCKETS, registry=registry
        )
        self._first = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "From a call to the first piece of its answer",
            buckets=CALL_BUCKETS,
            registry=registry,
        )

    def finished(self, outcome: str, seconds: float) -> None:
        """See ModelObserver."""
        self._requests.labels(outcome).inc()
        if outcome != REFUSED:  # never sent: no operation of a model
            self._seconds.observe(seconds)

    def first_token(self, seconds: float) -> None:
        """See ModelObserver."""
        self._first.observe(seconds)

    def tokens(self, direction: str, count: int, *, is_estimated: bool = False) -> None:
        """See ModelObserver."""
        self._tokens.labels(direction).inc(count)
        if is_estimated:
            self._estimated.labels(direction).inc(count)

    def throttled(self) -> None:
        """See ModelObserver."""
        self._throttled.inc()

    def circuit(self, is_open: bool) -> None:
        """See ModelObserver."""
        self._open.set(is_open)


class StoreMeters:
    """How long checkpoints take, and who waits for a connection: a lock there shows nowhere else."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._checkpoints = Histogram(
            "agent_checkpoint_duration_seconds", "Of reading or writing one", ("op",), buckets=WAIT_BUCKETS,
            registry=registry,
        )  # fmt: skip
        self._waiting = Gauge("agent_db_pool_waiting", "Calls that wait for a connection", registry=registry)

    def watch_pool(self, waiting: Callable[[], int]) -> None:
        """waiting: asked at every scrape."""
        self._waiting.set_function(waiting)

    def watch(self, saver: Any) -> None:
        """From now on, time what this saver does."""
        for method, op in (("aget_tuple", "read"), ("aput", "write"), ("aput_writes", "write_pending")):
            setattr(saver, method, self._timed(getattr(saver, method), self._checkpoints.labels(op)))

    @staticmethod
    def _timed(call: Callable[..., Awaitable[Any]], series: Any) -> Callable[..., Awaitable[Any]]:
        async def timed(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return await call(*given, **named)
            finally:
                series.observe(time.perf_counter() - began)

        return timed
