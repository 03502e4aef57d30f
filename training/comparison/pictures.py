"""What the comparison's pictures show: one day, the alarms of the span, the calibration.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from predictor.forecast import IntArray, IssuedForecasts, level_index
from predictor.scores import actual_paths
from predictor.series import FloatArray
from predictor.surges import Demand, Judgement
from training.comparison.facts import AlarmMark, CalibrationPoint, Day, DayTrack, Family, TimelineMark, Tuning
from training.comparison.policies import Row
from training.simulator.forecasters import Source
from training.simulator.study import Case

BANDS = (0.05, 0.5, 0.95)
_SHOWN = (Family.HPA, Family.PREDICTIVE, Family.ORACLE)


def shown_day(case: Case, rows: Sequence[Row], values: FloatArray) -> Day:
    """The day of the test span on which the HPA as shipped let most requests wait, else the one of highest demand."""
    world = case.world
    per_day = world.cycle_seconds // world.sample_seconds
    count = max(1, (len(values) - case.test_sample) // per_day)
    shipped = next(row.run for row in rows if row.policy.key == "hpa_shipped")
    late = shipped.late[case.test_step :] * world.arrivals.is_observed[case.test_step :]
    at_stake = _by_day(late, per_day * world.steps_per_sample, count)
    if at_stake.max() <= 0:
        at_stake = _by_day(np.nan_to_num(values[case.test_sample :]), per_day, count)
    first = case.test_sample + int(np.argmax(at_stake)) * per_day
    samples = np.arange(first, min(first + per_day, len(values)))
    lead = max(1, int(np.ceil(world.lead_steps(world.decision_steps()[:1])[0])))
    issued = case.issued[Source.LSTM]
    levels = tuple(level for level in BANDS if any(abs(level - known) < 1e-9 for known in issued.levels))
    steps = (samples - case.first_sample) * world.steps_per_sample
    tracks = [
        DayTrack(row.policy, tuple(row.run.ready[steps].astype(float)), tuple(row.run.paid[steps].astype(float)))
        for row in rows
        if row.policy.family in _SHOWN and row.tuning is not Tuning.RECHOSEN
    ]
    return Day(
        start=world.instant(int(steps[0])),
        step_seconds=world.sample_seconds,
        demand=_known(values[samples]),
        capacity_per_replica=world.capacity,
        lead_steps=lead,
        levels=levels,
        bands=tuple(_known(_made_before(issued, samples, lead, level)) for level in levels),
        tracks=tuple(tracks),
    )


def timeline(
    judgement: Judgement, demand: Demand, asked: FloatArray, case: Case, start: datetime
) -> tuple[TimelineMark, ...]:
    """Alarms with their outcomes and surges, in order."""
    kinds = {1: AlarmMark.HIT, 0: AlarmMark.FALSE_ALARM, -1: AlarmMark.PENDING}

    def at(sample: int) -> datetime:
        return start + timedelta(seconds=sample * case.world.sample_seconds)

    marks = [
        TimelineMark(at(int(index)), kinds[int(outcome)], float(asked[index - case.test_sample] / demand.target))
        for index, outcome in zip(judgement.alarms, judgement.outcomes, strict=True)
    ]
    marks += [
        TimelineMark(
            at(int(index)), AlarmMark.CAUGHT_SURGE if caught else AlarmMark.MISSED_SURGE, float(demand.need[index])
        )
        for index, caught in zip(judgement.surges, judgement.caught, strict=True)
    ]
    return tuple(sorted(marks, key=lambda mark: mark.at))


def calibration(case: Case, values: FloatArray) -> tuple[CalibrationPoint, ...]:
    """How often the peak over the lead stayed below each quantile, over the test span."""
    issued = case.issued[Source.LSTM]
    lead = max(1, int(np.ceil(case.world.lead_steps(case.world.decision_steps()[:1])[0])))
    rows = issued.origins >= case.test_sample
    _, peak = actual_paths(values, issued.origins[rows], issued.horizon)
    actual, promised = peak[:, lead - 1], issued.peak[rows, lead - 1]
    points = []
    for column, level in enumerate(issued.levels):
        known = np.isfinite(actual) & np.isfinite(promised[:, column])
        points.append(CalibrationPoint(level, int((actual[known] <= promised[known, column]).sum()), int(known.sum())))
    return tuple(points)


def _made_before(issued: IssuedForecasts, samples: IntArray, lead: int, level: float) -> FloatArray:
    """The quantile forecast for each sample, `lead` samples before it."""
    rows = samples - lead - int(issued.origins[0])
    known = (rows >= 0) & (rows < len(issued.origins))
    out = np.full(len(samples), np.nan)
    out[known] = issued.path[rows[known], lead - 1, level_index(issued.levels, level)]
    return out


def _by_day(values: FloatArray, size: int, count: int) -> FloatArray:
    ends = [values[index * size : (index + 1) * size].sum() for index in range(count)]
    return np.array(ends)


def _known(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
