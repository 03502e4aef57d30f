"""A real browser, and pages of it that look at a stub server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.predictor.server.page.stub import World, serving

Open = Callable[..., Page]


@pytest.fixture
def world() -> Iterator[World]:
    """A server in good order."""
    with serving(World()) as world:
        yield world


@pytest.fixture
def open_page(browser: Browser, world: World) -> Iterator[Open]:
    """Opens the page at an address behind the `#`; fails when the page complained or asked elsewhere."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_(at: str = "", *, waits: bool = True, **how: object) -> Page:
        context = browser.new_context(timezone_id="Europe/Berlin", **how)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(f"{error}"))
        page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
        page.on(
            "request", lambda sent: None if sent.url.startswith((world.url, "data:")) else complaints.append(sent.url)
        )
        page.goto(f"{world.url}#{at}")
        if waits:
            page.locator("main h1").wait_for()
            page.locator("main [aria-busy]").wait_for(state="detached")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
