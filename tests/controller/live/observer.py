"""Watches a pre-scaled Deployment beside one that the HPA scales alone, on the same demand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass, field

import httpx

from tests.cluster.launcher import Cluster
from tests.cluster.workloads import deployments

EVERY_SECONDS = 0.25
# Two HPAs look at different moments of the same two seconds, and their clients see the outcome later still.
PHASE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """Replicas asked for at one moment."""

    at: float
    ours: int
    alone: int


@dataclass(slots=True)
class Observer:
    """A thread that looks until it is closed."""

    cluster: Cluster
    namespace: str
    ours: str = "agent"
    alone: str = "alone"
    looks: list[Look] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(EVERY_SECONDS):
            with contextlib.suppress(httpx.HTTPError, KeyError):  # a fault may take the API server away
                found = {
                    each["metadata"]["name"]: int(each["spec"]["replicas"])
                    for each in self.cluster.admin.get(deployments(self.namespace))["items"]
                }
                self.looks.append(Look(time.monotonic(), found[self.ours], found[self.alone]))

    def shortfalls(self, since: float) -> list[Look]:
        """Moments at which ours asked for less than the HPA alone did all of the last and the next seconds."""
        looks = [look for look in self.looks if look.at >= since - PHASE_SECONDS]
        window: deque[Look] = deque()
        short, ahead = [], 0
        for look in looks:
            while ahead < len(looks) and looks[ahead].at <= look.at + PHASE_SECONDS:
                window.append(looks[ahead])
                ahead += 1
            while window and window[0].at < look.at - PHASE_SECONDS:
                window.popleft()
            if look.at >= since and look.ours < min(each.alone for each in window):
                short.append(look)
        return short
