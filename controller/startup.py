"""How long pods of a target take from created to Ready, measured on its own pods.  Pure.

Waiting for a node is part of it: that is how long demand has to wait for the capacity.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

DEFAULT_STARTUP_SECONDS = 120.0  # until pods were seen to start, and where the user gives nothing
_REMEMBERED = 50
_FEWEST = 3  # one slow image pull is no measurement
_PERCENTILE = 0.9
_LONGEST_SECONDS = 3600.0  # beyond it a pod was broken rather than starting


class Startup(NamedTuple):
    """The start-up time to plan with, and on how many pods it was measured; 0 when it is a fallback."""

    seconds: float
    samples: int


class StartupTimes:
    """The last pods of one target."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        """A pod became Ready for the first time so long after it was created."""
        if 0 <= seconds <= _LONGEST_SECONDS:
            self._seconds.append(seconds)

    def planned(self, fallback_seconds: float | None) -> Startup:
        """The 90th percentile of the last pods; the fallback before enough of them were seen."""
        if len(self._seconds) < _FEWEST:
            return Startup(DEFAULT_STARTUP_SECONDS if fallback_seconds is None else fallback_seconds, 0)
        ordered = sorted(self._seconds)
        return Startup(ordered[math.ceil(_PERCENTILE * len(ordered)) - 1], len(ordered))
