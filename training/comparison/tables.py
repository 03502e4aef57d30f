"""The comparison as tables of text, which the terminal and the HTML page only set.  Pure."""

from __future__ import annotations

from training.comparison.facts import Comparison, Gap, Outcome, Tuning
from training.tables import Cell, Row, Table
from training.wording import ABSENT, count, duration, number, percent

JUDGED = "lstm"  # the forecaster that the verdict is about
TUNINGS = {
    Tuning.NONE: "",
    Tuning.FROZEN: "",
    Tuning.RECHOSEN: ", re-chosen",
    Tuning.HINDSIGHT: ", hindsight",
}


def cost_table(told: Comparison) -> Table:
    """What every policy cost and risked."""
    is_priced = any(outcome.money is not None for outcome in told.outcomes)
    base = base_of(told)
    head = ["Policy", "Replica-hours", "Against tuned HPA"]
    head += ["Money"] if is_priced else []
    head += ["Late", "Late requests", "Utilization"]
    rows = []
    for outcome in told.outcomes:
        change = outcome.replica_hours / base.replica_hours - 1 if base is not None and base.replica_hours else None
        cells = [
            Cell(name(outcome)),
            Cell(number(outcome.replica_hours, 4)),
            Cell(ABSENT if outcome is base else percent(change, signed=True)),
        ]
        cells += [Cell(_money(outcome.money))] if is_priced else []
        cells += [
            Cell(share(late_ratio(outcome)), is_bad=outcome.violation > told.setup.target_violation),
            Cell(count(round(outcome.late))),
            Cell(percent(outcome.utilization)),
        ]
        rows.append(Row(tuple(cells), is_judged=is_judged(outcome)))
    late = duration(told.setup.slo_wait_seconds)
    note = (
        f"Late: waited longer than {late} or gave up; the target is {share(told.setup.target_violation)}. "
        "Replica-hours count ready, starting and draining replicas. Utilization: requests served of those that the "
        "ready replicas could have served. Re-chosen: every 6 h on the trailing week; the others kept the knobs that "
        "were chosen before the span."
    )
    return Table(f"Cost and risk, {requests(told)}", tuple(head), tuple(rows), note)


def wait_table(told: Comparison) -> Table:
    """How long requests waited, and how often there were too few replicas or too many."""
    head = ("Policy", "Mean wait", "p95 wait", "p99 wait", "Under-provisioned time", "Over-provisioned time")
    rows = [
        Row(
            (
                Cell(name(outcome)),
                *(Cell(seconds(wait)) for wait in (outcome.mean_wait, outcome.p95_wait, outcome.p99_wait)),
                Cell(percent(outcome.under_ratio, 2)),
                Cell(percent(outcome.over_ratio)),
            ),
            is_judged=is_judged(outcome),
        )
        for outcome in told.outcomes
    ]
    note = (
        "Under-provisioned: the ready replicas could not carry the load. Over-provisioned: at least one ready replica "
        "was not needed at that moment."
    )
    return Table(f"Waits and provisioning, {requests(told)}", head, tuple(rows), note)


def alarm_table(told: Comparison) -> Table:
    """How often policies scaled, and what their forecasts were worth as alarms."""
    head = (
        "Policy",
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
                Cell(number(outcome.scale_operations_per_hour, 3)),
                Cell(_ratio(outcome.caught, outcome.surges)),
                Cell(_ratio(outcome.false_alarms, outcome.alarms)),
                Cell(_whole(outcome.wasted_replica_minutes)),
                Cell(percent(outcome.no_opinion_ratio, 0)),
            ),
            is_judged=is_judged(outcome),
        )
        for outcome in told.outcomes
    ]
    note = (
        "Alarms belong to a forecast and are told once for each, so other rows have –. Wasted: what false alarms asked "
        "for. HPA governs: share of time in which a predictive policy had no opinion; – where there is no forecast."
    )
    return Table("Scaling and alarms", head, tuple(rows), note)


def gap_table(told: Comparison) -> Table:
    """How much of the distance to perfect foresight each forecast closes at equal risk, with the hours behind it."""
    goals = _goals(told)
    head = ["Forecast"]
    for goal in goals:
        head += [f"At {goal_text(goal)} late, closed (hours)", f"Placebo, at {goal_text(goal)}"]
    first = {gap.goal: gap for gap in told.gaps}
    rows = [_limit("HPA, tuned", [_closed(_of_distance(first[g], 0.0), first[g].hpa_hours) for g in goals])]
    for policy in dict.fromkeys(gap.policy for gap in told.gaps):
        mine = {gap.goal: gap for gap in told.gaps if gap.policy == policy}
        title = policy.title.removeprefix("Predictive, ")
        cells = [Cell(title[:1].upper() + title[1:])]
        for goal in goals:
            gap = mine.get(goal)
            cells.append(_closed(gap.closed, gap.policy_hours) if gap else Cell(ABSENT))
            cells.append(Cell(percent(gap.placebo_closed if gap else None, 0)))
        rows.append(Row(tuple(cells), is_judged=policy.key == JUDGED))
    ends = [_closed(_of_distance(first[g], 1.0), first[g].oracle_hours) for g in goals]
    rows.append(_limit("Perfect foresight", ends))
    note = (
        "The fewest replica-hours with no more than that share late, every family tuned in hindsight by the same "
        "search: 0 % is a tuned HPA, 100 % perfect foresight. The placebo is the same forecast of "
        f"{told.setup.placebo_shift_hours} h before: what it closes is not forecasting."
    )
    return Table("Gap closed at equal risk", tuple(head), tuple(rows), " ".join((note, *_why_absent(told))))


def _why_absent(told: Comparison) -> list[str]:
    """A reason for every dash of the gap table that is one."""
    said = []
    for goal in _goals(told):
        gaps = [gap for gap in told.gaps if gap.goal == goal]
        if any(gap.hpa_hours is None for gap in gaps):
            said.append(f"At {goal_text(goal)} no setting of the HPA kept the risk, so there is no distance to close.")
        elif any(_has_no_room(gap) for gap in gaps):
            said.append(f"At {goal_text(goal)} the tuned HPA costs no more than perfect foresight: nothing to close.")
        lost = [gap.policy.title for gap in gaps if gap.policy_hours is None]
        if lost:
            said.append(f"At {goal_text(goal)} no setting kept the risk for: {'; '.join(lost)}.")
        alone = [gap.policy.title for gap in gaps if gap.closed is not None and gap.placebo_closed is None]
        if alone:
            said.append(
                f"At {goal_text(goal)} no placebo kept the risk, or none was searched, for: {'; '.join(alone)}."
            )
    return said


def _limit(title: str, closed: list[Cell]) -> Row:
    """An end of the distance, which has no placebo."""
    return Row((Cell(title), *(cell for one in closed for cell in (one, Cell(ABSENT)))))


def _of_distance(gap: Gap, share_of_it: float) -> float | None:
    """Nothing, where there is no distance to have a share of."""
    return None if gap.hpa_hours is None or gap.oracle_hours is None or _has_no_room(gap) else share_of_it


def _has_no_room(gap: Gap) -> bool:
    return gap.hpa_hours is not None and gap.oracle_hours is not None and gap.hpa_hours <= gap.oracle_hours


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
                Cell(share(outcome.chosen_violation)),
            ),
            is_judged=is_judged(outcome),
        )
        for outcome in tuned
    ]
    note = (
        "The cheapest that kept half of the target before the test span, for everybody alike; a policy may choose a "
        "plain HPA, and then has no knobs of a floor."
    )
    head = ("Policy", *(key[:1].upper() + key[1:] for key in names), "Late when chosen")
    return Table("Knobs, chosen before the test span", head, tuple(rows), note)


def name(outcome: Outcome) -> str:
    """A row's name."""
    return outcome.policy.title + TUNINGS[outcome.tuning]


def requests(told: Comparison) -> str:
    """The denominator of every share of requests."""
    seen = {round(outcome.requests) for outcome in told.outcomes}
    return f"{' or '.join(count(number) for number in sorted(seen)) or '0'} requests"


def share(ratio: float | None) -> str:
    """A small share; one that would be rounded away is not said to be nothing."""
    return "<0.001 %" if ratio is not None and 0 < ratio < 0.000_005 else percent(ratio, 3)


def late_ratio(outcome: Outcome) -> float | None:
    """The share of requests that were late; none without requests."""
    return outcome.violation if outcome.requests else None


def seconds(wait: float) -> str:
    """A wait; one that would be rounded away is not said to be nothing."""
    if 0 < wait < 0.0005:
        return "<0.001 s"
    return f"{number(wait, 3 if wait < 10 else 2)} s"


def is_judged(outcome: Outcome) -> bool:
    """Whether the verdict is about this row."""
    return outcome.policy.key == JUDGED and outcome.tuning is Tuning.FROZEN


def base_of(told: Comparison) -> Outcome | None:
    """The tuned HPA that everything is held against."""
    return next((o for o in told.outcomes if o.policy.key == "hpa" and o.tuning is Tuning.FROZEN), None)


def ours_of(told: Comparison) -> Outcome | None:
    """The row that the verdict is about."""
    return next((o for o in told.outcomes if is_judged(o)), None)


def _goals(told: Comparison) -> list[float]:
    return sorted({gap.goal for gap in told.gaps}, reverse=True)


def goal_text(goal: float) -> str:
    """A goal without needless zeros: 0.001 is "0.1 %"."""
    return f"{goal * 100:g} %"


def _closed(closed: float | None, hours: float | None) -> Cell:
    if hours is None:
        return Cell(ABSENT)
    return Cell(f"{percent(closed, 0)} ({number(hours, 4)})")


def _ratio(part: int | None, whole: int | None) -> str:
    return ABSENT if part is None or whole is None else f"{count(part)} / {count(whole)}"


def _whole(value: float | None) -> str:
    return count(None if value is None else round(value))


def _money(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.2f}"
