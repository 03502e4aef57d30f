"""The evaluation as one HTML file that needs nothing else: no script, no font, no request.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from training.card import Head, ScoreCard
from training.charts import Chart, draw, legend, thin_chart
from training.figures import figures
from training.report import EvaluationReport
from training.tables import (
    Cell,
    Headline,
    Row,
    Table,
    accuracy_table,
    ahead,
    alarm_table,
    coverage_table,
    every_horizon_table,
    facts,
    headlines,
    interval_table,
    model_facts,
    quantile_table,
    shift_table,
    threshold_table,
)
from training.verdict import Verdict
from training.wording import duration, instant, number, percent

_WIDE, _NARROW = (760, 300), (360, 260)  # units; the page shows the one that fits


@dataclass(frozen=True, slots=True)
class Picture:
    """One chart in two widths, so that its text stays readable on a phone."""

    chart: Chart
    wide: Markup
    narrow: Markup
    legend: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Everything the page says about one series."""

    key: str  # anchor
    card: ScoreCard
    verdict: Verdict
    headlines: tuple[Headline, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    details: tuple[Table, ...]  # folded away
    facts: tuple[tuple[str, str], ...]
    model: tuple[tuple[str, str], ...]


def render_page(report: EvaluationReport) -> str:
    """Return the page; every text from a series or a label is escaped."""
    sections = [section(judged.card, judged.verdict, f"s{position}") for position, judged in enumerate(report.series)]
    overview = overview_table(report) if len(sections) > 1 else None
    template = page_environment().get_template("report.html.j2")
    return template.render(report=report, sections=sections, overview=overview)


def page_environment() -> Environment:
    """Templates with our filters, escaping everything."""
    environment = Environment(
        loader=PackageLoader("training"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=keep_units,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["instant"] = instant
    environment.filters["duration"] = duration
    return environment


def keep_units(value: object) -> object:
    """Keep a number and its unit on one line; what is markup already stays as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return re.sub(r"(\d) (?=(?:%|pp|s|min|h|d)(?!\w))", "\\1\N{NO-BREAK SPACE}", value)
    return value


def section(card: ScoreCard, verdict: Verdict, key: str) -> Section:
    """Gather one series' part of the page."""
    tables = (accuracy_table(card), alarm_table(card), coverage_table(card, Head.PEAK))
    details = (
        interval_table(card),
        every_horizon_table(card),
        coverage_table(card, Head.PATH),
        quantile_table(card),
        shift_table(card),
        threshold_table(card),
    )
    return Section(
        key=key,
        card=card,
        verdict=verdict,
        headlines=headlines(card),
        pictures=tuple(picture(chart) for chart in figures(card, key)),
        tables=tuple(table for table in tables if table is not None),
        details=tuple(table for table in details if table is not None),
        facts=facts(card),
        model=model_facts(card),
    )


def picture(chart: Chart) -> Picture:
    """Draw a chart for a desk and for a phone.

    The strings are ours and escaped in `charts`, which is what makes them safe as markup.
    """
    wide, narrow = (thin_chart(chart, size[0]) for size in (_WIDE, _NARROW))
    return Picture(
        chart=chart,
        wide=Markup(draw(wide, *_WIDE)),  # noqa: S704
        narrow=Markup(draw(narrow, *_NARROW)),  # noqa: S704
        legend=tuple((name, Markup(swatch)) for name, swatch in legend(chart)),  # noqa: S704
    )


def overview_table(report: EvaluationReport) -> Table:
    """All series side by side: the answer and the numbers behind it."""
    rows = []
    for judged in report.series:
        card, horizon = judged.card, judged.card.model.horizon
        mine, best = card.accuracy_of(card.judged.key, horizon), card.best_baseline(horizon)
        alarms = card.alarms_of(card.judged.key)
        wape, least = mine.wape if mine else None, best.wape if best else None
        gain = 1 - wape / least if wape is not None and least else None
        resolved = alarms.hits + alarms.false_alarms if alarms else 0
        cells = (
            Cell(card.series.name + (" (synthetic)" if card.series.is_synthetic else "")),
            Cell(judged.verdict.outcome.value.capitalize(), is_best=judged.verdict.recommended),
            Cell(percent(wape)),
            Cell(f"{percent(least)}, {card.title(best.forecaster)}" if best else percent(None)),
            Cell(percent(gain, signed=True), is_bad=gain is not None and gain <= 0),
            Cell(f"{alarms.caught} / {alarms.surges}" if alarms else percent(None)),
            Cell(f"{alarms.false_alarms} / {resolved}" if alarms else percent(None)),
            Cell(number(alarms.f1 if alarms else None, 2)),
        )
        rows.append(Row(cells))
    horizons = {ahead(card, card.model.horizon) for card in report.cards}
    return Table(
        f"All series, {', '.join(sorted(horizons))} ahead",
        ("Series", "Worth it?", "WAPE", "Best simple", "Skill over it", "Caught / surges", "False / alarms", "F1"),
        tuple(rows),
    )
