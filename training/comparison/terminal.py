"""The comparison in a terminal: facts, tables, verdict, the spec to paste.  Builds Rich renderables, never prints."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from training.comparison.facts import Answer, Comparison, ComparisonReport
from training.comparison.pasting import Pasteable
from training.comparison.summary import overview_table, setup_rows
from training.comparison.tables import alarm_table, cost_table, gap_table, wait_table
from training.tables import Table
from training.terminal import Fitting

_STYLE = {Answer.USE: "bold green", Answer.KEEP: "bold red", Answer.OBSERVE: "bold yellow"}


def render_comparison(report: ComparisonReport) -> RenderableType:
    """Every series of a report, one after the other; several end with an overview."""
    parts: list[RenderableType] = []
    for told in report.comparisons:
        parts += [*_parts(told), Text()]
    if len(report.comparisons) > 1:
        parts += [*_table(overview_table(report)), Text()]
    return Group(*parts)


def _parts(told: Comparison) -> list[RenderableType]:
    """The answer comes last: it stays in sight when the tables have scrolled away."""
    title = Text(told.series.name, style="bold")
    if told.series.is_synthetic:
        title.append("  SYNTHETIC", style="bold magenta")
    verdict = told.verdict
    tables = [cost_table(told), wait_table(told), alarm_table(told)]
    if told.gaps:
        tables.append(gap_table(told))
    parts: list[RenderableType] = [
        title,
        *(Text(f"Note: {note}", style="yellow") for note in told.series.quality_notes),
        Padding(_pairs(setup_rows(told)), (1, 0, 0, 0)),
        *(part for table in tables for part in _table(table)),
        Text(),
        *(_point(note, "dim") for note in told.notes),
        Text(),
        Text(verdict.headline, style=_STYLE[verdict.answer]),
        *(_point(reason) for reason in verdict.reasons),
    ]
    if verdict.suggested_spec is not None:
        parts += [Text("\nThe spec to start with, ready to paste:\n", style="bold"), Pasteable(verdict.suggested_spec)]
    return parts


def _table(table: Table) -> list[RenderableType]:
    return [Fitting(table), Text(table.note, style="dim")]


def _point(text: str, style: str = "") -> RichTable:
    """A list item whose further lines are indented too."""
    grid = RichTable.grid(padding=(0, 1))
    grid.add_column(width=1)
    grid.add_column()
    grid.add_row("-", Text(text, style=style))
    return grid


def _pairs(rows: tuple[tuple[str, str], ...]) -> RichTable:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in rows:
        grid.add_row(name, Text(value))
    return grid
