"""Which charts a score card deserves, and what they say to a reader who cannot see them.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from training.card import Coverage, Example, Head, MarkKind, Role, ScoreCard
from training.charts import Axis, Band, Chart, Line, Point, Symbol, nice_ticks
from training.tables import ahead
from training.wording import count, duration, instant, level_name, number, percent, points

_STYLES = ("c-b1 d1", "c-b2 d2", "c-b3 d3", "c-b4 d4", "c-b5 d5", "c-b6 d6")
_LOWEST_SKILL = -0.3  # a baseline below is off the chart; the table has it
_MARKS = {
    MarkKind.HIT: ("Right alarm", "c-good", "triangle"),
    MarkKind.FALSE_ALARM: ("False alarm", "c-bad", "cross"),
    MarkKind.PENDING: ("Unresolved alarm", "c-muted", "circle"),
    MarkKind.MISSED_SURGE: ("Missed surge", "c-bad", "diamond"),
}
_TICK_SECONDS = (
    1,
    2,
    5,
    10,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    14_400,
    21_600,
    43_200,
    86_400,
)


def figures(card: ScoreCard, key: str) -> list[Chart]:
    """The charts for which the card has data, most telling first.  `key` makes their ids unique on a page."""
    horizons = sorted({row.horizon for row in card.coverage if row.head is Head.PEAK})
    made = [
        example_chart(card, key),
        skill_chart(card, key),
        *(calibration_chart(card, key, h) for h in horizons[-1:]),
        training_chart(card, key),
    ]
    return [chart for chart in made if chart is not None]


def skill_chart(card: ScoreCard, key: str) -> Chart | None:
    """Skill over persistence at every lead; persistence itself is the zero line."""
    lines, baseline = [], 0
    for forecaster in card.forecasters:
        rows = sorted((r for r in card.accuracy if r.forecaster == forecaster.key), key=lambda r: r.horizon)
        curve: list[Point] = [(float(r.horizon), r.skill_over_persistence) for r in rows]
        values = [y for _, y in curve if y is not None]
        if forecaster.key == "persistence" or not values or max(values) < _LOWEST_SKILL:
            continue
        if forecaster.role is Role.MODEL:
            style = "c-model thick"
        elif forecaster.role is Role.RAW:
            style = "c-raw dash"
        else:
            style, baseline = _STYLES[baseline % len(_STYLES)], baseline + 1
        lines.append(Line(forecaster.title, style, curve, has_dots=forecaster.role is Role.MODEL))
    if not lines:
        return None
    values = [y for line in lines for _, y in line.points if y is not None and y >= _LOWEST_SKILL]
    ticks = nice_ticks(min(0.0, *values), max(0.1, *values))
    horizon = card.model.horizon
    mine = card.accuracy_of(card.judged.key, horizon)
    told = percent(mine.skill_over_persistence if mine else None)
    every = max(1, horizon // 15)
    return Chart(
        f"{key}-skill",
        "Skill over persistence at every lead",
        f"Share of persistence's error that is saved, for leads up to {ahead(card, horizon)}; above zero is better. "
        f"{card.judged.title} saves {told} at {ahead(card, horizon)}. The table of every lead has the numbers.",
        Axis(
            "lead",
            [float(h) for h in range(1, horizon + 1, every)],
            lambda h: ahead(card, int(h)),
            1,
            max(2, horizon),
        ),
        Axis("error saved", ticks, lambda y: percent(y, 0, signed=True), ticks[0], ticks[-1]),
        lines=lines[::-1] if lines[0].style.startswith("c-model") else lines,  # the model is drawn last, on top
        zero=0.0,
    )


def calibration_chart(card: ScoreCard, key: str, horizon: int) -> Chart | None:
    """Kept minus promised, per level, of the running maximum: calibrated beside the network alone."""
    rows = [r for r in card.coverage if r.head is Head.PEAK and r.horizon == horizon and r.pairs]
    levels = sorted({r.level for r in rows})
    lines = []
    for forecaster in reversed(card.forecasters):
        curve = [(float(levels.index(r.level)), _error(r)) for r in rows if r.forecaster == forecaster.key]
        if curve:
            style = "c-model thick" if forecaster.role is Role.MODEL else "c-raw dash"
            lines.append(Line(forecaster.title, style, sorted(curve), has_dots=True))
    if not lines:
        return None
    worst = max((abs(_error(r)) for r in rows if r.forecaster == card.judged.key), default=0.0)
    pairs = max(r.pairs for r in rows)
    return promise_chart(
        f"{key}-calibration",
        f"Calibration of the peak within {ahead(card, horizon)}",
        f"Share of outcomes at or below each quantile, minus the quantile's level, over {count(pairs)} pairs. Zero "
        f"keeps the promise, below is too low a quantile. {card.judged.title} is at most {points(worst)} off.",
        levels,
        lines,
    )


def promise_chart(key: str, title: str, description: str, levels: Sequence[float], lines: Sequence[Line]) -> Chart:
    """Kept minus promised; a line's x is the position of its level, so that the high ones have room."""
    values = [y for line in lines for _, y in line.points if y is not None]
    ticks = nice_ticks(min(-0.015, *values), max(0.015, *values))
    ends: list[Point] = [(-0.5, 0.01), (len(levels) - 0.5, 0.01)]
    return Chart(
        key,
        title,
        description,
        Axis(
            "promised quantile",
            [float(i) for i in range(len(levels))],
            lambda i: level_name(levels[int(i)]),
            -0.5,
            len(levels) - 0.5,
        ),
        Axis("kept − promised", ticks, lambda y: points(y, signed=True), ticks[0], ticks[-1]),
        lines=lines,
        bands=[Band("Within 1 pp", "c-good", [(x, -0.01) for x, _ in ends], ends)],
        zero=0.0,
    )


def _error(row: Coverage) -> float:
    return (row.coverage or 0.0) - row.level


def training_chart(card: ScoreCard, key: str) -> Chart | None:
    """Loss at every look at the validation span; the kept weights are marked."""
    validation: list[Point] = [(float(e.number), e.validation_loss) for e in card.training]
    training: list[Point] = [(float(e.number), e.training_loss) for e in card.training]
    values = [y for _, y in (*validation, *training) if y is not None]
    if len(card.training) < 2 or not values:
        return None
    numbers = [float(e.number) for e in card.training]
    ticks = nice_ticks(min(values), max(values), 4)
    kept = next((e for e in card.training if e.number == card.model.best_update), None)
    skill = percent(kept.skill_over_persistence if kept else None, signed=True)
    is_marked = kept is not None and kept.validation_loss is not None
    name = f"Kept: update {card.model.best_update}, skill {skill}"
    return Chart(
        f"{key}-training",
        "Training",
        f"Loss at {count(len(card.training))} looks during training. {name} over persistence on the validation span.",
        Axis("weight updates", numbers, lambda e: f"{e:.0f}", numbers[0], numbers[-1]),
        Axis("pinball loss", ticks, lambda y: f"{y:g}", ticks[0], ticks[-1]),
        lines=[
            line
            for line in (
                Line("Training span", "c-raw dash", training),
                Line("Validation span", "c-model thick", validation),
            )
            if any(y is not None for _, y in line.points)
        ],
        symbols=[Symbol(name, "c-good", "diamond", float(kept.number), kept.validation_loss)]
        if kept is not None and kept.validation_loss is not None
        else [],
        names={name: ("c-good", "diamond")} if is_marked else {},
    )


def example_chart(card: ScoreCard, key: str) -> Chart | None:
    """The last hours of demand with the forecast made one lead before."""
    example = card.example
    if example is None or len(example.actual) < 2:
        return None
    seconds = [i * example.step_seconds for i in range(len(example.actual))]
    seen = [y for column in (example.actual, example.high) for y in column if y is not None]
    if not seen:
        return None
    ticks = nice_ticks(0.0, max(seen))
    span, lead = seconds[-1], duration(example.lead_steps * example.step_seconds)
    low, high = level_name(example.low_level), level_name(example.high_level)
    symbols = [_symbol(example, mark.at, mark.kind, ticks[-1]) for mark in example.marks]
    told = ", ".join(
        f"{number} {_MARKS[kind][0].lower()}"
        for kind in MarkKind
        if (number := sum(mark.kind is kind for mark in example.marks))
    )
    end = example.start + timedelta(seconds=span)
    return Chart(
        f"{key}-example",
        f"The last {_stretch(span + example.step_seconds)}, and what was forecast {lead} before",
        f"{instant(example.start)} to {instant(end)} UTC. Line: demand; shaded: what was "
        f"forecast {lead} earlier to lie between {low} and {high}. Marked: {told or 'no alarm and no missed surge'}.",
        clock_axis(example.start, span),
        Axis(card.series.unit or "demand", ticks, lambda y: tick_text(y, ticks), 0.0, ticks[-1]),
        lines=[
            Line("Demand", "c-actual", _curve(seconds, example.actual)),
            Line(f"Median, made {lead} before", "c-model", _curve(seconds, example.median)),
        ],
        bands=[
            Band(f"{low} to {high}", "c-model", _curve(seconds, example.low), _curve(seconds, example.high)),
        ],
        symbols=symbols,
        names={_MARKS[k][0]: _MARKS[k][1:] for k in MarkKind if any(mark.kind is k for mark in example.marks)},
    )


def _stretch(seconds: int) -> str:
    """A length of time, in hours up to two days."""
    return f"{seconds / 3600:g} h" if 86_400 <= seconds < 172_800 else duration(seconds)


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick's label with as many decimals as tell the ticks apart."""
    step = ticks[1] - ticks[0]
    return f"{value:,.0f}" if step >= 1 else number(value, 3)


def _curve(seconds: Sequence[int], column: Sequence[float | None]) -> list[Point]:
    return [(float(x), y) for x, y in zip(seconds, column, strict=True)]


def _symbol(example: Example, at: datetime, kind: MarkKind, top: float) -> Symbol:
    """A mark sits just above demand, or at the foot where demand is missing."""
    name, style, shape = _MARKS[kind]
    seconds = (at - example.start).total_seconds()
    index = min(max(0, round(seconds / example.step_seconds)), len(example.actual) - 1)
    value = example.actual[index] or 0.0
    return Symbol(f"{name}, {instant(at)} UTC", style, shape, seconds, min(value + 0.06 * top, top))


def clock_axis(start: datetime, span: int) -> Axis:
    """Ticks on full hours, minutes or seconds of UTC, about eight of them; beyond two days on dates."""
    step = 86_400 if span > 172_800 else next(s for s in _TICK_SECONDS if span / s <= 12)
    first = -int(start.timestamp()) % step
    ticks = [float(second) for second in range(first, span + 1, step)]
    pattern = "%d %b" if step >= 86_400 else "%H:%M" if step >= 60 else "%H:%M:%S"
    return Axis("time, UTC", ticks, lambda x: (start + timedelta(seconds=x)).strftime(pattern), 0.0, float(span))
