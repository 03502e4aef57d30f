"""The comparison in a terminal: verdict, tables, the spec to paste.  Builds Rich renderables, never prints."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from training.comparison.facts import Answer, Comparison, ComparisonReport
from training.comparison.tables import cost_table, gap_table, setup_rows, use_table
from training.terminal import Fitting

_STYLE = {Answer.USE: "bold green", Answer.KEEP: "bold red", Answer.OBSERVE: "bold yellow"}


def render_comparison(report: ComparisonReport) -> RenderableType:
    """Every series of a report, one after the other."""
    parts: list[RenderableType] = []
    for told in report.comparisons:
        parts += [*_parts(told), Text()]
    return Group(*parts)


def _parts(told: Comparison) -> list[RenderableType]:
    title = Text(told.series.name, style="bold")
    if told.series.is_synthetic:
        title.append("  SYNTHETIC", style="bold magenta")
    verdict = told.verdict
    parts: list[RenderableType] = [
        title,
        *(Text(f"Note: {note}", style="yellow") for note in told.series.quality_notes),
        Padding(_pairs(setup_rows(told)), (1, 0, 0, 0)),
        *(Fitting(table) for table in (cost_table(told), use_table(told), gap_table(told))),
        *(Text(table.note, style="dim") for table in (cost_table(told), use_table(told), gap_table(told))),
        Text(),
        Text(verdict.headline, style=_STYLE[verdict.answer]),
        *(Text(f"  {reason}") for reason in verdict.reasons),
    ]
    if verdict.suggested_spec is not None:
        parts += [Text("\nThe spec to start with, ready to paste:\n", style="bold"), Text(verdict.suggested_spec)]
    return parts


def _pairs(rows: tuple[tuple[str, str], ...]) -> RichTable:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in rows:
        grid.add_row(name, Text(value))
    return grid
