"""What the forecast server would say of a workload, in its own schema.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from predictor import messages as m
from predictor.forecast import DEFAULT_HORIZON, DEFAULT_LEVELS

STEP_SECONDS = 60
TARGET = 10.0  # demand per replica
PLANNED = DEFAULT_LEVELS.index(0.95)  # the quantile that floors are planned on
_SPREAD = [0.7 + 0.3 * at / PLANNED for at in range(len(DEFAULT_LEVELS))]  # of each quantile around the planned one
_MODEL = m.ModelName(
    version="dd21556fc1f3",
    hash="dd21556fc1f3cceef62226c95b40b918594c9e2898e300d01a73aa58741f0969",
    created_at="2026-11-23T02:00:00+00:00",
    code_version="0.1.0",
)
_OUTCOMES = m.Outcomes(
    window_seconds=259_200,
    is_warm=True,
    pairs=4291,
    skill=0.387,
    upper_level=0.95,
    upper_pairs=4291,
    upper_covered=4089,
    hits=11,
    false_alarms=1,
    surges=9,
    surges_caught=8,
)
_TRUST = m.Trust(
    state=m.TrustState.TRUSTED,
    reason=m.TrustReason.EARNED,
    message="4291 outcomes in 3 days; skill over persistence 38.7%",
)


def a_forecast(name: str, issued_at: datetime, planned: Sequence[float]) -> m.ForecastAnswer:
    """As full as the server's own.  planned: demand at the planned quantile, one value per step ahead."""
    assert len(planned) == DEFAULT_HORIZON
    path, peak, highest = [], [], 0.0
    for value in planned:
        highest = max(highest, value)
        path.append([round(value * share, 4) for share in _SPREAD])
        peak.append([round(highest * share, 4) for share in _SPREAD])
    return m.ForecastAnswer(
        workload=name,
        status="ok",
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=DEFAULT_HORIZON * STEP_SECONDS),
        step_seconds=STEP_SECONDS,
        levels=list(DEFAULT_LEVELS),
        times=[issued_at + timedelta(seconds=STEP_SECONDS * (at + 1)) for at in range(DEFAULT_HORIZON)],
        path=path,
        window_max=peak,
        target_per_replica=TARGET,
        model=_MODEL,
        freshness=m.Freshness(last_sample_at=issued_at, age_seconds=6.2, is_stale=False, last_read_at=issued_at),
        calibration=m.Calibration(is_warm=True, outcomes=4291),
        trust=_TRUST,
        outcomes=_OUTCOMES,
    )


def no_forecast(name: str) -> m.ForecastAnswer:
    """While its data are stale."""
    return m.ForecastAnswer(
        workload=name, status="unavailable", reason=m.Unavailable.STALE, message=f"{name}: no sample for 6 minutes"
    )
