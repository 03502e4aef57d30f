"""Builders of simulated clusters: plausible everywhere, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from training.simulator.cluster import ClusterSettings
from training.simulator.pods import ReplicaArray

STEP = 15  # seconds


def a_cluster(**named: Any) -> ClusterSettings:
    """Replicas that carry 10 requests per second and start in two minutes."""
    return ClusterSettings(**{"capacity_per_replica": 10.0, "step_seconds": STEP, **named})


def one_policy(replicas: Sequence[int]) -> ReplicaArray:
    """Replicas of a single policy, (step, policy)."""
    return np.array(replicas, dtype=np.int32)[:, None]


def some_replicas(highest: int = 8, longest: int = 40) -> st.SearchStrategy[list[int]]:
    """Replicas asked for, step by step, that often stay and often jump."""
    runs = st.lists(st.tuples(st.integers(0, highest), st.integers(1, 6)), min_size=1, max_size=longest // 2)
    return runs.map(lambda runs: [replicas for replicas, length in runs for _ in range(length)][:longest])


def in_blocks(length: int, sizes: Sequence[int]) -> list[slice]:
    """Cut so many steps into blocks of the given sizes; the last takes what is left."""
    bounds = [0, *np.minimum(np.cumsum(sizes), length).tolist(), length]
    return [slice(first, last) for first, last in pairwise(bounds) if last > first]
