"""Launchers of Prometheus 2, Prometheus 3 and VictoriaMetrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import requests
import trustme

from tests.servers.processes import ROOT, Process, find_program, running

_CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
storage: {{tsdb: {{out_of_order_time_window: 60d}}}}
{more}
"""


@dataclass(frozen=True, slots=True)
class MetricServer:
    """A running server with the Prometheus HTTP API."""

    kind: str  # prometheus, prometheus3 or victoria-metrics
    url: str
    write_url: str
    process: Process = field(repr=False)


@dataclass(frozen=True, slots=True)
class Protection:
    """TLS with a throw-away CA, and a user or a client certificate."""

    ca_file: Path
    client_certificate: Path  # certificate and key in one file
    username: str = "reader"
    password: str = "correct horse – battery"  # with a character beyond ASCII


def prometheus_2() -> Path:
    """Debian's, or any other on PATH."""
    return find_program("prometheus", how="apt-get install --no-install-recommends prometheus")


def prometheus_3() -> Path:
    """From FORESCALE_PROMETHEUS3, or built by scripts/build-prometheus3."""
    built = ROOT / ".cache" / "prometheus3" / "prometheus"
    return find_program("prometheus3", variable="FORESCALE_PROMETHEUS3", built=built, how="scripts/build-prometheus3")


def victoria_metrics() -> Path:
    """Debian's, or any other on PATH."""
    return find_program("victoria-metrics", how="apt-get install --no-install-recommends victoria-metrics")


@contextmanager
def running_prometheus(
    program: Path,
    folder: Path,
    *,
    kind: str = "prometheus",
    config: str = "",
    web_config: str | None = None,
    protection: Protection | None = None,
) -> Iterator[MetricServer]:
    """Prometheus with an open remote-write receiver and room for 28 days and more of the past.

    config: more YAML for prometheus.yml.  web_config: for TLS and basic auth; `protection` gets the client in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(_CONFIG.format(more=config))
    if web_config is not None:
        (folder / "web.yml").write_text(web_config)
    scheme = "http" if web_config is None else "https"

    def command(port: int) -> list[str]:
        return [
            str(program),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=90d",  # the default of 15 days would drop what the tests write
            f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver",
            *([f"--web.config.file={folder / 'web.yml'}"] if web_config is not None else []),
        ]

    def is_ready(port: int) -> bool:
        return _answers(f"{scheme}://localhost:{port}/-/ready", protection)

    with running(command, folder / "log", is_ready, name=kind) as process:
        url = f"{scheme}://localhost:{process.port}"
        yield MetricServer(kind, url, f"{url}/api/v1/write", process)


@contextmanager
def running_victoria_metrics(program: Path, folder: Path, *, latency_offset: str = "0s") -> Iterator[MetricServer]:
    """VictoriaMetrics, single node."""
    folder.mkdir(parents=True, exist_ok=True)

    def command(port: int) -> list[str]:
        return [
            str(program),
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=3",  # months; the default of 1 is too short for 28 days and a margin
            f"-search.latencyOffset={latency_offset}",
        ]

    def is_ready(port: int) -> bool:
        return _answers(f"http://127.0.0.1:{port}/health", None)

    with running(command, folder / "log", is_ready, name="victoria-metrics") as process:
        url = f"http://127.0.0.1:{process.port}"
        yield MetricServer("victoria-metrics", url, f"{url}/api/v1/write", process)


def make_protection(folder: Path) -> tuple[Protection, str]:
    """Certificates for localhost, and the web.yml that asks for TLS and a user."""
    protection, tls = _certificates(folder)
    hashed = bcrypt.hashpw(protection.password.encode(), bcrypt.gensalt(4)).decode()
    return protection, f"{tls}basic_auth_users: {{{protection.username}: '{hashed}'}}\n"


def make_client_protection(folder: Path) -> tuple[Protection, str]:
    """The same, but asking for a client certificate instead of a user."""
    protection, tls = _certificates(folder)
    return protection, f"{tls}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {folder / 'ca.pem'}\n"


def _certificates(folder: Path) -> tuple[Protection, str]:
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server, client = authority.issue_cert("localhost"), authority.issue_cert("client@example.org")
    server.private_key_pem.write_to_path(folder / "server.key")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    tls = f"tls_server_config:\n  cert_file: {folder / 'server.pem'}\n  key_file: {folder / 'server.key'}\n"
    return Protection(folder / "ca.pem", folder / "client.pem"), tls


def _answers(url: str, protection: Protection | None) -> bool:
    try:
        answer = requests.get(
            url,
            timeout=5,
            verify=str(protection.ca_file) if protection else True,
            cert=str(protection.client_certificate) if protection else None,
            auth=(protection.username, protection.password.encode()) if protection else None,  # type: ignore[arg-type]
        )
    except requests.exceptions.RequestException:
        return False
    return answer.status_code == 200
