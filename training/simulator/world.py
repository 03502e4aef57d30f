"""What a simulated policy lives in: a cluster, the load that comes, and the clock.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from predictor.forecast import IntArray
from predictor.series import FloatArray
from training.simulator.arrivals import Arrivals
from training.simulator.cluster import ClusterSettings

DAY_SECONDS = 86400
WEEK = 7  # cycles


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """One span of one workload.  Demand is in the series' own unit: requests per sample."""

    start: datetime  # of the first sample, UTC
    sample_seconds: int
    settings: ClusterSettings
    arrivals: Arrivals
    max_replicas: int
    cycle_seconds: int = DAY_SECONDS  # the shortest season; "an hour", "six hours", "a week" are shares of it

    def __len__(self) -> int:
        """Simulated steps."""
        return len(self.arrivals)

    @property
    def steps_per_sample(self) -> int:
        return self.arrivals.steps_per_sample

    @property
    def capacity(self) -> float:
        """Demand per sample that one replica carries."""
        return self.settings.capacity_per_replica * self.sample_seconds

    @property
    def demand(self) -> FloatArray:
        """Demand as it is seen at every step's beginning, per sample, (step,)."""
        return self.arrivals.demand * self.sample_seconds

    @property
    def lag_steps(self) -> int:
        """Steps until a sample is known."""
        return self.settings.steps(self.settings.metric_lag_seconds)

    @property
    def control_delay_seconds(self) -> float:
        """From one decision to the HPA's acting on the next: a cycle and a sync."""
        return 2.0 * self.settings.step_seconds

    @property
    def block_steps(self) -> int:
        """Simulated steps of six hours: sums are kept over them, and knobs are chosen anew so often."""
        return self.cycle_seconds // 4 // self.settings.step_seconds

    @property
    def block_samples(self) -> int:
        """Samples of six hours."""
        return self.block_steps // self.steps_per_sample

    @property
    def week_blocks(self) -> int:
        """Blocks of a week."""
        return 4 * WEEK

    def decision_steps(self) -> IntArray:
        """Steps at which a decision is made: all from the one on which the first sample is known."""
        return np.arange(self.lag_steps + self.steps_per_sample, len(self))

    def newest_sample(self, steps: IntArray) -> IntArray:
        """Index of the newest sample known at each step's beginning."""
        return (steps - self.lag_steps) // self.steps_per_sample - 1

    def instant(self, step: int) -> datetime:
        """When a step begins."""
        return self.start + timedelta(seconds=step * self.settings.step_seconds)

    def lead_steps(self, steps: IntArray) -> FloatArray:
        """Samples after its issue that the newest forecast has to reach at each step; as `capacity.lead_steps`."""
        issued = ((steps - self.lag_steps) // self.steps_per_sample) * self.steps_per_sample
        age = (steps - issued) * self.settings.step_seconds
        lead = self.settings.startup_seconds + self.control_delay_seconds
        return np.maximum(1.0, (age + lead) / self.sample_seconds)

    def recent_peak(self) -> FloatArray:
        """Highest demand seen in the hour before each step, per sample, (step,)."""
        steps = max(1, self.settings.steps(self.cycle_seconds / 24))
        return pd.Series(self.demand).rolling(steps, min_periods=1).max().to_numpy(dtype=np.float64)

    def initial_replicas(self) -> int:
        """What present demand needs at the start, at 70 %."""
        need = self.demand[0] / (0.7 * self.capacity)
        return int(min(max(1, np.ceil(need)), self.max_replicas))

    def usage_milli(self) -> IntArray:
        """The HPA's metric: demand in thousandths of a replica's capacity, as a quantity in thousandths, (step,)."""
        return np.round(self.demand / self.capacity * 1e6).astype(np.int64)


def target_milli(target_ratio: float) -> int:
    """An HPA target in the unit of `World.usage_milli`."""
    return round(target_ratio * 1e6)
