"""The policies of a comparison: their names, and what each did with the knobs it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from training.comparison.facts import Family, PolicyKey, Tuning
from training.simulator.control import Stage, Steering
from training.simulator.forecasters import SIMPLE, Source
from training.simulator.knobs import Knobs
from training.simulator.policies import SHIPPED, hpa, oracle, static
from training.simulator.run import Run, simulate
from training.simulator.study import (
    Case,
    Searched,
    frozen_knobs,
    frozen_stages,
    rechosen_stages,
    steer_hpa,
    steer_predictive,
    steer_schedule,
)

SOURCE_TITLES = {
    Source.LSTM: "LSTM",
    Source.LEVEL_ADJUSTED: "level-adjusted seasonal",
    Source.HOLT_WINTERS: "Holt-Winters",
    Source.PERSISTENCE: "persistence",
}
STATIC_PEAK = PolicyKey("static_peak", "Static, peak", Family.STATIC)
STATIC_P95 = PolicyKey("static_p95", "Static, 95th percentile", Family.STATIC)
HPA_SHIPPED = PolicyKey("hpa_shipped", "HPA as shipped (70 %)", Family.HPA)
HPA = PolicyKey("hpa", "HPA, tuned", Family.HPA)
SCHEDULE = PolicyKey("schedule", "HPA + schedule", Family.SCHEDULE)
ORACLE = PolicyKey("oracle", "Perfect foresight", Family.ORACLE)


def predictive(source: Source) -> PolicyKey:
    """An HPA above one forecaster's floor."""
    return PolicyKey(source.value, f"Predictive, {SOURCE_TITLES[source]}", Family.PREDICTIVE, source.value)


def placebo(source: Source) -> PolicyKey:
    """The same with the forecast of another time."""
    return PolicyKey(f"placebo_{source.value}", f"Placebo of {SOURCE_TITLES[source]}", Family.PLACEBO, source.value)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One policy that was run, with the knobs that it ended with."""

    policy: PolicyKey
    tuning: Tuning
    knobs: Knobs | None
    chosen_violation: float | None  # on the tuning span
    run: Run


def run_all(
    case: Case, found: Mapping[str, Searched], *, on_stage: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Run every policy through the live decision code and the HPA twin, in the order of the table."""
    rows: list[Row] = []

    def add(policy: PolicyKey, tuning: Tuning, steering: Steering, searched: Searched | None = None) -> None:
        knobs = None if searched is None else frozen_knobs(case, searched)
        chosen = None
        if searched is not None and tuning is Tuning.FROZEN:
            index = searched.tuned.choose(case.tuning_goal(case.target_violation))
            chosen = float(searched.tuned.tally.violation(case.tuning_blocks)[index])
        on_stage(f"running {policy.title}" + (", re-chosen" if tuning is Tuning.RECHOSEN else ""))
        rows.append(
            Row(policy, tuning, knobs if tuning is Tuning.FROZEN else None, chosen, simulate(case.world, steering))
        )

    known = case.training[np.isfinite(case.training)]
    for policy, quantile in ((STATIC_PEAK, 1.0), (STATIC_P95, 0.95)):
        replicas = int(np.ceil(np.quantile(known, quantile) / case.world.capacity - 1e-9))
        add(policy, Tuning.NONE, static(replicas)(case.world))
    add(HPA_SHIPPED, Tuning.NONE, hpa(SHIPPED, shipped=True)(case.world))
    alone = steer_hpa(case, [Stage(0, frozen_knobs(case, found["hpa"]))])
    add(HPA, Tuning.FROZEN, alone, found["hpa"])
    rechosen = steer_hpa(case, rechosen_stages(case, found["hpa"]))
    add(HPA, Tuning.RECHOSEN, rechosen, found["hpa"])
    searched = found["schedule"]
    add(SCHEDULE, Tuning.FROZEN, steer_schedule(case, frozen_knobs(case, searched)), searched)
    for source in (*SIMPLE, Source.LSTM):
        if source.value in found:
            searched = found[source.value]
            stages = frozen_stages(case, frozen_knobs(case, searched))
            add(predictive(source), Tuning.FROZEN, steer_predictive(case, stages, source, alone.asked), searched)
    searched = found[Source.LSTM.value]
    steering = steer_predictive(case, rechosen_stages(case, searched), Source.LSTM, rechosen.asked)
    add(predictive(Source.LSTM), Tuning.RECHOSEN, steering, searched)
    shadow = found.get(f"placebo_{Source.LSTM.value}")
    if shadow is not None:
        stages = frozen_stages(case, frozen_knobs(case, shadow))
        steering = steer_predictive(case, stages, Source.LSTM, alone.asked, is_placebo=True)
        add(placebo(Source.LSTM), Tuning.FROZEN, steering, shadow)
    add(ORACLE, Tuning.NONE, oracle(case.world))
    return rows


def knob_words(knobs: Knobs | None) -> tuple[tuple[str, str], ...]:
    """Knobs as a person reads them."""
    if knobs is None:
        return ()
    words = [
        ("HPA target", f"{knobs.hpa.target_ratio:.1%} of a replica"),
        ("HPA stabilization", f"{knobs.hpa.stabilization_seconds} s"),
        ("minimum", f"{knobs.hpa.min_replicas} replicas"),
    ]
    if knobs.floor is not None:
        words += [
            ("quantile", f"{knobs.floor.level:g}"),
            ("floor's target", f"{knobs.floor.target_ratio:.1%} of a replica"),
            ("floor's window", f"{knobs.floor.window_seconds} s"),
        ]
    return tuple(words)
