"""The answers to KEDA.  One event loop; every answer comes from memory and is never an error.

An error would make KEDA's HPA stop scaling down, or fall back to a number that nobody meant.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry, Counter, Gauge

from controller.keda import externalscaler_pb2 as pb
from controller.keda.board import OpinionBoard
from controller.live.scoring import PREFIX
from controller.resource.resource import Key

log = logging.getLogger("forescale.keda")

METRIC = "forescale-floor"
METADATA = "predictiveAutoscaler"
_SERVICE = "externalscaler.ExternalScaler"
_LOOK_SECONDS = 1.0  # an opinion may also expire, of which nobody tells

Context = grpc.aio.ServicerContext[Any, Any]


class Scaler:
    """The service."""

    def __init__(
        self, board: OpinionBoard, registry: CollectorRegistry | None = None, *, repeat_seconds: float = 30.0
    ) -> None:
        """registry: where requests and streams are counted.  repeat_seconds: between pushes without a change."""
        self._board, self._repeat_seconds = board, repeat_seconds
        self._streams: dict[Key, set[asyncio.Queue[bool]]] = {}
        self._active: dict[Key, bool] = {}
        self._news = asyncio.Event()
        registry = registry or CollectorRegistry()
        self._requests = Counter(f"{PREFIX}_keda_requests", "Questions of KEDA.", ["method"], registry=registry)
        self._open = Gauge(f"{PREFIX}_keda_streams", "Streams that KEDA holds open.", ["method"], registry=registry)

    def handler(self) -> grpc.GenericRpcHandler:
        """For the server."""
        ref, request = pb.ScaledObjectRef.FromString, pb.GetMetricsRequest.FromString
        active, spec = pb.IsActiveResponse.SerializeToString, pb.GetMetricSpecResponse.SerializeToString
        values = pb.GetMetricsResponse.SerializeToString
        one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        return grpc.method_handlers_generic_handler(
            _SERVICE,
            {
                "IsActive": one(self.is_active, ref, active),
                "StreamIsActive": many(self.stream_is_active, ref, active),
                "GetMetricSpec": one(self.get_metric_spec, ref, spec),
                "StreamMetricSpec": many(self.stream_metric_spec, ref, spec),
                "GetMetrics": one(self.get_metrics, request, values),
            },
        )

    async def is_active(self, ref: pb.ScaledObjectRef, context: Context) -> pb.IsActiveResponse:
        """Whether there is a floor to hold, which wakes up a target that sleeps."""
        self._requests.labels("IsActive").inc()
        return pb.IsActiveResponse(result=self._board.floor_of(key_of(ref)) > 0)

    async def get_metric_spec(self, ref: pb.ScaledObjectRef, context: Context) -> pb.GetMetricSpecResponse:
        """One replica each: the metric is a number of replicas."""
        self._requests.labels("GetMetricSpec").inc()
        return _spec()

    async def get_metrics(self, request: pb.GetMetricsRequest, context: Context) -> pb.GetMetricsResponse:
        """The floor; 0 asks for nothing, and the other triggers decide."""
        self._requests.labels("GetMetrics").inc()
        floor = self._board.floor_of(key_of(request.scaledObjectRef))
        name = request.metricName or METRIC
        return pb.GetMetricsResponse(
            metricValues=[pb.MetricValue(metricName=name, metricValue=floor, metricValueFloat=float(floor))]
        )

    async def stream_is_active(self, ref: pb.ScaledObjectRef, context: Context) -> AsyncIterator[pb.IsActiveResponse]:
        """The present state at once, then every change of it.

        That it is active is said again and again: KEDA forgets a push of which its own write failed.
        """
        key = key_of(ref)
        changes: asyncio.Queue[bool] = asyncio.Queue()
        with self._counted("StreamIsActive"), self._listening(key, changes):
            said = self._board.floor_of(key) > 0
            yield pb.IsActiveResponse(result=said)
            while True:
                try:
                    is_active = await asyncio.wait_for(changes.get(), self._repeat_seconds if said else None)
                except TimeoutError:
                    yield pb.IsActiveResponse(result=said)
                    continue
                if is_active != said:
                    said = is_active
                    yield pb.IsActiveResponse(result=said)

    async def stream_metric_spec(
        self, ref: pb.ScaledObjectRef, context: Context
    ) -> AsyncIterator[pb.GetMetricSpecResponse]:
        """Once: it never changes.  The stream stays open, for KEDA would come back again and again."""
        with self._counted("StreamMetricSpec"):
            yield _spec()
            await asyncio.Event().wait()

    def tell(self) -> None:
        """In the loop's thread: the board has changed."""
        self._news.set()

    async def watch(self) -> None:
        """For as long as the server runs: push what has changed to whom it concerns."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_SECONDS)
            self._news.clear()
            for key, streams in self._streams.items():
                is_active = self._board.floor_of(key) > 0
                if self._active.get(key) != is_active:
                    self._active[key] = is_active
                    for changes in streams:
                        changes.put_nowait(is_active)

    @contextmanager
    def _listening(self, key: Key, changes: asyncio.Queue[bool]) -> Iterator[None]:
        self._streams.setdefault(key, set()).add(changes)
        try:
            yield
        finally:
            self._streams[key].discard(changes)
            if not self._streams[key]:
                del self._streams[key]
                self._active.pop(key, None)

    @contextmanager
    def _counted(self, method: str) -> Iterator[None]:
        self._requests.labels(method).inc()
        self._open.labels(method).inc()
        try:
            yield
        finally:
            self._open.labels(method).dec()


def key_of(ref: pb.ScaledObjectRef) -> Key:
    """The resource that a trigger means: the one it names, or that of the ScaledObject's own name."""
    return Key(ref.namespace, ref.scalerMetadata.get(METADATA) or ref.name)


def _spec() -> pb.GetMetricSpecResponse:
    return pb.GetMetricSpecResponse(metricSpecs=[pb.MetricSpec(metricName=METRIC, targetSize=1, targetSizeFloat=1.0)])
