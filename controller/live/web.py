"""What the controller answers by HTTP: metrics, probes, decision records."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from controller.live.records import DecisionBook
from controller.resource.resource import Key
from predictor.errors import InputError

Start = Callable[[str, list[tuple[str, str]]], Any]
Probe = Callable[[], tuple[bool, str]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 10  # seconds for a silent client

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Probes and scrapes are not worth a line."""


class Web:
    """Serves from a thread of its own until it is closed."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, records: DecisionBook, *, live: Probe, ready: Probe
    ) -> None:
        """Raises InputError when the address cannot be used."""
        self._metrics = make_wsgi_app(registry)
        self.records, self._live, self._ready = records, live, ready
        try:
            self._server = make_server(host, port, self._answer, _Server, _Quiet)
        except OSError as error:
            raise InputError(f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port") from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environment: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environment["REQUEST_METHOD"] != "GET":
            return _json(start, "405 Method Not Allowed", {"detail": "only GET"})
        match environment["PATH_INFO"]:
            case "/metrics":
                return self._metrics(environment, start)  # type: ignore[no-any-return]
            case "/livez":
                return _probed(start, self._live())
            case "/readyz":
                return _probed(start, self._ready())
            case "/v1/decisions":
                return self._decision(parse_qs(environment.get("QUERY_STRING", "")), start)
            case _:
                return _json(start, "404 Not Found", {"detail": "there are /metrics, /livez, /readyz, /v1/decisions"})

    def _decision(self, asked: dict[str, list[str]], start: Start) -> Iterable[bytes]:
        try:
            key = Key(asked["namespace"][0], asked["name"][0])
            at = datetime.fromisoformat(asked["at"][0]) if "at" in asked else None
            if at is not None and at.tzinfo is None:
                raise ValueError("no time zone")
        except (KeyError, ValueError):
            return _json(
                start,
                "400 Bad Request",
                {"detail": "give namespace, name, and at as 2026-11-24T10:03:00Z or not at all"},
            )
        record = self.records.at(key, at)
        if record is None:
            return _json(start, "404 Not Found", {"detail": f"no decision for {key} is kept from then"})
        return _json(start, "200 OK", record.model_dump(mode="json", by_alias=True))


def _probed(start: Start, answer: tuple[bool, str]) -> Iterable[bytes]:
    is_well, detail = answer
    return _json(start, "200 OK" if is_well else "503 Service Unavailable", {"ok": is_well, "detail": detail})


def _json(start: Start, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")])
    return [json.dumps(body).encode()]
