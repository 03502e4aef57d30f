"""From replicas asked for to replicas that serve and replicas that are paid for.  Pure, for many policies at once.

Pods that are given up are the youngest, as a ReplicaSet does it: those that still start go first.  Then the pods of a
moment s that live on until t are decided by the least that was asked for in between, and no pod has to be followed.
Where start-up times differ, a younger pod may serve while an older one still starts.  It is given up first all the
same, where a ReplicaSet would take the other: capacity is a little too low then, for every policy alike.

Where nodes can be short, every pod beyond `free_replicas` needs an added node for itself: one that is kept since its
last use, or a new one, which comes if the pod is still wanted by then.  A pod keeps its node until it is given up.
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
    paid: ReplicaArray  # ready, starting or draining; who is given up drains, even if it had not started


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
        self._past_placed = self._past
        self._at = 0

    def advance(self, asked: ReplicaArray) -> Fleet:
        """The next steps: asked (step, policy)."""
        known = np.concatenate([self._past, asked])  # row `kept` is the block's first step
        ready = self._ready(known)
        paid = asked + self._draining(known)
        self._past = known[len(known) - self._kept :]
        self._at += len(asked)
        return Fleet(ready, paid)

    def _draining(self, known: ReplicaArray) -> ReplicaArray:
        given_up = np.cumsum(np.maximum(-np.diff(known, axis=0, prepend=known[:1]), 0), axis=0, dtype=np.int32)
        draining: ReplicaArray = given_up[self._kept :] - given_up[self._kept - self._drain : len(known) - self._drain]
        return draining

    def _ready(self, known: ReplicaArray) -> ReplicaArray:
        placed = known if self._settings.free_replicas is None else self._placed(known, self._settings.free_replicas)
        if self._settings.startup_spread:
            return self._started_each(known, placed)[self._kept :]
        return _lowest(placed, self._longest)[self._kept :]

    def _placed(self, known: ReplicaArray, free_replicas: int) -> ReplicaArray:
        """Pods that have a node; with the youngest given up first, those without are the youngest."""
        there = np.maximum(_lowest(known, self._provisioning), free_replicas)  # and nodes that have come since
        placed = np.concatenate([self._past_placed, known[self._kept :]])
        window = max(self._node_keep, 1)  # the one step: a pod keeps its node
        for start in range(self._kept, len(known), window):
            # The most that had a node lately, in two parts: before `start`, counted from its end, and since.
            before = np.maximum.accumulate(placed[start - window : start][::-1], axis=0)[::-1]
            since = np.zeros_like(placed[start])
            for row in range(start, min(start + window, len(known))):
                nodes = np.maximum(np.maximum(before[row - start], since), there[row])
                np.minimum(known[row], nodes, out=placed[row])
                np.maximum(since, placed[row], out=since)
        self._past_placed = placed[len(known) - self._kept :]
        return placed

    def _started_each(self, known: ReplicaArray, placed: ReplicaArray) -> ReplicaArray:
        """Started pods when each moment's pods have their own start-up time."""
        first = self._at - self._kept
        steps = np.clip(np.arange(first, first + len(known)), 0, len(self._startup) - 1)
        delay = self._startup[steps, None]  # of the pods asked for at each row
        waits = 0 if placed is known else self._provisioning
        alive, ready = known.copy(), np.zeros_like(known)
        for age in range(self._longest + waits + 1):
            # `alive`: pods created up to `age` steps ago and kept since; those of exactly that age are the difference.
            older = np.minimum(alive, _shifted(known, age + 1))
            starting, at_once = _shifted(delay, age), alive
            if waits:  # for those that had no node when they were created
                at_once = np.clip(_shifted(placed, age), older, alive)
                ready += (alive - at_once) * (starting + waits <= age)
            ready += (at_once - older) * (starting <= age)
            alive = older
        return ready + alive


def _lowest(values: ReplicaArray, steps: int) -> ReplicaArray:
    """The least of each row and the `steps` rows before it."""
    lowest: ReplicaArray = minimum_filter1d(values, steps + 1, axis=0, origin=steps // 2)
    return lowest


def _shifted(values: npt.NDArray[np.integer], steps: int) -> npt.NDArray[np.integer]:
    """Every row's value of `steps` rows before; the first row stands for all that came before it."""
    if steps == 0:
        return values
    return np.concatenate([np.repeat(values[:1], steps, axis=0), values])[: len(values)]
