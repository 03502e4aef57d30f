"""The simple forecasts in the form that the online layer mixes with the network.  Pure."""

from __future__ import annotations

import numpy as np

from predictor.baselines import Baseline, baselines
from predictor.forecast import IntArray
from predictor.series import FloatArray

EXPERTS = ("persistence", "mean_5min", "level_adjusted")  # after the network, in this order
_FARTHEST = 4.0  # log units from the present level; beyond is a division by an outage


def expert_count() -> int:
    """The network and the simple experts."""
    return 1 + len(EXPERTS)


def simple_experts(
    values: FloatArray,
    origins: IntArray,
    log_level: FloatArray,
    offset: float,
    *,
    horizon: int,
    levels: int,
    step_seconds: int,
    season_steps: tuple[int, ...],
) -> FloatArray:
    """Log-relative quantiles of every simple expert: (origin, expert, head, horizon, level).

    Each gives one value for all levels; the online layer spreads it.  No opinion is NaN.
    log_level: (origin,).
    """
    table = baselines(step_seconds, season_steps)
    rows = [_log_relative(table.get(name), values, origins, log_level, offset, horizon) for name in EXPERTS]
    path = np.stack(rows, axis=1)  # (origin, expert, horizon)
    both = np.stack([path, np.maximum.accumulate(path, axis=-1)], axis=2)
    return np.repeat(both[..., None], levels, axis=-1)


def _log_relative(
    baseline: Baseline | None, values: FloatArray, origins: IntArray, log_level: FloatArray, offset: float, horizon: int
) -> FloatArray:
    if baseline is None:
        return np.full((len(origins), horizon), np.nan)
    relative = np.log(baseline(values, origins, horizon) + offset) - log_level[:, None]
    return np.clip(relative, -_FARTHEST, _FARTHEST)
