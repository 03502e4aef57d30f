"""The thread that keeps a fleet going: a cycle after each step, replays in between, and word of each to listeners."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from predictor import messages as m
from predictor.fleet.fleet import Fleet
from predictor.fleet.view import Snapshot

log = logging.getLogger("forescale.engine")

_POLL_SECONDS = 0.02  # while history is being read
_AFTER_FAILURE_SECONDS = 1.0
Listener = Callable[[Snapshot], None]


class Engine:
    """Runs one fleet until it is stopped.  Listeners are called in its thread, and must return at once."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.on_cycle: list[Callable[[float], None]] = []  # seconds that a cycle took
        self.on_failure: list[Callable[[], None]] = []
        self.failures = 0  # in a row
        self._listeners: list[Listener] = []
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forescale-engine", daemon=True)

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every new snapshot."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present slice of work."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self.fleet.close()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def reload(self) -> m.Reloaded:
        """Look for newer bundles now; any thread may ask."""
        found = self.fleet.look_for_models(_now(), force=True)
        self._wake.set()
        return found

    def _run(self) -> None:
        due = time.time()
        while not self._stop.is_set():
            try:
                due = self._work(due)
                self.failures = 0
            except Exception:
                # A bug in one cycle must not end forecasting: forecasts age meanwhile, and say so themselves.
                self.failures += 1
                log.exception("a cycle failed")
                for notice in self.on_failure:
                    notice()
                due = time.time() + _AFTER_FAILURE_SECONDS
                self._stop.wait(_AFTER_FAILURE_SECONDS)

    def _work(self, due: float) -> float:
        """One piece of work; returns when the next cycle is due."""
        before, now = self.fleet.snapshot, time.time()
        if now >= due:
            begun = time.perf_counter()
            self.fleet.cycle(_now())
            for notice in self.on_cycle:
                notice(time.perf_counter() - begun)
            due = self._next_due(time.time())
        elif not (self.fleet.is_loading and self.fleet.collect(_now())) and not self.fleet.warm(_now()):
            patience = min(due - now, _POLL_SECONDS if self.fleet.is_loading else due - now)
            self._wake.wait(max(patience, 0.0))
            self._wake.clear()
        if self.fleet.snapshot is not before:
            for listener in self._listeners:
                listener(self.fleet.snapshot)
        return due

    def _next_due(self, now: float) -> float:
        """When the next step's samples will have been scraped."""
        step, settle = self.fleet.step_seconds(), self.fleet.settings.settle_seconds
        return ((now - settle) // step + 1) * step + settle


def _now() -> datetime:
    return datetime.now(UTC)
