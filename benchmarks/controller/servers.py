"""Stand-ins: demand to scrape, forecasts to ask for, and the external metrics API that the HPAs read.

The forecast server's own speed is measured by `benchmarks.api`; here its answers matter, which have to change at will.
"""

from __future__ import annotations

import json
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.controller.answers import STEP_SECONDS, TARGET, a_forecast
from predictor.forecast import DEFAULT_HORIZON

_EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
_NAME = "@name"
_DISCOVERY = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "external.metrics.k8s.io/v1beta1",
    "resources": [
        {"name": "demand", "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
    ],
}
Answer = Callable[[str, bytes], tuple[str, bytes] | None]


class Stage:
    """What all of them tell."""

    def __init__(self) -> None:
        self.replicas: dict[str, int] = {}  # that the forecast of each workload is planned to need
        self.forecast_requests = 0

    def demand(self, name: str) -> float:
        """Present demand: below one replica's share, and never quite the same."""
        return TARGET * (0.85 + 0.02 * math.sin(time.time() / 40 + int(name[1:])))

    def scraped(self, path: str, body: bytes) -> tuple[str, bytes] | None:
        """The page that Prometheus scrapes, and the forecast server's batch."""
        if path == "/metrics":
            lines = [f'demand{{app="{name}"}} {self.demand(name):.4f}' for name in list(self.replicas)]
            return "text/plain; version=0.0.4", "\n".join(["# TYPE demand gauge", *lines, ""]).encode()
        if path == "/v1/forecast":
            self.forecast_requests += 1
            return "application/json", self._batch(json.loads(body)["workloads"]).encode()
        return None

    def external(self, path: str, body: bytes) -> tuple[str, bytes] | None:
        """The external metrics API."""
        parts = urlsplit(path)
        if parts.path == _EXTERNAL:
            return "application/json", json.dumps(_DISCOVERY).encode()
        if not parts.path.startswith(f"{_EXTERNAL}/namespaces/"):
            return None
        name = parse_qs(parts.query)["labelSelector"][0].partition("=")[2]
        item = {
            "metricName": "demand",
            "metricLabels": {"app": name},
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": f"{round(1000 * self.demand(name))}m",
        }
        answer = {"kind": "ExternalMetricValueList", "apiVersion": _EXTERNAL[6:], "metadata": {}, "items": [item]}
        return "application/json", json.dumps(answer).encode()

    def _batch(self, names: list[str]) -> str:
        issued = datetime.fromtimestamp(time.time() // STEP_SECONDS * STEP_SECONDS, UTC)
        forms: Mapping[int, str] = {
            replicas: a_forecast(
                _NAME, issued, [TARGET * (replicas - 0.2)] * DEFAULT_HORIZON
            ).model_dump_json()
            for replicas in set(self.replicas.values())
        }  # fmt: skip
        made = ",".join(forms[self.replicas[name]].replace(_NAME, name) for name in names)
        return f'{{"cycle":{int(issued.timestamp())},"forecasts":[{made}]}}'


@contextmanager
def serving(answer: Answer, *, certificate: tuple[Path, Path] | None = None, port: int = 0) -> Iterator[int]:
    """Answer on loopback while the block lasts; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # one packet for head and body

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            found = answer(self.path, body)
            self.send_response(404 if found is None else 200)
            type_, text = found or ("text/plain", b"")
            self.send_header("Content-Type", type_)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
