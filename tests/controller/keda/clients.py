"""A scaler to ask, and what KEDA asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from controller.keda import externalscaler_pb2 as pb
from controller.keda.board import OpinionBoard
from controller.keda.server import ScalerServer, ScalerSettings
from controller.resource.resource import Resource
from tests.cluster.admin import Json
from tests.cluster.workloads import an_autoscaler

BEGAN = "2026-03-02T08:00:00Z"


def an_acting_resource(
    floor: int | None, *, name: str = "agent", namespace: str = "shop", acting: str = "True", **spec: Any
) -> Resource:
    """As the leader's status has it."""
    manifest: Json = an_autoscaler(name, **({"actuator": "KEDA"} | spec))
    manifest["metadata"] |= {"namespace": namespace, "uid": f"of-{name}", "creationTimestamp": BEGAN}
    condition = {"type": "Acting", "status": acting, "reason": "Raised", "lastTransitionTime": BEGAN}
    manifest["status"] = {"conditions": [condition]} | ({} if floor is None else {"floor": floor})
    return Resource.from_manifest(manifest)


@contextmanager
def a_scaler(board: OpinionBoard, **settings: Any) -> Iterator[ScalerServer]:
    """Serving."""
    server = ScalerServer(ScalerSettings("127.0.0.1", 0, **settings), board)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def asking(port: int, credentials: grpc.ChannelCredentials | None = None) -> Iterator[Client]:
    """A channel to it."""
    address = f"localhost:{port}"
    options = [("grpc.enable_retries", 0)]
    channel = (
        grpc.insecure_channel(address, options)
        if credentials is None
        else grpc.secure_channel(address, credentials, options)
    )
    with channel:
        yield Client(channel)


class Client:
    """Asks as KEDA does."""

    def __init__(self, channel: grpc.Channel) -> None:
        root, ref = "/externalscaler.ExternalScaler", pb.ScaledObjectRef.SerializeToString
        self.is_active = channel.unary_unary(f"{root}/IsActive", ref, pb.IsActiveResponse.FromString)
        self.stream_is_active = channel.unary_stream(f"{root}/StreamIsActive", ref, pb.IsActiveResponse.FromString)
        self.get_metric_spec = channel.unary_unary(f"{root}/GetMetricSpec", ref, pb.GetMetricSpecResponse.FromString)
        self.stream_metric_spec = channel.unary_stream(
            f"{root}/StreamMetricSpec", ref, pb.GetMetricSpecResponse.FromString
        )
        self.get_metrics = channel.unary_unary(
            f"{root}/GetMetrics", pb.GetMetricsRequest.SerializeToString, pb.GetMetricsResponse.FromString
        )

    def floor(self, ref: pb.ScaledObjectRef) -> float:
        """Of GetMetrics."""
        asked = pb.GetMetricsRequest(scaledObjectRef=ref, metricName="forescale-floor")
        (value,) = self.get_metrics(asked, timeout=10).metricValues
        assert value.metricName == "forescale-floor"
        assert value.metricValue == value.metricValueFloat
        return float(value.metricValueFloat)


def a_ref(name: str = "agent", namespace: str = "shop", **metadata: str) -> pb.ScaledObjectRef:
    """A ScaledObject with its trigger's metadata."""
    return pb.ScaledObjectRef(name=name, namespace=namespace, scalerMetadata=metadata)
