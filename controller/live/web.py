"""What the controller answers by HTTP: metrics, probes, decision records, replays.  Nothing here changes anything."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from controller.live import lookup
from controller.live.records import DecisionBook
from predictor.errors import InputError

_PATHS = ("/metrics", "/livez", "/readyz", "/v1/resources", "/v1/decisions", "/v1/what-if")
_MOST_BYTES = 65_536
_REPLAYS = 2

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
        self._replays = threading.Semaphore(_REPLAYS)
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
        asked = parse_qs(environment.get("QUERY_STRING", ""))
        match environment["REQUEST_METHOD"], environment["PATH_INFO"]:
            case "GET", "/metrics":
                return self._metrics(environment, start)  # type: ignore[no-any-return]
            case "GET", "/livez":
                return _probed(start, self._live())
            case "GET", "/readyz":
                return _probed(start, self._ready())
            case "GET", "/v1/resources":
                return _said(start, lambda: lookup.resources(self.records))
            case "GET", "/v1/decisions":
                return _said(start, lambda: lookup.decisions(self.records, asked))
            case "POST", "/v1/what-if":
                return self._what_if(environment, start)
            case "GET", _:
                return _json(start, "404 Not Found", {"detail": f"there are {', '.join(_PATHS)}"})
            case _:
                return _json(start, "405 Method Not Allowed", {"detail": "only GET, and POST of /v1/what-if"})

    def _what_if(self, environment: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Costs more than anything else here: two at a time, so that cycles do not wait."""
        length = environment.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > _MOST_BYTES:
            return _json(start, "413 Content Too Large", {"detail": f"the body must have at most {_MOST_BYTES} bytes"})
        body = environment["wsgi.input"].read(int(length))
        if not self._replays.acquire(blocking=False):
            return _json(start, "503 Service Unavailable", {"detail": "others replay just now; try again in a second"})
        try:
            return _said(start, lambda: lookup.what_if(self.records, body))
        finally:
            self._replays.release()


def _said(start: Start, look: Callable[[], dict[str, Any]]) -> Iterable[bytes]:
    try:
        return _json(start, "200 OK", look())
    except lookup.UnknownError as error:
        return _json(start, "404 Not Found", {"detail": str(error)})
    except InputError as error:
        return _json(start, "400 Bad Request", {"detail": str(error)})


def _probed(start: Start, answer: tuple[bool, str]) -> Iterable[bytes]:
    is_well, detail = answer
    return _json(start, "200 OK" if is_well else "503 Service Unavailable", {"ok": is_well, "detail": detail})


def _json(start: Start, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    start(status, [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")])
    return [json.dumps(body).encode()]
