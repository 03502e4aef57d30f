"""How the engine behaves.  Frozen, validated, without I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent_service.errors import SettingsError

_QUEUE_PER_SLOT = 4


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Of one process, which is one replica."""

    slots: int = 32  # runs that execute at once; one core carries about this many that mostly wait for a model
    queue_limit: int | None = None  # runs that may wait before new ones are refused; None: four for every slot
    lease_seconds: float = 30.0  # after so long without a sign of life another replica takes a run over
    run_seconds: float = 600.0  # deadline of a run
    drain_seconds: float = 45.0  # what a run in progress gets to reach the end of its step when we shut down
    most_crashes: int = 3  # replicas that a run may take down with it
    flush_seconds: float = 0.05  # events reach the store after so long at the latest
    keep_seconds: float = 3600.0  # streams and results of ended runs, and temporary threads
    patience_seconds: float = 5.0  # a silent stream says after so long that it is alive
    most_steps: int = 100  # recursion limit that a caller may ask for
    accepts_while_draining: bool = False  # whether others will execute what is accepted then

    def __post_init__(self) -> None:
        for name in ("slots", "most_crashes", "most_steps"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; give 1 or more")
        for name in ("lease_seconds", "run_seconds", "flush_seconds", "patience_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise SettingsError(f"{name} is {getattr(self, name)}; give seconds above 0")
        for name in ("drain_seconds", "keep_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise SettingsError(f"{name} is {getattr(self, name)}; give 0 or more seconds")
        if self.queue_limit is not None and self.queue_limit < 0:
            raise SettingsError(f"queue_limit is {self.queue_limit}; give 0 or more")

    @property
    def most_waiting(self) -> int:
        """Runs that may wait."""
        return _QUEUE_PER_SLOT * self.slots if self.queue_limit is None else self.queue_limit
