"""The guards around a small application of their own: what they do must not depend on the forecast server."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from predictor.errors import InputError, SourceError
from predictor.messages import ForecastRequest, Problem
from predictor.server import rates
from predictor.server.conditional import answer
from predictor.server.envelope import HEADERS
from predictor.server.guard import install
from predictor.server.rates import Rates
from predictor.server.settings import ServerSettings
from predictor.server.tokens import Tokens
from tests.servers.apps import listening

TOKEN = "a-token-that-is-long-enough"
LARGE = b'{"numbers": [' + b"1, " * 1000 + b"1]}"


def a_small_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.get("/v1/small")
    async def get_small() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/v1/large")
    async def get_large(request: Request) -> Response:
        return answer(request, LARGE, etag='"chosen"')

    @app.post("/v1/forecast")
    async def post_forecast(wanted: ForecastRequest) -> int:
        return len(wanted.workloads or ())

    @app.get("/v1/failure/{kind}")
    async def fail(kind: str) -> None:
        raise {"input": InputError("no such level"), "source": SourceError("Prometheus is away")}.get(
            kind, RuntimeError("password hunter2 in /etc/forescale/secret")
        )

    @app.get("/v1/half")
    async def get_half() -> StreamingResponse:
        async def half() -> AsyncIterator[bytes]:
            yield b"one half"
            raise RuntimeError("no other half")

        return StreamingResponse(half())

    @app.get("/v1/events")
    async def get_events() -> StreamingResponse:
        async def endless() -> AsyncIterator[bytes]:
            yield b"data: " + b"x" * 4000 + b"\n\n"
            await asyncio.Event().wait()

        return StreamingResponse(endless(), media_type="text/event-stream")

    @app.get("/readyz")
    async def get_ready() -> None:
        return None

    return app


@contextmanager
def guarded(*tokens: str, access_log: bool = False, **settings: Any) -> Iterator[httpx.Client]:
    app = a_small_app()
    wanted = {"requests_per_minute": 100_000} | settings
    install(app, ServerSettings(**wanted), Tokens(tokens), access_log=access_log)
    with listening(app) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def open_app() -> Iterator[httpx.Client]:
    with guarded() as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("tokens", [(), (TOKEN,)])
def test_a_new_made_up_token_in_every_request_does_not_escape_the_limit(tokens: tuple[str, ...]) -> None:
    with guarded(*tokens, requests_per_minute=5) as client:
        found = [client.get("/v1/small", headers=bearer(f"made-up-{number}")).status_code for number in range(8)]

        assert found[5:] == [429] * 3
        assert client.get("/v1/small", headers=bearer(TOKEN)).status_code == (200 if tokens else 429)
        assert client.get("/readyz").status_code == 200


def test_who_has_one_address_of_version_6_has_its_whole_network() -> None:
    limit = Rates(1)

    assert limit.wait_seconds({"client": ("2001:db8::1", 1)}, None) is None
    assert limit.wait_seconds({"client": ("2001:db8::2:3", 1)}, None) is not None
    assert limit.wait_seconds({"client": ("2001:db8:0:1::1", 1)}, None) is None


def test_the_memory_for_strangers_is_bounded_and_clients_with_tokens_stay_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "_MOST_COUNTERS", 10)
    limit = Rates(1)

    passed = [limit.wait_seconds({"client": (f"10.0.0.{number}", 1)}, None) is None for number in range(100)]

    assert sum(passed) == 11  # ten of their own, one for all others
    assert limit.wait_seconds({"client": ("10.0.0.1", 1)}, TOKEN) is None


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/small", 200), ("/no", 404), ("/v1/failure/bug", 500), ("/v1/failure/source", 503), ("/readyz", 200)],
)
def test_every_answer_carries_the_security_headers_once(open_app: httpx.Client, path: str, status: int) -> None:
    response = open_app.get(path)

    assert response.status_code == status
    for name, value in HEADERS:
        assert response.headers.get_list(name.decode()) == [value.decode()]
    assert "server" not in response.headers
    assert (response.headers.get("cache-control") == "no-store") == (status >= 400)


def test_preflights_and_failures_are_readable_from_named_sites_and_carry_the_headers() -> None:
    origin = {"Origin": "https://ops.example"}
    with guarded(TOKEN, cors_origins=("https://ops.example",)) as client:
        preflight = client.options("/v1/small", headers=origin | {"Access-Control-Request-Method": "GET"})
        stranger = client.get("/v1/small", headers=origin)
        failure = client.get("/v1/failure/bug", headers=origin | bearer(TOKEN))

    assert [one.status_code for one in (preflight, stranger, failure)] == [200, 401, 500]
    for response in (preflight, stranger, failure):
        assert response.headers["access-control-allow-origin"] == "https://ops.example"
        assert "content-security-policy" in response.headers


def test_a_bug_is_told_by_a_number_that_the_log_knows(open_app: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = open_app.get("/v1/failure/bug?token=of-mine")

    told = Problem.model_validate(response.json())
    (record,) = caplog.records  # told once, not again by the server
    assert response.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in response.text
    assert "/etc" not in response.text
    assert told.detail.split()[-1] in record.getMessage()
    assert "of-mine" not in record.getMessage()


def test_half_an_answer_is_not_taken_for_a_whole_one(open_app: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        open_app.get("/v1/half")


@pytest.mark.parametrize(("kind", "status"), [("input", 422), ("source", 503)])
def test_our_own_errors_keep_their_words(open_app: httpx.Client, kind: str, status: int) -> None:
    told = Problem.model_validate(open_app.get(f"/v1/failure/{kind}").json())

    assert (told.status, told.detail) == (status, {422: "no such level", 503: "Prometheus is away"}[status])


def test_a_request_that_cannot_be_used_names_its_fields_and_repeats_nothing(open_app: httpx.Client) -> None:
    response = open_app.post("/v1/forecast", json={"quantiles": ["hunter2"], "horizon_seconds": -77_123})

    told = Problem.model_validate(response.json())
    assert response.status_code == 422
    assert {one["field"] for one in told.errors or ()} == {"body.quantiles.0", "body.horizon_seconds"}
    assert "hunter2" not in response.text
    assert "77123" not in response.text


def test_a_wrong_method_is_told_which_ones_are_right(open_app: httpx.Client) -> None:
    response = open_app.delete("/v1/small")

    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert response.headers["content-type"] == "application/problem+json"


def test_a_tag_is_weak_because_compressed_and_plain_answers_share_it(open_app: httpx.Client) -> None:
    with open_app.stream("GET", "/v1/large", headers={"Accept-Encoding": "gzip"}) as response:
        packed = b"".join(response.iter_raw())
        tag = response.headers["etag"]
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["vary"] == "Accept-Encoding"
    plain = open_app.get("/v1/large", headers={"Accept-Encoding": "identity"})

    assert gzip.decompress(packed) == plain.content == LARGE
    assert tag == plain.headers["etag"] == 'W/"chosen"'
    assert plain.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (['W/"chosen"'], 304), (['"chosen"'], 304), (['"other", "chosen"'], 304), (['"other"', '"chosen"'], 304),
        (["*"], 304), (['"chose"'], 200), (["chosen"], 200), ([""], 200),
    ],
)  # fmt: skip
def test_who_names_the_tag_is_spared_the_answer(open_app: httpx.Client, sent: list[str], status: int) -> None:
    response = open_app.get("/v1/large", headers=[("If-None-Match", one) for one in sent])

    assert response.status_code == status
    assert response.headers["etag"] == 'W/"chosen"'
    if status == 304:
        assert response.content == b""
        assert response.headers["vary"] == "Accept-Encoding"


def test_events_are_neither_compressed_nor_held_back(open_app: httpx.Client) -> None:
    with open_app.stream("GET", "/v1/events", headers={"Accept-Encoding": "gzip"}) as response:
        first = next(response.iter_raw())

    assert first.startswith(b"data: xxx")
    assert "content-encoding" not in response.headers


def test_the_access_log_has_a_line_for_each_request_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with guarded(TOKEN, access_log=True) as client, caplog.at_level(logging.INFO, logger="forescale.requests"):
        client.get("/v1/small?key=of-mine", headers=bearer(TOKEN))
        client.get("/v1/a%0Ab%22", headers=bearer("wrong-secret-of-mine"))
        client.get("/readyz")

    lines = [record.getMessage() for record in caplog.records if record.name == "forescale.requests"]
    assert len(lines) == 2
    assert lines[0].startswith('method=GET path="/v1/small" status=200 seconds=0.')
    assert lines[0].endswith(" client=127.0.0.1")
    assert lines[1].startswith('method=GET path="/v1/a%0Ab%22" status=401 ')
    assert "of-mine" not in "".join(lines)
    assert TOKEN not in "".join(lines)


def test_there_is_no_access_log_unless_wanted(open_app: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="forescale.requests"):
        open_app.get("/v1/small")

    assert not [record for record in caplog.records if record.name == "forescale.requests"]
