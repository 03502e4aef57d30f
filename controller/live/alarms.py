"""Alarms and surges of one workload, step by step, by the very definition that forecasts are judged by.  Pure.

Only demand decides, never what our own action changed.  Every alarm and every surge is counted once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictor.fleet.tally import Tally
from predictor.series import FloatArray
from predictor.surges import Demand, SurgeRule, judge

_REMEMBERED_MINUTES = 120  # of demand and wishes: what an alarm and its outcome depend on


@dataclass(frozen=True, slots=True)
class Judged:
    """Resolved since the start."""

    hits: int
    false_alarms: int
    surges: int
    caught: int

    @property
    def alarms(self) -> int:
        """Resolved ones."""
        return self.hits + self.false_alarms


class AlarmBook:
    """The last two hours of demand and wishes on a regular grid, and the counts."""

    def __init__(self, step_seconds: int) -> None:
        self.step_seconds = step_seconds
        self._rule = SurgeRule.for_step(step_seconds)
        self._size = max(_REMEMBERED_MINUTES * 60 // step_seconds, 4 * self._rule.outcome)
        self._demand: FloatArray = np.full(self._size, np.nan)
        self._asked: FloatArray = np.full(self._size, np.nan)
        self._step: int | None = None  # of the last entry
        self._tally = Tally()

    def add(self, at: float, demand: float | None, asked: float | None, target: float) -> bool:
        """What was seen at an instant (seconds); False when its step is known already, or is older.

        asked: demand that the forecast wants capacity for; None without an opinion.  Steps left out are not known.
        """
        step = int(at // self.step_seconds)
        if self._step is not None and step <= self._step:
            return False
        passed = self._size if self._step is None else min(step - self._step, self._size)
        for ring, value in ((self._demand, demand), (self._asked, asked)):
            ring[:-passed] = ring[passed:]
            ring[-passed:] = np.nan
            ring[-1] = np.nan if value is None else value
        self._step = step
        self._judge(step, target)
        return True

    def _judge(self, step: int, target: float) -> None:
        demand = Demand.of(self._demand, self.step_seconds, target)
        found = judge(demand, self._asked, 0)
        first = step - self._size + 1
        self._tally.count(
            ((first + int(at), int(outcome)) for at, outcome in zip(found.alarms, found.outcomes, strict=True)),
            ((first + int(at), bool(is_caught)) for at, is_caught in zip(found.surges, found.caught, strict=True)),
            step=step,
            outcome_steps=self._rule.outcome,
        )

    @property
    def counts(self) -> Judged:
        """So far."""
        tally = self._tally
        return Judged(tally.hits, tally.false_alarms, tally.caught + tally.missed, tally.caught)
