from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.training.cards import a_card, a_report, without_extras
from training.report import EvaluationReport
from training.terminal import render_report


def printed(report: EvaluationReport, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render_report(report))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def test_the_terminal_shows_the_verdict_first_and_counts_beside_ratios() -> None:
    text = printed(a_report(), width=160)

    assert text.splitlines()[1].startswith("Yes: the LSTM is off by 8.2 %")
    assert text.splitlines()[0].startswith("synthetic-demand  SYNTHETIC")
    for told in ("26 of 32", "4 of 35 resolved alarms", "26 / 32", "21 / 30", "10,051"):
        assert told in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_narrow_terminal_cuts_no_number(width: int) -> None:
    text = printed(a_report(), width=width)

    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    for told in ("0.456", "+27.4 %", "1,312", "Yesterday's shape at today's level"):
        assert told in text


def test_every_series_and_note_is_printed() -> None:
    report = a_report(a_card(name="web"), without_extras(a_card(name="api")), notes=("batch was skipped",))

    text = printed(report)

    assert all(told in text for told in ("web", "api", "Note: batch was skipped"))
