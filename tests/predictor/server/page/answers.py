"""Answers of the forecast API, with defaults filled in so that only the interesting values show."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from predictor import messages as m

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STEP = 60
HORIZON = 15
LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
_SPREAD = [-1.64, -1.28, -0.67, 0.0, 0.67, 1.28, 1.64, 2.33]  # of the levels, in standard deviations
TARGET = 25.0
HASH = "dd21556fc1f3cceef62226c95b40b918594c9e2898e300d01a73aa58741f0969"


def demand_at(instant: datetime) -> float:
    """A day's course with its highest in the afternoon, a wave of forty minutes, and something like noise."""
    minutes = instant.timestamp() / 60
    day = 300 - 160 * math.cos(2 * math.pi * (minutes / 1440 - 0.08))
    return round(day + 26 * math.sin(minutes / 27) + 9 * math.sin(minutes * 2.7) * math.cos(minutes * 0.71), 1)


def a_trust(state: str = "trusted", reason: str = "Earned", message: str = "4,291 outcomes in 3 days") -> m.Trust:
    return m.Trust(state=m.TrustState(state), reason=m.TrustReason(reason), message=message)


def a_freshness(*, age_seconds: float | None = 6.0, is_stale: bool = False, error: str | None = None) -> m.Freshness:
    return m.Freshness(
        last_sample_at=None if age_seconds is None else NOON - timedelta(seconds=age_seconds),
        age_seconds=age_seconds,
        is_stale=is_stale,
        last_read_at=NOON,
        error=error,
    )


def a_model_name() -> m.ModelName:
    return m.ModelName(version=HASH[:12], hash=HASH, created_at="2026-11-23T02:00:00+00:00", code_version="0.1.0")


def a_summary(name: str = "checkout", **changed: Any) -> m.WorkloadSummary:
    """A workload in good order."""
    fields: dict[str, Any] = {
        "name": name,
        "status": "ok",
        "demand": demand_at(NOON),
        "replicas": 15.0,
        "expected": m.Expected(
            horizon_seconds=900, median=371.0, peak_median=402.0, peak_upper=455.0, upper_level=0.95, replicas=19
        ),
        "target_per_replica": TARGET,
        "step_seconds": STEP,
        "horizon_seconds": 900,
        "recent": [demand_at(NOON - timedelta(minutes=3 * at)) for at in range(40, -1, -1)],
        "trust": a_trust(),
        "score": m.Score(
            window_seconds=259_200, horizon_seconds=900, pairs=4291, wape=0.0765, persistence_wape=0.1248, skill=0.387
        ),
        "freshness": a_freshness(),
        "model": a_model_name(),
    }
    return m.WorkloadSummary(**{**fields, **changed})


def a_silent_summary(name: str = "search", reason: str = "DataStale", **changed: Any) -> m.WorkloadSummary:
    """A workload without a forecast."""
    fields: dict[str, Any] = {
        "status": "unavailable",
        "reason": m.Unavailable(reason),
        "message": f"{name}: the newest sample is 14 minutes old, 5 allowed",
        "expected": None,
        "trust": a_trust("unproven", "TooFewOutcomes", "12 outcomes in 3 days, 240 needed to judge"),
        "score": None,
        "freshness": a_freshness(age_seconds=840.0, is_stale=True),
    }
    return a_summary(name, **{**fields, **changed})


def a_list(*workloads: m.WorkloadSummary, **changed: Any) -> m.WorkloadList:
    fields: dict[str, Any] = {"cycle": 4711, "cycle_at": NOON, "is_warm": True, "workloads": list(workloads)}
    return m.WorkloadList(**{**fields, **changed})


def a_forecast(
    name: str = "checkout", *, issued_at: datetime = NOON, scale: float = 1.0, **changed: Any
) -> m.ForecastAnswer:
    """Bands that open with time, and the highest demand until each step."""
    times = [issued_at + timedelta(seconds=STEP * (at + 1)) for at in range(HORIZON)]
    path = [
        [round(scale * (demand_at(time) + width * (6 + 2.2 * at)), 2) for width in _SPREAD]
        for at, time in enumerate(times)
    ]
    highest = [[max(row[level] for row in path[: at + 1]) for level in range(len(LEVELS))] for at in range(HORIZON)]
    fields: dict[str, Any] = {
        "workload": name,
        "status": "ok",
        "issued_at": issued_at,
        "expires_at": issued_at + timedelta(minutes=6),
        "step_seconds": STEP,
        "levels": LEVELS,
        "times": times,
        "path": path,
        "window_max": highest,
        "target_per_replica": TARGET,
        "model": a_model_name(),
        "freshness": a_freshness(),
        "calibration": m.Calibration(is_warm=True, outcomes=4291),
        "trust": a_trust(),
    }
    return m.ForecastAnswer(**{**fields, **changed})


def no_forecast(name: str = "checkout", reason: str = "DataStale", **changed: Any) -> m.ForecastAnswer:
    fields: dict[str, Any] = {
        "workload": name,
        "status": "unavailable",
        "reason": m.Unavailable(reason),
        "message": f"{name}: the newest sample is 14 minutes old, 5 allowed",
        "step_seconds": STEP,
        "target_per_replica": TARGET,
        "freshness": a_freshness(age_seconds=840.0, is_stale=True),
        "trust": a_trust("unproven", "TooFewOutcomes", "12 outcomes in 3 days, 240 needed to judge"),
    }
    return m.ForecastAnswer(**{**fields, **changed})


def a_history(
    start: datetime = NOON - timedelta(days=1),
    end: datetime = NOON,
    *,
    has_replicas: bool = True,
    name: str = "checkout",
) -> m.History:
    """Demand with an hour's gap, forecasts that trail it a little, and replicas."""
    first = math.ceil(start.timestamp() / STEP)
    times = [datetime.fromtimestamp(at * STEP, UTC) for at in range(first, int(end.timestamp()) // STEP + 1)]
    gap = (NOON - timedelta(hours=9), NOON - timedelta(hours=8))
    demand = [None if gap[0] <= time < gap[1] else demand_at(time) for time in times]
    middle = [demand_at(time - timedelta(minutes=2)) for time in times]
    path: list[list[float | None]] = [[round(value + width * 22, 2) for value in middle] for width in (-1.64, 0, 1.64)]
    needed = [
        None if value is None else round((value + demand_at(time - timedelta(minutes=1))) / 2 / TARGET, 3)
        for value, time in zip(demand, times, strict=True)
    ]
    recommended: list[float | None] = [
        float(math.ceil((demand_at(time + timedelta(minutes=9)) + 34) / TARGET))
        for time in times[::HORIZON]
        for _ in range(HORIZON)
    ]
    observed: list[float | None] = [
        float(math.ceil((demand_at(time - timedelta(minutes=5)) + 15) / TARGET))
        for time in times[::10]
        for _ in range(10)
    ]
    return m.History(
        workload=name,
        step_seconds=STEP,
        times=times,
        demand=demand,
        forecasts=m.PastForecasts(horizon_seconds=900, levels=[0.05, 0.5, 0.95], path=path),
        replicas=m.Replicas(needed=needed, recommended=recommended[: len(times)], observed=observed[: len(times)])
        if has_replicas
        else None,
    )


def an_accuracy(window_seconds: int = 86_400, **changed: Any) -> m.Accuracy:
    """Better than persistence, a little too sure of itself at the top."""
    horizons = [
        m.HorizonScore(
            horizon_seconds=STEP * at,
            pairs=1440 - at,
            wape=round(0.030 + 0.0035 * at, 4),
            persistence_wape=round(0.034 + 0.0070 * at, 4),
            skill=round(1 - (0.030 + 0.0035 * at) / (0.034 + 0.0070 * at), 4),
            bias=0.0076,
        )
        for at in range(1, HORIZON + 1)
    ]
    heads: tuple[m.Head, ...] = ("path", "window_max")
    coverage = [
        m.CoverageScore(
            head=head,
            horizon_seconds=900,
            level=level,
            pairs=1425,
            covered=round(1425 * share),
            coverage=round(1425 * share) / 1425,
        )
        for head, off in zip(heads, (0.012, -0.03), strict=True)
        for level, share in ((level, level + off * 4 * level * (1 - level)) for level in LEVELS)
    ]
    fields: dict[str, Any] = {
        "workload": "checkout",
        "start": NOON - timedelta(seconds=window_seconds),
        "end": NOON,
        "window_seconds": window_seconds,
        "origins": 1440,
        "live_origins": 1200,
        "by_horizon": horizons,
        "coverage": coverage,
        "alarms": m.AlarmScore(
            level=0.3,
            surges=9,
            caught=8,
            recall=8 / 9,
            alarms=13,
            hits=11,
            false_alarms=1,
            pending=1,
            false_alarm_ratio=1 / 12,
            median_lead_seconds=990.0,
            wasted_replica_minutes=58.5,
        ),
        "trust": a_trust(),
    }
    return m.Accuracy(**{**fields, **changed})


def the_alarms(window_seconds: int = 86_400, **changed: Any) -> m.Alarms:
    """One of each kind and a few more."""

    def ago(hours: float) -> datetime:
        return NOON - timedelta(hours=hours)

    def alarm(hours: float, outcome: str) -> m.Alarm:
        return m.Alarm.model_validate(
            {
                "raised_at": ago(hours),
                "outcome": outcome,
                "resolves_at": ago(hours) + timedelta(minutes=20),
                "held": 8.0,
                "asked": 11.4,
            }
        )

    fields: dict[str, Any] = {
        "workload": "checkout",
        "window_seconds": window_seconds,
        "target_per_replica": TARGET,
        "is_target_derived": False,
        "alarms": [
            alarm(20.2, "hit"),
            alarm(14.5, "false"),
            alarm(6.25, "hit"),
            alarm(2.2, "hit"),
            alarm(0.15, "pending"),
        ],
        "surges": [
            m.Surge(began_at=ago(20.0), is_caught=True, held=8.0, needed=11.0),
            m.Surge(began_at=ago(11.0), is_caught=False, held=9.0, needed=12.2),
            m.Surge(began_at=ago(6.0), is_caught=True, held=12.0, needed=15.3),
            m.Surge(began_at=ago(2.0), is_caught=True, held=15.0, needed=19.1),
        ],
    }
    return m.Alarms(**{**fields, **changed})


def a_model(**changed: Any) -> m.ModelInfo:
    fields: dict[str, Any] = {
        "name": "checkout-lstm",
        "status": "ok",
        "version": HASH[:12],
        "hash": HASH,
        "created_at": "2026-11-23T02:00:00+00:00",
        "code_version": "0.1.0",
        "loaded_at": NOON - timedelta(hours=10),
        "workloads": ["checkout"],
        "step_seconds": STEP,
        "horizon_steps": HORIZON,
        "levels": LEVELS,
        "season_seconds": [86_400, 604_800],
        "covariates": ["hour of day", "day of week"],
        "trained_from": "2026-10-26T00:00:00+00:00",
        "trained_to": "2026-11-22T00:00:00+00:00",
        "training_samples": 38_880,
        "training_series": ["checkout"],
        "parameters": 51_234,
        "validation_skill": 0.401,
    }
    return m.ModelInfo(**{**fields, **changed})
