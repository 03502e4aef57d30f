"""axe-core over every state in light and dark, and the keyboard."""

from __future__ import annotations

from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from predictor import messages as m
from tests.predictor.server.page.answers import (
    a_forecast,
    a_list,
    a_model,
    a_silent_summary,
    a_summary,
    a_trust,
    no_forecast,
)
from tests.predictor.server.page.conftest import Open
from tests.predictor.server.page.stub import World

CHECKOUT = "/workloads/checkout"
FAILED = m.Problem(title="Internal Server Error", status=500, detail="the engine has stopped")
LOSING = a_trust("distrusted", "FalseAlarms", "60% of 10 alarms in 3 days were false, at most 50% allowed")
ALL_KINDS = a_list(
    a_summary(), a_silent_summary(), a_summary("demo", is_synthetic=True, trust=LOSING), notes=["a: b"], is_warm=False
)


def violations(page: Page) -> list[str]:
    found = Axe().run(page)
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found.response["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_overview_is_accessible(open_page: Open, world: World, scheme: str, width: int) -> None:
    world.workloads = ALL_KINDS

    assert violations(open_page(color_scheme=scheme, viewport={"width": width, "height": 800})) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_a_workload_is_accessible_with_all_its_tables(open_page: Open, world: World, scheme: str, width: int) -> None:
    world.forecasts["checkout"] = a_forecast(is_synthetic=True)
    world.models = [a_model(is_trained_on_synthetic=True, is_warming=True)]
    page = open_page(CHECKOUT, color_scheme=scheme, viewport={"width": width, "height": 800})
    for summary in page.locator("summary").all():
        summary.click()
    page.locator("table").last.wait_for()

    assert violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_stands_in_for_content_is_accessible(open_page: Open, world: World, scheme: str) -> None:
    world.workloads = a_list(notes=["a: b"])
    assert violations(open_page(color_scheme=scheme)) == []
    world.forecasts["checkout"] = no_forecast()
    assert violations(open_page(CHECKOUT, color_scheme=scheme)) == []
    assert violations(open_page("/workloads/nobody", color_scheme=scheme)) == []
    world.problems["/workloads"] = FAILED
    assert violations(open_page(color_scheme=scheme)) == []
    world.token = "open-sesame"
    assert violations(open_page(color_scheme=scheme)) == []


def test_a_page_that_waits_is_accessible(open_page: Open, world: World) -> None:
    world.gate.clear()
    for at in ("", CHECKOUT):
        page = open_page(at, waits=False)
        page.locator(".skeleton").first.wait_for()

        assert violations(page) == []


def test_the_first_tab_skips_to_the_content(open_page: Open) -> None:
    page = open_page()

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_be_focused()
    expect(page.get_by_role("heading", level=1)).to_have_text("Workloads")


def test_everything_can_be_done_with_the_keyboard_and_the_focus_is_seen(open_page: Open) -> None:
    page = open_page()
    page.get_by_label("Filter by name").focus()
    page.keyboard.type("check")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('tbody a')"):
            break

    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("checkout")


def test_headings_go_down_step_by_step(open_page: Open) -> None:
    page = open_page(CHECKOUT)

    levels = [int(tag[1]) for tag in page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(one => one.tagName)")]

    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
