"""The adapter when access is denied or the server fails: real servers, and small TCP servers that behave badly."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from predictor.errors import ForescaleError, InputError, SourceError
from predictor.prometheus import Answer, Prometheus, PrometheusAccess
from tests.servers.fixtures import Recorded
from tests.servers.http_stubs import EMPTY, answering, cutting_proxy, talking
from tests.servers.metric_servers import (
    MetricServer,
    Protection,
    make_client_protection,
    make_protection,
    prometheus_2,
    running_prometheus,
)
from tests.servers.processes import free_port
from tests.servers.remote_write import push

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECRET = "s3cr3t-of-mine"
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


def ask(access: PrometheusAccess, *, waits: list[float] | None = None, end: datetime = NOON) -> Answer:
    """One small query; waiting between retries is noted instead of done."""
    noted = waits if waits is not None else []
    with Prometheus(access, sleep=noted.append) as client:
        return client.fetch("demand", end - timedelta(minutes=10), end, 60)


def refusal(access: PrometheusAccess) -> str:
    with pytest.raises(SourceError) as caught:
        ask(access)
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MetricServer, Protection]]:
    """A Prometheus behind TLS and basic auth."""
    folder = tmp_path_factory.mktemp("protected")
    protection, web_config = make_protection(folder / "tls")
    with running_prometheus(prometheus_2(), folder, web_config=web_config, protection=protection) as server:
        yield server, protection


@pytest.fixture
def access(protected: tuple[MetricServer, Protection]) -> PrometheusAccess:
    """What gets in there."""
    server, protection = protected
    return PrometheusAccess(
        server.url, username=protection.username, password=protection.password, ca_file=protection.ca_file
    )


def test_tls_and_a_password_let_us_in(access: PrometheusAccess, tmp_path: Path) -> None:
    assert ask(access).readings == ()

    (tmp_path / "password").write_text(f"{access.password}\n", encoding="utf-8")
    from_file = replace(access, password=None, password_file=tmp_path / "password")
    assert ask(from_file).readings == ()
    assert ask(replace(access, ca_file=None, skip_tls_verification=True)).readings == ()


@pytest.mark.parametrize("changes", [{"password": SECRET}, {"username": None, "password": None}])
def test_wrong_or_absent_credentials_are_told_without_showing_them(
    access: PrometheusAccess, changes: dict[str, str | None]
) -> None:
    message = refusal(replace(access, **changes))  # type: ignore[arg-type]

    assert "HTTP 401" in message
    assert SECRET not in message


def test_a_certificate_that_the_ca_did_not_sign_is_refused(access: PrometheusAccess, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")

    assert "TLS failed" in refusal(replace(access, ca_file=tmp_path / "other.pem"))
    assert "check --ca-file" in refusal(replace(access, ca_file=None))


def test_a_ca_file_without_certificates_is_the_users_to_mend(access: PrometheusAccess, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")

    with pytest.raises(ForescaleError, match="--ca-file"):
        ask(replace(access, ca_file=tmp_path / "ca.pem"))


def test_plain_http_to_a_tls_port_and_the_reverse_say_so(
    access: PrometheusAccess, filled_prometheus: MetricServer
) -> None:
    assert "give https://" in refusal(replace(access, url=access.url.replace("https", "http")))
    assert "plain HTTP" in refusal(PrometheusAccess(filled_prometheus.url.replace("http", "https")))


def test_a_client_certificate_lets_us_in(tmp_path: Path) -> None:
    protection, web_config = make_client_protection(tmp_path / "tls")
    with running_prometheus(prometheus_2(), tmp_path, web_config=web_config, protection=protection) as server:
        access = PrometheusAccess(
            server.url, ca_file=protection.ca_file, client_certificate=protection.client_certificate
        )

        assert ask(access).readings == ()
        assert "client certificate" in refusal(replace(access, client_certificate=None))


def test_token_and_headers_go_along_and_the_token_is_read_anew(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{SECRET}\n")
    with answering() as server:
        access = PrometheusAccess(server.url, bearer_token_file=token, headers={"X-Scope-OrgID": "shop"})
        with Prometheus(access) as client:
            client.fetch("demand", NOON, NOON, 60)
            token.write_text("rotated")
            client.fetch("demand", NOON, NOON, 60)
            assert access.redact("it was rotated") == "it was ***"

    assert [seen["Authorization"] for seen in server.headers] == [f"Bearer {SECRET}", "Bearer rotated"]
    assert server.headers[0]["X-Scope-OrgID"] == "shop"


def test_a_netrc_entry_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with answering() as server:
        ask(PrometheusAccess(server.url, bearer_token=SECRET))
        ask(PrometheusAccess(server.url))

    assert server.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert "Authorization" not in server.headers[1]


def test_secrets_are_in_no_representation_and_no_message() -> None:
    quoting = f'{{"status":"error","errorType":"bad_data","error":"who sent {SECRET}?"}}'.encode()
    with answering(quoting, status=400) as server:
        access = PrometheusAccess(server.url, bearer_token=SECRET, headers={"X-Key": f"{SECRET}2"})
        with pytest.raises(InputError, match=r"who sent \*\*\*"):
            ask(access)

    assert SECRET not in repr(access)
    for unprintable in (f"{SECRET}\nX: y", f"{SECRET}é", f"{SECRET} {SECRET}"):
        with pytest.raises(InputError) as caught:
            ask(PrometheusAccess(server.url, bearer_token=unprintable))
        assert SECRET not in str(caught.value)
    with pytest.raises(InputError) as caught:
        PrometheusAccess(f"http://me:{SECRET}@server")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "server:9090"}, "give a URL like"),
        ({"url": "http://server", "bearer_token": "x", "username": "y"}, "exclude each other"),
        ({"url": "http://server", "ca_file": Path("/nonexistent")}, "no such file"),
        ({"url": "http://server", "timeout_seconds": 0}, "positive"),
        ({"url": "http://server", "headers": {"X-Key": "a\nb"}}, "header 'X-Key'"),
    ],
)
def test_access_that_cannot_work_is_refused_before_any_request(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        PrometheusAccess(**options)  # type: ignore[arg-type]


def test_a_redirect_is_not_followed_with_credentials_in_hand() -> None:
    with answering(status=302, headers={"Location": "http://login.example.org/"}) as server:
        assert "redirects to http://login.example.org/" in refusal(PrometheusAccess(server.url, bearer_token=SECRET))

    assert len(server.paths) == 1


def test_a_page_that_is_not_prometheus_is_told() -> None:
    with answering(b"<html>please log in</html>", type_="text/html") as server:
        assert "not as the Prometheus API does" in refusal(PrometheusAccess(server.url))
    for body in (b'{"hello": "world"}', b'["warnings"]', b'{"data": {"result": null}}', b"null"):
        with answering(body) as server:
            assert "not as the Prometheus API does" in refusal(PrometheusAccess(server.url))
    with answering(b"no such page", status=404) as server:
        assert "HTTP 404" in refusal(PrometheusAccess(server.url))


def test_a_partial_answer_of_a_victoria_metrics_cluster_is_told() -> None:
    with answering(EMPTY.replace(b'"success",', b'"success","isPartial":true,')) as server:
        assert "partial" in ask(PrometheusAccess(server.url)).warnings[0]


def test_an_unavailable_server_is_tried_again_a_bounded_number_of_times() -> None:
    waits: list[float] = []
    with answering(b"try later", status=503) as server, pytest.raises(SourceError, match="HTTP 503: try later"):
        ask(PrometheusAccess(server.url, retries=3), waits=waits)

    assert len(server.paths) == 4
    assert waits == [0.3, 0.6, 1.2]


def test_retries_end_when_their_budget_is_spent() -> None:
    waits: list[float] = []
    with answering(status=429, headers={"Retry-After": "4"}) as server, pytest.raises(SourceError, match="HTTP 429"):
        ask(PrometheusAccess(server.url, retries=9, retry_budget_seconds=10), waits=waits)

    assert waits == [4, 4]
    assert len(server.paths) == 3


def test_a_query_that_ran_out_of_time_is_not_sent_again() -> None:
    body = b'{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}'
    with answering(body, status=503) as server:
        assert "took the server too long" in refusal(PrometheusAccess(server.url))

    assert len(server.paths) == 1


def test_a_dead_port_is_told_within_a_second() -> None:
    begun = time.monotonic()
    with (
        Prometheus(PrometheusAccess(f"http://127.0.0.1:{free_port()}")) as client,
        pytest.raises(SourceError, match=r"cannot be reached \(Connection refused\); check the address"),
    ):
        client.fetch("demand", NOON, NOON, 60)

    assert time.monotonic() - begun < 5  # 0.9 s of waiting, and a slow machine


def test_an_unknown_host_is_told() -> None:
    assert "cannot be reached" in refusal(PrometheusAccess("http://no-such-host.invalid:9090"))


def test_a_server_that_never_answers_is_given_up() -> None:
    released = socket.socketpair()

    def wait(connection: socket.socket) -> None:
        connection.recv(65536)
        released[0].recv(1)

    with talking(wait) as url:
        message = refusal(PrometheusAccess(url, timeout_seconds=0.2, retries=0))
        released[1].close()
    released[0].close()

    assert "no complete answer within 0.2 s" in message


def test_a_server_that_answers_drop_by_drop_is_given_up() -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEADERS)
        while True:
            connection.sendall(b" ")
            time.sleep(0.02)  # the misbehaviour under test: each packet comes in time, the answer never

    with talking(drip) as url:
        begun = time.monotonic()
        message = refusal(PrometheusAccess(url, timeout_seconds=0.3, retries=0))

    assert "no complete answer within 0.3 s" in message
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "start_of_answer",
    [
        HEADERS + b'{"status":',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"status\"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"",
    ],
)  # fmt: skip
def test_an_answer_that_breaks_off_is_an_error_and_not_a_short_series(start_of_answer: bytes) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start_of_answer)

    with talking(hang_up) as url:
        message = refusal(PrometheusAccess(url))

    assert re.search("broke off|is empty|cannot be reached", message)


def test_a_real_answer_cut_in_the_middle_is_an_error(filled_prometheus: MetricServer, recorded: Recorded) -> None:
    with (
        cutting_proxy(filled_prometheus.process.port, after_bytes=20_000) as url,
        Prometheus(PrometheusAccess(url, retries=1), sleep=lambda _: None) as client,
        pytest.raises(SourceError, match="broke off after"),
    ):
        client.fetch("demand", recorded.start, recorded.end, 60)


def test_a_server_killed_in_the_middle_of_its_answer_is_an_error(tmp_path: Path, recorded: Recorded) -> None:
    with running_prometheus(prometheus_2(), tmp_path) as server:
        push(server.write_url, {"__name__": "demand"}, recorded.timestamps, recorded.values)
        with (
            cutting_proxy(server.process.port, after_bytes=4096, on_cut=server.process.kill) as url,
            Prometheus(PrometheusAccess(url), sleep=lambda _: None) as client,
            pytest.raises(SourceError) as caught,
        ):
            client.fetch("demand", recorded.start, recorded.end, 60)
        assert server.process.handle.poll() is not None

        assert "cannot be reached" in refusal(PrometheusAccess(server.url))
    assert caught.value.exit_code == 3
