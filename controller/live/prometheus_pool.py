"""One Prometheus for several threads: each has a connection of its own."""

from __future__ import annotations

import threading

from controller.live.demand import Rows
from predictor.prometheus import Prometheus, PrometheusAccess


class PrometheusPool:
    """See the module."""

    def __init__(self, access: PrometheusAccess) -> None:
        self._access = access
        self._mine = threading.local()
        self._all: list[Prometheus] = []
        self._lock = threading.Lock()

    def at_present(self, query: str) -> Rows:
        """See `MetricServer`."""
        server: Prometheus | None = getattr(self._mine, "server", None)
        if server is None:
            server = self._mine.server = Prometheus(self._access)
            with self._lock:
                self._all.append(server)
        return server.at_present(query)

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for server in self._all:
                server.close()
            self._all.clear()
