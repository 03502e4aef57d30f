"""Round times of the clock at which a workload's demand jumps: full hours, every ten minutes.  Pure.

Schedulers and load generators start their work at round times.  Between two marks such demand is calm and just before
one it is not, which no average over the day can show: uncertainty has to be learnt apart for forecasts that reach
across a mark and for those that do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictor.forecast import IntArray
from predictor.series import FloatArray

PERIODS_SECONDS = (300, 600, 900, 1800, 3600)
_FACTOR = 2.5  # mean change at a mark over mean change elsewhere that is no chance
_MIN_MARKS = 48  # marks that must have been seen to say so


@dataclass(frozen=True, slots=True)
class Mark:
    """Demand may jump in samples whose number since the epoch leaves `phase` when divided by `period`."""

    period: int  # steps
    phase: int  # steps; samples stamped with their end jump one step after the round time

    def ahead(self, origins: IntArray, horizon: int) -> IntArray:
        """1 where a mark lies after the origin and not after the step ahead, else 0: (origin, horizon).

        `origins` are step numbers since the epoch.
        """
        since = origins[:, None] - self.phase
        reached = (since + np.arange(1, horizon + 1)) // self.period > since // self.period
        return reached.astype(np.int64)


def find_mark(values: FloatArray, first_step: int, step_seconds: int, offset: float) -> Mark | None:
    """The period and phase with the clearest jumps, or None when no round time stands out.

    `values` is the training span, `first_step` the number of its first sample since the epoch, `offset` the constant
    added before taking logarithms.
    """
    change = np.abs(np.diff(np.log(values + offset)))
    steps = first_step + 1 + np.arange(len(change))
    known = np.isfinite(change)
    change, steps = change[known], steps[known]
    best, found = _FACTOR, None
    for seconds in PERIODS_SECONDS:
        period = seconds // step_seconds
        if seconds % step_seconds or period < 3 or len(change) < _MIN_MARKS * period:
            continue
        residue = steps % period
        total, count = np.bincount(residue, change, period), np.bincount(residue, minlength=period)
        for phase in (0, 1):
            elsewhere = (change.sum() - total[phase]) / max(len(change) - count[phase], 1)
            at_mark = total[phase] / max(count[phase], 1)
            if count[phase] >= _MIN_MARKS and at_mark > best * elsewhere:
                best, found = at_mark / max(elsewhere, 1e-12), Mark(period, phase)
    return found
