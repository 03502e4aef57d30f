"""How good forecasts were: point errors, quantile losses and coverage.  Pure.

Every score uses only pairs in which neither the forecast nor the outcome is missing, and says how many these were.
Shapes: path and peak outcomes (origin, horizon), quantiles (origin, horizon, level).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from predictor.forecast import IntArray
from predictor.series import FloatArray

AnyFloat = npt.NDArray[np.floating]

_SHIFT_MARGIN = 0.1  # correlation; repeating the present gains 0.4 to 1.3 of it on real traffic


def actual_paths(values: FloatArray, origins: IntArray, horizon: int) -> tuple[FloatArray, FloatArray]:
    """What came after each origin: demand 1..horizon steps ahead, and its running maximum.

    A maximum over a stretch with a missing sample is not known, so it is NaN from there on.
    """
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    path = padded[origins[:, None] + np.arange(1, horizon + 1)]
    return path, np.maximum.accumulate(path, axis=1)


@dataclass(frozen=True, slots=True)
class Error:
    """Point accuracy at one step ahead; None where nothing could be compared."""

    pairs: int
    wape: float | None
    bias: float | None  # sum (forecast - actual) / sum actual
    mean_absolute: float | None
    under: float | None = None  # sum (actual - forecast where that is positive) / sum actual


def point_error(actual: AnyFloat, forecast: AnyFloat) -> Error:
    """WAPE, bias and mean absolute error of two arrays of the same shape."""
    known = np.isfinite(actual) & np.isfinite(forecast)
    pairs = int(known.sum())
    total = float(actual[known].sum())
    if pairs == 0:
        return Error(0, None, None, None)
    error = forecast[known] - actual[known]
    absolute = float(np.abs(error).sum())
    if total <= 0:
        return Error(pairs, None, None, absolute / pairs)
    under = float(np.maximum(-error, 0.0).sum()) / total
    return Error(pairs, absolute / total, float(error.sum()) / total, absolute / pairs, under)


def skill(actual: AnyFloat, forecast: AnyFloat, baseline: AnyFloat) -> float | None:
    """1 - WAPE / WAPE of the baseline, on the pairs that both have; above 0 is better than the baseline."""
    known = np.isfinite(actual) & np.isfinite(forecast) & np.isfinite(baseline)
    reference = float(np.abs(baseline[known] - actual[known]).sum())
    if reference == 0:
        return None
    return 1 - float(np.abs(forecast[known] - actual[known]).sum()) / reference


def mase_scale(training: FloatArray, period: int) -> float | None:
    """Mean absolute change over `period` steps of the training span: the unit of MASE."""
    change = np.abs(training[period:] - training[:-period])
    known = change[np.isfinite(change)]
    return float(known.mean()) if known.size and known.mean() > 0 else None


def pinball(actual: AnyFloat, quantiles: AnyFloat, levels: tuple[float, ...]) -> AnyFloat:
    """Pinball loss of every pair and level, NaN where unknown; the shape of `quantiles`."""
    error = actual[..., None] - quantiles
    level = np.asarray(levels)
    return np.maximum(level * error, (level - 1) * error)


def weighted_quantile_loss(
    actual: AnyFloat, quantiles: AnyFloat, levels: tuple[float, ...]
) -> tuple[float | None, int]:
    """2 * sum of pinball losses / (levels * sum of actuals), and the pairs used."""
    known = np.isfinite(actual) & np.isfinite(quantiles).all(axis=-1)
    total = float(actual[known].sum())
    if total <= 0:
        return None, int(known.sum())
    loss = float(np.sum(summed_pinball(actual[known], quantiles[known], levels)))
    return 2 * loss / (len(levels) * total), int(known.sum())


def summed_pinball(actual: AnyFloat, quantiles: AnyFloat, levels: tuple[float, ...]) -> tuple[float, ...]:
    """Pinball loss of each level, summed over pairs in which nothing is missing; one level's worth of memory."""
    losses = (pinball(actual, quantiles[..., [k]], (level,)) for k, level in enumerate(levels))
    return tuple(float(np.sum(loss, dtype=np.float64)) for loss in losses)


@dataclass(frozen=True, slots=True)
class CoverageCount:
    """How often outcomes stayed at or below a quantile, and strictly below it."""

    pairs: int
    covered: int  # actual <= quantile
    below: int  # actual < quantile

    def gap(self, level: float) -> float | None:
        """Distance of the level from what can be claimed, 0-1.

        Counts of a mostly idle workload tie with their quantile: then any level between P(y < f) and P(y <= f) is met.
        """
        if self.pairs == 0:
            return None
        low, high = self.below / self.pairs, self.covered / self.pairs
        return max(low - level, level - high, 0.0)


def coverage(actual: AnyFloat, quantile: AnyFloat) -> CoverageCount:
    """Count outcomes against one quantile; arrays of the same shape."""
    known = np.isfinite(actual) & np.isfinite(quantile)
    y, f = actual[known], quantile[known]
    return CoverageCount(int(known.sum()), int((y <= f).sum()), int((y < f).sum()))


@dataclass(frozen=True, slots=True)
class WorstHour:
    """The hour of day in which a quantile keeps its promise least."""

    hour: int  # 0-23, a 24th of the daily period
    coverage: float
    pairs: int


def worst_hour(
    actual: AnyFloat, quantile: AnyFloat, hours: IntArray, level: float, *, min_pairs: int = 100
) -> WorstHour | None:
    """Find the hour whose share of `actual <= quantile` is farthest from `level`; None where none has `min_pairs`.

    All arrays (pair,); `hours` are those of the instants that were forecast.
    """
    known = np.isfinite(actual) & np.isfinite(quantile)
    pairs = np.bincount(hours[known], minlength=24)
    covered = np.bincount(hours[known], weights=(actual <= quantile)[known], minlength=24)
    share = covered / np.maximum(pairs, 1)
    gap = np.where(pairs >= min_pairs, np.abs(share - level), -1.0)
    worst = int(np.argmax(gap))
    return WorstHour(worst, float(share[worst]), int(pairs[worst])) if gap[worst] >= 0 else None


@dataclass(frozen=True, slots=True)
class ShiftTest:
    """Does the forecast lead, or only repeat the present?"""

    best_lag: int  # steps by which the forecast's changes trail demand's; 0 is on time
    correlation: float  # at lag 0
    best_correlation: float

    def repeats_the_present(self, horizon: int) -> bool:
        """True when the changes it forecasts are those that already happened, by a margin that noise does not make.

        Without the margin, a forecast that correlates with nothing is called out for whichever lag is luckiest.
        """
        return self.best_lag >= max(1, horizon - 1) and self.best_correlation - self.correlation >= _SHIFT_MARGIN


def shift_test(values: FloatArray, origins: IntArray, median: AnyFloat, horizon: int) -> ShiftTest | None:
    """Correlate the forecast's changes with demand's at lags 0..horizon + 2.

    median: (origin,) forecast for `origin + horizon`, for consecutive origins.  Changes over `horizon` steps are
    compared, since two smooth series correlate at every lag.  None when too little is known.
    """
    smooth = np.convolve(values, np.ones(3) / 3, mode="same")
    smooth[[0, -1]] = np.nan  # the padding is zero there, and would look like a drop
    target = origins + horizon
    inside = target < len(values)
    made = np.full(len(values), np.nan)
    made[target[inside]] = median[inside]
    step = max(1, horizon)
    forecast_change = made[step:] - made[:-step]
    actual_change = smooth[step:] - smooth[:-step]
    results = []
    for lag in range(horizon + 3):
        a, b = forecast_change[lag:], actual_change[: len(actual_change) - lag]
        known = np.isfinite(a) & np.isfinite(b)
        if known.sum() < 10 * step or np.std(a[known]) == 0 or np.std(b[known]) == 0:
            return None
        results.append(float(np.corrcoef(a[known], b[known])[0, 1]))
    best = int(np.argmax(results))
    return ShiftTest(best, results[0], results[best])


def bootstrap_ratio(
    actual: AnyFloat, forecast: AnyFloat, baseline: AnyFloat, block: int, *, seed: int = 0, draws: int = 500
) -> tuple[float, float] | None:
    """95 % interval of WAPE(forecast) / WAPE(baseline) from a moving-block bootstrap; None below three blocks.

    Arrays (origin,) of consecutive origins; blocks of `block` of them start anywhere and are drawn with replacement.
    Blocks of a day keep the autocorrelation that makes single minutes look like independent evidence.
    """
    known = np.isfinite(actual) & np.isfinite(forecast) & np.isfinite(baseline)
    blocks = -(-len(actual) // block)
    if blocks < 3:
        return None
    ours = _block_sums(np.where(known, np.abs(forecast - actual), 0.0), block)
    theirs = _block_sums(np.where(known, np.abs(baseline - actual), 0.0), block)
    pick = np.random.default_rng(seed).integers(0, len(ours), size=(draws, blocks))
    reference = theirs[pick].sum(axis=1)
    if not (reference > 0).all():
        return None
    low, high = np.quantile(ours[pick].sum(axis=1) / reference, [0.025, 0.975])
    return float(low), float(high)


def _block_sums(errors: FloatArray, block: int) -> FloatArray:
    """Sum of every run of `block` consecutive errors, one per start."""
    total = np.concatenate([[0.0], np.cumsum(errors, dtype=np.float64)])
    return np.asarray(total[block:] - total[:-block], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """Is one forecast's absolute error smaller than another's by more than chance?"""

    pairs: int
    statistic: float  # standard normal when both are equally good; positive: the first is better
    p_value: float  # two-sided


def diebold_mariano(
    actual: AnyFloat, forecast: AnyFloat, baseline: AnyFloat, *, lag: int = 15
) -> DieboldMariano | None:
    """Compare two forecasts of consecutive origins, (origin,); None where the loss difference never varies.

    Errors overlap for a whole horizon, so the variance is Newey-West's with `lag` >= the horizon.  Missing pairs are
    left out of every product they would be part of.
    """
    difference = np.abs(baseline - actual) - np.abs(forecast - actual)
    known = np.isfinite(difference)
    pairs = int(known.sum())
    if pairs <= lag + 1:
        return None
    mean = float(difference[known].mean())
    centred = np.where(known, difference - mean, 0.0)
    variance = float(centred @ centred) / pairs
    for k in range(1, lag + 1):
        variance += 2 * (1 - k / (lag + 1)) * float(centred[k:] @ centred[:-k]) / pairs
    if variance <= 0:
        return None
    statistic = mean / math.sqrt(variance / pairs)
    return DieboldMariano(pairs, statistic, math.erfc(abs(statistic) / math.sqrt(2)))
