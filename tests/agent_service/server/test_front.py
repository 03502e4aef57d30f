"""Probes and metrics: what stands before keys and before anything heavy."""

from __future__ import annotations

from typing import Any

import httpx

from agent_service.server.front import Front
from tests.coroutines import run_apart


def asked(front: Front, *paths: str, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    async def main() -> list[httpx.Response]:
        app: Any = front
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://front") as http:
            return [await http.get(path, headers=headers) for path in paths]

    return run_apart(main())


async def inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def is_there() -> None:
    return


async def is_gone() -> None:
    raise ConnectionError


def scrape(accept: str) -> tuple[bytes, str]:
    return accept.encode(), "text/plain"


def test_a_process_that_starts_lives_and_is_not_ready() -> None:
    live, ready, startup, other, metrics = asked(Front(), "/livez", "/readyz", "/startupz", "/threads", "/metrics")

    assert [answer.status_code for answer in (live, ready, startup, other, metrics)] == [200, 503, 503, 503, 503]
    assert ready.json()["phase"] == "starting"
    assert other.headers["retry-after"] == "1"
    assert isinstance(other.json()["detail"], str)


def test_it_is_ready_when_the_rest_is_there_and_the_store_answers() -> None:
    front = Front()
    front.took("bind", front.began_at)
    front.open(inner, scrape, is_there)

    ready, startup, other = asked(front, "/readyz", "/startupz", "/threads")

    assert (ready.status_code, startup.status_code, other.status_code) == (200, 200, 418)
    assert startup.json()["seconds"].keys() == {"bind"}


def test_it_is_not_ready_while_the_store_is_away_or_while_it_leaves_and_lives_all_the_same() -> None:
    away, leaving = Front(), Front()
    away.open(inner, scrape, is_gone)
    leaving.open(inner, scrape, is_there)
    leaving.leave()

    for front, words in ((away, "the store does not answer (ConnectionError)"), (leaving, "")):
        ready, live, startup = asked(front, "/readyz", "/livez", "/startupz")
        assert (ready.status_code, live.status_code, startup.status_code) == (503, 200, 200)
        assert ready.json()["detail"] == words


def test_a_scrape_gets_the_format_that_it_asks_for() -> None:
    front = Front()
    front.open(inner, scrape, is_there)

    plain, as_json = asked(
        front, "/metrics", "/metrics?format=json", headers={"accept": "application/openmetrics-text"}
    )

    assert (plain.text, as_json.text) == ("application/openmetrics-text", "application/json")
