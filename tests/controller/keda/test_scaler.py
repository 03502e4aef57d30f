"""The scaler over a real channel: answers from memory, pushes at once, TLS, and a thousand streams."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
import trustme
from prometheus_client import CollectorRegistry

from controller.keda.board import OpinionBoard
from controller.keda.server import ScalerServer, ScalerSettings
from predictor.errors import InputError
from tests.controller.keda.clients import a_ref, a_scaler, an_acting_resource, asking
from tests.servers.processes import wait_until


def test_the_floor_is_a_number_of_replicas_at_one_each() -> None:
    board = OpinionBoard(45.0)
    board.follow([an_acting_resource(7)])
    with a_scaler(board) as server, asking(server.port) as client:
        (spec,) = client.get_metric_spec(a_ref(), timeout=10).metricSpecs

        assert (spec.metricName, spec.targetSize, spec.targetSizeFloat) == ("forescale-floor", 1, 1.0)
        assert client.floor(a_ref()) == 7.0
        assert client.is_active(a_ref(), timeout=10).result


def test_no_opinion_is_zero_and_not_active_and_never_an_error() -> None:
    with a_scaler(OpinionBoard(45.0)) as server, asking(server.port) as client:
        assert client.floor(a_ref()) == 0.0
        assert not client.is_active(a_ref(), timeout=10).result
        assert client.floor(a_ref("nobody", "nowhere")) == 0.0


def test_a_trigger_may_name_another_resource_than_the_scaled_object() -> None:
    board = OpinionBoard(45.0)
    board.follow([an_acting_resource(7)])
    with a_scaler(board) as server, asking(server.port) as client:
        assert client.floor(a_ref("worker", predictiveAutoscaler="agent")) == 7.0
        assert client.floor(a_ref("worker")) == 0.0


def test_a_stream_tells_the_present_state_and_then_each_change() -> None:
    board = OpinionBoard(45.0)
    with a_scaler(board) as server, asking(server.port) as client:
        stream = client.stream_is_active(a_ref(), timeout=30)

        assert not next(stream).result
        board.follow([an_acting_resource(7)])
        assert next(stream).result
        board.follow([an_acting_resource(9)])  # still active: nothing to tell
        board.follow([])
        assert not next(stream).result


def test_that_a_target_is_to_be_awake_is_pushed_again_and_again() -> None:
    board = OpinionBoard(45.0)
    board.follow([an_acting_resource(7)])
    with a_scaler(board, repeat_seconds=0.1) as server, asking(server.port) as client:
        stream = client.stream_is_active(a_ref(), timeout=30)
        assert [next(stream).result for _ in range(4)] == [True] * 4

        board.follow([])
        assert False in (next(stream).result for _ in range(50))


def test_an_opinion_that_expires_is_told_of_too() -> None:
    board = OpinionBoard(1.0)
    board.follow([an_acting_resource(7, guardrails={"holdSeconds": 0})])
    with a_scaler(board) as server, asking(server.port) as client:
        stream = client.stream_is_active(a_ref(), timeout=30)

        assert [next(stream).result, next(stream).result] == [True, False]


def test_the_stream_of_specs_gives_one_and_stays_open() -> None:
    with a_scaler(OpinionBoard(45.0)) as server, asking(server.port) as client:
        stream = client.stream_metric_spec(a_ref(), timeout=2)

        assert next(stream).metricSpecs[0].metricName == "forescale-floor"
        with pytest.raises(grpc.RpcError) as ended:
            next(stream)
        assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_thousand_streams_are_told_and_leave_nothing_behind() -> None:
    board, registry = OpinionBoard(45.0), CollectorRegistry()
    names = [f"agent-{at}" for at in range(1000)]
    server = ScalerServer(ScalerSettings("127.0.0.1", 0), board, registry)

    def streams() -> float | None:
        return registry.get_sample_value("forescale_controller_keda_streams", {"method": "StreamIsActive"})

    try:
        with asking(server.port) as client:
            open_streams = [client.stream_is_active(a_ref(name), timeout=60) for name in names]
            assert [next(stream).result for stream in open_streams] == [False] * 1000
            assert streams() == 1000
            board.follow([an_acting_resource(2, name=name) for name in names])
            assert [next(stream).result for stream in open_streams] == [True] * 1000
        wait_until(lambda: streams() == 0, "streams of a client that has gone are forgotten", 10)
    finally:
        server.close()


@pytest.fixture
def authority() -> trustme.CA:
    """A throw-away one."""
    return trustme.CA()


def files_of(certificate: trustme.LeafCert, folder: Path) -> tuple[Path, Path]:
    """Certificate and key."""
    folder.mkdir(exist_ok=True)
    certificate.cert_chain_pems[0].write_to_path(str(folder / "tls.crt"))
    certificate.private_key_pem.write_to_path(str(folder / "tls.key"))
    return folder / "tls.crt", folder / "tls.key"


def test_with_a_ca_for_clients_only_they_are_answered(authority: trustme.CA, tmp_path: Path) -> None:
    certificate, key = files_of(authority.issue_cert("localhost"), tmp_path)
    ca = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(str(ca))
    theirs = authority.issue_cert("keda")
    root, pair = ca.read_bytes(), (theirs.private_key_pem.bytes(), theirs.cert_chain_pems[0].bytes())
    board = OpinionBoard(45.0)
    board.follow([an_acting_resource(7)])
    with a_scaler(board, certificate=certificate, key=key, client_ca=ca) as server:
        with asking(server.port, grpc.ssl_channel_credentials(root, *pair)) as client:
            assert client.floor(a_ref()) == 7.0
        for refused in (None, grpc.ssl_channel_credentials(root)):
            with asking(server.port, refused) as client, pytest.raises(grpc.RpcError) as told:
                client.floor(a_ref())
            assert told.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_taken_up(authority: trustme.CA, tmp_path: Path) -> None:
    certificate, key = files_of(authority.issue_cert("localhost"), tmp_path)
    renewed = trustme.CA()
    with a_scaler(OpinionBoard(45.0), certificate=certificate, key=key) as server:
        files_of(renewed.issue_cert("localhost"), tmp_path)

        with asking(server.port, grpc.ssl_channel_credentials(renewed.cert_pem.bytes())) as client:
            assert client.floor(a_ref()) == 0.0


def test_a_taken_port_and_a_missing_certificate_are_told_at_the_start(tmp_path: Path) -> None:
    with a_scaler(OpinionBoard(45.0)) as server, pytest.raises(InputError, match=f":{server.port}, choose another"):
        ScalerServer(ScalerSettings("127.0.0.1", server.port), OpinionBoard(45.0))
    with pytest.raises(InputError, match=r"tls\.crt cannot be read"):
        ScalerServer(ScalerSettings("127.0.0.1", 0, tmp_path / "tls.crt", tmp_path / "tls.key"), OpinionBoard(45.0))
    with pytest.raises(InputError, match="certificate and key"):
        ScalerSettings(certificate=tmp_path / "tls.crt")
    with pytest.raises(InputError, match="needs a certificate"):
        ScalerSettings(client_ca=tmp_path / "ca.crt")
