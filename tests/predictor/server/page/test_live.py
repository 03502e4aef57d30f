"""The event stream in a real browser: news arrives, and its absence is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from predictor import messages as m
from tests.predictor.server.page.answers import NOON, a_forecast, a_list, a_summary, no_forecast
from tests.predictor.server.page.conftest import Open
from tests.predictor.server.page.stub import World
from tests.servers.processes import wait_until

CHECKOUT = "/workloads/checkout"


def is_live(page: Page) -> None:
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def test_the_overview_follows_every_cycle(open_page: Open, world: World) -> None:
    page = open_page()
    is_live(page)

    world.workloads = a_list(a_summary(demand=1234.0), a_summary("new"), cycle=4712)
    world.end_cycle(4712)

    expect(page.locator(".summary")).to_contain_text("2 workloads, 2 with a forecast; cycle 4712")
    expect(page.locator("tbody tr").first).to_contain_text("1,234")


def test_a_new_forecast_is_shown_as_it_comes(open_page: Open, world: World) -> None:
    page = open_page(CHECKOUT)
    is_live(page)

    world.forecasts["checkout"] = a_forecast(scale=10.0)
    world.end_cycle(4712)

    expect(page.locator(".tile", has_text="Replicas asked for").locator(".value")).to_have_text("200")


def test_a_forecast_that_ceases_is_told_as_it_ceases(open_page: Open, world: World) -> None:
    page = open_page(CHECKOUT)
    is_live(page)

    world.forecasts["checkout"] = no_forecast(reason="SourceFailed")
    world.end_cycle(4712)

    expect(page.locator(".no-forecast-box")).to_contain_text("Metric server cannot be read")


def test_news_of_the_past_is_asked_for_and_not_all_of_it_again(open_page: Open, world: World) -> None:
    page = open_page(CHECKOUT)
    is_live(page)

    world.now = NOON + timedelta(minutes=1)
    world.end_cycle(4712)
    wait_until(lambda: world.asked_for("/history") == 2, "the past is asked for again")

    first, again = [path for path in world.asked if "/history" in path]
    assert "start=2026-11-23T12%3A00" in first
    assert "start=2026-11-24T11%3A50" in again
    summary = page.locator("figure", has=page.get_by_role("heading", name="Demand", exact=True)).locator(
        ".figure-summary"
    )
    expect(summary).to_contain_text("of 1,440 samples are missing")


def test_a_stream_that_ends_is_taken_up_where_it_ended(open_page: Open, world: World) -> None:
    page = open_page()
    is_live(page)
    world.end_cycle(4712)
    expect(page.locator("#live-text")).to_contain_text("ago")

    world.hang_up()
    wait_until(lambda: len(world.last_event_ids) == 2, "the stream is taken up again")

    assert world.last_event_ids == [None, "4712"]
    is_live(page)


def test_a_server_that_is_gone_is_told_and_the_last_numbers_stay(open_page: Open, world: World) -> None:
    page = open_page()
    is_live(page)
    page.route("**/v1/**", lambda route: route.abort())

    world.hang_up()

    expect(page.locator("#live")).to_have_attribute("data-state", "offline")
    expect(page.locator("#announcer")).to_have_text("Offline, still trying")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.unroute("**/v1/**")
    page.evaluate("dispatchEvent(new Event('online'))")

    is_live(page)
    expect(page.locator("#announcer")).to_have_text("Live again")


@pytest.mark.parametrize("path", ["/forecast", "/history", "/alarms"])
def test_numbers_that_cannot_be_refreshed_stay_and_are_called_old(open_page: Open, world: World, path: str) -> None:
    page = open_page(CHECKOUT)
    is_live(page)
    world.problems[path] = m.Problem(title="Bad Gateway", status=502, detail="no upstream")

    world.end_cycle(4712)

    expect(page.locator(".banner.bad")).to_contain_text("Some of what is shown is older")
    expect(page.locator("canvas").first).to_be_visible()


def test_cycles_are_not_said_aloud(open_page: Open, world: World) -> None:
    page = open_page()
    is_live(page)

    world.end_cycle(4712)
    expect(page.locator("#live-text")).to_contain_text("ago")

    expect(page.locator("#announcer")).to_have_text("")


def test_a_focused_link_keeps_the_focus_when_rows_change(open_page: Open, world: World) -> None:
    world.workloads = a_list(a_summary("a", demand=1.0), a_summary("b", demand=2.0))
    page = open_page("/?sort=demand")
    is_live(page)
    page.get_by_role("link", name="b", exact=True).focus()

    world.workloads = a_list(a_summary("a", demand=3.0), a_summary("b", demand=2.0), cycle=4712)
    world.end_cycle(4712)
    expect(page.locator("tbody th a").first).to_have_text("a")

    expect(page.get_by_role("link", name="b", exact=True)).to_be_focused()


def test_a_table_that_was_opened_stays_open(open_page: Open, world: World) -> None:
    page = open_page(CHECKOUT)
    is_live(page)
    page.get_by_text("Forecast as a table").click()

    world.forecasts["checkout"] = a_forecast(scale=10.0)
    world.end_cycle(4712)
    expect(page.locator(".tile", has_text="Replicas asked for").locator(".value")).to_have_text("200")

    expect(page.get_by_role("table", name="Forecast as a table")).to_be_visible()


def test_leaving_a_page_ends_its_stream(open_page: Open, world: World) -> None:
    page = open_page(CHECKOUT)
    is_live(page)

    page.get_by_role("link", name="All workloads").click()
    wait_until(lambda: world.asked_for("/events?") == 2 and world.listeners == 1, "only the overview listens")

    is_live(page)
