"""Alarms and surges counted once each, as counters for a metrics server.  Pure; changed in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """What has been resolved since the process began; each alarm and each surge exactly once."""

    hits: int = 0
    false_alarms: int = 0
    unobserved: int = 0  # alarms whose time was mostly not observed: neither
    caught: int = 0
    missed: int = 0
    alarms_until: int | None = None  # step up to which alarms are counted
    surges_until: int | None = None

    def count(
        self, alarms: Iterable[tuple[int, int]], surges: Iterable[tuple[int, bool]], *, step: int, outcome_steps: int
    ) -> None:
        """Take in what is known at `step`: alarms (step, 1 hit, 0 false, -1 neither) and surges (step, is caught).

        The first call only says from where to count: what came before belongs to an earlier process.
        """
        final = step - outcome_steps - 1  # an alarm raised later may still change
        if self.alarms_until is None or self.surges_until is None:
            self.alarms_until, self.surges_until = step - 1, step - 1
            return
        for at, outcome in alarms:
            if self.alarms_until < at <= final:
                self.hits += outcome == 1
                self.false_alarms += outcome == 0
                self.unobserved += outcome == -1
        for at, is_caught in surges:
            if self.surges_until < at <= step:
                self.caught += is_caught
                self.missed += not is_caught
        self.alarms_until = max(self.alarms_until, final)
        self.surges_until = max(self.surges_until, step)
