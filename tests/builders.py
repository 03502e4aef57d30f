"""Histories and models for tests: small enough to train in seconds, with a "day" of a few minutes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from predictor.forecaster import Forecaster, History
from predictor.series import FloatArray, Series
from training.fit import FitSettings
from training.learning import LearningSettings, learn_model

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = 240  # steps and seconds: at a step of 1 s a day is four minutes
HORIZON = 5


def daily_demand(steps: int, *, level: float = 100.0, seed: int = 0) -> FloatArray:
    """A daily wave with a steep morning and counting noise."""
    phase = 2 * np.pi * np.arange(steps) / DAY
    shape = 1 + 0.6 * np.sin(phase) + 0.25 * np.sin(2 * phase + 1)
    return np.random.default_rng(seed).poisson(level * shape).astype(np.float64)


def a_series(values: FloatArray | None = None, *, name: str = "web", step_seconds: int = 1) -> Series:
    return Series(name, START, step_seconds, daily_demand(8 * DAY) if values is None else values)


def a_history(values: FloatArray | None = None, *, name: str = "web") -> History:
    return History(a_series(values, name=name))


def some_settings(*, updates: int = 40, seed: int = 0, horizon: int = HORIZON) -> LearningSettings:
    return LearningSettings(
        horizon=horizon,
        levels=(0.1, 0.5, 0.9),
        season_seconds=(DAY,),
        fit=FitSettings(seed=seed, updates=updates, batch=8, loss_steps=48, check_every=20),
    )


def a_forecaster(directory: Path, *histories: History, settings: LearningSettings | None = None) -> Forecaster:
    """Train on the given histories, or on the first three quarters of the usual one."""
    known = histories or (a_history().until(6 * DAY, HORIZON),)
    learn_model(known, settings or some_settings(), directory, now=START)
    return Forecaster.load(directory)


def learn_with_extras(directory: Path) -> tuple[Forecaster, History]:
    """A model of demand that doubles during announced events and follows an indicator; one event is just ahead."""
    steps = 8 * DAY
    events = np.zeros(steps + HORIZON)
    for start in range(100, steps + HORIZON, 170):
        events[start : start + 20] = 1.0
    events[steps:] = 1.0
    indicator = 1 + np.random.default_rng(3).random((steps, 1))
    values = np.round(daily_demand(steps) * (1 + events[:steps]) * np.roll(indicator[:, 0], 3))
    history = History(a_series(values), indicator, events)
    settings = replace(some_settings(updates=60), covariates=("orders",))
    learn_model([history.until(6 * DAY, HORIZON)], settings, directory, now=START)
    return Forecaster.load(directory), history
