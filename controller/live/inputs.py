"""What decisions saw, once a minute for the last hours, so that they can be made again with other settings.

Packed as rows of numbers: as objects, those of a thousand resources would take hundreds of megabytes.
"""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from controller.capacity import lead_steps
from controller.live.workload import Outcome
from controller.resource.resource import Key
from controller.spec import ScalingSpec
from controller.whatif import Input, Peaks

KEPT = timedelta(hours=2)
_EVERY = timedelta(seconds=55)  # a minute, for cycles that are not quite on time
_ROWS = 128  # of a full ring: two hours of minutes, and some
_FIRST_ROWS = 16  # rings grow, so that a resource that has just come takes little
_NUMBERS = 10  # beside the two rows of quantiles

Rows = npt.NDArray[np.void]


class _Ring:
    """Of one resource; the oldest row is overwritten."""

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = levels
        # Instants need all digits; quantiles do not, and are most of it.
        self.rows: Rows = np.empty(
            _FIRST_ROWS, np.dtype([("seen", np.float64, (_NUMBERS,)), ("peaks", np.float32, (2 * len(levels),))])
        )
        self.count = 0
        self.spec: ScalingSpec | None = None
        self.last_at: datetime | None = None

    def add(self, seen: list[float], peaks: list[float]) -> None:
        if self.count == len(self.rows) < _ROWS:
            bigger = np.empty(min(2 * len(self.rows), _ROWS), self.rows.dtype)
            bigger[: self.count] = self.rows
            self.rows = bigger
        self.rows[self.count % len(self.rows)] = (seen, peaks)
        self.count += 1

    def in_order(self) -> Rows:
        size = len(self.rows)
        if self.count <= size:
            return self.rows[: self.count].copy()
        at = self.count % size
        return np.concatenate([self.rows[at:], self.rows[:at]])


class InputBook:
    """Of every resource.  The cycle writes, any thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rings: dict[Key, _Ring] = {}

    def add(self, key: Key, outcome: Outcome) -> None:
        """Of an outcome that came to a decision, unless the last minute has one."""
        spec, seen, decision = outcome.spec, outcome.seen, outcome.decision
        if spec is None or seen is None or decision is None:
            return
        with self._lock:
            ring = self._rings.get(key)
            levels = () if seen.forecast is None else seen.forecast.levels
            if ring is None or (levels and levels != ring.levels):
                ring = self._rings[key] = _Ring(levels)  # another model: what is kept does not fit any more
            ring.spec = spec
            if ring.last_at is not None and seen.now - ring.last_at < _EVERY:
                return
            ring.last_at = seen.now
            row = [
                seen.now.timestamp(),
                _number(seen.demand),
                _number(seen.recent_peak_demand),
                _number(seen.hpa_alone_replicas),
                _number(seen.replicas),
                float(seen.is_trusted),
                float(decision.floor),
            ]
            forecast, peaks = seen.forecast, [math.nan] * (2 * len(ring.levels))
            if forecast is None:
                row += [math.nan] * 3
            else:
                step = min(int(lead_steps(spec, seen, forecast)), forecast.horizon)
                row += [forecast.issued_at.timestamp(), float(forecast.step_seconds), float(step)]
                peaks = [*forecast.peak[step - 1], *forecast.peak[min(step, forecast.horizon - 1)]]
            ring.add(row, peaks)

    def between(self, key: Key, start: datetime, end: datetime) -> tuple[ScalingSpec, list[Input], datetime] | None:
        """The settings as they are, the inputs of a span in order, and the oldest kept; None for an unknown one."""
        with self._lock:
            ring = self._rings.get(key)
            if ring is None or ring.spec is None or ring.count == 0:
                return None
            spec, rows, levels = ring.spec, ring.in_order(), ring.levels
        first, last = start.timestamp(), end.timestamp()
        inputs = [_input(row, levels) for row in rows if first <= row["seen"][0] <= last]
        return spec, inputs, datetime.fromtimestamp(rows[0]["seen"][0], UTC)

    def forget(self, keys: set[Key]) -> None:
        """Drop resources that are gone."""
        with self._lock:
            for key in keys & self._rings.keys():
                del self._rings[key]


def _input(row: Any, levels: tuple[float, ...]) -> Input:
    at, demand, recent, alone, replicas, trusted, decided, issued_at, step_seconds, step = row["seen"]
    peaks = None
    if not math.isnan(issued_at):
        quantiles = row["peaks"].tolist()
        peaks = Peaks(
            datetime.fromtimestamp(issued_at, UTC),
            int(step_seconds),
            int(step),
            levels,
            tuple(quantiles[: len(levels)]),
            tuple(quantiles[len(levels) :]),
        )
    return Input(
        at=datetime.fromtimestamp(at, UTC),
        demand=_known(demand),
        recent_peak_demand=_known(recent),
        hpa_alone_replicas=_whole(alone),
        replicas=_whole(replicas),
        is_trusted=bool(trusted),
        peaks=peaks,
        decided=int(decided),
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)
