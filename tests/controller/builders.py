"""Specs, observations, forecasts and memories for tests, with defaults so that the shown values stand out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from controller.spec import GuardrailSettings, ScalingSpec
from controller.vocabulary import Memory, Observation
from predictor.forecast import Forecast

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LEVELS = (0.5, 0.9, 0.99)


def a_spec(**changes: Any) -> ScalingSpec:
    """10 requests per replica planned for, 12 at the HPA above; pods serve after 90 s, decisions add 30 s."""
    rails = {name: changes.pop(name) for name in tuple(changes) if name in GuardrailSettings.__dataclass_fields__}
    base = ScalingSpec(
        target="Deployment/default/agent",
        demand_query="demand",
        target_per_replica=10.0,
        reactive_target_per_replica=12.0,
        startup_seconds=90.0,
        quantile=0.9,
        guardrails=GuardrailSettings(**rails),
    )
    return replace(base, **changes)


def a_forecast(peak: float = 100.0, *, now: datetime = NOON, age_seconds: float = 0.0, horizon: int = 15) -> Forecast:
    """The 90 % quantile of the coming peak is `peak` at every step; the median is 20 % lower, q99 20 % higher."""
    quantiles = np.tile(np.array([0.8, 1.0, 1.2]) * peak, (horizon, 1))
    issued_at = now - timedelta(seconds=age_seconds)
    return Forecast("agent", issued_at, 60, LEVELS, quantiles, quantiles, "a-model")


def a_rising_forecast(first: float, step: float, *, now: datetime = NOON) -> Forecast:
    """Every quantile of the peak is `first` one minute ahead and grows by `step` a minute."""
    quantiles = np.repeat((first + step * np.arange(15.0))[:, None], len(LEVELS), axis=1)
    return Forecast("agent", now, 60, LEVELS, quantiles, quantiles, "a-model")


def an_observation(**changes: Any) -> Observation:
    """A demand of 50 and a fresh forecast of 100."""
    now = changes.get("now", NOON)
    forecast = changes.pop("forecast", a_forecast(now=now))
    return replace(Observation(now=NOON, replicas=5, demand=50.0, forecast=forecast), **changes)


def a_memory(floor: int = 8, *, seconds_ago: float = 15.0, now: datetime = NOON, wished: int | None = None) -> Memory:
    """A floor that was decided on a forecast some seconds ago."""
    at = now - timedelta(seconds=seconds_ago)
    return Memory(floor, at, at, ((at, floor if wished is None else wished),))
