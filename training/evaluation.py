"""Rolling-origin evaluation: what would have been forecast at every origin of the test span, by everybody.

Nothing is fitted on the test span: the network saw the time before `test_start`, the online layer learns from each
outcome when it becomes known, and every knob (alarm level, a baseline's margin) is chosen on the span before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from predictor.baselines import baselines
from predictor.errors import InputError
from predictor.forecast import Float32Array, IntArray, IssuedForecasts
from predictor.forecaster import Forecaster, History, Replay
from predictor.scores import actual_paths
from predictor.series import FloatArray
from training.trend import damped_trend

WARM_SEASONS = 3  # at least so many of the shortest cycles before the test span warm the online layer
WARM_SHARE = 0.15  # and at least this share of the training span: the part that validated


@dataclass(frozen=True, slots=True)
class Span:
    """Sample indices of one evaluation: [warm, tuned) warms, [tuned, test) chooses knobs, [test, end) is judged."""

    warm: int
    tuned: int
    test: int
    end: int

    @classmethod
    def around(cls, test: int, end: int, *, shortest: int, season: int | None) -> Span:
        """Lay the spans out; `shortest` is the least history a forecast needs."""
        cycle = season or 1440
        warm = max(shortest, test - max(WARM_SEASONS * cycle, int(WARM_SHARE * test)))
        if warm >= test - 2:
            raise InputError(
                f"only {test} samples come before the test span and {shortest} are needed for a first forecast; "
                "read more --days"
            )
        return cls(warm, warm + (test - warm) // 5, test, end)


@dataclass(frozen=True, slots=True, eq=False)
class Rolled:
    """Every forecaster's forecasts over [span.warm, span.end) of one series, beside what came."""

    history: History
    span: Span
    horizon: int
    levels: tuple[float, ...]
    season_steps: tuple[int, ...]  # of the baselines
    replay: Replay
    points: Mapping[str, FloatArray]  # baseline key -> (origin, horizon)
    path: FloatArray  # (origin, horizon) outcomes
    peak: FloatArray  # (origin, horizon)

    @property
    def origins(self) -> IntArray:
        """Index of every origin."""
        return np.arange(self.span.warm, self.span.end)

    @property
    def test(self) -> slice:
        """Rows of the judged origins."""
        return slice(self.span.test - self.span.warm, None)

    @property
    def tuning(self) -> slice:
        """Rows on which knobs are chosen; ends a horizon early so that no outcome lies in the test span."""
        return slice(self.span.tuned - self.span.warm, self.span.test - self.span.warm - self.horizon)

    def issued(self) -> tuple[IssuedForecasts, IssuedForecasts]:
        """The judged part of the calibrated and of the raw forecasts."""
        return cut(self.replay.calibrated, self.test), cut(self.replay.raw, self.test)


def roll(
    forecaster: Forecaster, history: History, test: int, *, on_stage: Callable[[str], None] = lambda _: None
) -> Rolled:
    """Issue every forecast of the test span that starts at sample `test`."""
    values = np.asarray(history.series.values)
    season = forecaster.schema.season_steps[0] if forecaster.schema.season_steps else None
    span = Span.around(test, len(values), shortest=forecaster.schema.minimum_steps, season=season)
    on_stage(f"forecasting at {span.end - span.warm:,} origins")
    replay = forecaster.replay(history, span.warm, span.end)
    return assemble(history, span, replay, forecaster, on_stage=on_stage)


def assemble(
    history: History,
    span: Span,
    replay: Replay,
    forecaster: Forecaster,
    *,
    on_stage: Callable[[str], None] = lambda _: None,
) -> Rolled:
    """Put the baselines and the outcomes beside a replay."""
    values, horizon = np.asarray(history.series.values), forecaster.horizon
    origins = np.arange(span.warm, span.end)
    seasons = tuple(s // history.series.step_seconds for s in forecaster.bundle.card.season_seconds)
    on_stage("forecasting with the baselines")
    table = baselines(history.series.step_seconds, seasons)
    points = {key: forecast(values, origins, horizon) for key, forecast in table.items()}
    points["damped_trend"] = damped_trend(values, origins, horizon, train_end=span.test)
    path, peak = actual_paths(values, origins, horizon)
    return Rolled(history, span, horizon, forecaster.levels, seasons, replay, points, path, peak)


def cut(issued: IssuedForecasts, rows: slice) -> IssuedForecasts:
    """Some origins of issued forecasts."""
    return IssuedForecasts(issued.series, issued.origins[rows], issued.levels, issued.path[rows], issued.peak[rows])


def join(parts: list[Replay]) -> Replay:
    """Consecutive replays as one."""

    def joined(pieces: list[IssuedForecasts]) -> IssuedForecasts:
        def stack(name: str) -> Float32Array:
            return np.concatenate([getattr(piece, name) for piece in pieces])

        origins = np.concatenate([piece.origins for piece in pieces])
        return IssuedForecasts(pieces[0].series, origins, pieces[0].levels, stack("path"), stack("peak"))

    return Replay(joined([p.calibrated for p in parts]), joined([p.raw for p in parts]), parts[-1].state)
