"""The page of one workload in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from predictor import messages as m
from tests.predictor.server.page.answers import (
    a_forecast,
    a_history,
    a_list,
    a_model,
    a_summary,
    an_accuracy,
    no_forecast,
    the_alarms,
)
from tests.predictor.server.page.conftest import Open
from tests.predictor.server.page.stub import World

CHECKOUT = "/workloads/checkout"


def plain(place: Locator) -> str:
    return " ".join(place.inner_text().split())


def tile(page: Page, name: str) -> str:
    return plain(page.locator(".tile", has=page.locator("dt", has_text=re.compile("^" + name.replace(" ", r"\s")))))


def figure(page: Page, title: str) -> Locator:
    return page.locator("figure", has=page.get_by_role("heading", name=title, exact=True))


def table(place: Locator) -> list[str]:
    place.locator("summary").last.click()
    rows = place.locator("table").last.locator("tr")
    rows.first.wait_for()
    return [" ".join(text.split()) for text in rows.all_inner_texts()]


def test_the_headline_says_what_comes_and_what_it_asks_for(open_page: Open) -> None:
    forecast = a_forecast()
    assert forecast.window_max is not None
    peak = forecast.window_max[-1]
    page = open_page(CHECKOUT)

    assert tile(page, "Demand now").endswith("at 13:00")
    assert f"{peak[3]:.4g} median, until 13:15" in tile(page, "Expected peak, next 15 min")
    assert f"{peak[6]:.4g} not exceeded with 95 % certainty" in tile(page, "Upper peak, next 15 min")
    assert re.search(r"asked for 20 \d+ running upper peak / 25 per replica", tile(page, "Replicas asked for"))
    assert "6 s old of 12:59:54, one every 1 min" in tile(page, "Newest sample")


def test_every_chart_is_drawn_and_says_in_words_what_it_shows(open_page: Open) -> None:
    page = open_page(CHECKOUT)

    charts = page.get_by_role("img").and_(page.locator(".chart"))
    expect(charts).to_have_count(5)
    for at in range(5):
        ids = (charts.nth(at).get_attribute("aria-labelledby") or "").split()
        assert all(len(page.locator(f"#{name}").inner_text()) > 3 for name in ids)
    expect(page.locator(".chart canvas")).to_have_count(3)
    assert page.evaluate(
        "[...document.querySelectorAll('.chart canvas')].every(one => "
        "one.getContext('2d').getImageData(0, 0, one.width, one.height).data.some(part => part > 0))"
    )


def test_demand_and_replicas_share_one_time_axis(open_page: Open) -> None:
    page = open_page(CHECKOUT)

    demand = figure(page, "Demand").locator(".u-over").bounding_box()
    replicas = figure(page, "Replicas").locator(".u-over").bounding_box()

    assert demand is not None
    assert replicas is not None
    assert (demand["x"], demand["width"]) == (replicas["x"], replicas["width"])


def test_pointing_at_a_chart_reads_it_out_and_those_that_share_its_axis(open_page: Open) -> None:
    page = open_page(CHECKOUT)

    figure(page, "Demand").locator(".u-over").hover(position={"x": 400, "y": 80})

    demand = plain(figure(page, "Demand").locator(".readout"))
    replicas = plain(figure(page, "Replicas").locator(".readout"))
    assert re.fullmatch(r"\d\d:\d\d demand [\d.]+, forecast [\d.]+ \([\d.]+ to [\d.]+\)", demand)
    assert re.fullmatch(r"\d\d:\d\d needed [\d.]+, recommended \d+, running \d+", replicas)
    assert demand[:5] == replicas[:5]


def test_the_numbers_behind_a_chart_are_a_table_on_demand(open_page: Open) -> None:
    page = open_page(CHECKOUT + "?window=3h")

    assert table(figure(page, "Demand"))[0] == "Time Demand Forecast, median 5 % 95 %"
    rows = table(figure(page, "Demand expected"))
    assert len(rows) == 16
    assert rows[0].endswith("95 % 99 % Highest so far, 95 %")
    assert rows[1].startswith("13:01 ")


def test_a_long_table_is_thinned_and_says_so(open_page: Open) -> None:
    page = open_page(CHECKOUT)

    rows = table(figure(page, "Demand"))

    assert 200 < len(rows) <= 301
    expect(figure(page, "Demand").get_by_text("rows, the newest first")).to_be_visible()
    assert rows[1].startswith("13:00 ")


def test_missing_samples_are_told_and_not_drawn_as_zero(open_page: Open) -> None:
    text = plain(figure(open_page(CHECKOUT), "Demand").locator(".figure-summary"))

    assert "60 of 1,440 samples are missing" in text
    assert "Between 0 " not in text


def test_alarms_and_surges_are_told_apart_by_shape_and_in_words(open_page: Open) -> None:
    page = open_page(CHECKOUT)
    lane = page.locator("svg.lane")

    for kind, count in {"hit": 3, "false": 1, "pending": 1, "caught": 3, "missed": 1}.items():
        expect(lane.locator(f".mark.{kind}")).to_have_count(count)
    shapes = {lane.locator(f".mark.{kind} path").first.get_attribute("d") for kind in ("hit", "false", "pending")}
    assert len(shapes) == 3
    expect(
        page.get_by_role("img", name="4 surges: 3 caught, 1 missed. 5 alarms: 3 hit, 1 false, 1 pending.")
    ).to_be_visible()


def test_a_mark_stands_at_its_time_on_the_axis_of_the_chart(open_page: Open) -> None:
    page = open_page(CHECKOUT)
    plot = figure(page, "Demand").locator(".u-over").bounding_box()
    pending = page.locator("svg.lane .mark.pending .target").bounding_box()
    assert plot is not None
    assert pending is not None

    share = (pending["x"] + pending["width"] / 2 - plot["x"]) / plot["width"]

    day, ahead, ago = 86_400, 900, 0.15 * 3600
    assert share == pytest.approx((day - ago) / (day + ahead), abs=0.003)


def test_the_lane_of_a_quiet_day_says_that_nothing_happened(open_page: Open, world: World) -> None:
    world.alarms = lambda window: the_alarms(window, alarms=[], surges=[])

    expect(open_page(CHECKOUT).get_by_text("No surge and no alarm in this window.")).to_be_visible()


def test_ratios_stand_beside_their_counts_and_window(open_page: Open) -> None:
    page = open_page(CHECKOUT)

    assert tile(page, "Recall") == "Recall 89 % 8 of 9 surges caught in 24 h median lead 16.5 min, 8 surges"
    assert tile(page, "False-alarm ratio").startswith(
        "False-alarm ratio 8 % 1 of 12 resolved alarms false in 24 h 1 pending"
    )
    assert "8.3 % persistence 13.9 % 15 min ahead, 1,425 pairs in 24 h" in tile(page, r"Error \(WAPE\)")
    assert tile(page, "Wasted by false alarms").endswith("58.5 replica-minutes 1 false alarm in 24 h")


def test_a_ratio_without_a_denominator_is_a_dash(open_page: Open, world: World) -> None:
    told = an_accuracy().alarms
    assert told is not None
    silent = told.model_copy(
        update={
            "surges": 0, "caught": 0, "recall": None, "alarms": 0, "hits": 0, "false_alarms": 0, "pending": 0,
            "false_alarm_ratio": None, "median_lead_seconds": None, "wasted_replica_minutes": 0.0,
        }
    )  # fmt: skip
    world.accuracy = lambda window: an_accuracy(window, alarms=silent)
    page = open_page(CHECKOUT)

    assert tile(page, "Recall") == "Recall – 0 of 0 surges caught in 24 h"
    assert tile(page, "False-alarm ratio").startswith("False-alarm ratio – 0 of 0 resolved alarms")


def test_it_says_how_many_forecasts_were_made_live_and_what_the_others_are(open_page: Open) -> None:
    text = plain(open_page(CHECKOUT).locator(".made"))

    assert "Of 1,440 forecasts scored here, 1,200 were made live, before their outcome was known" in text
    assert "240 were rebuilt from history after a start, with only what was known at their time." in text


def test_calibration_shows_each_level_with_its_counts(open_page: Open) -> None:
    calibration = figure(open_page(CHECKOUT), "Do the bands hold?")

    expect(calibration.locator(".plot-dot")).to_have_count(16)
    assert calibration.locator("circle title").nth(3).text_content() == (
        "demand then: promised 50\u00a0%, was 51.2\u00a0% (730 of 1,425)"
    )
    assert len(table(calibration)) == 17


def test_error_by_how_far_ahead_stands_beside_persistence(open_page: Open) -> None:
    horizons = figure(open_page(CHECKOUT), "Error by how far ahead")

    expect(horizons.locator("circle")).to_have_count(15)
    expect(horizons.locator("rect")).to_have_count(15)
    assert table(horizons)[-1] == "15 min 8.3 % 13.9 % 40.7 % 0.8 % 1,425"


def test_the_model_card_says_where_forecasts_come_from(open_page: Open) -> None:
    card = plain(open_page(CHECKOUT).locator(".model-card"))

    assert "dd21556fc1f3" in card
    assert "38,880 samples, 26 Oct 2026 to 22 Nov 2026, of checkout" in card
    assert "40.1 % over persistence" in card


def test_generated_demand_and_a_model_trained_on_it_are_said_loudly(open_page: Open, world: World) -> None:
    world.forecasts["checkout"] = a_forecast(is_synthetic=True)
    world.models = [a_model(is_trained_on_synthetic=True)]
    page = open_page(CHECKOUT)

    expect(page).to_have_title("SYNTHETIC checkout · Forescale")
    expect(page.locator(".title-row .badge.synthetic")).to_be_visible()
    for title in ("Demand expected", "Demand", "Replicas"):
        expect(figure(page, title).locator(".badge.synthetic")).to_be_visible()
    expect(page.locator(".model-card .banner.synthetic")).to_contain_text("Trained on generated data.")


def test_no_forecast_says_why_and_what_to_do_and_keeps_the_past(open_page: Open, world: World) -> None:
    world.forecasts["checkout"] = no_forecast()
    page = open_page(CHECKOUT)

    expect(page.locator(".banners")).to_contain_text("No forecast: data is stale.")
    expect(page.locator(".banners")).to_contain_text("the newest sample is 14 minutes old, 5 allowed")
    expect(page.locator(".no-forecast-box")).to_contain_text("Check the scrape job")
    expect(figure(page, "Demand").locator("canvas")).to_be_visible()
    expect(figure(page, "Demand expected")).to_have_count(0)


def test_a_forecast_that_has_expired_is_not_passed_off_as_news(open_page: Open, world: World) -> None:
    world.now = world.now.replace(minute=7)

    expect(open_page(CHECKOUT).locator(".banners")).to_contain_text("This forecast has expired.")


def test_without_a_target_there_are_no_replicas_but_a_word_on_them(open_page: Open, world: World) -> None:
    world.forecasts["checkout"] = a_forecast(target_per_replica=None)
    world.history = lambda start: a_history(start, has_replicas=False)
    world.alarms = lambda window: the_alarms(window, target_per_replica=None, alarms=[], surges=[])
    world.accuracy = lambda window: an_accuracy(window, alarms=None)
    page = open_page(CHECKOUT)

    expect(page.get_by_text("Set target_per_replica in forescale.yaml")).to_be_visible()
    expect(page.get_by_role("heading", name="Replicas", exact=True)).to_be_hidden()
    expect(page.get_by_text("Alarms and surges are not known")).to_be_visible()


def test_the_window_is_a_link_and_the_back_button_undoes_it(open_page: Open, world: World) -> None:
    page = open_page(CHECKOUT)

    page.get_by_role("link", name="3 days").click()
    expect(page).to_have_url(re.compile(r"window=3d$"))
    expect(page.locator(".tile", has_text="Recall")).to_contain_text("in 3\u00a0d")
    page.go_back()

    expect(page.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "true")
    expect(page.locator(".tile", has_text="Recall")).to_contain_text("in 24\u00a0h")
    assert world.asked_for("accuracy?window=259200") == 1


def test_a_workload_can_be_reached_from_the_overview_and_left_again(open_page: Open) -> None:
    page = open_page()

    page.get_by_role("link", name="checkout").click()
    expect(page.get_by_role("heading", name="checkout", level=1)).to_be_focused()
    page.go_back()

    expect(page.get_by_role("heading", name="Workloads", level=1)).to_be_focused()


def test_another_workload_takes_the_place_of_this_one(open_page: Open, world: World) -> None:
    world.forecasts["search"] = a_forecast("search", scale=10.0)
    page = open_page(CHECKOUT)

    page.goto(f"{world.url}#/workloads/search")

    expect(page.get_by_role("heading", level=1)).to_have_text("search")
    expect(page.locator(".tile", has_text="Replicas asked for").locator(".value")).to_have_text("200")


def test_a_name_that_is_not_known_brings_up_those_like_it(open_page: Open, world: World) -> None:
    world.workloads = a_list(a_summary("checkout"), a_summary("search"))
    page = open_page("/workloads/chekout")

    expect(page.get_by_role("heading", level=1)).to_have_text("No workload chekout")
    page.get_by_role("link", name="checkout").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("checkout")


def test_one_part_that_fails_leaves_the_others(open_page: Open, world: World) -> None:
    world.problems["/accuracy"] = m.Problem(title="Service Unavailable", status=503, detail="nothing is known yet")
    page = open_page(CHECKOUT)
    failed = page.locator("section", has=page.get_by_role("heading", name="How right it has been"))

    expect(failed).to_contain_text("nothing is known yet")
    expect(figure(page, "Demand").locator("canvas")).to_be_visible()
    world.problems.clear()
    failed.get_by_role("button", name="Try again").click()

    expect(failed.locator(".tile").first).to_be_visible()


def test_nothing_scrolls_sideways_on_a_phone(open_page: Open, world: World) -> None:
    name = "a-very-long-name." + "checkout-" * 9
    world.forecasts[name] = a_forecast(name)
    page = open_page(f"/workloads/{name}", viewport={"width": 360, "height": 740})
    for details in page.locator("details summary").all():
        details.click()

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
