from __future__ import annotations

import io

import pytest
import yaml
from rich.console import Console

from tests.training.comparison.comparisons import SPEC, a_bare_comparison, a_comparison, a_comparison_report
from training.comparison.facts import Answer, ComparisonReport
from training.comparison.pasting import fold_yaml
from training.comparison.terminal import render_comparison


def printed(report: ComparisonReport, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render_comparison(report))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_width_cuts_a_number_or_a_row(width: int) -> None:
    text = printed(a_comparison_report(a_comparison(price=0.12)), width)

    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    for told in ("Predictive, level-adjusted seasonal", "−14.0 %", "351.10", "0.081 %", "26 / 32", "58 % (2,931)"):
        assert told in text
    for outcome in a_comparison().outcomes:
        assert text.count(outcome.policy.title) >= 3  # cost, waits, alarms


def test_a_hundred_columns_hold_cost_waits_and_alarms_unbroken() -> None:
    lines = printed(a_comparison_report(a_comparison(price=0.12)), 100).splitlines()

    assert sum(line.startswith("Placebo of LSTM") for line in lines) == 3


def test_the_answer_its_reasons_and_the_spec_come_last() -> None:
    text = printed(a_comparison_report(), 120)

    order = [
        text.index(told) for told in ("Gap closed at equal risk", "Use it: 14.0 %", "- The saving is", "apiVersion")
    ]
    assert order == sorted(order)


def test_a_loss_and_a_result_without_figures_are_told_without_a_spec() -> None:
    report = a_comparison_report(a_comparison(name="web", is_synthetic=False, said=Answer.KEEP), a_bare_comparison())

    text = printed(report, 100)

    assert text.count("Keep your HPA: the gain is within noise") == 2
    assert "apiVersion" not in text
    assert "None" not in text
    assert "All series" in text


def test_words_from_outside_are_not_styled() -> None:
    text = printed(a_comparison_report(a_comparison(name="[bold]web[/bold] :smile:")), 100)

    assert "[bold]web[/bold] :smile:" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_spec_in_narrow_lines_means_the_same(width: int) -> None:
    spec = SPEC.replace('name: "web"', 'name: "a, {service} with a \\"long\\" name \\u00e9 and \\\\ more of it"')
    spec += "  experience: 12.25  # the highest demand that the knobs were chosen on, which is not little to say\n"

    folded = fold_yaml(spec, width)

    assert yaml.safe_load(folded) == yaml.safe_load(spec)
    assert max(len(line) for line in folded.splitlines()) <= max(width, 75)


def test_a_spec_that_fits_stays_as_it_is() -> None:
    assert fold_yaml(SPEC, 120) == SPEC
