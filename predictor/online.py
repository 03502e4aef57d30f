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

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from predictor.errors import InputError
from predictor.forecast import MEDIAN, IntArray, level_index
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


@dataclass(frozen=True, slots=True, eq=False)
class OnlineState:
    """All that the layer has learnt, for a batch of workloads; plain arrays, so it can be stored and restored.

    Experts come first, the mixture is the last of `expert + 1` rows where both are tracked.
    """

    offset: FloatArray  # (batch, kind, expert + 1, head, horizon, level)
    spread: FloatArray  # (batch, kind, expert + 1, head, horizon, level): mean distance of outcomes from each quantile
    loss: FloatArray  # (batch, kind, expert + 1, head, horizon): mean pinball loss over levels
    outcomes: FloatArray  # (batch, kind, expert + 1, head, horizon): outcomes learnt from
    issued: FloatArray  # (batch, age, expert + 1, head, horizon, level): the last `horizon` forecasts, newest first
    log_level: FloatArray  # (batch, age): the level each was relative to
    recent: FloatArray  # (batch, horizon): log demand of the last steps, newest first, NaN where not observed
    kind: IntArray  # (batch, age, horizon): of each step of the last forecasts


def initial_state(settings: OnlineSettings, experts: int, batch: int = 1, kinds: int = 1) -> OnlineState:
    """The state that has seen nothing: no offsets, equal weights."""
    h, q = settings.horizon, len(settings.levels)
    return OnlineState(
        offset=np.zeros((batch, kinds, experts + 1, HEADS, h, q)),
        spread=np.zeros((batch, kinds, experts + 1, HEADS, h, q)),
        loss=np.zeros((batch, kinds, experts + 1, HEADS, h)),
        outcomes=np.zeros((batch, kinds, experts + 1, HEADS, h)),
        issued=np.full((batch, h, experts + 1, HEADS, h, q), np.nan),
        log_level=np.full((batch, h), np.nan),
        recent=np.full((batch, h), np.nan),
        kind=np.zeros((batch, h, h), dtype=np.int64),
    )


def learn(settings: OnlineSettings, state: OnlineState, log_demand: FloatArray) -> OnlineState:
    """Take in the newest demand, log(demand + offset) of shape (batch,), NaN when it was not observed.

    Resolves every forecast whose step or running maximum is now complete; call before `issue` for the same instant.
    """
    h, levels = settings.horizon, np.asarray(settings.levels)
    if log_demand.shape != state.log_level.shape[:1]:
        raise InputError(f"one demand per workload: expected {state.log_level.shape[:1]}, got {log_demand.shape}")
    recent = np.concatenate([log_demand[:, None], state.recent[:, :-1]], axis=1)
    highest = np.maximum.accumulate(recent, axis=1)  # NaN spreads: a maximum over a gap is not known
    # The forecast issued h steps ago sits at age h - 1; its h-th step matures now.
    outcome = np.stack([np.broadcast_to(recent[:, :1], recent.shape), highest], axis=1)
    outcome = outcome - state.log_level[:, None, :]  # (batch, head, horizon)
    ages = np.arange(h)
    judged = np.moveaxis(state.issued[:, ages, :, :, ages, :], 0, 3)  # (batch, expert + 1, head, horizon, level)
    known = np.isfinite(outcome)[:, None] & np.isfinite(judged[..., 0])  # (batch, expert + 1, head, horizon)
    error = np.where(known[..., None], outcome[:, None, :, :, None] - judged, 0.0)[:, None]
    known = known[:, None] & _is_kind(state.kind[:, ages, ages], state.loss.shape[1])

    outcomes = state.outcomes + known
    fresh = np.maximum(settings.memory_rate, 1.0 / np.maximum(outcomes, 1.0)) * known
    spread = state.spread + fresh[..., None] * (np.abs(error) - state.spread)
    pinball = np.maximum(levels * error, (levels - 1) * error).mean(axis=-1)
    loss = state.loss + fresh * (pinball - state.loss)

    floor = np.array([settings.path_rate, settings.peak_rate])[:, None]
    rate = np.maximum((outcomes + settings.rate_delay) ** -settings.rate_power, floor) * known
    rate[:, :, NETWORK] = 0.0
    push = levels - (error <= 0)  # level when exceeded, level - 1 when covered
    offset = state.offset + rate[..., None] * spread * push
    return replace(state, offset=offset, spread=spread, loss=loss, outcomes=outcomes, recent=recent)


def weights(settings: OnlineSettings, state: OnlineState, kind: IntArray | None = None) -> FloatArray:
    """Share of each expert, (batch, expert, head, horizon), for forecasts of the given kind (batch, horizon).

    Until an expert's own offsets mean something it gets nothing; at the very start the network speaks alone.
    """
    is_kind = _is_kind(_kind(state, kind), state.loss.shape[1])
    ripe = _of_kind(state.outcomes, is_kind)[:, :-1] >= settings.rate_delay
    ripe[:, NETWORK] |= ~ripe.any(axis=1)
    loss = np.where(ripe, _of_kind(state.loss, is_kind)[:, :-1], np.inf)
    excess = loss / np.maximum(loss.min(axis=1, keepdims=True), 1e-12) - 1
    raw = np.where(ripe, np.exp(-settings.sharpness * np.minimum(excess, 40.0)), 0.0)
    share: FloatArray = raw / raw.sum(axis=1, keepdims=True)
    return share


def issue(
    settings: OnlineSettings,
    state: OnlineState,
    quantiles: FloatArray,
    log_level: FloatArray,
    kind: IntArray | None = None,
) -> tuple[FloatArray, OnlineState]:
    """Calibrate and mix (batch, expert, head, horizon, level) into (batch, head, horizon, level), and remember it.

    An expert that has no opinion is NaN and gets no weight.  kind: (batch, horizon), all 0 when left out.
    """
    kind = _kind(state, kind)
    is_kind = _is_kind(kind, state.loss.shape[1])
    known = _of_kind(state.offset, is_kind[..., None])
    tracked = quantiles + known[:, :-1]  # unsorted: each level is judged by its own outcomes
    share = weights(settings, state, kind)[..., None] * np.isfinite(tracked)
    total = share.sum(axis=1)
    mixed = np.where(share > 0, share * tracked, 0.0).sum(axis=1) / np.where(total > 0, total, np.nan)
    final = _uncrossed(mixed + known[:, -1], settings.levels)
    # What had to be moved apart stays so: an offset that runs away behind its neighbour would never come back in time.
    moved = np.where(np.isfinite(final), final - mixed, known[:, -1])
    mixture = np.where(is_kind[:, :, 0, ..., None], moved[:, None], state.offset[:, :, -1])
    offset = np.concatenate([state.offset[:, :, :-1], mixture[:, :, None]], axis=2)
    rows = np.concatenate([tracked, final[:, None]], axis=1)
    issued = np.concatenate([rows[:, None], state.issued[:, :-1]], axis=1)
    levels = np.concatenate([log_level[:, None], state.log_level[:, :-1]], axis=1)
    kinds = np.concatenate([kind[:, None], state.kind[:, :-1]], axis=1)
    return final, replace(state, offset=offset, issued=issued, log_level=levels, kind=kinds)


def _kind(state: OnlineState, kind: IntArray | None) -> IntArray:
    return np.zeros_like(state.kind[:, 0]) if kind is None else kind


def _is_kind(kind: IntArray, kinds: int) -> npt.NDArray[np.bool_]:
    """(batch, horizon) as a mask over kinds, (batch, kind, 1, 1, horizon)."""
    mask: npt.NDArray[np.bool_] = kind[:, None, :] == np.arange(kinds)[:, None]
    return mask[:, :, None, None, :]


def _of_kind(values: FloatArray, is_kind: npt.NDArray[np.bool_]) -> FloatArray:
    """The values of each step's kind; drops the kind axis."""
    if values.shape[1] == 1:
        return values[:, 0]
    picked: FloatArray = np.where(is_kind, values, 0.0).sum(axis=1)
    return picked


def _uncrossed(quantiles: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Quantiles in order, moved apart from the median outwards."""
    middle = level_index(levels, MEDIAN)
    upper = np.maximum.accumulate(quantiles[..., middle:], axis=-1)
    lower = np.minimum.accumulate(quantiles[..., middle::-1], axis=-1)[..., ::-1]
    return np.concatenate([lower[..., :-1], upper], axis=-1)
