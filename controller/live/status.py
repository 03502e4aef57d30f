"""Says what a cycle found as a status.  Pure."""

from __future__ import annotations

from datetime import datetime

from controller.live.conditions import Claim, claim, conditions
from controller.live.workload import Outcome, Workload
from controller.resource.spec import ActuatorKind
from controller.resource.status import AutoscalerStatus, ConditionType
from controller.spec import Mode
from controller.vocabulary import Reason
from predictor.messages import TrustState

_LIMITS = frozenset({Reason.AT_MAXIMUM, Reason.SCALE_UP_LIMITED})
_REVERTS_TO_TELL = 3
GITOPS_ADVICE = (
    "let your GitOps tool ignore spec.minReplicas of this HPA (Argo CD: ignoreDifferences with "
    "RespectIgnoreDifferences; Flux: leave the field out of the manifest)"
)


def status_of(workload: Workload, now: datetime) -> AutoscalerStatus:
    """The status after the workload's last cycle."""
    outcome = workload.outcome
    assert outcome is not None  # noqa: S101 - asked for only after a cycle
    resource, decision, seen = outcome.setup.resource, outcome.decision, outcome.seen
    before = workload.status or resource.status
    generation = resource.generation
    return AutoscalerStatus(
        observed_generation=generation,
        conditions=conditions(_claims(workload, outcome), before.conditions, generation=generation, now=now),
        floor=outcome.floor,
        hpa_alone_replicas=None if seen is None else seen.hpa_alone_replicas,
        forecast_replicas=None if decision is None else decision.forecast_replicas,
        replicas=None if seen is None else seen.replicas,
        demand=_rounded(outcome.found.demand),
        planned_demand=None if decision is None else _rounded(decision.planned_demand),
        reason=None if outcome.reason is None else outcome.reason.value,
        last_decision_time=None if workload.changed_at is None else workload.changed_at.replace(microsecond=0),
        startup_seconds=round(outcome.startup.seconds, 1),
        startup_samples=outcome.startup.samples,
        reverts=workload.reverts,
        score=workload.scorekeeper.summary(),
    )


def _claims(workload: Workload, outcome: Outcome) -> list[Claim]:
    return [
        _ready(workload, outcome),
        _forecast(outcome),
        _trusted(outcome),
        _acting(workload, outcome),
        _limited(outcome),
    ]


def _ready(workload: Workload, outcome: Outcome) -> Claim:
    kind = ConditionType.READY
    problem = outcome.refusal or outcome.too_slow
    if problem is not None:
        return claim(kind, False, problem.reason, problem.message)
    if outcome.found.demand is None:
        reason = Reason.DEMAND_AT_FAULT if outcome.found.is_at_fault else Reason.DEMAND_UNKNOWN
        return claim(kind, False, reason, outcome.found.problem)
    if workload.write_error:
        return claim(kind, False, Reason.WRITE_REFUSED, workload.write_error)
    if workload.reverts >= _REVERTS_TO_TELL and outcome.setup.hpa is not None:
        return claim(
            kind, False, Reason.REVERTED,
            f"another manager put minReplicas of the HPA {outcome.setup.hpa.key.name} back {workload.reverts} times; "
            f"{GITOPS_ADVICE}",
        )  # fmt: skip
    return claim(kind, True, Reason.CONFIGURED, f"{outcome.setup.resource.target} is watched")


def _forecast(outcome: Outcome) -> Claim:
    kind, decision = ConditionType.FORECAST_AVAILABLE, outcome.decision
    if outcome.told.forecast is None:
        return claim(kind, False, Reason.NO_FORECAST, f"{outcome.told.reason}: {outcome.told.problem}")
    doubts = (Reason.FORECAST_STALE, Reason.FORECAST_TOO_SHORT, Reason.FORECAST_INVALID)
    if decision is not None and decision.trail and decision.trail[0] in doubts:
        return claim(kind, False, decision.trail[0], f"issued at {outcome.told.forecast.issued_at.isoformat()}")
    return claim(kind, True, Reason.FORECAST_FRESH)


def _trusted(outcome: Outcome) -> Claim:
    kind, trust = ConditionType.TRUSTED, outcome.trust
    if trust is None:
        return claim(kind, None, Reason.UNPROVEN, "no verdict yet")
    if trust.state is TrustState.UNPROVEN:
        return claim(kind, None, Reason.UNPROVEN, trust.message)
    if trust.state is TrustState.TRUSTED:
        return claim(kind, True, Reason.TRUST_EARNED, trust.message)
    return claim(kind, False, Reason.NOT_TRUSTED, f"{trust.reason.value}: {trust.message}")


def _acting(workload: Workload, outcome: Outcome) -> Claim:
    kind, resource = ConditionType.ACTING, outcome.setup.resource
    if outcome.refusal is not None:
        return claim(kind, False, outcome.refusal.reason, outcome.refusal.message)
    if resource.spec.paused:
        return claim(kind, False, Reason.PAUSED, "spec.paused is set: the user's own values are in force")
    if resource.spec.mode is Mode.OBSERVE:
        would = "no floor of its own" if outcome.floor is None else f"a floor of {outcome.floor}"
        return claim(kind, False, Reason.OBSERVING, f"mode Observe: it would hold {would}")
    if workload.floor is None:
        return claim(kind, False, Reason.RELEASED, "no floor of its own is needed now")
    how = {
        ActuatorKind.HPA_MIN_REPLICAS: "minReplicas of the HPA",
        ActuatorKind.KEDA: "the answer to KEDA's trigger",
        ActuatorKind.METRIC: "the published recommendation",
        ActuatorKind.SCALE: "replicas",
    }[resource.spec.actuator]
    return claim(kind, True, Reason.RAISED, f"{how}: {workload.floor}")


def _limited(outcome: Outcome) -> Claim:
    kind, decision = ConditionType.LIMITED, outcome.decision
    if decision is None or not decision.has_opinion:
        return claim(kind, False, Reason.AS_FORECAST, "no forecast is followed")
    for step in reversed(decision.steps):
        if step.reason in _LIMITS and step.before is not None and step.after is not None:
            return claim(kind, True, step.reason, f"{step.before} replicas were asked for, {step.after} are allowed")
    return claim(kind, False, Reason.AS_FORECAST)


def _rounded(value: float | None) -> float | None:
    """Three digits are enough for a person, and change less often."""
    return None if value is None else float(f"{value:.3g}")
