"""The comparison as one HTML file that needs nothing else: no script, no font, no request.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from training.comparison.facts import Answer, Comparison, ComparisonReport
from training.comparison.figures import pictures_of
from training.comparison.summary import headlines, overview_table, setup_rows
from training.comparison.tables import alarm_table, cost_table, gap_table, knob_table, wait_table
from training.page import Picture, page_environment, picture
from training.tables import Headline, Table

_CLASS = {Answer.USE: "yes", Answer.OBSERVE: "unclear", Answer.KEEP: "no"}


@dataclass(frozen=True, slots=True)
class ComparisonSection:
    """Everything the page says about one series."""

    key: str  # anchor
    told: Comparison
    verdict_class: str
    headlines: tuple[Headline, ...]
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    details: tuple[Table, ...]  # folded away
    setup: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def render_comparison_page(report: ComparisonReport) -> str:
    """Return the page; every text from a series or a label is escaped."""
    sections = [_section(told, f"s{position}") for position, told in enumerate(report.comparisons)]
    overview = overview_table(report) if len(sections) > 1 else None
    template = page_environment().get_template("comparison.html.j2")
    return template.render(report=report, sections=sections, overview=overview)


def _section(told: Comparison, key: str) -> ComparisonSection:
    knobs = knob_table(told)
    return ComparisonSection(
        key=key,
        told=told,
        verdict_class=_CLASS[told.verdict.answer],
        headlines=headlines(told),
        pictures=tuple(picture(chart) for chart in pictures_of(told, key)),
        tables=(cost_table(told), *([gap_table(told)] if told.gaps else []), wait_table(told)),
        details=(alarm_table(told), *([knobs] if knobs is not None else [])),
        setup=setup_rows(told),
        notes=(*told.notes, *told.series.quality_notes),
    )
