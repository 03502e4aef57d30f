"""The evaluation in a terminal: verdict, headline numbers, tables.  Builds Rich renderables, never prints."""

from __future__ import annotations

import re
import textwrap

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from training.card import Head, ScoreCard
from training.report import EvaluationReport
from training.tables import (
    Cell,
    Headline,
    Table,
    accuracy_table,
    alarm_table,
    coverage_table,
    headlines,
    shift_table,
    threshold_table,
)
from training.verdict import Outcome, Verdict, verdict
from training.wording import count, duration, instant

_STYLE = {Outcome.YES: "bold green", Outcome.NO: "bold red", Outcome.UNCLEAR: "bold yellow"}


def render_report(report: EvaluationReport) -> RenderableType:
    """Every series of a report, one after the other, and the notes."""
    parts: list[RenderableType] = []
    for judged in report.series:
        parts += [render_terminal(judged.card, judged.verdict), Text()]
    parts += [Text(f"Note: {note}", style="yellow") for note in report.notes]
    return Group(*parts)


def render_terminal(card: ScoreCard, found: Verdict | None = None) -> RenderableType:
    """One series: what was judged, the answer, and why.  `found` saves judging twice."""
    found = found or verdict(card)
    series, protocol = card.series, card.protocol
    title = Text(series.name, style="bold")
    if series.is_synthetic:
        title.append("  SYNTHETIC", style="bold magenta")
    window = f"{instant(protocol.start)} to {instant(protocol.end)} UTC"
    title.append(
        f"  {window}, {count(protocol.origins)} origins, step {duration(series.step_seconds)}, model {card.model.hash}",
        style="dim",
    )
    tables = [
        accuracy_table(card),
        coverage_table(card, Head.PEAK),
        alarm_table(card),
        threshold_table(card),
        shift_table(card),
    ]
    parts: list[RenderableType] = [
        title,
        Text(found.sentence, style=_STYLE[found.outcome]),
        *(Text(f"Note: {note}", style="yellow") for note in series.quality_notes),
        Padding(_headlines(headlines(card)), (1, 0, 0, 0)),
        *(Fitting(table) for table in tables if table is not None),
        Text("Every score is defined in docs/score-card.md.", style="dim"),
    ]
    return Group(*parts)


def _headlines(told: tuple[Headline, ...]) -> RichTable:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right", style="bold")
    grid.add_column(style="dim")
    for line in told:
        grid.add_row(line.label, line.value, line.detail)
    return grid


class Fitting:
    """A table that never cuts a number: too wide for the terminal, it goes on below with its first column again."""

    def __init__(self, table: Table) -> None:
        self.table, self.heads = table, [_stacked(name) for name in table.head]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for position, columns in enumerate(self._parts(options.max_width)):
            yield Padding(self._part(columns, self.table.caption if position == 0 else ""), (1, 0, 0, 0))

    def _parts(self, width: int) -> list[list[int]]:
        """Columns after the first, in as many groups as the width asks for; at least one column in each."""
        natural = [
            3 + max(len(line) for text in (self.heads[c], *self._column(c)) for line in text.splitlines() or [""])
            for c in range(len(self.heads))
        ]
        parts: list[list[int]] = [[]]
        used = first = natural[0] - 3  # nothing separates the last column from a next one
        for column in range(1, len(self.heads)):
            if parts[-1] and used + natural[column] > width:
                parts.append([])
                used = first
            parts[-1].append(column)
            used += natural[column]
        return parts

    def _column(self, column: int) -> list[str]:
        return [row.cells[column].text for row in self.table.rows]

    def _part(self, columns: list[int], caption: str) -> RichTable:
        rich = RichTable(
            title=caption or None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1),
        )
        rich.add_column(self.heads[0], no_wrap=True)
        for column in columns:
            rich.add_column(self.heads[column], justify="right", no_wrap=True)
        for row in self.table.rows:
            rich.add_row(
                *(_text(row.cells[column]) for column in (0, *columns)), style="bold" if row.is_judged else None
            )
        return rich


def _text(cell: Cell) -> Text:
    return Text(cell.text, style="green" if cell.is_best else "yellow" if cell.is_bad else "")


def _stacked(name: str) -> str:
    """A column head in narrow lines, a number with its unit: the numbers below decide the width."""
    together = re.sub(r"(\d) ", "\\1\N{NO-BREAK SPACE}", name)
    lines = [textwrap.fill(part, 8, break_long_words=False) for part in together.split(", ")]
    return "\n".join(lines)
