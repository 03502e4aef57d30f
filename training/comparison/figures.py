"""What the comparison's page draws: the day, the replicas, the frontier, the time line, the calibration.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from training.charts import Axis, Band, Chart, Line, Point, Symbol, nice_ticks
from training.comparison.facts import AlarmMark, Comparison, Day, DayTrack, Family, Tuning
from training.figures import clock_axis, tick_text
from training.wording import count, duration, instant, level_name, number, percent

_STYLES = {"lstm": "c-model thick", "hpa": "c-b1", "hpa_shipped": "c-b6 d2", "oracle": "c-b2 d4"}
_OTHERS = ("c-b3 d3", "c-b4 d5", "c-b5 dash")
_MARKS = {
    AlarmMark.HIT: ("Alarm, hit", "c-good", "triangle", 4.0),
    AlarmMark.FALSE_ALARM: ("Alarm, false", "c-bad", "cross", 3.0),
    AlarmMark.PENDING: ("Alarm, not over", "c-muted", "diamond", 3.5),
    AlarmMark.CAUGHT_SURGE: ("Surge, caught", "c-good", "circle", 2.0),
    AlarmMark.MISSED_SURGE: ("Surge, missed", "c-bad", "diamond", 1.0),
}
_LEAST_VIOLATION = 1e-5  # what is drawn at the left border of the frontier
_MOST_VIOLATION = 0.1


def pictures_of(told: Comparison, key: str) -> list[Chart]:
    """Every chart of one series that there are data for."""
    charts = [demand_chart(told, key), replica_chart(told, key), frontier_chart(told, key)]
    charts += [timeline_chart(told, key), calibration_chart(told, key)]
    return [chart for chart in charts if chart is not None]


def demand_chart(told: Comparison, key: str) -> Chart | None:
    """One day of demand with what was forecast for it."""
    day = told.day
    seen = [y for column in (day.demand, *day.bands) for y in column if y is not None]
    if len(day.demand) < 2 or not seen:
        return None
    ticks = nice_ticks(0.0, max(seen))
    lead = duration(day.lead_steps * day.step_seconds)
    bands, lines = [], [Line("Demand", "c-actual", _curve(day, day.demand))]
    if len(day.levels) >= 2:
        low, high = day.levels[0], day.levels[-1]
        bands = [
            Band(
                f"{level_name(low)} to {level_name(high)}",
                "c-model",
                _curve(day, day.bands[0]),
                _curve(day, day.bands[-1]),
            )
        ]
        for level, band in zip(day.levels[1:-1], day.bands[1:-1], strict=True):
            lines.append(Line(f"{level_name(level)}, made {lead} before", "c-model", _curve(day, band)))
    return Chart(
        f"{key}-demand",
        f"Demand on {day.start:%d %B}, and what was forecast {lead} before",
        "The day of the test span on which the HPA as shipped let most requests wait. Line: demand per "
        f"{duration(day.step_seconds)}; shaded: the forecast range, made as long before as pods take to start.",
        clock_axis(day.start, (len(day.demand) - 1) * day.step_seconds),
        Axis("demand", ticks, lambda y: tick_text(y, ticks), 0.0, ticks[-1]),
        lines=lines,
        bands=bands,
    )


def replica_chart(told: Comparison, key: str) -> Chart | None:
    """Ready replicas of the most telling policies on that day, over what demand needs."""
    day = told.day
    tracks = [track for track in day.tracks if track.policy.key in ("hpa", "lstm", "oracle", "hpa_shipped")]
    if len(day.demand) < 2 or not tracks:
        return None
    need = [None if y is None else math.ceil(y / day.capacity_per_replica - 1e-9) for y in day.demand]
    highest = max([*(n for n in need if n is not None), *(max(track.ready) for track in tracks)], default=1)
    ticks = nice_ticks(0.0, float(highest))
    shown = [track for track in tracks if track.policy.key != "hpa_shipped"]
    nothing: list[Point] = [(x, None if y is None else 0.0) for x, y in _curve(day, need)]
    return Chart(
        f"{key}-replicas",
        "Ready replicas on that day",
        "Shaded: replicas that demand needs. "
        + "; ".join(f"{track.policy.title}: {_mean(track)} ready on average" for track in shown)
        + ".",
        clock_axis(day.start, (len(day.demand) - 1) * day.step_seconds),
        Axis("replicas", ticks, lambda y: tick_text(y, ticks), 0.0, ticks[-1]),
        lines=[
            Line(track.policy.title, _STYLES[track.policy.key], _stairs(_curve(day, track.ready))) for track in shown
        ],
        bands=[Band("needed", "c-muted", nothing, _curve(day, need))],
    )


def frontier_chart(told: Comparison, key: str) -> Chart | None:
    """Violation against replica-hours: every family's best in hindsight, and where the frozen knobs came out."""
    families = [frontier for frontier in told.frontiers if len(frontier.points) > 1]
    if not families:
        return None
    styles = iter(_OTHERS)
    lines, hours = [], []
    for frontier in families:
        points = [(_log(p.violation), p.replica_hours) for p in frontier.points if p.violation <= _MOST_VIOLATION]
        hours += [y for _, y in points]
        style = _STYLES.get(frontier.policy.key) or next(styles, "c-b6")
        lines.append(Line(frontier.policy.title, style, _stairs(sorted(points))))
    symbols, names = [], {}
    kinds = {
        "hpa": ("tuned HPA, frozen", "c-muted", "diamond"),
        "lstm": ("LSTM, frozen", "c-good", "triangle"),
        "hpa_shipped": ("HPA as shipped", "c-bad", "cross"),
    }
    for outcome in told.outcomes:
        kind = kinds.get(outcome.policy.key)
        if kind is None or outcome.tuning is Tuning.RECHOSEN or outcome.violation > _MOST_VIOLATION:
            continue
        symbols.append(Symbol(kind[0], kind[1], kind[2], _log(outcome.violation), outcome.replica_hours))
        names[kind[0]] = (kind[1], kind[2])
        hours.append(outcome.replica_hours)
    limit = next((f.points[0].replica_hours for f in told.frontiers if f.policy.family is Family.ORACLE), None)
    if limit is not None:
        hours.append(limit)
    if not hours:
        return None
    ticks = nice_ticks(min(hours), max(hours))
    target = _log(told.setup.target_violation)
    lines.append(Line("your target", "c-b6 d6", [(target, ticks[0]), (target, ticks[-1])]))
    if limit is not None:
        ends = [(_log(_LEAST_VIOLATION), limit), (_log(_MOST_VIOLATION), limit)]
        lines.append(Line("Perfect foresight", _STYLES["oracle"], ends))
    tens = [float(x) for x in range(round(_log(_LEAST_VIOLATION)), round(_log(_MOST_VIOLATION)) + 1)]
    tried = ", ".join(f"{f.policy.title} {count(f.settings_tried)}" for f in families)
    return Chart(
        f"{key}-frontier",
        "What risk costs",
        f"Lines: the cheapest setting of each family for every share of late requests, in hindsight ({tried} settings "
        "tried). Marks: knobs chosen before the test span. Lower and further left is better.",
        Axis("late requests", tens, lambda x: percent(10**x, max(0, round(-x) - 2)), tens[0], tens[-1]),
        Axis("replica-hours", ticks, lambda y: tick_text(y, ticks), ticks[0], ticks[-1]),
        lines=lines,
        symbols=symbols,
        names=names,
    )


def timeline_chart(told: Comparison, key: str) -> Chart | None:
    """Alarms and surges of the whole test span, one row for each kind."""
    if not told.timeline:
        return None
    span = int((told.timeline_to - told.timeline_from).total_seconds())
    symbols, names = [], {}
    for mark in told.timeline:
        title, style, shape, row = _MARKS[mark.kind]
        text = f"{title}, {instant(mark.at)} UTC, {number(mark.replicas, 3)} replicas"
        symbols.append(Symbol(text, style, shape, (mark.at - told.timeline_from).total_seconds(), row))
        names[title] = (style, shape)
    counted = ", ".join(
        f"{sum(mark.kind is kind for mark in told.timeline)} {_MARKS[kind][0].lower()}"
        for kind in AlarmMark
        if any(mark.kind is kind for mark in told.timeline)
    )
    rows = {4.0: "hit", 3.0: "false", 2.0: "caught", 1.0: "missed"}
    return Chart(
        f"{key}-timeline",
        "Alarms and surges",
        f"{instant(told.timeline_from)} to {instant(told.timeline_to)} UTC: {counted}.",
        clock_axis(told.timeline_from, span),
        Axis("alarms above, surges below", list(rows), lambda y: rows.get(y, ""), 0.5, 4.5),
        symbols=symbols,
        names=names,
    )


def calibration_chart(told: Comparison, key: str) -> Chart | None:
    """Promised against kept quantiles of the coming peak."""
    points = [(p.level, p.covered / p.pairs) for p in told.calibration if p.pairs]
    if len(points) < 2:
        return None
    worst = max(points, key=lambda point: abs(point[1] - point[0]))
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    pairs = max(p.pairs for p in told.calibration)
    return Chart(
        f"{key}-calibration",
        "Does a promised quantile hold?",
        f"How often the highest demand of the lead stayed below each quantile, of {count(pairs)} forecasts. Worst: "
        f"{level_name(worst[0])} held {percent(worst[1])} of the time.",
        Axis("promised", ticks, lambda x: percent(x, 0), 0.0, 1.0),
        Axis("kept", ticks, lambda y: percent(y, 0), 0.0, 1.0),
        lines=[
            Line("exactly kept", "c-b6 d2", [(0.0, 0.0), (1.0, 1.0)]),
            Line("LSTM, calibrated", "c-model", points, has_dots=True),
        ],
    )


def _curve(day: Day, column: Sequence[float | None]) -> list[Point]:
    return [(float(index * day.step_seconds), y) for index, y in enumerate(column)]


def _stairs(points: Sequence[Point]) -> list[Point]:
    """Horizontal until the next point: a replica count does not slope."""
    steps: list[Point] = []
    for (x, y), (after, _) in zip(points, [*points[1:], points[-1]], strict=True):
        steps += [(x, y), (after, y)]
    return steps


def _mean(track: DayTrack) -> str:
    return number(sum(track.ready) / max(len(track.ready), 1), 3)


def _log(violation: float) -> float:
    return math.log10(min(max(violation, _LEAST_VIOLATION), _MOST_VIOLATION))
