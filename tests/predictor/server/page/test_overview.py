"""The overview in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from predictor import messages as m
from tests.predictor.server.page.answers import NOON, a_freshness, a_list, a_silent_summary, a_summary, a_trust
from tests.predictor.server.page.conftest import Open
from tests.predictor.server.page.stub import World

LOSING = a_trust("distrusted", "WorseThanPersistence", "no better than repeating the last value")


def three() -> m.WorkloadList:
    return a_list(
        a_summary("shop.cart", demand=20.0),
        a_summary("shop.checkout", demand=300.0, trust=LOSING),
        a_silent_summary("search"),
    )


def names(page: Page) -> list[str]:
    return page.locator("tbody th a").all_inner_texts()


def row(page: Page, name: str) -> str:
    text = page.locator("tbody tr", has=page.get_by_role("link", name=name, exact=True)).inner_text()
    return " ".join(text.split())


def test_a_workload_shows_what_is_expected_and_how_right_that_has_been(open_page: Open) -> None:
    text = row(open_page(), "checkout")

    assert "402 in 15 min; upper 455 (95 %)" in text
    assert "19 asked for, 15 running" in text
    assert "✓ Trusted Better than persistence" in text
    assert "7.6 % persistence 12.5 % skill 38.7 %, 4,291 pairs in 3 d" in text
    assert "6 s old" in text


def test_a_workload_without_a_forecast_says_why_instead_of_numbers(open_page: Open, world: World) -> None:
    world.workloads = three()

    text = row(open_page(), "search")

    assert "No forecast Data is stale" in text
    assert "14 min old Stale" in text
    assert "not scored yet" in text


def test_replicas_without_a_target_are_not_made_up(open_page: Open, world: World) -> None:
    expected = m.Expected(horizon_seconds=900, median=1, peak_median=1, peak_upper=2, upper_level=0.95, replicas=None)
    world.workloads = a_list(
        a_summary("a", expected=expected, target_per_replica=None, replicas=None),
        a_summary("b", is_target_derived=True),
    )
    page = open_page()

    assert "– no target per replica" in row(page, "a")
    assert "19 asked for, 15 running, derived target" in row(page, "b")


def test_generated_demand_is_called_synthetic_in_its_row_and_above_all(open_page: Open, world: World) -> None:
    world.workloads = a_list(a_summary("demo", is_synthetic=True), a_summary("web"))
    page = open_page()

    assert "SYNTHETIC" in row(page, "demo").upper()
    assert "SYNTHETIC" not in row(page, "web").upper()
    expect(page.locator(".banner.synthetic")).to_contain_text("Demand of 1 workload is generated")


def test_names_are_filtered_by_all_words_and_the_address_keeps_them(open_page: Open, world: World) -> None:
    world.workloads = three()
    page = open_page()

    page.get_by_label("Filter by name").fill("cart SHOP")

    assert names(page) == ["shop.cart"]
    expect(page.locator(".found")).to_have_text("1 of 3 shown")
    expect(page).to_have_url(re.compile(r"#/\?q=cart\+SHOP$"))


@pytest.mark.parametrize(
    ("state", "left"),
    [
        ("Trusted", ["shop.cart"]),
        ("Distrusted", ["shop.checkout"]),
        ("Unproven", ["search"]),
        ("No forecast", ["search"]),
    ],
)
def test_a_state_is_filtered_with_its_count_beside_it(
    open_page: Open, world: World, state: str, left: list[str]
) -> None:
    world.workloads = three()
    page = open_page()

    page.get_by_role("button", name=f"{state} 1", exact=True).click()

    assert names(page) == left


def test_columns_sort_both_ways_and_what_is_unknown_stays_last(open_page: Open, world: World) -> None:
    world.workloads = a_list(
        *(a_summary(name, demand=demand) for name, demand in [("a", 5.0), ("b", None), ("c", 70.0), ("d", 7.0)])
    )
    page = open_page()
    head = page.get_by_role("columnheader", name="Demand now")

    head.get_by_role("button").click()
    falling = names(page), head.get_attribute("aria-sort")
    head.get_by_role("button").click()
    rising = names(page), head.get_attribute("aria-sort")

    assert falling == (["c", "d", "a", "b"], "descending")
    assert rising == (["a", "d", "c", "b"], "ascending")


def test_a_link_shows_what_its_sender_saw(open_page: Open, world: World) -> None:
    world.workloads = three()

    page = open_page("/?q=shop&sort=demand")

    assert names(page) == ["shop.checkout", "shop.cart"]
    expect(page.get_by_label("Filter by name")).to_have_value("shop")


def test_a_filter_that_lets_nothing_through_can_be_taken_back(open_page: Open, world: World) -> None:
    world.workloads = three()
    page = open_page("/?q=nowhere")

    page.get_by_role("button", name="Show all").click()

    assert len(names(page)) == 3


def test_a_thousand_workloads_are_all_there_and_can_be_searched(open_page: Open, world: World) -> None:
    world.workloads = a_list(*(a_summary(f"team-{at % 20}.service-{at}") for at in range(1000)))
    page = open_page()

    expect(page.locator("tbody tr")).to_have_count(1000)
    page.get_by_label("Filter by name").fill("service-77")

    assert len(names(page)) == 11
    assert "team-17.service-77" in names(page)


def test_series_that_could_not_become_workloads_are_told(open_page: Open, world: World) -> None:
    world.workloads = a_list(a_summary(), notes=["shop.cart: two series have this name"])

    expect(open_page().locator(".notes")).to_contain_text("shop.cart: two series have this name")


def test_calibration_in_the_making_and_late_cycles_are_said_above_the_table(open_page: Open, world: World) -> None:
    world.workloads = a_list(a_summary(), is_warm=False, cycle_at=NOON.replace(hour=11, minute=40))

    banners = open_page().locator(".banners")

    expect(banners).to_contain_text("Calibration is being rebuilt")
    expect(banners).to_contain_text("No cycle for 20 min")


def test_a_metric_server_that_failed_is_named_where_the_data_is_old(open_page: Open, world: World) -> None:
    broken = a_freshness(age_seconds=300.0, is_stale=True, error="http://prometheus:9090 refused the connection")
    world.workloads = a_list(a_summary(freshness=broken))

    assert "5 min old Stale http://prometheus:9090 refused the connection" in row(open_page(), "checkout")


def test_a_name_from_outside_cannot_become_markup(open_page: Open, world: World) -> None:
    world.workloads = a_list(a_summary("x"), notes=["<img src=x onerror=alert(1)>"])
    page = open_page()

    expect(page.locator(".notes li")).to_have_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0


def test_times_are_in_the_viewers_zone_with_utc_in_the_title(open_page: Open) -> None:
    page = open_page()

    time = page.locator(".summary time")
    expect(time).to_have_text("13:00:00")
    expect(time).to_have_attribute("title", "2026-11-24 12:00:00 UTC")
    expect(page.locator("#zone")).to_have_text("Europe/Berlin")


def test_rows_are_cards_on_a_phone_and_nothing_scrolls_sideways(open_page: Open, world: World) -> None:
    world.workloads = a_list(a_summary("a-very-long-name." + "checkout-" * 9), a_silent_summary())
    page = open_page(viewport={"width": 360, "height": 740})

    card = page.locator("tbody tr").first.bounding_box()

    assert card is not None
    assert 300 < card["width"] <= 360
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("Sort by").select_option("demand")
    expect(page).to_have_url(re.compile("sort=demand"))
