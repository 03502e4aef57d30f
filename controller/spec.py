"""What the user wants of one workload's floor.  Frozen, validated, without I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from predictor.errors import InputError

ALL_DAYS = frozenset(range(7))
MOST_SECONDS = 366 * 86400  # of any duration: far beyond use, and safe to add to an instant


class Mode(StrEnum):
    """Observe keeps score and changes nothing; Active holds the floor."""

    OBSERVE = "Observe"
    ACTIVE = "Active"


@dataclass(frozen=True, slots=True)
class Event:
    """An announced event: from one lead before it begins until it ends, a floor or a multiple of the forecast."""

    name: str
    start: datetime
    end: datetime
    min_replicas: int = 0
    demand_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise InputError(f"event {self.name}: start and end need a time zone, such as 2026-11-27T08:00:00+01:00")
        if self.end <= self.start:
            raise InputError(f"event {self.name}: ends at {self.end} before it starts at {self.start}")
        _check_override(f"event {self.name}", self.min_replicas, self.demand_factor)

    def concerns(self, start: datetime, end: datetime) -> bool:
        """Whether the event touches [start, end]."""
        return self.start <= end and start < self.end


@dataclass(frozen=True, slots=True)
class Schedule:
    """A window of every week in local time; one that ends before it starts runs past midnight.

    An end that the wall clock shows twice, when clocks go back, means the second; a start that it skips, when they go
    forward, means the hour before.
    """

    name: str
    start: time
    end: time
    time_zone: str = "UTC"
    weekdays: frozenset[int] = ALL_DAYS  # 0 is Monday: the day on which the window starts
    min_replicas: int = 0
    demand_factor: float = 1.0

    def __post_init__(self) -> None:
        _zone(f"schedule {self.name}", self.time_zone)
        if not self.weekdays or not self.weekdays <= ALL_DAYS:
            raise InputError(f"schedule {self.name}: weekdays {sorted(self.weekdays)}; give 0 (Monday) to 6 (Sunday)")
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise InputError(f"schedule {self.name}: {self.start} to {self.end}; give the zone as time_zone, not here")
        if self.start == self.end:
            raise InputError(f"schedule {self.name}: starts and ends at {self.start}; give a window")
        _check_override(f"schedule {self.name}", self.min_replicas, self.demand_factor)

    def concerns(self, start: datetime, end: datetime) -> bool:
        """Whether one of the windows touches [start, end]."""
        zone = ZoneInfo(self.time_zone)
        start, end = start.astimezone(UTC), end.astimezone(UTC)  # two times of one zone would compare by wall clock
        day, last = start.astimezone(zone).date() - timedelta(days=1), end.astimezone(zone).date()
        while day <= last:
            if day.weekday() in self.weekdays:
                closing_day = day if self.end > self.start else day + timedelta(days=1)
                if min(_readings(day, self.start, zone)) <= end and start < max(_readings(closing_day, self.end, zone)):
                    return True
            day += timedelta(days=1)
        return False


@dataclass(frozen=True, slots=True)
class Cron:
    """A window that begins whenever a cron expression says, in local time."""

    name: str
    expression: str  # minute hour day month weekday
    duration_seconds: int
    time_zone: str = "UTC"
    min_replicas: int = 0
    demand_factor: float = 1.0

    def __post_init__(self) -> None:
        zone = _zone(f"event {self.name}", self.time_zone)
        try:
            CronSim(self.expression, datetime(2000, 1, 1, tzinfo=zone))
        except CronSimError as error:
            raise InputError(
                f"event {self.name}: {self.expression!r} is no cron expression ({error}); give minute hour day month "
                "weekday, such as 30 8 * * 1-5"
            ) from error
        if not 60 <= self.duration_seconds <= 7 * 86400:
            raise InputError(f"event {self.name}: lasts {self.duration_seconds} s; give 60 to {7 * 86400}, a week")
        _check_override(f"event {self.name}", self.min_replicas, self.demand_factor)

    def concerns(self, start: datetime, end: datetime) -> bool:
        """Whether one of the windows touches [start, end]."""
        opened = start.astimezone(UTC) - timedelta(seconds=self.duration_seconds)
        try:
            # The first beginning after `opened`: an earlier window has ended by `start`.
            first = next(CronSim(self.expression, opened.astimezone(ZoneInfo(self.time_zone))))
        except StopIteration:  # never, such as on 30 February
            return False
        return first.astimezone(UTC) <= end


Override = Event | Schedule | Cron


def _zone(where: str, name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a region alone, such as Europe
        raise InputError(f"{where}: unknown time zone {name!r}; give one such as Europe/Paris") from error


def _readings(day: date, wall: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants that a wall clock's time may mean; they differ only where clocks change."""
    local = datetime.combine(day, wall, zone)
    return local.replace(fold=0).astimezone(UTC), local.replace(fold=1).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class GuardrailSettings:
    """How cautious to be."""

    stale_after_seconds: int = 300  # an older forecast is not followed
    hold_seconds: int = 600  # how long the floor stays when there is no forecast to follow
    small_change_ratio: float = 0.05  # a scale-down by less than this share of the floor is not worth it
    scale_down_window_seconds: int = 300  # the floor falls to the highest recommendation of this window
    release_ratio_per_minute: float = 0.5  # and by no more than this share of it in a minute
    collapse_ratio: float = 0.5  # below this share of the last hour's peak, demand is believed to come back
    scale_up_ratio: float = 4.0  # a forecast may ask for this multiple of what present demand needs,
    scale_up_replicas: int = 10  # or for so many replicas more, whichever is higher
    experience_demand: float | None = None  # highest demand on which the settings were chosen; None: no limit

    def __post_init__(self) -> None:
        for name in ("stale_after_seconds", "hold_seconds", "scale_down_window_seconds"):
            if not 0 <= getattr(self, name) <= MOST_SECONDS:
                raise InputError(f"{name} is {getattr(self, name)}; give 0 to {MOST_SECONDS}, which is a year")
        if self.scale_up_replicas < 0:
            raise InputError(f"scale_up_replicas is {self.scale_up_replicas}; give 0 or more")
        if not 0 <= self.small_change_ratio < 1:
            raise InputError(f"small_change_ratio is {self.small_change_ratio}; give a share from 0 to below 1")
        if not 0 <= self.collapse_ratio < 1:
            raise InputError(f"collapse_ratio is {self.collapse_ratio}; give a share from 0 (off) to below 1")
        if not 0 < self.release_ratio_per_minute <= 1:
            raise InputError(
                f"release_ratio_per_minute is {self.release_ratio_per_minute}; give a share above 0, up to 1"
            )
        if not (math.isfinite(self.scale_up_ratio) and self.scale_up_ratio >= 1):
            raise InputError(f"scale_up_ratio is {self.scale_up_ratio}; give 1 or more")
        if self.experience_demand is not None and not self.experience_demand > 0:
            raise InputError(f"experience_demand is {self.experience_demand}; give a demand above 0, or leave it out")


@dataclass(frozen=True, slots=True)
class ScalingSpec:
    """One workload: what to scale, what it can carry, how sure to be.

    Exactly one of `quantile` (the share of times that the coming peak is to stay below the plan) and `cost_ratio` (what
    a replica too few costs against a replica too many) is given; the second means the first by the newsvendor rule.
    """

    target: str  # what is scaled, such as Deployment/default/agent
    demand_query: str
    target_per_replica: float  # demand that a replica is planned to carry at the forecast's quantile
    reactive_target_per_replica: float  # demand per replica that the HPA above the floor aims at
    min_replicas: int = 1
    max_replicas: int = 100
    startup_seconds: float = 120.0
    control_delay_seconds: float = 30.0  # from one decision to the HPA's acting on the next: a cycle and a sync
    slo_wait_seconds: float = 2.0
    horizon_seconds: int = 900
    quantile: float | None = 0.95
    cost_ratio: float | None = None
    mode: Mode = Mode.OBSERVE
    is_paused: bool = False
    overrides: tuple[Override, ...] = ()
    guardrails: GuardrailSettings = field(default_factory=GuardrailSettings)

    def __post_init__(self) -> None:
        where = self.target
        for name in ("target_per_replica", "reactive_target_per_replica"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{where}: {name} is {value}; give the demand that one replica carries, above 0")
        if not 0 <= self.min_replicas <= self.max_replicas or self.max_replicas < 1:
            raise InputError(
                f"{where}: replica bounds {self.min_replicas} to {self.max_replicas}; give 0 <= min <= max and max >= 1"
            )
        for name in ("startup_seconds", "control_delay_seconds", "slo_wait_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InputError(f"{where}: {name} is {getattr(self, name)}; give 0 or more seconds")
        if self.horizon_seconds > MOST_SECONDS:
            raise InputError(f"{where}: horizon_seconds is {self.horizon_seconds}; give at most {MOST_SECONDS}, a year")
        if self.lead_seconds > self.horizon_seconds:
            raise InputError(
                f"{where}: new pods serve {self.lead_seconds:g} s after the demand that asks for them was sampled, "
                f"but the forecast reaches {self.horizon_seconds} s; start faster or train with a longer horizon"
            )
        if (self.quantile is None) == (self.cost_ratio is None):
            raise InputError(f"{where}: give either quantile or cost_ratio")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise InputError(f"{where}: quantile is {self.quantile}; give a level between 0 and 1, such as 0.95")
        if self.cost_ratio is not None and not (math.isfinite(self.cost_ratio) and self.cost_ratio > 0):
            raise InputError(f"{where}: cost_ratio is {self.cost_ratio}; give a number above 0, such as 20")

    @property
    def lead_seconds(self) -> float:
        """From a decision until the pods it asked for are ready and the next decision could have added more."""
        return self.startup_seconds + self.control_delay_seconds

    @property
    def level(self) -> float:
        """The quantile level to plan for; for a cost ratio r it is r / (1 + r)."""
        if self.quantile is not None:
            return self.quantile
        assert self.cost_ratio is not None  # noqa: S101 - one of the two is given, see above
        return self.cost_ratio / (1 + self.cost_ratio)

    @property
    def acts(self) -> bool:
        """Whether a decision is carried out."""
        return self.mode is Mode.ACTIVE and not self.is_paused


def _check_override(where: str, min_replicas: int, demand_factor: float) -> None:
    if min_replicas < 0 or not (math.isfinite(demand_factor) and demand_factor >= 1):
        raise InputError(
            f"{where}: min_replicas {min_replicas}, demand_factor {demand_factor}; an override only raises the floor: "
            "give min_replicas of 0 or more and a factor of 1 or more"
        )
    if min_replicas == 0 and demand_factor == 1:
        raise InputError(f"{where}: asks for nothing; give min_replicas or demand_factor")
