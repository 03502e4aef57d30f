"""What the controller remembers of one resource from cycle to cycle, and the steps of one cycle for it.  No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from controller.decision import decide
from controller.live.arrange import Refusal, Setup
from controller.live.demand import Found
from controller.live.enforce import floor_in_force
from controller.live.forecasts import Told
from controller.live.peaks import RecentPeak
from controller.live.scoring import Scorekeeper
from controller.live.trust import TrustJudge
from controller.resource.resource import Bounds, Key, bounds_of, fixed_startup_seconds, scaling_spec
from controller.resource.spec import ActuatorKind
from controller.resource.status import AutoscalerStatus
from controller.spec import ScalingSpec
from controller.startup import Startup
from controller.vocabulary import Decision, Memory, Observation, Reason
from predictor.errors import InputError
from predictor.messages import Trust, TrustState

_DEFAULT_HORIZON_SECONDS = 900  # while no forecast has said how far it reaches


@dataclass(frozen=True, slots=True)
class Delays:
    """What passes between a demand and our acting on it, beside the pods' own start."""

    cycle_seconds: float = 15.0
    hpa_sync_seconds: float = 15.0

    def control_seconds(self, metric_delay_seconds: float) -> float:
        """From an arrival until the HPA acts on our next decision."""
        return self.cycle_seconds + self.hpa_sync_seconds + metric_delay_seconds


@dataclass(slots=True)
class Outcome:
    """What a cycle found and decided for one resource."""

    setup: Setup
    startup: Startup
    found: Found
    told: Told
    refusal: Refusal | None
    too_slow: Refusal | None = None  # pods start too slowly for the forecast's reach
    spec: ScalingSpec | None = None
    seen: Observation | None = None
    decision: Decision | None = None
    floor: int | None = None  # to be in force, or that would be in Active mode
    reason: Reason | None = None  # of the floor, or of there being none
    trust: Trust | None = None

    @property
    def acts(self) -> bool:
        """Whether the floor is carried out."""
        return self.refusal is None and self.decision is not None and self.decision.acts


@dataclass(slots=True)
class Workload:
    """One resource's memory.  `started`: whether what was in force before us has been taken over."""

    key: Key
    scorekeeper: Scorekeeper
    memory: Memory = field(default_factory=Memory)
    peak: RecentPeak = field(default_factory=RecentPeak)
    has_started: bool = False
    judge: TrustJudge = field(default_factory=TrustJudge)
    horizon_seconds: int = _DEFAULT_HORIZON_SECONDS
    outcome: Outcome | None = None
    floor: int | None = None  # in force by what we last wrote
    changed_at: datetime | None = None
    hpa_uid: str = ""  # of the HPA that the floor was put on
    reverts: int = 0
    write_error: str = ""
    status: AutoscalerStatus | None = None  # as last written
    status_at: datetime | None = None

    def step(
        self, setup: Setup, found: Found, told: Told, startup: Startup, ready: int, delays: Delays, now: datetime
    ) -> Outcome:
        """Observe and decide."""
        if not self.has_started:
            self._take_over(setup, now)
        resource, hpa = setup.resource, setup.hpa
        fixed = fixed_startup_seconds(resource.spec)
        startup = startup if fixed is None else Startup(fixed, 0)
        outcome = Outcome(setup, startup, found, told, setup.refusal)
        if told.forecast is not None:
            self.horizon_seconds = told.forecast.horizon * told.forecast.step_seconds
        if found.demand is not None:
            self.peak.add(now, found.demand)
        users = _bounds_without_us(setup)
        bounds = bounds_of(resource.spec, users)
        control = delays.control_seconds(resource.spec.lead.metric_delay_seconds)
        longest = max(self.horizon_seconds - control, 0.0)
        if startup.seconds > longest:
            outcome.too_slow = Refusal(
                Reason.LEAD_TOO_LONG,
                f"new pods serve {startup.seconds + control:g} s after the demand that asks for them, but the forecast "
                f"reaches {self.horizon_seconds} s; start faster or train with a longer horizon",
            )
        try:
            # Beyond its reach a forecast is not followed (see below): the floor is let go of gently.
            spec = scaling_spec(
                resource,
                bounds,
                startup_seconds=min(startup.seconds, longest),
                control_delay_seconds=min(control, self.horizon_seconds),
                horizon_seconds=self.horizon_seconds,
            )
        except InputError as error:
            outcome.refusal = outcome.refusal or Refusal(Reason.INVALID_SPEC, str(error))
            self.outcome = outcome
            return outcome
        outcome.spec = spec
        outcome.trust = self.judge.judge(resource.spec.trust, told.answer)
        alone = self.scorekeeper.hpa_alone(setup, bounds, found.demand, startup.seconds, now)
        seen = Observation(
            now=now,
            replicas=hpa.current_replicas if hpa is not None else ready or None,
            demand=found.demand,
            recent_peak_demand=self.peak.of(now),
            hpa_alone_replicas=alone,
            forecast=None if outcome.too_slow else told.forecast,
            is_trusted=self._is_trusted(outcome),
        )
        outcome.seen = seen
        outcome.decision, self.memory = decide(spec, seen, self.memory)
        outcome.floor, outcome.reason = floor_in_force(
            resource.spec.actuator,
            spec,
            seen,
            outcome.decision,
            self.memory,
            users_minimum=spec.min_replicas if users is None else users.lowest,
        )
        if outcome.too_slow is not None and not outcome.decision.has_opinion:
            outcome.reason = outcome.too_slow.reason
        self.scorekeeper.account(spec, seen, outcome.decision, outcome.floor, ready, now)
        self.outcome = outcome
        return outcome

    def seed_peak(self, demand: float | None, now: datetime) -> None:
        """The highest demand of the hour before this process looked."""
        if demand is not None:
            self.peak.add(now, demand)

    def _is_trusted(self, outcome: Outcome) -> bool:
        if outcome.trust is None:
            return False
        if outcome.trust.state is TrustState.UNPROVEN:
            return outcome.setup.resource.spec.trust.trusts_unproven
        return outcome.trust.state is TrustState.TRUSTED

    def _take_over(self, setup: Setup, now: datetime) -> None:
        """A floor in force was meant: it is held until forecasts are here again, not dropped at a restart."""
        self.has_started = True
        hpa, status = setup.hpa, setup.resource.status
        self.reverts, self.changed_at = status.reverts, status.last_decision_time
        self.judge.recall(status)
        if hpa is not None and hpa.record is not None and setup.resource.spec.actuator is ActuatorKind.HPA_MIN_REPLICAS:
            self.memory = Memory(floor=hpa.record.floor, opinion_at=now)
        elif status.floor is not None:
            self.memory = Memory(floor=status.floor, opinion_at=now)


def _bounds_without_us(setup: Setup) -> Bounds | None:
    spec, hpa = setup.resource.spec, setup.hpa
    if hpa is None:
        return None
    # KEDA's HPA says 1 also where its ScaledObject lets the target sleep: that we may wake it up, the user says here.
    if spec.actuator is ActuatorKind.KEDA and spec.bounds.min_replicas == 0:
        return Bounds(0, hpa.user_bounds.highest)
    return hpa.user_bounds
