"""From replicas asked for to replicas that serve and replicas that are paid for.  Pure, for many policies at once.

Pods that are given up are the youngest, as a ReplicaSet does it: those that still start go first.  Then the pods of a
moment s that live on until t are decided by the least that was asked for in between, and no pod has to be followed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter1d

from predictor.forecast import IntArray
from training.simulator.cluster import ClusterSettings

ReplicaArray = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """What became of the replicas asked for, each (step, policy)."""

    ready: ReplicaArray  # serve during the step
    paid: ReplicaArray  # ready, starting or draining


class Pods:
    """Follows replicas block by block; everything that a block needs of the past is kept here."""

    def __init__(self, settings: ClusterSettings, steps: int, initial: ReplicaArray) -> None:
        """`initial` (policy,) replicas are ready at the first step, and have been for long."""
        self._settings = settings
        self._startup: IntArray = settings.startup_steps(steps)
        self._longest = int(self._startup.max()) if steps else 0
        self._provisioning = settings.steps(settings.provisioning_seconds)
        self._node_keep = settings.steps(settings.node_keep_seconds)
        self._drain = settings.steps(settings.drain_seconds)
        self._kept = self._longest + self._drain + 1
        if settings.free_replicas is not None:
            self._kept += self._provisioning + self._node_keep
        self._past = np.repeat(initial[None].astype(np.int32), self._kept, axis=0)
        self._at = 0

    def advance(self, asked: ReplicaArray) -> Fleet:
        """The next steps: asked (step, policy)."""
        known = np.concatenate([self._past, asked])  # row `kept` is the block's first step
        ready = self._ready(known)
        paid = _highest(known, self._drain)[self._kept :] if self._drain else asked
        self._past = known[len(known) - self._kept :]
        self._at += len(asked)
        return Fleet(ready, paid)

    def _ready(self, known: ReplicaArray) -> ReplicaArray:
        if self._settings.startup_spread:
            started = self._started_each(known)
            late = (
                self._started_each(known, self._provisioning) if self._settings.free_replicas is not None else started
            )
        else:
            started = _lowest(known, self._longest)
            late = _lowest(known, self._longest + self._provisioning)
        if self._settings.free_replicas is not None:
            # Nodes are there for what was already carried by added nodes lately, as seen when the pods were created.
            carried = _highest(_lowest(known, self._provisioning), self._node_keep)
            room = np.maximum(carried, self._settings.free_replicas)
            created = np.concatenate([np.repeat(room[:1], self._longest, axis=0), room])[: len(room)]
            started = np.maximum(late, np.minimum(started, created)).astype(np.int32)
        return started[self._kept :]

    def _started_each(self, known: ReplicaArray, extra: int = 0) -> ReplicaArray:
        """Started pods when each moment's pods have their own start-up time."""
        first = self._at - self._kept
        steps = np.clip(np.arange(first, first + len(known)), 0, len(self._startup) - 1)
        delay = self._startup[steps] + extra  # of the pods asked for at each row
        alive, ready = known.copy(), np.zeros_like(known)
        for age in range(self._longest + extra + 1):
            # `alive`: pods created up to `age` steps ago and kept since; those of exactly that age are the difference.
            older = np.minimum(alive, _shifted(known, age + 1))
            ready += (alive - older) * (_shifted(delay[:, None], age) <= age)
            alive = older
        return ready + alive


def _lowest(values: ReplicaArray, steps: int) -> ReplicaArray:
    """The least of each row and the `steps` rows before it."""
    lowest: ReplicaArray = minimum_filter1d(values, steps + 1, axis=0, origin=steps // 2)
    return lowest


def _highest(values: ReplicaArray, steps: int) -> ReplicaArray:
    """The most of each row and the `steps` rows before it."""
    return -_lowest(-values, steps)


def _shifted(values: npt.NDArray[np.integer], steps: int) -> npt.NDArray[np.integer]:
    """Every row's value of `steps` rows before; the first row stands for all that came before it."""
    if steps == 0:
        return values
    return np.concatenate([np.repeat(values[:1], steps, axis=0), values])[: len(values)]
