"""The comparison as tables of text, which the terminal and the HTML page only set.  Pure."""

from __future__ import annotations

from training.comparison.facts import Comparison, Family, Outcome, Tuning
from training.tables import Cell, Headline, Row, Table
from training.wording import ABSENT, count, duration, instant, number, percent

TUNINGS = {
    Tuning.NONE: "",
    Tuning.FROZEN: "",
    Tuning.RECHOSEN: ", re-chosen every 6 h",
    Tuning.HINDSIGHT: ", hindsight",
}


def cost_table(told: Comparison) -> Table:
    """What every policy cost and risked."""
    is_priced = any(outcome.money is not None for outcome in told.outcomes)
    base = _base(told)
    head = ["Policy", "Replica-hours", "Against tuned HPA"]
    head += ["Money"] if is_priced else []
    head += ["Late", "Late / requests", "Mean wait", "p95 wait", "p99 wait"]
    rows = []
    for outcome in told.outcomes:
        change = outcome.replica_hours / base.replica_hours - 1 if base is not None and base.replica_hours else None
        cells = [
            Cell(name(outcome)),
            Cell(number(outcome.replica_hours, 4)),
            Cell(ABSENT if outcome is base else percent(change, signed=True)),
        ]
        cells += [Cell(number(outcome.money, 4))] if is_priced else []
        cells += [
            Cell(percent(outcome.violation, 3), is_bad=outcome.violation > told.setup.target_violation),
            Cell(f"{count(round(outcome.late))} / {count(round(outcome.requests))}"),
            *(Cell(f"{number(wait, 2)} s") for wait in (outcome.mean_wait, outcome.p95_wait, outcome.p99_wait)),
        ]
        rows.append(Row(tuple(cells), is_judged=_is_judged(outcome)))
    note = (
        f"Late: waited longer than {duration(told.setup.slo_wait_seconds)} or gave up; the target is "
        f"{percent(told.setup.target_violation, 3)}. Replica-hours count ready, starting and draining replicas."
    )
    return Table(f"Cost and risk, {_span(told)}", tuple(head), tuple(rows), note)


def use_table(told: Comparison) -> Table:
    """How the replicas were used, and what the alarms were worth."""
    head = (
        "Policy",
        "Under-provisioned time",
        "Over-provisioned time",
        "Utilization",
        "Scale operations per hour",
        "Surges caught / all",
        "False alarms / alarms",
        "Wasted replica-minutes",
        "HPA governs",
    )
    rows = [
        Row(
            (
                Cell(name(outcome)),
                Cell(percent(outcome.under_ratio, 2)),
                Cell(percent(outcome.over_ratio)),
                Cell(percent(outcome.utilization)),
                Cell(number(outcome.scale_operations_per_hour, 3)),
                Cell(_ratio(outcome.caught, outcome.surges)),
                Cell(_ratio(outcome.false_alarms, outcome.alarms)),
                Cell(number(outcome.wasted_replica_minutes, 4)),
                Cell(percent(outcome.no_opinion_ratio, 0)),
            ),
            is_judged=_is_judged(outcome),
        )
        for outcome in told.outcomes
    ]
    note = (
        "Alarms belong to a forecast, so policies without one have none. Over-provisioned: at least one ready replica "
        "was not needed at that moment. HPA governs: the share of time in which the policy had no opinion."
    )
    return Table("Use, alarms and waste", head, tuple(rows), note)


def gap_table(told: Comparison) -> Table:
    """How much of the distance to perfect foresight each forecast closes at equal risk."""
    goals = sorted({gap.goal for gap in told.gaps}, reverse=True)
    head = ["Forecast"]
    for goal in goals:
        head += [f"Closed at {percent(goal, 2)} late", "Its placebo"]
    rows = []
    for policy in dict.fromkeys(gap.policy for gap in told.gaps):
        mine = {gap.goal: gap for gap in told.gaps if gap.policy == policy}
        cells = [Cell(policy.title)]
        for goal in goals:
            cells += [Cell(percent(mine[goal].closed, 0)), Cell(percent(mine[goal].placebo_closed, 0))]
        rows.append(Row(tuple(cells), is_judged=policy.key == "lstm"))
    first = {gap.goal: gap for gap in told.gaps}
    hours = ", ".join(
        f"at {percent(goal, 2)} tuned HPA {number(first[goal].hpa_hours, 4)} h, perfect foresight "
        f"{number(first[goal].oracle_hours, 4)} h"
        for goal in goals
    )
    note = (
        f"0 % is a tuned HPA, 100 % perfect foresight; every family tuned in hindsight by the same search ({hours}). "
        f"The placebo is the same forecast of {told.setup.placebo_shift_hours} hours before: what it closes is not "
        "forecasting. – means that no setting kept the risk."
    )
    return Table("Gap closed at equal risk", tuple(head), tuple(rows), note)


def knob_table(told: Comparison) -> Table | None:
    """The knobs that each policy was judged with."""
    tuned = [outcome for outcome in told.outcomes if outcome.knobs]
    if not tuned:
        return None
    names = list(dict.fromkeys(key for outcome in tuned for key, _ in outcome.knobs))
    rows = [
        Row(
            (
                Cell(name(outcome)),
                *(Cell(dict(outcome.knobs).get(key, ABSENT)) for key in names),
                Cell(percent(outcome.chosen_violation, 3)),
            ),
            is_judged=_is_judged(outcome),
        )
        for outcome in tuned
    ]
    note = "Knobs are the cheapest that kept half of the target before the test span; a policy may choose a plain HPA."
    return Table("Knobs, chosen before the test span", ("Policy", *names, "Late when chosen"), tuple(rows), note)


def setup_rows(told: Comparison) -> tuple[tuple[str, str], ...]:
    """What was simulated, on which part of the history."""
    setup, series = told.setup, told.series
    given = "given" if setup.is_capacity_given else "scaled: the training span's 99.9th percentile needs 30 replicas"
    rows = [
        ("Series", f"{series.name}, {count(series.samples)} samples of {duration(series.step_seconds)}"),
        ("Training until", f"{instant(setup.train_end)} UTC"),
        ("Knobs chosen on", f"{instant(setup.tuned_from)} to {instant(setup.test_from)} UTC"),
        ("Judged on", f"{instant(setup.test_from)} to {instant(setup.test_to)} UTC"),
        ("A replica carries", f"{number(setup.capacity_per_replica, 4)} per sample ({given})"),
        ("Start-up", duration(setup.startup_seconds)),
        ("Late", f"waits longer than {duration(setup.slo_wait_seconds)}; target {percent(setup.target_violation, 3)}"),
        ("Simulated steps", f"{duration(setup.step_seconds)}, requests spread {setup.spread} within a sample"),
    ]
    if setup.replica_cost_per_hour is not None:
        rows.append(("A replica-hour costs", number(setup.replica_cost_per_hour, 4)))
    return tuple(rows)


def headlines(told: Comparison) -> tuple[Headline, ...]:
    """The numbers for the top of the page."""
    base, ours = _base(told), _ours(told)
    lines = []
    if told.saving is not None:
        saving = told.saving
        lines.append(
            Headline(
                "Replica-hours saved",
                percent(saving.value),
                f"against the tuned HPA; {percent(saving.low)} to {percent(saving.high)} when {saving.days} days are "
                "drawn anew",
                saving.low > 0,
            )
        )
    if base is not None and ours is not None:
        detail = f"of {count(round(ours.requests))} requests; tuned HPA {percent(base.violation, 3)}, target "
        detail += percent(told.setup.target_violation, 3)
        lines.append(Headline("Late requests", percent(ours.violation, 3), detail, None))
        detail = f"tuned HPA {percent(base.utilization)}, with {percent(base.violation, 3)} late"
        lines.append(Headline("Utilization", percent(ours.utilization), detail, None))
    nearest = min(
        (gap for gap in told.gaps if gap.policy.key == "lstm"),
        key=lambda gap: abs(gap.goal - told.setup.target_violation),
        default=None,
    )
    if nearest is not None:
        detail = f"of the distance from a tuned HPA to perfect foresight at {percent(nearest.goal, 2)} late; placebo "
        detail += percent(nearest.placebo_closed, 0)
        lines.append(Headline("Gap closed", percent(nearest.closed, 0), detail, None))
    return tuple(lines)


def name(outcome: Outcome) -> str:
    """A row's name."""
    return outcome.policy.title + TUNINGS[outcome.tuning]


def _is_judged(outcome: Outcome) -> bool:
    return outcome.policy.key == "lstm" and outcome.tuning is Tuning.FROZEN


def _base(told: Comparison) -> Outcome | None:
    return next((o for o in told.outcomes if o.policy.key == "hpa" and o.tuning is Tuning.FROZEN), None)


def _ours(told: Comparison) -> Outcome | None:
    return next((o for o in told.outcomes if o.policy.family is Family.PREDICTIVE and _is_judged(o)), None)


def _ratio(part: int | None, whole: int | None) -> str:
    return ABSENT if part is None or whole is None else f"{count(part)} / {count(whole)}"


def _span(told: Comparison) -> str:
    return f"{instant(told.setup.test_from)} to {instant(told.setup.test_to)} UTC"
