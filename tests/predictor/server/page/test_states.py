"""Waiting, emptiness, errors, tokens and themes in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from predictor import messages as m
from tests.predictor.server.page.answers import a_list
from tests.predictor.server.page.conftest import Open
from tests.predictor.server.page.stub import World
from tests.servers.processes import wait_until

CHECKOUT = "/workloads/checkout"
FAILED = m.Problem(title="Internal Server Error", status=500, detail="the engine has stopped")


def top_of(page: Page, heading: str) -> float:
    box = page.get_by_role("heading", name=heading, exact=True).bounding_box()
    assert box is not None
    return box["y"]


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


def test_a_server_without_workloads_says_what_to_check(open_page: Open, world: World) -> None:
    world.workloads = a_list(notes=["shop.cart: two series have this name"])
    page = open_page()

    expect(page.get_by_role("heading", level=1)).to_have_text("No workloads yet")
    expect(page.locator(".panel")).to_contain_text("no query in forescale.yaml gives a series")
    expect(page.locator(".panel")).to_contain_text("shop.cart: two series have this name")


def test_a_server_before_its_first_cycle_is_starting_and_not_empty(open_page: Open, world: World) -> None:
    world.workloads = a_list(cycle=0, cycle_at=None)

    expect(open_page().get_by_role("heading", level=1)).to_have_text("Starting")


def test_while_answers_are_awaited_their_room_is_kept(open_page: Open, world: World) -> None:
    world.gate.clear()
    page = open_page(CHECKOUT, waits=False)
    expect(page.locator(".skeleton").first).to_be_visible()
    before = top_of(page, "Next minutes")

    world.gate.set()
    page.locator("canvas").first.wait_for()

    assert abs(top_of(page, "Next minutes") - before) < 8


def test_the_overview_waits_with_rows_without_words(open_page: Open, world: World) -> None:
    world.gate.clear()
    page = open_page(waits=False)

    expect(page.locator(".bone.row")).to_have_count(8)
    expect(page.locator(".summary")).to_have_text("Loading…")
    world.gate.set()

    expect(page.locator(".bone")).to_have_count(0)


@pytest.mark.parametrize("at", ["", CHECKOUT])
def test_a_failed_server_is_told_in_its_words_and_can_be_asked_again(open_page: Open, world: World, at: str) -> None:
    world.problems = {"/workloads": FAILED, "/forecast": FAILED}
    page = open_page(at)

    expect(page.get_by_role("heading", level=1)).to_have_text("The server failed")
    expect(page.locator(".panel")).to_contain_text("the engine has stopped (status 500)")
    world.problems.clear()
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".panel")).to_have_count(0)
    expect(page.get_by_role("link", name="checkout").or_(page.get_by_role("heading", name="checkout"))).to_be_visible()


def test_trying_again_in_vain_keeps_the_focus_and_in_the_end_moves_it_to_the_heading(
    open_page: Open, world: World
) -> None:
    world.problems["/workloads"] = FAILED
    page = open_page()
    button = page.get_by_role("button", name="Try again")

    button.click()
    wait_until(lambda: world.asked_for("/workloads?") == 2, "the server is asked again")
    expect(button).to_be_focused()
    world.problems.clear()
    button.click()

    expect(page.get_by_role("heading", name="Workloads", level=1)).to_be_focused()


def test_an_address_of_no_page_leads_back(open_page: Open) -> None:
    page = open_page("/nowhere")

    expect(page.get_by_role("heading", level=1)).to_have_text("No such page")
    page.get_by_role("link", name="All workloads").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Workloads")


@pytest.mark.parametrize("at", ["", CHECKOUT])
def test_a_token_is_asked_for_once_and_sent_with_everything(open_page: Open, world: World, at: str) -> None:
    world.token = "open-sesame"
    page = open_page(at)

    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    page.get_by_label("Token", exact=True).fill("open-sesame")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#live-text")).to_contain_text("Live")
    page.reload()

    expect(page.locator("#live-text")).to_contain_text("Live")
    assert page.evaluate("[localStorage.length, document.cookie, Object.keys(sessionStorage).join()]") == [
        0,
        "",
        "forescale.token",
    ]


def test_a_wrong_token_is_refused_in_words(open_page: Open, world: World) -> None:
    world.token = "open-sesame"
    page = open_page()

    page.get_by_label("Token", exact=True).fill("open-barley")
    page.get_by_role("button", name="Continue").click()

    expect(page.get_by_label("Token", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".refused")).to_contain_text("The server refused this token.")


def test_a_token_can_be_forgotten(open_page: Open, world: World) -> None:
    world.token = "open-sesame"
    page = open_page()
    page.get_by_label("Token", exact=True).fill("open-sesame")
    page.get_by_role("button", name="Continue").click()

    page.get_by_role("button", name="Forget the token").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("This server asks for a token")
    assert page.evaluate("sessionStorage.length") == 0


def test_colours_follow_the_system_until_they_are_chosen_and_stay_chosen(open_page: Open) -> None:
    page = open_page(color_scheme="dark")
    dark = background(page)

    page.get_by_label("Colours").select_option("light")
    light = background(page)
    page.reload()
    page.locator("main h1").wait_for()

    assert (dark, light, background(page)) == ("rgb(18, 23, 28)", "rgb(255, 255, 255)", "rgb(255, 255, 255)")


def test_charts_take_on_the_chosen_colours(open_page: Open) -> None:
    page = open_page(CHECKOUT)
    pixels = "document.querySelector('.chart canvas').toDataURL()"
    light = page.evaluate(pixels)

    page.get_by_label("Colours").select_option("dark")
    page.wait_for_function(f"before => {pixels} !== before", arg=light)

    expect(page.locator(".chart canvas")).to_have_count(3)


def test_nothing_moves_for_those_who_asked_for_that(open_page: Open, world: World) -> None:
    world.gate.clear()
    still = open_page(waits=False, reduced_motion="reduce")
    still.locator(".bone").first.wait_for()

    assert still.evaluate("document.getAnimations().length") == 0


def test_the_page_works_with_a_path_in_front_of_it(open_page: Open) -> None:
    page = open_page()

    addresses = page.evaluate(
        "[...document.querySelectorAll('[src], link[href]')]"
        ".map(one => one.getAttribute('src') ?? one.getAttribute('href'))"
    )

    assert all(not address.startswith("/") for address in addresses)
