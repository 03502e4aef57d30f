"""All workloads of a configuration: reads, forecasts, scores and publishes, one cycle after the other.

One thread calls `cycle`, `collect` and `warm`; any thread may look at `snapshot`, and at more while holding `lock`.
The clock is an argument.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from predictor import messages as m
from predictor.errors import ForescaleError
from predictor.fleet.feed import Feed
from predictor.fleet.line import Claim, Line, assign
from predictor.fleet.memory import give_memory_back
from predictor.fleet.publish import Publisher
from predictor.fleet.scoring import Subject
from predictor.fleet.slot import Load, Slot
from predictor.fleet.tally import Tally
from predictor.fleet.unit import Unit
from predictor.fleet.view import Snapshot, digits
from predictor.forecaster import Forecaster
from predictor.prometheus_answer import Labels
from predictor.server.settings import Settings, WorkloadSettings
from predictor.surges import target_per_replica

_LONGEST_WAIT_RATIO = 0.5  # of a step: reads that take longer are taken in at a later cycle
_LONGEST_WAIT_SECONDS = 30.0
_RELOOK_SECONDS = 5.0
_REPLICAS_SECONDS = 86_400  # of observed replicas that are read at the start


@dataclass(slots=True, eq=False)
class Workload:
    """What is kept of one workload beside its row in a cohort."""

    name: str
    user: WorkloadSettings
    target: float | None
    is_target_derived: bool = False
    problem: tuple[m.Unavailable, str] | None = None  # why it has no series
    trust: m.Trust | None = None
    outcomes: m.Outcomes | None = None  # that trust was judged on
    alarms: m.AlarmScore | None = None
    tally: Tally = field(default_factory=Tally)


@dataclass(slots=True, eq=False)
class Group:
    """The workloads of one model: those in service, and those that will be when a newer model is calibrated."""

    slot: Slot
    users: list[WorkloadSettings]
    units: list[Unit] = field(default_factory=list)
    loading: list[Unit] = field(default_factory=list)  # new lines, not yet forecast
    coming: Unit | None = None  # of a newer model
    tried: bool = False  # every line was read, or failed, at least once


class Fleet:
    """See the module."""

    def __init__(self, settings: Settings, feed: Feed, readers: Executor, *, load: Load = Forecaster.load) -> None:
        self.settings, self.feed = settings, feed
        self.lock = threading.RLock()
        self._readers, self._load = readers, load
        self._groups = _groups(settings)
        self._lines: dict[tuple[str, int], Line] = {}
        self._replicas: dict[tuple[str, int], Line] = {}
        self.workloads: dict[str, Workload] = {}
        self._publisher = Publisher(self)
        self._notes: dict[str, None] = {}
        self._looked_at = float("-inf")
        self.snapshot = Snapshot(0, None, False, "the first forecasts are being made", {})
        for group in self._groups:
            for user in group.users:
                if not user.placeholders:
                    self.workloads[user.name] = Workload(user.name, user, settings.target_of(user))

    # --- what the engine's thread calls ------------------------------------------------------------------------

    @property
    def groups(self) -> list[Group]:
        """Of workloads with the same model."""
        return self._groups

    @property
    def is_loading(self) -> bool:
        """Whether history is being read, so that `collect` is worth calling between cycles."""
        return any(group.loading or any(unit.older for unit in _all_units(group)) for group in self._groups)

    def step_seconds(self) -> int:
        """Time between cycles: the shortest step."""
        steps = [g.slot.forecaster.bundle.card.step_seconds for g in self._groups if g.slot.forecaster is not None]
        return min(steps, default=self.settings.step_seconds)

    def cycle(self, now: datetime) -> Snapshot:
        """Read what is new, forecast, score, publish."""
        self.look_for_models(now)
        self._begin_loading(now)
        self._ask(now)
        self.collect(now)
        with self.lock:
            self._take(now)
            for group in self._groups:
                for unit in _all_units(group):
                    self._forecast(unit, now)
            self._publisher.refresh_scores()
            self.snapshot = self._publisher.publish(now, self.snapshot.cycle + 1, tuple(self._notes))
        give_memory_back(is_after_cycle=True)
        return self.snapshot

    def collect(self, now: datetime) -> bool:
        """Take in history that has been read; True when new workloads were forecast and published."""
        is_news = False
        for group in self._groups:
            for unit in [unit for unit in (*group.loading, group.coming) if unit is not None and unit.cohort is None]:
                if unit.has_recent():
                    with self.lock:
                        self._put_in_service(group, unit, now)
                    is_news = True
            for unit in _all_units(group):
                if unit.older:
                    with self.lock:
                        if unit.deepen() and unit.cohort is not None:
                            unit.cohort.start()  # over again, now that the seasons are known
                            self._derive_targets(unit, is_again=True)
                            unit.cohort.catch_up()
                            unit.cohort.begin_replay()
                            give_memory_back()
                            is_news = True
        if is_news:
            with self.lock:
                self._publisher.refresh_scores()
                self.snapshot = self._publisher.publish(now, self.snapshot.cycle + 1, tuple(self._notes))
        return is_news

    def warm(self, now: datetime) -> bool:
        """Replay one slice of some cohort's past; True while there is more to do."""
        for group in self._groups:
            for unit in _all_units(group):
                cohort = unit.cohort
                if cohort is None or cohort.warming is None:
                    continue
                with self.lock:
                    if cohort.warm():
                        if unit is group.coming:
                            self._swap(group, unit, now)
                        self._publisher.rebuild_scores()
                        self.snapshot = self._publisher.publish(now, self.snapshot.cycle + 1, tuple(self._notes))
                        give_memory_back()
                return True
        return False

    def look_for_models(self, now: datetime, *, force: bool = False) -> m.Reloaded:
        """Load bundles that are new or have changed; a newer one takes over when it is calibrated."""
        if not force and now.timestamp() - self._looked_at < _RELOOK_SECONDS:
            return m.Reloaded(changed=[], unchanged=[], refused=[])
        self._looked_at = now.timestamp()
        changed: list[str] = []
        unchanged: list[str] = []
        refused: list[str] = []
        with self.lock:
            for group in self._groups:
                slot = group.slot
                fresh = slot.look(self._load, now, force=force)
                if fresh is not None:
                    self._receive(group, fresh, now)
                (changed if fresh is not None else refused if slot.error else unchanged).append(slot.name)
        return m.Reloaded(changed=changed, unchanged=unchanged, refused=refused)

    def close(self) -> None:
        """Give connections back."""
        self.feed.close()

    # --- looking -------------------------------------------------------------------------------------------------

    def subjects(self) -> Mapping[str, Subject]:
        """Every workload with a forecast, by name; hold `lock` while using what it gives."""
        found: dict[str, Subject] = {}
        for group in self._groups:
            for unit in group.units:
                if unit.cohort is None or unit.cohort.live is None:
                    continue
                for row, member in enumerate(unit.cohort.members):
                    workload = self.workloads[member.name]
                    found[member.name] = Subject(
                        member.name, unit.cohort, row, workload.target, workload.is_target_derived
                    )
        return found

    def observed_replicas(self, workload: Workload, step_seconds: int, steps: range) -> list[float | None] | None:
        """Replicas at each step, None without a query for them."""
        return self._publisher.replicas(workload, step_seconds, steps)

    def lines_of(self, group: Group) -> list[Line]:
        """Every line that a group's workloads are read from."""
        return [line for line in self._lines.values() if any(user in group.users for user in line.users)]

    def line_of(self, user: WorkloadSettings, step_seconds: int) -> Line | None:
        """The line that reads a workload's demand."""
        return self._lines.get((user.query, step_seconds))

    def replicas_of(self, user: WorkloadSettings, step_seconds: int) -> Line | None:
        """The line that reads its observed replicas."""
        return None if user.replicas_query is None else self._replicas.get((user.replicas_query, step_seconds))

    # --- models ---------------------------------------------------------------------------------------------------

    def _receive(self, group: Group, fresh: Forecaster, now: datetime) -> None:
        slot = group.slot
        if slot.forecaster is None or not group.units:
            slot.forecaster, slot.loaded_at = fresh, now
            group.loading, group.units, group.coming = [], [], None
            return
        group.coming = self._unit(fresh, self._lines_of(group, fresh), now)
        slot.is_warming = True

    def _swap(self, group: Group, unit: Unit, now: datetime) -> None:
        group.slot.forecaster, group.slot.loaded_at, group.slot.is_warming = unit.forecaster, now, False
        group.units, group.coming = [unit], None

    def _lines_of(self, group: Group, forecaster: Forecaster) -> list[Line]:
        step = forecaster.bundle.card.step_seconds
        lines: dict[tuple[str, int], Line] = {}
        for user in group.users:
            problem = _mismatch(self.settings, user, forecaster)
            if problem is not None:
                if not user.placeholders:
                    self.workloads[user.name].problem = (m.Unavailable.WRONG_STEP, problem)
                else:
                    self._notes[problem] = None
                continue
            line = self._lines.setdefault((user.query, step), Line(user.query, step))
            if user not in line.users:
                line.users.append(user)
            lines[(user.query, step)] = line
            if user.replicas_query is not None:
                self._replicas.setdefault((user.replicas_query, step), Line(user.replicas_query, step))
        return list(lines.values())

    # --- reading --------------------------------------------------------------------------------------------------

    def _newest(self, now: datetime, step_seconds: int) -> int:
        return int((now.timestamp() - self.settings.settle_seconds) // step_seconds)

    def _unit(self, forecaster: Forecaster, lines: list[Line], now: datetime) -> Unit:
        unit = Unit(forecaster, lines, self._newest(now, forecaster.bundle.card.step_seconds))
        unit.read_recent(self.feed, self._readers)
        return unit

    def _begin_loading(self, now: datetime) -> None:
        """Begin to read the history of lines that have none yet."""
        for group in self._groups:
            forecaster = group.slot.forecaster
            if forecaster is None:
                continue
            busy = {id(line) for unit in (*group.units, *group.loading) for line in unit.lines}
            lines = [line for line in self._lines_of(group, forecaster) if id(line) not in busy]
            if lines:
                group.loading.append(self._unit(forecaster, lines, now))

    def _put_in_service(self, group: Group, unit: Unit, now: datetime) -> None:
        claims: dict[int, list[Claim]] = {}
        levels: dict[str, float] = {}
        for line in unit.lines:
            past = unit.found(line)
            if past is None:
                line.error = unit.errors[id(line)]
                continue
            line.error, line.last_read_at = None, now
            # What came while this was read is read again for all.
            line.until = unit.until if line.until is None else min(line.until, unit.until)
            claims[id(line)] = self._claim(line, past.values, group)
            levels |= {claim.name: self.settings.alarm_level_of(claim.user) for claim in claims[id(line)]}
        if unit in group.loading:
            group.loading.remove(unit)
        group.tried = True
        unit.lines = [line for line in unit.lines if claims.get(id(line))]  # the others are tried again next cycle
        if not unit.lines:
            if unit is group.coming:
                group.coming, group.slot.is_warming = None, False
                group.slot.seen = None  # as if it had never been looked at
            return
        unit.build(claims, levels)
        if unit is not group.coming:
            group.units.append(unit)
        self._derive_targets(unit)
        self._forecast(unit, now)
        unit.read_older(self.feed, self._readers)

    def _claim(self, line: Line, labels: Mapping[Labels, object], group: Group) -> list[Claim]:
        """Which series become workloads; those of other models are left to them."""
        claims = assign(line, labels)
        served = {member.name for other in group.units if other.cohort for member in other.cohort.members}
        for name, why in claims.missing.items():
            if name in self.workloads and name not in served:
                self.workloads[name].problem = (m.Unavailable.NO_SERIES, f"{name}: {why}")
        for note in claims.notes:
            self._notes[note] = None
        mine = []
        for claim in claims.found:
            if claim.user not in group.users:
                continue
            if claim.name not in self.workloads:
                if len(self.workloads) >= self.settings.max_workloads:
                    self._notes[f"more than max_workloads: {self.settings.max_workloads} workloads; raise it"] = None
                    continue
                self.workloads[claim.name] = Workload(claim.name, claim.user, self.settings.target_of(claim.user))
            self.workloads[claim.name].problem = None
            mine.append(claim)
        return mine

    def _derive_targets(self, unit: Unit, *, is_again: bool = False) -> None:
        if unit.cohort is None:
            return
        table = unit.cohort.table
        for row, member in enumerate(unit.cohort.members):
            workload = self.workloads[member.name]
            if workload.target is None or (is_again and workload.is_target_derived):
                known = table.values[row].astype(np.float64)
                try:
                    workload.target = digits(target_per_replica(known, unit.forecaster.bundle.card.step_seconds))
                    workload.is_target_derived = True
                except ForescaleError:
                    continue  # no demand yet

    def _ask(self, now: datetime) -> None:
        """Read what is new of every line, all at once, and wait a while for it."""
        for line in self._replicas.values():
            if line.until is None:
                line.until = self._newest(now, line.step_seconds) - _REPLICAS_SECONDS // line.step_seconds
        lines = [*self._lines.values(), *self._replicas.values()]
        for line in lines:
            line.ask(self.feed, self._readers, self._newest(now, line.step_seconds))
        pending: list[Future[Any]] = [line.pending for line in lines if line.pending is not None]
        for group in self._groups:
            pending += [future for unit in group.loading for future in unit.recent.values()]
        patience = min(_LONGEST_WAIT_SECONDS, _LONGEST_WAIT_RATIO * self.step_seconds())
        wait(pending, timeout=patience)

    def _take(self, now: datetime) -> None:
        """Take in the answers that have come."""
        for line in self._replicas.values():
            found = line.take(now)
            if found is not None:
                self._publisher.observed(line, found)
        for line in self._lines.values():
            found = line.take(now)
            if found is None:
                continue
            for group in self._groups:
                for unit in _all_units(group):
                    if line in unit.lines and unit.cohort is not None:
                        self._discover(group, unit, line, {tuple(sorted(s.labels.items())): s.name for s in found})
                        # Only as far as every step is known to be read, so that a table never runs ahead of its lines.
                        unit.cohort.table.move_to(max(unit.cohort.table.step, line.until or 0))
                        unit.write(line, found)

    def _discover(self, group: Group, unit: Unit, line: Line, names: Mapping[Labels, str]) -> None:
        fresh = [labels for labels in names if (id(line), labels) not in unit.rows]
        if not fresh:
            return
        claims = [claim for claim in self._claim(line, names, group) if claim.labels in set(fresh)]
        levels = {claim.name: self.settings.alarm_level_of(claim.user) for claim in claims}
        unit.admit(line, claims, names, levels)

    def _forecast(self, unit: Unit, now: datetime) -> None:
        if unit.cohort is not None:
            unit.cohort.catch_up()
            self._derive_targets(unit)


def _all_units(group: Group) -> list[Unit]:
    return [*group.units, *group.loading, *([group.coming] if group.coming is not None else [])]


def _groups(settings: Settings) -> list[Group]:
    """One per model directory."""
    by_path: dict[Path, list[WorkloadSettings]] = {}
    for user in settings.workloads:
        path = settings.model_of(user)
        if path is not None:
            by_path.setdefault(path, []).append(user)
    names = [path.name for path in by_path]
    return [
        Group(Slot(path, path.name if names.count(path.name) == 1 else f"{path.parent.name}-{path.name}"), users)
        for path, users in by_path.items()
    ]


def _mismatch(settings: Settings, user: WorkloadSettings, forecaster: Forecaster) -> str | None:
    """What the configuration says of a workload and the model does not."""
    stated = settings.model_fields_set
    card = forecaster.bundle.card
    for what, own, common, has in (
        ("step_seconds", user.step_seconds, settings.step_seconds, card.step_seconds),
        ("horizon_steps", user.horizon_steps, settings.horizon_steps, card.schema.horizon),
    ):
        wanted = own if own is not None else common if what in stated else None
        if wanted is not None and wanted != has:
            return f"{user.name}: {what} is {wanted}, but its model has {has}; change it, or train another model"
    return None
