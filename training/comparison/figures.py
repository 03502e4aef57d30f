"""What the comparison's page draws: the day, the replicas, the frontier, the time line, the calibration.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from training.charts import Axis, Band, Chart, Line, Point, Symbol, nice_ticks
from training.comparison.facts import AlarmMark, Comparison, Day, DayTrack, Family, Frontier, Outcome, Tuning
from training.comparison.tables import JUDGED, share
from training.figures import clock_axis, promise_chart, tick_text
from training.wording import count, duration, instant, level_name, number, percent, points

_STYLES = {JUDGED: "c-model thick", "hpa": "c-b1 d3", "oracle": "c-b2 d4"}
_OTHERS = ("c-b3 dash", "c-b4 d5", "c-b5 d2", "c-b6 d6")
_TRACKS = (JUDGED, "hpa", "oracle")  # of the shown day; the thick line first, so that it hides no other
_CHOSEN = {  # where knobs that could have been run came out
    "hpa_shipped": ("HPA as shipped", "c-bad", "cross"),
    "hpa": ("HPA, knobs chosen before", "c-b1", "diamond"),
    "schedule": ("HPA + schedule, chosen before", "c-b6", "circle"),
    JUDGED: ("LSTM, knobs chosen before", "c-model", "triangle"),
}
_MARKS = {
    AlarmMark.HIT: ("Right alarm", "c-good", "triangle", 4.0),
    AlarmMark.FALSE_ALARM: ("False alarm", "c-bad", "cross", 3.0),
    AlarmMark.PENDING: ("Unresolved alarm", "c-muted", "circle", 3.5),
    AlarmMark.CAUGHT_SURGE: ("Caught surge", "c-good", "circle", 2.0),
    AlarmMark.MISSED_SURGE: ("Missed surge", "c-bad", "diamond", 1.0),
}
_ROWS = {4.0: "right alarm", 3.0: "false alarm", 2.0: "caught surge", 1.0: "missed surge"}
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
        f"Demand on the hardest day, and what was forecast {lead} before",
        f"{_window(day)}: of the test span the day on which the HPA as shipped let most requests wait, or else that of "
        f"highest demand. Line: demand per {duration(day.step_seconds)}; shaded: where the forecast saw it {lead} "
        "earlier, which is about when a pod for that moment had to be asked for.",
        clock_axis(day.start, (len(day.demand) - 1) * day.step_seconds),
        Axis(told.series.unit or "demand", ticks, lambda y: tick_text(y, ticks), 0.0, ticks[-1]),
        lines=lines,
        bands=bands,
    )


def replica_chart(told: Comparison, key: str) -> Chart | None:
    """Ready replicas of the most telling policies on that day, over what demand needs."""
    day = told.day
    found = {track.policy.key: track for track in day.tracks if track.ready}
    tracks = [found[name] for name in _TRACKS if name in found]
    if len(day.demand) < 2 or not tracks:
        return None
    need = [None if y is None else math.ceil(y / day.capacity_per_replica - 1e-9) for y in day.demand]
    highest = max([*(n for n in need if n is not None), *(max(track.ready) for track in tracks)], default=1)
    ticks = nice_ticks(0.0, float(max(highest, 1)))
    nothing: list[Point] = [(x, None if y is None else 0.0) for x, y in _curve(day, need)]
    return Chart(
        f"{key}-replicas",
        "Ready replicas on that day",
        f"{_window(day)}. Shaded: replicas that demand needs. Ready on average: "
        + "; ".join(f"{track.policy.title} {_mean(track)}" for track in tracks)
        + ".",
        clock_axis(day.start, (len(day.demand) - 1) * day.step_seconds),
        Axis("replicas", ticks, lambda y: tick_text(y, ticks), 0.0, ticks[-1]),
        lines=[Line(t.policy.title, _STYLES[t.policy.key], stairs(_curve(day, t.ready))) for t in tracks],
        bands=[Band("Needed", "c-muted", nothing, _curve(day, need))],
    )


def frontier_chart(told: Comparison, key: str) -> Chart | None:
    """Violation against replica-hours: every family's best in hindsight, and where the frozen knobs came out."""
    families = [f for f in told.frontiers if f.policy.family is not Family.ORACLE]
    styles = iter(_OTHERS)
    lines: list[Line] = []
    for frontier in families:
        points = _falling(frontier)
        style = _STYLES.get(frontier.policy.key) or next(styles, _OTHERS[-1])
        if points:  # what is cheapest at some risk is still to be had at any higher one
            lines.append(Line(frontier.policy.title, style, stairs([*points, (_log(_MOST_VIOLATION), points[-1][1])])))
    if not lines:
        return None
    limit = next((f.points[0].replica_hours for f in told.frontiers if f.policy.family is Family.ORACLE), None)
    chosen = [outcome for outcome in told.outcomes if _is_marked(outcome)]
    chosen.sort(key=lambda outcome: outcome.policy.key != JUDGED)  # hollow marks after the filled one: none hides
    hours = [y for line in lines for _, y in line.points if y is not None] + [o.replica_hours for o in chosen]
    ticks = nice_ticks(min([*hours, *([limit] if limit is not None else [])]), max(hours))
    if limit is not None:
        ends: list[Point] = [(_log(0.0), limit), (_log(1.0), limit)]
        lines.insert(0, Line("Perfect foresight", _STYLES["oracle"], ends))
    target = _log(told.setup.target_violation)
    aim = f"Your target, {share(told.setup.target_violation)}"
    lines.insert(0, Line(aim, "c-bad dash", [(target, ticks[0]), (target, ticks[-1])]))
    tens = [float(x) for x in range(round(_log(0.0)), round(_log(1.0)) + 1)]
    tried = sorted({f.settings_tried for f in families})
    tries = count(tried[0]) if len(tried) == 1 else f"{count(tried[0])} to {count(tried[-1])}"
    return Chart(
        f"{key}-frontier",
        "What risk costs",
        "Lines: the fewest replica-hours of each family for every share of late requests, all tuned in hindsight. "
        "Marks: with knobs chosen before the test span. Lower and further left is better. Of each family "
        f"{tries} settings were tried.",
        Axis("late requests, each tick ten times the last", tens, _tens_text, tens[0], tens[-1]),
        Axis("replica-hours", ticks, lambda y: tick_text(y, ticks), ticks[0], ticks[-1]),
        lines=sorted(lines, key=lambda line: "thick" in line.style),  # the judged one is drawn last, on top
        symbols=[
            Symbol(
                f"{title}: {number(o.replica_hours, 4)} replica-hours, {share(o.violation)} late",
                style,
                shape,
                _log(o.violation),
                o.replica_hours,
            )
            for o in chosen
            for title, style, shape in (_CHOSEN[o.policy.key],)
        ],
        names={title: (style, shape) for o in chosen for title, style, shape in (_CHOSEN[o.policy.key],)},
    )


def _falling(frontier: Frontier) -> list[tuple[float, float]]:
    """The least cost at each violation on the axis; what is left of it shares its first tick."""
    least: dict[float, float] = {}
    for point in frontier.points:
        if point.violation <= _MOST_VIOLATION:
            x = _log(point.violation)
            least[x] = min(point.replica_hours, least.get(x, point.replica_hours))
    return sorted(least.items())


def _is_marked(outcome: Outcome) -> bool:
    """Rows that are off the chart are in the tables."""
    is_ours = outcome.policy.key in _CHOSEN and outcome.tuning in (Tuning.NONE, Tuning.FROZEN)
    return is_ours and outcome.violation <= _MOST_VIOLATION


def _tens_text(tens: float) -> str:
    text = f"{round(10 ** (tens + 2), 6):g} %"
    return f"≤{text}" if tens <= _log(0.0) else text


def timeline_chart(told: Comparison, key: str) -> Chart | None:
    """Alarms and surges of the whole test span, one row for each kind."""
    if not told.timeline:
        return None
    span = int((told.timeline_to - told.timeline_from).total_seconds())
    symbols = []
    for mark in told.timeline:
        title, style, shape, row = _MARKS[mark.kind]
        text = f"{title}, {instant(mark.at)} UTC, {number(mark.replicas, 3)} replicas"
        symbols.append(Symbol(text, style, shape, (mark.at - told.timeline_from).total_seconds(), row))
    seen = {kind: sum(mark.kind is kind for mark in told.timeline) for kind in AlarmMark}
    counted = ", ".join(f"{many} {_MARKS[kind][0].lower()}{'s' * (many != 1)}" for kind, many in seen.items() if many)
    return Chart(
        f"{key}-timeline",
        "Alarms and surges",
        f"{instant(told.timeline_from)} to {instant(told.timeline_to)} UTC: {counted}.",
        clock_axis(told.timeline_from, span),
        Axis("", list(_ROWS), lambda y: _ROWS.get(y, ""), 0.5, 4.5),
        symbols=symbols,
        names={_MARKS[kind][0]: _MARKS[kind][1:3] for kind, many in seen.items() if many},
    )


def calibration_chart(told: Comparison, key: str) -> Chart | None:
    """Kept minus promised of the coming peak, at the policy's lead."""
    counted = sorted((p for p in told.calibration if p.pairs), key=lambda p: p.level)
    if len(counted) < 2:
        return None
    errors = [p.covered / p.pairs - p.level for p in counted]
    worst = max(range(len(errors)), key=lambda index: abs(errors[index]))
    pairs = max(p.pairs for p in counted)
    return promise_chart(
        f"{key}-calibration",
        "Does a promised quantile hold?",
        f"How often the highest demand until a pod could serve stayed at or below each quantile, minus the quantile's "
        f"level, over {count(pairs)} pairs. Zero keeps the promise, below is too low a quantile. Worst: "
        f"{level_name(counted[worst].level)} held {percent(counted[worst].covered / counted[worst].pairs)}, "
        f"{points(errors[worst], signed=True)}.",
        [p.level for p in counted],
        [Line("LSTM, calibrated", "c-model thick", [(float(i), y) for i, y in enumerate(errors)], has_dots=True)],
    )


def _curve(day: Day, column: Sequence[float | None]) -> list[Point]:
    return [(float(index * day.step_seconds), y) for index, y in enumerate(column)]


def stairs(points: Sequence[Point]) -> list[Point]:
    """Horizontal until the next change: a replica count does not slope.  Repeated values are left out."""
    steps: list[Point] = list(points[:1])
    for (_, before), (x, y) in pairwise(points):
        if y != before:
            steps += [(x, before), (x, y)]
    return [*steps, points[-1]] if len(points) > 1 else steps


def _window(day: Day) -> str:
    end = day.start + timedelta(seconds=len(day.demand) * day.step_seconds)
    return f"{instant(day.start)} to {instant(end)} UTC"


def _mean(track: DayTrack) -> str:
    return number(sum(track.ready) / max(len(track.ready), 1), 3)


def _log(violation: float) -> float:
    return math.log10(min(max(violation, _LEAST_VIOLATION), _MOST_VIOLATION))
