"""Turn coming demand into replicas: a quantile of its running maximum over the lead.  Pure: no I/O, no clock."""

from __future__ import annotations

import math
from bisect import bisect_left
from datetime import datetime, timedelta

from controller.spec import ScalingSpec
from controller.vocabulary import Observation, Reason, Recommendation
from predictor.forecast import Forecast

MOST_REPLICAS = 2**31 - 1  # a replica count is an int32 in Kubernetes
CLOCK_SKEW_SECONDS = 5  # by which another machine's clock may be ahead of ours
_ROUNDING = 1e-9  # of a replica: what floating point adds to an exact multiple must not cost a pod


def replicas_for(demand: float, target_per_replica: float) -> int:
    """The fewest replicas that carry this demand."""
    return max(0, math.ceil(min(demand / target_per_replica, MOST_REPLICAS) - _ROUNDING))


def plan_capacity(spec: ScalingSpec, seen: Observation) -> Recommendation:
    """Return the fewest replicas that carry the highest demand until newly asked pods serve.

    No opinion, with its reason, when the forecast is missing, stale, too short, not trusted, or when demand has left
    what the settings were chosen on.
    """
    forecast = seen.forecast
    if forecast is None:
        return Recommendation(None, Reason.NO_FORECAST)
    steps = lead_steps(spec, seen, forecast)
    doubt = doubt_about(spec, seen, forecast, steps)
    if doubt is not None:
        return Recommendation(None, doubt)
    demand = peak_demand(forecast, steps, spec.level)
    if not math.isfinite(demand):
        return Recommendation(None, Reason.FORECAST_INVALID)
    demand = max(demand, 0.0) * demand_factor(spec, seen)
    return Recommendation(replicas_for(demand, spec.target_per_replica), Reason.FORECAST_DEMAND, demand)


def doubt_about(spec: ScalingSpec, seen: Observation, forecast: Forecast, steps: float) -> Reason | None:
    """Why this forecast, which has to reach so many steps, must not be followed now, or None."""
    rails = spec.guardrails
    age = (seen.now - forecast.issued_at).total_seconds()
    if not -CLOCK_SKEW_SECONDS <= age <= rails.stale_after_seconds:  # one from the future is another clock's
        return Reason.FORECAST_STALE
    if not seen.is_trusted:
        return Reason.NOT_TRUSTED
    highest = max(seen.demand or 0.0, seen.recent_peak_demand or 0.0)
    if rails.experience_demand is not None and highest > rails.experience_demand:
        return Reason.OUTSIDE_EXPERIENCE
    if steps > forecast.horizon:
        return Reason.FORECAST_TOO_SHORT
    return None


def lead_steps(spec: ScalingSpec, seen: Observation, forecast: Forecast) -> float:
    """Steps after the forecast's issue until a pod asked for now, or at the next decision, serves; rarely whole."""
    age = (seen.now - forecast.issued_at).total_seconds()
    return max(1.0, (age + spec.lead_seconds) / forecast.step_seconds)


def peak_demand(forecast: Forecast, steps: float, level: float) -> float:
    """Quantile of the highest demand within `steps`, between known steps and levels by interpolation.

    A level beyond the last known one means the last: nothing is known of what lies farther out.
    """
    before = min(int(steps), forecast.horizon)
    share = steps - before
    low = _at_level(forecast, before, level)
    return low if share <= 0 else low * (1 - share) + _at_level(forecast, before + 1, level) * share


def _at_level(forecast: Forecast, step: int, level: float) -> float:
    """Quantile of the highest demand within a whole number of steps."""
    levels, row = forecast.levels, forecast.peak[step - 1]
    above = bisect_left(levels, level - 1e-12)
    if above == len(levels):
        return float(row[-1])
    if above == 0 or abs(levels[above] - level) < 1e-9:
        return float(row[above])
    share = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
    return float(row[above - 1]) * (1 - share) + float(row[above]) * share


def demand_factor(spec: ScalingSpec, seen: Observation) -> float:
    """The highest factor of the events and schedules that touch the lead; 1 without any."""
    if not spec.overrides:
        return 1.0
    return max((o.demand_factor for o in spec.overrides if o.concerns(*_span(spec, seen))), default=1.0)


def announced_replicas(spec: ScalingSpec, seen: Observation) -> int:
    """The highest floor of the events and schedules that touch the lead; 0 without any."""
    return max((o.min_replicas for o in spec.overrides if o.concerns(*_span(spec, seen))), default=0)


def _span(spec: ScalingSpec, seen: Observation) -> tuple[datetime, datetime]:
    """From now until a pod asked for now serves."""
    return seen.now, seen.now + timedelta(seconds=spec.lead_seconds)


def reactive_replicas(spec: ScalingSpec, seen: Observation) -> int | None:
    """What present demand asks for at the HPA's own target; computed from demand, never read from an HPA's status.

    An HPA's desired replicas are never below its minimum, which is our floor: following them would never let it fall.
    """
    if seen.demand is None:
        return None
    return replicas_for(max(seen.demand, 0.0), spec.reactive_target_per_replica)
