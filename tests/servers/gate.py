"""A TCP gate before a server: open, slow, or shut, and to another server when told so."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Connections go to `target` (a loopback port) after `delay_seconds`; None: they are closed at once."""

    def __init__(self) -> None:
        self.target: int | None = None
        self.delay_seconds = 0.0
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def turn(self, *, target: int | None, delay_seconds: float = 0.0) -> None:
        """Change the rules, also for connections that are open: these are cut."""
        self.target, self.delay_seconds = target, delay_seconds
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut it for good."""
        self._closing.set()
        self.turn(target=None)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        target, delay = self.target, self.delay_seconds
        with client:
            if target is None:
                return
            try:
                server = socket.create_connection(("127.0.0.1", target))
            except OSError:
                return
            with server:
                with self._lock:
                    self._open |= {client, server}
                back = threading.Thread(target=_pump, args=(server, client, 0.0), daemon=True)
                back.start()
                _pump(client, server, delay)
                back.join()
                with self._lock:
                    self._open -= {client, server}


def _pump(source: socket.socket, sink: socket.socket, delay_seconds: float) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(65_536):
            time.sleep(delay_seconds)
            sink.sendall(block)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def a_gate() -> Iterator[Gate]:
    """Shut at the end."""
    gate = Gate()
    try:
        yield gate
    finally:
        gate.close()
