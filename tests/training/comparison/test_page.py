"""The page of made-up comparisons: what each kind of result looks like, and how it sits in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.training.comparison.comparisons import LSTM, a_bare_comparison, a_comparison, a_comparison_report
from tests.training.outline import Outline
from training.comparison.facts import Answer, ComparisonReport, Interval
from training.comparison.page import render_comparison_page

LOSS = Interval(0.004, -0.011, 0.02, 8)


def outline_of(report: ComparisonReport) -> Outline:
    return Outline(render_comparison_page(report).replace("\N{NO-BREAK SPACE}", " "))


def two_series() -> ComparisonReport:
    """A clear win with a price, and a loss under a long name."""
    lost = a_comparison(name="web/" + "checkout-" * 12, is_synthetic=False, said=Answer.KEEP, saving=LOSS)
    return a_comparison_report(a_comparison(price=0.12), lost)


@pytest.mark.parametrize("report", [two_series(), a_comparison_report(a_bare_comparison())])
def test_the_page_is_well_formed_and_its_ids_are_unique(report: ComparisonReport) -> None:
    outline = outline_of(report)
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]

    assert (outline.wrong, outline.open) == ([], [])
    assert len(ids) == len(set(ids))


def test_charts_and_tables_can_be_read_without_seeing_them() -> None:
    outline = outline_of(a_comparison_report())
    charts = [a for a in outline.all("svg") if a.get("role") == "img"]
    ids = {attributes.get("id") for _, attributes in outline.elements}

    assert len(charts) == 10  # five, for a desk and for a phone
    assert all(set((chart["aria-labelledby"] or "").split()) <= ids for chart in charts)
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all(attributes.get("scope") in {"col", "row"} for attributes in outline.all("th"))


def test_the_verdict_comes_before_every_number_and_every_chart() -> None:
    page = render_comparison_page(a_comparison_report())

    assert page.index("Use it: ") < page.index('class="tiles') < page.index("<figure>") < page.index("<table>")


@pytest.mark.parametrize(
    ("said", "colour", "is_pasted"), [(Answer.USE, "yes", 1), (Answer.OBSERVE, "unclear", 1), (Answer.KEEP, "no", 0)]
)
def test_each_answer_has_its_own_face_and_only_a_hopeful_one_a_spec(said: Answer, colour: str, is_pasted: int) -> None:
    page = render_comparison_page(a_comparison_report(a_comparison(said=said)))

    assert f'class="verdict {colour}"' in page
    assert page.count("kind: PredictiveAutoscaler") == is_pasted


def test_counts_stand_beside_ratios() -> None:
    text = outline_of(a_comparison_report()).text

    for told in ("7,948 of 9,812,344 requests", "26 / 32", "4 / 35", "58 % (2,931)", "11,480 pairs"):
        assert told in text


def test_a_gap_that_does_not_exist_says_why() -> None:
    text = outline_of(a_comparison_report()).text

    assert "At 0.01 % no setting of the HPA kept the risk" in text
    assert "At 0.01 % no setting kept the risk for: Predictive, persistence." in text
    assert "Perfect foresight 100 % (2,605) – 100 % (2,605) – – (2,605) –" in text


def test_a_tuned_hpa_as_cheap_as_foresight_leaves_nothing_to_close() -> None:
    told = a_comparison()
    gaps = tuple(replace(gap, hpa_hours=2604.9, closed=None, placebo_closed=None) for gap in told.gaps)

    text = outline_of(a_comparison_report(replace(told, gaps=gaps))).text

    assert "At 1 % the tuned HPA costs no more than perfect foresight: nothing to close." in text


def test_a_placebo_that_does_not_exist_says_why() -> None:
    told = a_comparison()
    gaps = tuple(replace(gap, placebo_closed=None) for gap in told.gaps if gap.policy is LSTM)

    text = outline_of(a_comparison_report(replace(told, gaps=gaps))).text

    assert "At 0.1 % no placebo kept the risk, or none was searched, for: Predictive, LSTM." in text


def test_a_span_without_requests_has_no_share_of_late_ones() -> None:
    told = a_comparison()
    silent = tuple(replace(outcome, requests=0.0, late=0.0) for outcome in told.outcomes)

    text = outline_of(a_comparison_report(replace(told, outcomes=silent))).text

    assert "Late requests – 0 of 0 requests" in text


def test_what_does_not_exist_is_a_dash_and_never_nothing() -> None:
    text = outline_of(a_comparison_report(a_bare_comparison())).text

    assert "too few whole days for an interval" in text
    assert not {"None", "nan"} & set(text.split())


def test_money_is_shown_only_where_there_is_a_price() -> None:
    assert "351.10" in outline_of(a_comparison_report(a_comparison(price=0.12))).text
    assert "Money" not in outline_of(a_comparison_report()).text


def test_a_small_share_is_not_rounded_to_nothing() -> None:
    told = a_comparison()
    rare = tuple(replace(outcome, late=3.0, mean_wait=0.0001) for outcome in told.outcomes)

    text = outline_of(a_comparison_report(replace(told, outcomes=rare))).text

    assert "<0.001 %" in text
    assert "<0.001 s" in text


def test_numbers_are_rounded() -> None:
    assert not re.search(r"\d\.\d{5}", outline_of(a_comparison_report()).text)


def test_words_from_outside_cannot_become_markup() -> None:
    told = a_comparison(name='<script>alert("x")</script>', is_synthetic=False)
    told = replace(told, series=replace(told.series, unit="</text><img src=x>", quality_notes=("<b>late</b>",)))
    told = replace(told, verdict=replace(told.verdict, suggested_spec='name: "</code><script>"', reasons=("<i>",)))

    outline = outline_of(a_comparison_report(told))

    assert (outline.wrong, outline.all("script"), outline.all("img"), outline.all("b")) == ([], [], [], [])
    assert '<script>alert("x")</script>' in outline.text


def test_several_series_get_an_overview_that_leads_to_each() -> None:
    outline = outline_of(two_series())

    assert [a["href"] for a in outline.all("a")] == ["#s0", "#s1"]
    assert "All series" in outline.text
    assert "Keep your HPA 0.4 % −1.1 % to 2.0 %" in outline.text


def test_only_generated_demand_is_called_synthetic() -> None:
    real = replace(a_comparison_report(a_comparison(name="web", is_synthetic=False)), command="forescale compare")

    assert "ynthetic" not in render_comparison_page(real)
    assert "Synthetic demand." in outline_of(a_comparison_report()).text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_fits_long_names_and_bare_results_without_sideways_scrolling(
    tmp_path: Path, browser: Browser, width: int, scheme: str
) -> None:
    (tmp_path / "two.html").write_text(render_comparison_page(two_series()), encoding="utf-8")
    (tmp_path / "bare.html").write_text(
        render_comparison_page(a_comparison_report(a_bare_comparison())), encoding="utf-8"
    )
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light", offline=True
    )
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    for name in ("two.html", "bare.html"):
        page.goto((tmp_path / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")

        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERLAPS) == []
        assert page.screenshot(full_page=True)
    assert complaints == []
    context.close()


# Pairs of texts of one picture that cover each other, and texts that leave their picture.
OVERLAPS = """() => [...document.querySelectorAll('svg[role=img]')].filter(s => s.checkVisibility()).flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  const outside = boxes.filter(([_, b]) => b.left < frame.left - 1 || b.right > frame.right + 1
    || b.bottom > frame.bottom + 1);
  const pairs = boxes.flatMap(([one, a], i) => boxes.slice(i + 1).filter(([_, b]) =>
    a.left < b.right && b.left < a.right && a.top < b.bottom - 2 && b.top < a.bottom - 2).map(([two]) => [one, two]));
  return [...outside.map(([text]) => text), ...pairs];
})"""


def test_what_is_folded_is_printed_too(tmp_path: Path, browser: Browser) -> None:
    (tmp_path / "page.html").write_text(render_comparison_page(a_comparison_report()), encoding="utf-8")
    page = browser.new_page(color_scheme="dark")
    page.goto((tmp_path / "page.html").as_uri())

    page.emulate_media(media="print")

    folded = page.locator("details table").first.bounding_box()
    assert folded is not None
    assert folded["height"] > 100
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()
