"""Small real TCP servers that behave badly on purpose, or take note of what they are asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EMPTY = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'


@dataclass(slots=True)
class Stub:
    """Where an HTTP server listens, and the requests that it has seen."""

    url: str
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def answering(
    body: bytes = EMPTY, *, status: int = 200, headers: dict[str, str] | None = None, type_: str = "application/json"
) -> Iterator[Stub]:
    """An HTTP server that gives everybody the same answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            stub.paths.append(self.path)
            stub.headers.append(dict(self.headers))
            self.send_response(status)
            for name, value in {"Content-Type": type_, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub = Stub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A TCP server whose side of every connection is `talk`; the URL of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                talk(connection)
            except OSError:
                return  # the other side left

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: the test is over
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join()
        for thread in threads:
            thread.join()


@contextmanager
def cutting_proxy(port: int, *, after_bytes: int, on_cut: Callable[[], None] = lambda: None) -> Iterator[str]:
    """A proxy to `port` that passes `after_bytes` of an answer on, calls `on_cut`, and hangs up."""

    def talk(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            server.sendall(client.recv(65536))
            passed = 0
            while passed < after_bytes and (block := server.recv(min(4096, after_bytes - passed))):
                client.sendall(block)
                passed += len(block)
        on_cut()

    with talking(talk) as url:
        yield url
