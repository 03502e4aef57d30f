"""The online layer: keeps quantiles honest and mixes the network with simple experts, as outcomes arrive.  Pure.

Three things happen in log-relative space, for each head, step ahead and quantile level:

1. *Track.*  A simple expert gives one value; its quantiles are that value plus offsets that move up when demand came
   out above them and down when below, in the proportion that makes "q95" be exceeded 5 % of the time (adaptive
   conformal inference as quantile tracking).  The network brings quantiles of its own and is not tracked here.
2. *Mix.*  A convex combination of the experts, weighted by their recent pinball loss.
3. *Track the mixture*, because neither the network nor a mixture of calibrated quantiles is calibrated.

All of it is learnt apart for each *kind* of forecast where a workload has kinds (those that reach across a round time
of the clock at which its demand jumps, and those that do not); most workloads have one.

An outcome is judged against what was issued `h` steps before it, so nothing is learnt before it could be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.forecast import MEDIAN, Float32Array, IntArray, level_index
from predictor.series import FloatArray

HEADS = 2  # path, peak
NETWORK = 0  # position of the network among the experts


@dataclass(frozen=True, slots=True)
class OnlineSettings:
    """How fast the layer learns; chosen on validation spans, the same for every workload."""

    levels: tuple[float, ...]
    horizon: int
    memory_steps: int = 1440  # a day at the default step
    rate_power: float = 0.6
    rate_delay: float = 60.0  # outcomes before the rate starts to fall
    path_rate: float = 0.005  # lowest rate of the path head: slow, because tracking costs the median accuracy
    peak_rate: float = 0.03  # lowest rate of the peak head: fast, because capacity is planned on its tail
    sharpness: float = 15.0  # how strongly a worse pinball loss costs weight

    @property
    def memory_rate(self) -> float:
        """Share of the newest outcome in an average over about `memory_steps`."""
        return 2.0 / (self.memory_steps + 1)


@dataclass(slots=True, eq=False)
class OnlineState:
    """All that the layer has learnt, for a batch of workloads; plain arrays, so it can be stored and restored.

    `learn` and `issue` change it in place: with a thousand workloads a copy per step would cost more than learning.
    Experts come first, the mixture is the last of `expert + 1` rows where both are tracked.  What was issued waits for
    its outcome in rings, one for each step ahead: the forecast of h steps ahead waits h steps, in a ring of h slots.
    """

    offset: Float32Array  # (batch, kind, expert + 1, head, horizon, level)
    spread: Float32Array  # the same: mean distance of outcomes from each quantile
    loss: Float32Array  # (batch, kind, expert + 1, head, horizon): mean pinball loss over levels
    outcomes: Float32Array  # (batch, kind, expert + 1, head, horizon): outcomes learnt from
    issued: Float32Array  # (batch, slot, expert + 1, head, level)
    log_level: Float32Array  # (batch, slot): the level each was relative to
    kind: npt.NDArray[np.int8]  # (batch, slot)
    recent: Float32Array  # (batch, horizon): log demand of the last steps, newest first, NaN where not observed
    step: IntArray  # (): steps learnt so far

    def __len__(self) -> int:
        return len(self.offset)

    @property
    def due(self) -> IntArray:
        """Slot of each step ahead that is due now, and free once its outcome is learnt: (horizon,)."""
        ahead = np.arange(1, self.recent.shape[1] + 1, dtype=np.int64)
        slots: IntArray = ahead * (ahead - 1) // 2 + int(self.step) % ahead
        return slots

    def copy(self) -> OnlineState:
        """The same, apart from this one."""
        return OnlineState(*map(np.array, self._arrays()))

    def rows(self, chosen: IntArray) -> OnlineState:
        """A copy with only these workloads."""
        *arrays, step = self._arrays()
        return OnlineState(*[*(array[chosen] for array in arrays), np.array(step)])

    @classmethod
    def joined(cls, states: Sequence[OnlineState]) -> OnlineState:
        """Several batches as one; all must be at the same step, and know the same kinds."""
        columns = list(zip(*(state._arrays() for state in states), strict=True))
        return cls(*[*map(np.concatenate, columns[:-1]), np.array(columns[-1][0])])

    def _arrays(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


def initial_state(settings: OnlineSettings, experts: int, batch: int = 1, kinds: int = 1) -> OnlineState:
    """The state that has seen nothing: no offsets, equal weights."""
    h, q = settings.horizon, len(settings.levels)
    slots, single = h * (h + 1) // 2, np.float32
    return OnlineState(
        offset=np.zeros((batch, kinds, experts + 1, HEADS, h, q), single),
        spread=np.zeros((batch, kinds, experts + 1, HEADS, h, q), single),
        loss=np.zeros((batch, kinds, experts + 1, HEADS, h), single),
        outcomes=np.zeros((batch, kinds, experts + 1, HEADS, h), single),
        issued=np.full((batch, slots, experts + 1, HEADS, q), np.nan, single),
        log_level=np.full((batch, slots), np.nan, single),
        kind=np.zeros((batch, slots), np.int8),
        recent=np.full((batch, h), np.nan, single),
        step=np.array(0, dtype=np.int64),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """Forecasts whose outcome became known at one step: for each step ahead the one issued so long before."""

    actual: Float32Array  # (batch, head, horizon): log-relative, NaN where not known
    final: Float32Array  # (batch, head, horizon, level): what had been issued, log-relative
    log_level: Float32Array  # (batch, horizon)


def learn(settings: OnlineSettings, state: OnlineState, log_demand: FloatArray) -> Resolved:
    """Take in the newest demand, log(demand + offset) of shape (batch,), NaN when it was not observed.

    Resolves every forecast whose step or running maximum is now complete; call before `issue` for the same instant.
    """
    levels = np.asarray(settings.levels, dtype=np.float32)
    if log_demand.shape != state.recent.shape[:1]:
        raise InputError(f"one demand per workload: expected {state.recent.shape[:1]}, got {log_demand.shape}")
    state.recent[:, 1:] = state.recent[:, :-1]
    state.recent[:, 0] = log_demand
    state.step += 1
    due, recent = state.due, state.recent
    highest = np.maximum.accumulate(recent, axis=1)  # NaN spreads: a maximum over a gap is not known
    level = state.log_level[:, due]
    outcome = np.stack([np.broadcast_to(recent[:, :1], recent.shape), highest], axis=1) - level[:, None, :]
    judged = np.ascontiguousarray(np.moveaxis(state.issued[:, due], 1, 3))  # (batch, expert + 1, head, horizon, level)
    known = np.isfinite(outcome)[:, None] & np.isfinite(judged[..., 0])  # (batch, expert + 1, head, horizon)
    error = np.where(known[..., None], outcome[:, None, :, :, None] - judged, np.float32(0))[:, None]
    known = known[:, None] & _is_kind(state.kind[:, due], state.loss.shape[1])

    state.outcomes += known
    fresh = np.maximum(np.float32(settings.memory_rate), 1 / np.maximum(state.outcomes, 1)) * known
    state.spread += fresh[..., None] * (np.abs(error) - state.spread)
    pinball = np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
    state.loss += fresh * (pinball - state.loss)

    floor = np.array([settings.path_rate, settings.peak_rate], dtype=np.float32)[:, None]
    rate = np.maximum((state.outcomes + np.float32(settings.rate_delay)) ** np.float32(-settings.rate_power), floor)
    rate *= known
    rate[:, :, NETWORK] = 0
    push = levels - (error <= 0)  # level when exceeded, level - 1 when covered
    state.offset += rate[..., None] * state.spread * push
    return Resolved(outcome, judged[:, -1], level)


def weights(settings: OnlineSettings, state: OnlineState, kind: npt.NDArray[np.integer] | None = None) -> Float32Array:
    """Share of each expert, (batch, expert, head, horizon), for forecasts of the given kind (batch, horizon).

    Until an expert's own offsets mean something it gets nothing; at the very start the network speaks alone.
    """
    is_kind = _is_kind(_kind(state, kind), state.loss.shape[1])
    ripe = _of_kind(state.outcomes, is_kind)[:, :-1] >= settings.rate_delay
    ripe[:, NETWORK] |= ~ripe.any(axis=1)
    loss = np.where(ripe, _of_kind(state.loss, is_kind)[:, :-1], np.inf)
    excess = loss / np.maximum(loss.min(axis=1, keepdims=True), 1e-12) - 1
    raw = np.where(ripe, np.exp(-settings.sharpness * np.minimum(excess, 40.0)), 0.0)
    share: Float32Array = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    return share


def issue(
    settings: OnlineSettings,
    state: OnlineState,
    quantiles: npt.NDArray[np.floating],
    log_level: FloatArray,
    kind: IntArray | None = None,
) -> Float32Array:
    """Calibrate and mix (batch, expert, head, horizon, level) into (batch, head, horizon, level), and remember it.

    An expert that has no opinion is NaN and gets no weight.  kind: (batch, horizon), all 0 when left out.
    """
    kinds = _kind(state, kind)
    is_kind = _is_kind(kinds, state.loss.shape[1])
    known = _of_kind(state.offset, is_kind[..., None])
    tracked = quantiles.astype(np.float32, copy=False) + known[:, :-1]  # unsorted: each level has its own outcomes
    share = weights(settings, state, kinds)[..., None] * np.isfinite(tracked)
    total = share.sum(axis=1)
    mixed = np.where(share > 0, share * tracked, np.float32(0)).sum(axis=1) / np.where(total > 0, total, np.nan)
    final = _uncrossed(mixed + known[:, -1], settings.levels)
    # What had to be moved apart stays so: an offset that runs away behind its neighbour would never come back in time.
    moved = np.where(np.isfinite(final), final - mixed, known[:, -1])
    state.offset[:, :, -1] = np.where(is_kind[:, :, 0, ..., None], moved[:, None], state.offset[:, :, -1])
    due = state.due
    rows = np.concatenate([tracked, final[:, None]], axis=1)  # (batch, expert + 1, head, horizon, level)
    state.issued[:, due] = np.moveaxis(rows, 3, 1)
    state.log_level[:, due] = log_level[:, None]
    state.kind[:, due] = kinds
    return final


def _kind(state: OnlineState, kind: npt.NDArray[np.integer] | None) -> npt.NDArray[np.integer]:
    return np.zeros(state.recent.shape, dtype=np.int8) if kind is None else kind


def _is_kind(kind: npt.NDArray[np.integer], kinds: int) -> npt.NDArray[np.bool_]:
    """(batch, horizon) as a mask over kinds, (batch, kind, 1, 1, horizon)."""
    mask: npt.NDArray[np.bool_] = kind[:, None, :] == np.arange(kinds)[:, None]
    return mask[:, :, None, None, :]


def _of_kind(values: Float32Array, is_kind: npt.NDArray[np.bool_]) -> Float32Array:
    """The values of each step's kind; drops the kind axis."""
    if values.shape[1] == 1:
        return values[:, 0]
    picked: Float32Array = np.where(is_kind, values, np.float32(0)).sum(axis=1)
    return picked


def _uncrossed(quantiles: Float32Array, levels: tuple[float, ...]) -> Float32Array:
    """Quantiles in order, moved apart from the median outwards."""
    middle = level_index(levels, MEDIAN)
    upper = np.maximum.accumulate(quantiles[..., middle:], axis=-1)
    lower = np.minimum.accumulate(quantiles[..., middle::-1], axis=-1)[..., ::-1]
    return np.concatenate([lower[..., :-1], upper], axis=-1)
