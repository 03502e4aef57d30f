from __future__ import annotations

import re
from dataclasses import replace

from tests.training.cards import a_card, a_report, without_extras
from tests.training.outline import Outline
from training.page import render_page


def test_the_page_is_well_formed_and_its_ids_are_unique() -> None:
    outline = Outline(render_page(a_report(a_card(name="a"), a_card(name="b"))))
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]

    assert (outline.wrong, outline.open) == ([], [])
    assert len(ids) == len(set(ids))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = render_page(a_report())
    outline = Outline(page)

    assert not outline.all("script")
    assert not outline.all("link")
    references = [a.get(name) or "" for _, a in outline.elements for name in ("src", "href", "xlink:href", "srcset")]
    assert all(reference == "" or reference.startswith("#") for reference in references)
    assert not re.search(r"https?:|@import|url\((?!#)", page)


def test_the_verdict_comes_before_every_number_and_every_chart() -> None:
    page = render_page(a_report())
    sentence = page.index("Yes: the LSTM is off by")

    assert sentence < page.index('class="tiles"') < page.index("<figure>") < page.index("<table>")


def test_generated_demand_is_called_synthetic_everywhere_it_matters() -> None:
    outline = Outline(render_page(a_report(a_card(name="synthetic-demand"))))

    assert "Synthetic: Forescale evaluation" in outline.text
    assert "Synthetic demand. Some of these numbers come from generated demand" in outline.text
    assert outline.text.count("synthetic") >= 3


def test_real_demand_is_not_called_synthetic() -> None:
    report = replace(a_report(a_card(name="web", is_synthetic=False)), command="forescale evaluate --series web.csv")

    assert "ynthetic" not in render_page(report)


def test_counts_stand_beside_ratios() -> None:
    text = Outline(render_page(a_report())).text

    for told in ("26 of 32", "4 of 35 resolved alarms", "10,051 pairs", "26 / 32", "4 / 35"):
        assert told in text


def test_charts_and_tables_can_be_read_without_seeing_them() -> None:
    outline = Outline(render_page(a_report()))
    charts = [a for a in outline.all("svg") if a.get("role") == "img"]
    ids = {attributes.get("id") for _, attributes in outline.elements}

    assert len(charts) == 8  # four, for a desk and for a phone
    assert all(set((chart["aria-labelledby"] or "").split()) <= ids for chart in charts)
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all(attributes.get("scope") in {"col", "row"} for attributes in outline.all("th"))


def test_numbers_are_rounded() -> None:
    text = Outline(render_page(a_report())).text

    assert not re.search(r"\d\.\d{5}", text)
    assert "nan" not in text.lower().split()


def test_names_from_outside_cannot_become_markup() -> None:
    card = a_card(name='<script>alert("x")</script>', is_synthetic=False)
    card = replace(card, series=replace(card.series, unit="<b>rps", labels={"a": "</td><img src=x>"}))

    outline = Outline(render_page(a_report(card)))

    assert (outline.wrong, outline.all("script"), outline.all("img")) == ([], [], [])
    assert '<script>alert("x")</script>' in outline.text


def test_several_series_get_an_overview_that_leads_to_each() -> None:
    report = a_report(
        a_card(name="web", is_synthetic=False),
        a_card(name="api", is_synthetic=False, wapes={"lstm": 0.14}, interval=None),
        notes=("batch was skipped: 3 days of history, 8 are needed.",),
    )

    outline = Outline(render_page(report))

    assert [a["href"] for a in outline.all("a")] == ["#s0", "#s1"]
    assert "All series, 15 min ahead" in outline.text
    assert "batch was skipped" in outline.text


def test_a_card_with_nothing_but_accuracy_still_makes_a_page() -> None:
    outline = Outline(render_page(a_report(without_extras(a_card()))))

    assert (outline.wrong, outline.open) == ([], [])
    assert "Surges and alarms were not judged." in outline.text
