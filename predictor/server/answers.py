"""From a snapshot to the API's messages.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from predictor import messages as m
from predictor.errors import InputError
from predictor.fleet.view import Snapshot, View, digits, summary


def workload_list(snapshot: Snapshot, now: datetime) -> m.WorkloadList:
    """The overview."""
    return m.WorkloadList(
        cycle=snapshot.cycle,
        cycle_at=snapshot.at,
        is_warm=snapshot.is_warm,
        workloads=[summary(view, now) for view in snapshot.views.values()],
        notes=list(snapshot.notes),
    )


def forecast(
    view: View,
    now: datetime,
    *,
    quantiles: Sequence[float] | None,
    horizon_seconds: int | None,
    window_max: bool,
) -> m.ForecastAnswer:
    """A forecast, or why there is none.  Raises InputError for levels and horizons that the model does not have."""
    refusal = view.refusal_at(now)
    if refusal is not None or view.path is None or view.peak is None or view.step_seconds is None:
        reason, message = refusal or (m.Unavailable.STARTING, f"{view.name}: the first forecast is being made")
        return m.ForecastAnswer(
            workload=view.name,
            status="unavailable",
            reason=reason,
            message=message,
            is_synthetic=view.is_synthetic,
            step_seconds=view.step_seconds,
            target_per_replica=view.target,
            is_target_derived=view.is_target_derived,
            model=view.model,
            freshness=view.freshness,
            calibration=view.calibration,
            trust=view.trust,
            outcomes=view.outcomes,
        )
    steps = len(view.path)
    if horizon_seconds is not None:
        if horizon_seconds < view.step_seconds or horizon_seconds > steps * view.step_seconds:
            raise InputError(
                f"horizon {horizon_seconds} s: give {view.step_seconds} to {steps * view.step_seconds} s, "
                f"the steps and the horizon of the model of {view.name}"
            )
        steps = horizon_seconds // view.step_seconds
    columns = _columns(view, quantiles)
    issued = view.issued_at or now
    return m.ForecastAnswer(
        workload=view.name,
        status="ok",
        is_synthetic=view.is_synthetic,
        issued_at=issued,
        expires_at=view.expires_at,
        step_seconds=view.step_seconds,
        levels=[view.levels[column] for column in columns],
        times=[issued + timedelta(seconds=view.step_seconds * (at + 1)) for at in range(steps)],
        path=[[digits(row[column]) for column in columns] for row in view.path[:steps].tolist()],
        window_max=(
            [[digits(row[column]) for column in columns] for row in view.peak[:steps].tolist()] if window_max else None
        ),
        target_per_replica=view.target,
        is_target_derived=view.is_target_derived,
        model=view.model,
        freshness=view.freshness,
        calibration=view.calibration,
        trust=view.trust,
        outcomes=view.outcomes,
    )


def unknown(name: str) -> m.ForecastAnswer:
    """For a name in a batch that nobody configured."""
    return m.ForecastAnswer(
        workload=name,
        status="unavailable",
        reason=m.Unavailable.UNKNOWN_WORKLOAD,
        message=f"{name}: no such workload; GET /v1/workloads lists them",
    )


def _columns(view: View, quantiles: Sequence[float] | None) -> list[int]:
    if not quantiles:
        return list(range(len(view.levels)))
    found = []
    for level in quantiles:
        near = [at for at, known in enumerate(view.levels) if abs(known - level) < 1e-9]
        if not near:
            known_levels = ", ".join(f"{known:g}" for known in view.levels)
            raise InputError(f"quantile {level:g}: the model of {view.name} gives {known_levels}; choose among these")
        found += near
    return found
