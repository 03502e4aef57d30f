"""What is said about a comparison before its tables: headline numbers, the overview of all series, the setup.  Pure."""

from __future__ import annotations

from training.comparison.facts import Answer, Comparison, ComparisonReport, Gap, Setup
from training.comparison.tables import JUDGED, base_of, goal_text, late_ratio, ours_of, requests, share
from training.tables import Cell, Headline, Row, Table
from training.wording import ABSENT, count, duration, instant, number, percent


def overview_table(report: ComparisonReport) -> Table:
    """All series side by side: the answer and the numbers behind it."""
    rows = []
    for told in report.comparisons:
        base, ours, gap = base_of(told), ours_of(told), _nearest_gap(told)
        cells = (
            Cell(told.series.name + (" (synthetic)" if told.series.is_synthetic else "")),
            Cell(_capital(told.verdict.answer.value), is_best=told.verdict.answer is Answer.USE),
            Cell(percent(_saved(told))),
            Cell(ABSENT if told.saving is None else f"{percent(told.saving.low)} to {percent(told.saving.high)}"),
            Cell(share(None if ours is None else late_ratio(ours))),
            Cell(share(None if base is None else late_ratio(base))),
            Cell(percent(None if gap is None else gap.closed, 0)),
        )
        rows.append(Row(cells))
    head = ("Series", "Answer", "Replica-hours saved", "90 % interval", "Late", "Late, tuned HPA", "Gap closed")
    note = "Saved against the HPA tuned in the same way. – means that there was too little to measure it on."
    return Table("All series", head, tuple(rows), note)


def setup_rows(told: Comparison) -> tuple[tuple[str, str], ...]:
    """What was simulated, on which part of the history."""
    setup, series = told.setup, told.series
    missing = f"of which missing {count(series.missing)}"
    missing += f" ({percent(series.missing / series.samples if series.samples else None, 2)})"
    rows = [
        ("Series", series.name + (" (synthetic)" if series.is_synthetic else "")),
        ("Span (UTC)", f"{instant(series.start)} to {instant(series.end)}"),
        ("Samples", f"{count(series.samples)} of {duration(series.step_seconds)}, {missing}"),
        ("Trained until (UTC)", instant(setup.train_end)),
        ("Knobs chosen on (UTC)", f"{instant(setup.tuned_from)} to {instant(setup.test_from)}"),
        ("Judged on (UTC)", f"{instant(setup.test_from)} to {instant(setup.test_to)}, {requests(told)}"),
        ("A replica carries", _capacity(setup, series.unit)),
        ("Start-up", duration(setup.startup_seconds)),
        ("A request is late", f"beyond {duration(setup.slo_wait_seconds)} of waiting, or when it gives up"),
        ("Target", f"{share(setup.target_violation)} of requests late"),
        ("Simulated steps", f"{duration(setup.step_seconds)}; requests spread {setup.spread} within a sample"),
        ("Seed", str(setup.seed)),
    ]
    if setup.replica_cost_per_hour is not None:
        rows.append(("A replica-hour costs", f"{setup.replica_cost_per_hour:g}"))
    return tuple(rows)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _capacity(setup: Setup, unit: str) -> str:
    given = "given" if setup.is_capacity_given else "scaled: the training span's 99.9th percentile needs 30 replicas"
    return f"{number(setup.capacity_per_replica, 4)} {unit or 'per sample'} ({given})"


def headlines(told: Comparison) -> tuple[Headline, ...]:
    """The numbers for the top of the page."""
    base, ours, gap = base_of(told), ours_of(told), _nearest_gap(told)
    lines = [_saving_headline(told)]
    if base is not None and ours is not None:
        detail = (
            f"{count(round(ours.late))} of {requests(told)}; tuned HPA {share(late_ratio(base))}, target "
            f"{share(told.setup.target_violation)}"
        )
        lines.append(Headline("Late requests", share(late_ratio(ours)), detail))
        detail = f"with {share(late_ratio(ours))} late; tuned HPA {percent(base.utilization)} with "
        lines.append(Headline("Utilization", percent(ours.utilization), detail + share(late_ratio(base))))
    if gap is not None:
        detail = f"from a tuned HPA to perfect foresight at {goal_text(gap.goal)} late; placebo "
        lines.append(Headline("Gap closed", percent(gap.closed, 0), detail + percent(gap.placebo_closed, 0)))
    return tuple(lines)


def _saving_headline(told: Comparison) -> Headline:
    saving, label = told.saving, "Replica-hours saved"
    if saving is None:
        return Headline(label, percent(_saved(told)), "against the tuned HPA; too few whole days for an interval")
    interval = f"{percent(saving.low)} to {percent(saving.high)}"
    detail = f"against the tuned HPA; {interval} when the {saving.days} days are drawn anew (90 %)"
    return Headline(label, percent(saving.value), detail, saving.low > 0)


def _nearest_gap(told: Comparison) -> Gap | None:
    ours = [gap for gap in told.gaps if gap.policy.key == JUDGED]
    return min(ours, key=lambda gap: abs(gap.goal - told.setup.target_violation), default=None)


def _saved(told: Comparison) -> float | None:
    base, ours = base_of(told), ours_of(told)
    if told.saving is not None:
        return told.saving.value
    return (
        None if base is None or ours is None or not base.replica_hours else 1 - ours.replica_hours / base.replica_hours
    )
