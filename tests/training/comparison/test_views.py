"""Terminal and page show the same facts; the page is looked at by a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from rich.console import Console

from tests.training.comparison.some_comparisons import a_report
from training.comparison.facts import Answer, ComparisonReport
from training.comparison.page import render_comparison_page
from training.comparison.terminal import render_comparison


@pytest.fixture(scope="module")
def report(folder: Path) -> ComparisonReport:
    return a_report(folder)


def with_name(report: ComparisonReport, name: str) -> ComparisonReport:
    told = report.comparisons[0]
    return replace(report, comparisons=(replace(told, series=replace(told.series, name=name)),))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_terminal_shows_every_policy_and_cuts_no_number(report: ComparisonReport, width: int) -> None:
    console = Console(width=width, record=True, file=StringIO())

    console.print(render_comparison(report))

    text = console.export_text()
    for outcome in report.comparisons[0].outcomes:
        assert outcome.policy.title in text
    assert "…" not in text
    assert report.comparisons[0].verdict.answer.value.lower() in text.lower()


def test_the_page_shows_every_policy_and_the_verdict(report: ComparisonReport) -> None:
    page = render_comparison_page(report).replace("\N{NO-BREAK SPACE}", " ")

    told = report.comparisons[0]
    assert all(outcome.policy.title in page for outcome in told.outcomes)
    assert told.verdict.headline.split(":")[0] in page
    assert page.count("<svg viewBox") >= 10  # five pictures in two widths


def test_the_page_needs_nothing_else(report: ComparisonReport) -> None:
    page = render_comparison_page(report)

    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!#)', page) == []
    assert "http" not in page.replace("http_requests_total", "")


def test_a_hostile_name_is_text(report: ComparisonReport) -> None:
    page = render_comparison_page(with_name(report, '<img src=x onerror="alert(1)">'))

    assert "<img" not in page


def test_a_figure_that_does_not_exist_is_a_dash(report: ComparisonReport) -> None:
    told = report.comparisons[0]
    empty = tuple(replace(gap, closed=None, placebo_closed=None, hpa_hours=None) for gap in told.gaps)

    page = render_comparison_page(replace(report, comparisons=(replace(told, gaps=empty, saving=None),)))

    assert "<td>–</td>" in page
    assert "None" not in page


def test_a_spec_is_suggested_only_where_it_is_not_advised_against(report: ComparisonReport) -> None:
    for told in report.comparisons:
        assert (told.verdict.suggested_spec is None) == (told.verdict.answer is Answer.KEEP)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_a_browser_shows_the_page_without_sideways_scrolling_or_complaint(
    folder: Path, browser: Browser, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light", offline=True
    )
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: requests.append(request.url))

    page.goto((folder / "comparison.html").as_uri())

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []
    assert len(requests) == 1
    shown = page.locator("svg[role=img]:visible")
    assert shown.count() >= 5
    assert all(shown.nth(index).bounding_box()["width"] > 250 for index in range(5))  # type: ignore[index]
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    context.close()


def test_a_keyboard_reaches_the_folded_tables(folder: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((folder / "comparison.html").as_uri())
    summary = page.locator("summary").first

    summary.focus()
    page.keyboard.press("Enter")

    assert page.locator("details[open] table").count() >= 2
    page.close()
