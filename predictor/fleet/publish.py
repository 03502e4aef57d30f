"""Makes the snapshot that readers see, and keeps the verdicts in it up to date.

Scoring alarms takes milliseconds per workload, so a large fleet's are refreshed in turns, a part each cycle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from predictor import messages as m
from predictor.fleet import scoring
from predictor.fleet.cohort import Issued
from predictor.fleet.line import Line, reason_of
from predictor.fleet.scoring import Subject
from predictor.fleet.slot import model_name
from predictor.fleet.unit import Unit, instant
from predictor.fleet.view import EXPORTED_LEVELS, Snapshot, View, digits
from predictor.forecast import at_levels
from predictor.forecaster import MAX_MISSING_RATIO, STALE_AFTER_STEPS, NoForecast
from predictor.series import Series
from predictor.trust import judge_trust

if TYPE_CHECKING:
    from predictor.fleet.fleet import Fleet, Group, Workload

_REFRESHED_AT_ONCE = 64
_TURNS = 15  # cycles after which every workload has had its turn
_SPARK_POINTS = 60
_SPARK_SECONDS = 7200


class Publisher:
    """Belongs to one fleet; to be called while its lock is held."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._next = 0
        self._observed: dict[int, dict[tuple[tuple[str, str], ...], dict[int, float]]] = {}

    # --- verdicts --------------------------------------------------------------------------------------------------

    def refresh_scores(self) -> None:
        """Judge the next part of the fleet."""
        subjects = list(self._fleet.subjects().values())
        if not subjects:
            return
        count = min(len(subjects), max(_REFRESHED_AT_ONCE, -(-len(subjects) // _TURNS)))
        for index in range(count):
            self._judge(subjects[(self._next + index) % len(subjects)])
        self._next = (self._next + count) % len(subjects)

    def rebuild_scores(self) -> None:
        """Start over, after a replay has changed what is known of the past."""
        for subject in self._fleet.subjects().values():
            workload = self._fleet.workloads[subject.name]
            workload.trust = None if not subject.cohort.is_warm else workload.trust
        self.refresh_scores()

    def _judge(self, subject: Subject) -> None:
        workload = self._fleet.workloads[subject.name]
        window = subject.cohort.shape.kept_steps * subject.step_seconds
        judged = scoring.judge_alarms(subject, window)
        workload.alarms = None if judged is None else scoring.alarm_score(subject, judged)
        workload.outcomes = scoring.outcomes(subject, workload.alarms, window)
        workload.trust = judge_trust(workload.outcomes, before=None if workload.trust is None else workload.trust.state)
        if judged is None:
            return
        found = judged.judgement
        steps = judged.first_step
        workload.tally.count(
            [(steps + at, outcome) for at, outcome in zip(found.alarms.tolist(), found.outcomes.tolist(), strict=True)],
            [(steps + at, hit) for at, hit in zip(found.surges.tolist(), found.caught.tolist(), strict=True)],
            step=subject.track.step,
            outcome_steps=judged.demand.rule.outcome,
        )

    # --- observed replicas -----------------------------------------------------------------------------------------

    def observed(self, line: Line, series: Sequence[Series]) -> None:
        """Take in what a replicas query gave."""
        table = self._observed.setdefault(id(line), {})
        for one in series:
            samples = table.setdefault(tuple(sorted(one.labels.items())), {})
            first = int(one.start.timestamp()) // line.step_seconds
            for index in np.flatnonzero(np.isfinite(one.values)).tolist():
                samples[first + index] = float(one.values[index])
            for old in [step for step in samples if step < (line.until or 0) - 86_400 // line.step_seconds]:
                del samples[old]

    def replicas(self, workload: Workload, step_seconds: int, steps: range) -> list[float | None] | None:
        """Observed replicas of a workload at each step; None without a query, or when it is not clear which series."""
        line = self._fleet.replicas_of(workload.user, step_seconds)
        table = self._observed.get(id(line), {}) if line is not None else {}
        wanted = workload.user.select.items()
        mine = [samples for labels, samples in table.items() if all(dict(labels).get(k) == v for k, v in wanted)]
        if workload.user.placeholders:
            mine = [s for labels, s in table.items() if workload.user.named(dict(labels)) == workload.name]
        if line is None or len(mine) != 1:
            return None
        return [mine[0].get(step) for step in steps]

    # --- the snapshot ----------------------------------------------------------------------------------------------

    def publish(self, now: datetime, cycle: int, notes: tuple[str, ...]) -> Snapshot:
        """Freeze what is known."""
        views: dict[str, View] = {}
        models = []
        for group in self._fleet.groups:
            names: list[str] = []
            for unit in group.units:
                views |= self._views_of(group, unit, now)
            for name, workload in self._fleet.workloads.items():
                if workload.user in group.users:
                    names.append(name)
                    if name not in views:
                        views[name] = self._without_row(group, workload)
            models.append(group.slot.info(names))
        waiting = self._waiting_for()
        is_ready = self._fleet.snapshot.is_ready or waiting is None
        ordered = {name: views[name] for name in self._fleet.workloads if name in views}
        return Snapshot(cycle, now, is_ready, None if is_ready else waiting, ordered, tuple(models), notes)

    def _waiting_for(self) -> str | None:
        """Why not every workload has had its first forecast."""
        for group in self._fleet.groups:
            if group.slot.forecaster is None:
                return f"the model {group.slot.name} cannot be used: {group.slot.error}"
            if not group.tried:
                return "history is being read from the metric server"
        if not any(group.units for group in self._fleet.groups):
            errors = [line.error for group in self._fleet.groups for line in self._fleet.lines_of(group) if line.error]
            return str(errors[0]) if errors else "no query gives a series yet"
        return None

    def _views_of(self, group: Group, unit: Unit, now: datetime) -> dict[str, View]:
        cohort = unit.cohort
        if cohort is None or cohort.live is None or cohort.issued is None:
            return {}
        step_seconds = unit.forecaster.bundle.card.step_seconds
        track, issued, levels = cohort.live, cohort.issued, unit.forecaster.levels
        lines = {id(line): line for line in unit.lines}
        line_of_row = {row: lines.get(key[0]) for key, row in unit.rows.items()}
        model = model_name(unit.forecaster)
        learnt = track.state.outcomes[:, :, -1, 0, -1].sum(axis=1)  # of the mixture's path at the longest horizon
        asked = {level: at_levels(issued.peak[:, -1], levels, (level,))[:, 0]
                 for level in {member.alarm_level for member in cohort.members}}  # fmt: skip
        stride = max(1, _SPARK_SECONDS // step_seconds // _SPARK_POINTS)
        spark = cohort.table.until(track.step, stride * _SPARK_POINTS)[:, ::-stride][:, ::-1].copy()
        views = {}
        for row, member in enumerate(cohort.members):
            if row >= len(issued.refusals):
                continue  # appeared after the last forecast
            workload, line = self._fleet.workloads[member.name], line_of_row.get(row)
            subject = Subject(member.name, cohort, row, workload.target, workload.is_target_derived)
            sums = track.ledger.sums(row, cohort.shape.kept_steps)
            refusal = self._refusal(member.name, issued, row, line, unit)
            seen = int(cohort.table.last_seen[row])
            window = cohort.shape.kept_steps * step_seconds
            views[member.name] = View(
                name=member.name,
                is_synthetic=self._fleet.feed.is_synthetic,
                refusal=refusal,
                freshness=_freshness(line, seen, step_seconds, now),
                trust=workload.trust or _untried(),
                outcomes=workload.outcomes,
                target=workload.target,
                is_target_derived=workload.is_target_derived,
                model=model,
                step_seconds=step_seconds,
                levels=levels,
                issued_at=instant(issued.step, step_seconds),
                path=issued.path[row],
                peak=issued.peak[row],
                demand=_newest(cohort.table.until(track.step, STALE_AFTER_STEPS + 1)[row]),
                replicas=self._newest_replicas(workload, step_seconds, track.step),
                calibration=m.Calibration(is_warm=cohort.is_warm, outcomes=int(learnt[row])),
                score=scoring.score(subject, sums, window),
                coverage=tuple(scoring.coverage_counts(subject, sums, EXPORTED_LEVELS)),
                alarms=workload.alarms,
                alarm_demand=None if refusal else float(asked[member.alarm_level][row]),
                recent=spark[row],
                subject=subject,
            )
        return views

    def _newest_replicas(self, workload: Workload, step_seconds: int, step: int) -> float | None:
        known = self.replicas(workload, step_seconds, range(step - STALE_AFTER_STEPS, step + 1)) or []
        return next((value for value in reversed(known) if value is not None), None)

    def _refusal(
        self, name: str, issued: Issued, row: int, line: Line | None, unit: Unit
    ) -> tuple[m.Unavailable, str] | None:
        refused = issued.refusals[row]
        if refused is None:
            return None
        if line is not None and line.error is not None and refused is NoForecast.STALE:
            return reason_of(line.error), f"{name}: {line.error}"
        words: Mapping[NoForecast, str] = {
            NoForecast.TOO_SHORT: f"fewer than {unit.forecaster.schema.minimum_steps} steps of history are known; wait",
            NoForecast.STALE: f"nothing was observed in the last {STALE_AFTER_STEPS} steps; check the scrape job",
            NoForecast.GAPPY: f"more than {MAX_MISSING_RATIO:.0%} of the last {unit.forecaster.schema.context} samples "
            "are missing; check the scrape job",
        }
        return m.Unavailable(refused.value), f"{name}: {words[refused]}"

    def _without_row(self, group: Group, workload: Workload) -> View:
        """A workload that nothing has been read of."""
        slot = group.slot
        step = None if slot.forecaster is None else slot.forecaster.bundle.card.step_seconds
        line = None if step is None else self._fleet.line_of(workload.user, step)
        refusal = workload.problem or (m.Unavailable.STARTING, f"{workload.name}: history is being read")
        if slot.forecaster is None:
            refusal = (m.Unavailable.MODEL_REFUSED, f"{workload.name}: {slot.error or 'its model is being loaded'}")
        elif line is not None and line.error is not None:
            refusal = (reason_of(line.error), f"{workload.name}: {line.error}")
        return View(
            name=workload.name,
            is_synthetic=self._fleet.feed.is_synthetic,
            refusal=refusal,
            freshness=_freshness(line, -1, step or 1, None),
            trust=_untried(),
            target=workload.target,
            is_target_derived=False,
            model=None if slot.forecaster is None else model_name(slot.forecaster),
            step_seconds=step,
        )


def _freshness(line: Line | None, seen: int, step_seconds: int, now: datetime | None) -> m.Freshness:
    last = None if seen < 0 else instant(seen, step_seconds)
    age = None if last is None or now is None else max((now - last).total_seconds(), 0.0)
    return m.Freshness(
        last_sample_at=last,
        age_seconds=age,
        is_stale=age is None or age > (STALE_AFTER_STEPS + 1) * step_seconds,
        last_read_at=None if line is None else line.last_read_at,
        error=None if line is None or line.error is None else str(line.error),
    )


def _untried() -> m.Trust:
    return m.Trust(
        state=m.TrustState.UNPROVEN, reason=m.TrustReason.TOO_FEW_OUTCOMES, message="no outcomes are known yet"
    )


def _newest(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float | None:
    known = values[np.isfinite(values)]
    return digits(float(known[-1])) if known.size else None
