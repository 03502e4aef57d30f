"""Both clients against servers that fail, dawdle, break off or are somebody else."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from predictor import messages as m
from predictor.client import AsyncForecastClient, Event, ForecastClient, Settings
from predictor.client_events import EventReader
from predictor.client_protocol import Answer, Attempt, Call, Kept
from predictor.errors import InputError, SourceError
from predictor.server.conditional import answer
from predictor.server.problems import problem
from tests.coroutines import run_apart
from tests.servers.apps import listening
from tests.servers.http_stubs import answering, talking
from tests.servers.processes import ROOT

TOKEN = "a-token-of-mine-that-is-long"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MODELS = m.Models(models=[]).model_dump_json().encode()


class EnoughError(Exception):
    """Ends an endless wait."""


@dataclass(slots=True)
class Client:
    """Either client; notes what it waits instead of waiting."""

    kind: str
    waits: list[float] = field(default_factory=list)
    most_waits: int = 100

    def call(self, settings: Settings | str, method: str, *arguments: Any, **named: Any) -> Any:
        """What the method gives."""
        if self.kind == "threads":
            with ForecastClient(settings, sleep=self._wait) as client:
                return getattr(client, method)(*arguments, **named)

        async def in_asyncio() -> Any:
            async with AsyncForecastClient(settings, sleep=self._wait_async) as client:
                return await getattr(client, method)(*arguments, **named)

        return run_apart(in_asyncio())

    def events(self, settings: Settings | str, count: int, workloads: Sequence[str] = ()) -> list[Event]:
        """The first events."""
        found: list[Event] = []
        if self.kind == "threads":
            with ForecastClient(settings, sleep=self._wait) as client:
                for event in client.events(workloads):
                    found.append(event)
                    if len(found) == count:
                        return found

        async def in_asyncio() -> list[Event]:
            async with AsyncForecastClient(settings, sleep=self._wait_async) as client:
                async for event in client.events(workloads):
                    found.append(event)
                    if len(found) == count:
                        break
            return found

        return run_apart(in_asyncio())

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) >= self.most_waits:
            raise EnoughError

    async def _wait_async(self, seconds: float) -> None:
        self._wait(seconds)


@pytest.fixture(params=["threads", "asyncio"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


def event_bytes(kind: str, cycle: int, message: m.Message) -> bytes:
    return f"id: {cycle}\nevent: {kind}\ndata: {message.model_dump_json()}\n\n".encode()


def a_forecast(name: str, cycle: int, *, message: str | None = None) -> bytes:
    return event_bytes("forecast", cycle, m.ForecastAnswer(workload=name, status="unavailable", message=message))


def a_cycle(cycle: int) -> bytes:
    return event_bytes("cycle", cycle, m.CycleEvent(cycle=cycle, at=NOON, workloads=2, available=0))


@contextmanager
def streaming(*streams: list[bytes], type_: str = "text/event-stream") -> Iterator[tuple[str, list[str | None]]]:
    """A server whose first listener gets the first stream, and so on; and the Last-Event-ID of each."""
    app, asked = FastAPI(), list[str | None]()

    @app.get("/v1/events")
    async def get_events(request: Request) -> StreamingResponse:
        asked.append(request.headers.get("last-event-id"))

        async def send() -> AsyncIterator[bytes]:
            for block in streams[min(len(asked), len(streams)) - 1]:
                yield block

        return StreamingResponse(send(), media_type=type_)

    with listening(app) as url:
        yield url, asked


@contextmanager
def in_turn(*answers: Callable[[Request], Response]) -> Iterator[tuple[str, list[Request]]]:
    """A server whose first request gets the first answer, and so on, the last one again and again."""
    app, asked = FastAPI(), list[Request]()

    @app.get("/v1/{path:path}")
    async def get(request: Request) -> Response:
        asked.append(request)
        return answers[min(len(asked), len(answers)) - 1](request)

    with listening(app) as url:
        yield url, asked


def models(_: Request) -> Response:
    return Response(MODELS, media_type="application/json")


# --- answers -----------------------------------------------------------------------------------------------------


def test_an_answer_that_drips_is_given_up_when_its_time_is_over(client: Client) -> None:
    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        connection.settimeout(0.05)
        for _ in range(400):  # 20 s
            connection.sendall(b" ")
            try:
                if not connection.recv(1):
                    return  # the client has left
            except TimeoutError:
                continue

    begun = datetime.now(UTC)
    with (
        talking(drip) as url,
        pytest.raises(SourceError, match=r"no answer within 0\.3 s"),
    ):
        client.call(Settings(url, timeout_seconds=0.3, retries=0), "models")

    assert (datetime.now(UTC) - begun).total_seconds() < 5


def test_time_lost_in_a_failed_try_counts_against_the_budget(client: Client) -> None:
    def stay_silent(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.recv(1)  # until the client leaves

    settings = {"timeout_seconds": 0.4, "retry_budget_seconds": 0.3}
    with talking(stay_silent) as url, pytest.raises(SourceError, match="no answer within"):
        client.call(Settings(url, **settings), "models")  # type: ignore[arg-type]

    assert client.waits == []


def test_the_server_says_when_to_come_back(client: Client) -> None:
    with in_turn(lambda _: problem(503, "starting", headers={"Retry-After": "2"}), models) as (url, asked):
        assert client.call(Settings(url, retry_budget_seconds=5), "models").models == []

    assert len(asked) == 2
    assert 2.0 <= client.waits[0] <= 2.6


def test_a_pause_beyond_the_budget_is_not_waited_for(client: Client) -> None:
    with in_turn(lambda _: problem(503, "starting", headers={"Retry-After": "60"}), models) as (url, asked):
        with pytest.raises(SourceError, match="starting"):
            client.call(url, "models")

        assert len(asked) == 1


def test_an_answer_that_cannot_be_unpacked_comes_from_somebody_else(client: Client) -> None:
    with answering(MODELS, headers={"Content-Encoding": "gzip"}) as stub:
        with pytest.raises(SourceError, match="not as the forecast API does"):
            client.call(stub.url, "models")
        assert client.call(stub.url, "is_ready") is False

    assert client.waits == []


def test_a_token_that_the_other_side_quotes_is_not_repeated(client: Client) -> None:
    quoting = problem(400, f"bad request: Authorization: Bearer {TOKEN}")
    with (
        answering(bytes(quoting.body), status=400) as stub,
        pytest.raises(InputError, match=r"Bearer \*\*\*") as refused,
    ):
        client.call(Settings(stub.url, token=TOKEN), "models")

    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("wanted", [{"quantiles": [1.5]}, {"names": ["x"] * 10_001}, {"horizon_seconds": 0}])
def test_what_cannot_be_asked_for_is_refused_in_our_words_before_it_is_sent(
    client: Client, wanted: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="no forecasts can be asked for like that"):
        client.call("http://127.0.0.1:1", "forecasts", **wanted)


def test_an_answer_is_sent_again_only_when_it_has_changed() -> None:
    bodies = [MODELS, MODELS, m.Models(models=[m.ModelInfo(name="new", status="ok")]).model_dump_json().encode()]
    with (
        in_turn(*(lambda request, body=body: answer(request, body) for body in bodies)) as (url, asked),
        ForecastClient(url) as client,
    ):
        first, again, changed = client.models(), client.models(), client.models()

    assert again is first
    assert [one.name for one in changed.models] == ["new"]
    assert asked[2].headers["if-none-match"] == asked[1].headers["if-none-match"]


def test_an_answer_displaced_while_it_was_asked_for_again_is_still_known() -> None:
    kept, call, known = Kept(), Call("GET", "/v1/models", m.Models), m.Models(models=[])
    kept.put(call.key, ('W/"1"', known))
    attempt = Attempt(Settings("http://forescale"), kept)
    with httpx.Client(base_url="http://forescale") as http:
        assert attempt.request(http, call).headers["if-none-match"] == 'W/"1"'

    for number in range(1000):
        kept.put(f"other {number}", ("", known))

    assert kept.get(call.key) is None
    assert attempt.take(call, Answer(304, {}, b"")) is known


# --- settings ----------------------------------------------------------------------------------------------------


def test_the_token_comes_from_the_environment_unless_another_is_given(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token-in-a-file\n")
    environment = {"FORESCALE_API_TOKEN": " a-token-of-the-environment\n"}
    url = "http://forescale:8080"

    found = [
        Settings.load(url, environment), Settings.load(url, environment, token=TOKEN),
        Settings.load(url, environment, token_file=file), Settings.load(url, {}),
    ]  # fmt: skip

    assert [one.authorization().get("Authorization") for one in found] == [
        "Bearer a-token-of-the-environment", f"Bearer {TOKEN}", "Bearer a-token-in-a-file", None,
    ]  # fmt: skip
    assert TOKEN not in repr(found[1])


@pytest.mark.parametrize(
    "url", ["http://forescale:99999", "http://[::1", "http://forescale:port", "http://:secret@forescale", "http://f/#s"]
)
def test_an_address_that_nobody_can_have_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="must look like"):
        Settings(url)


def test_a_file_without_certificates_is_named(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")

    with pytest.raises(InputError, match=r"ca\.pem: holds no certificate"):
        client.call(Settings("https://forescale", ca_file=file), "models")


def test_a_client_brings_neither_the_server_nor_the_runtime_along() -> None:
    heavy = ("onnxruntime", "pandas", "fastapi", "starlette", "torch", "predictor.server")
    code = f"import sys, predictor.client; print([name for name in {heavy} if name in sys.modules])"

    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"


# --- events ------------------------------------------------------------------------------------------------------


def test_a_cycle_cut_in_two_is_asked_for_again_as_a_whole(client: Client) -> None:
    whole = [a_forecast("a", 7), a_forecast("b", 7), a_cycle(7)]
    with streaming([a_cycle(6), whole[0]], whole) as (url, asked):
        found = client.events(url, 5, ["a", "b"])

    told = [event.forecast.workload if event.forecast else event.kind for event in found]
    assert told == ["cycle", "a", "a", "b", "cycle"]
    assert asked == [None, "6"]


def test_a_message_may_hold_any_character_and_arrive_in_any_pieces(client: Client) -> None:
    words = "line\u2028next\x85 — ü"
    stream = a_forecast("a", 1, message=words) + a_cycle(1)
    for ending in (b"\n", b"\r\n", b"\r"):
        # Two bytes at a time: characters and line ends are cut in two.
        text = b": hello" + ending * 2 + stream.replace(b"\n", ending) + ending
        with streaming([text[at : at + 2] for at in range(0, len(text), 2)]) as (url, _):
            forecast, cycle = client.events(url, 2)

        assert forecast.forecast is not None
        assert forecast.forecast.message == words
        assert cycle.cycle is not None
        assert cycle.cycle.cycle == 1


def test_data_of_several_lines_is_one_message_and_unknown_events_are_passed_over(client: Client) -> None:
    split = a_cycle(3).replace(b'data: {"cycle":3,', b'data: {"cycle":3,\ndata: ')
    with streaming([b"event: later\ndata: {}\n\n", b"data\n\n", split]) as (url, _):
        (event,) = client.events(url, 1)

    assert event.cycle is not None
    assert event.cycle.cycle == 3


def test_events_of_another_kind_are_told(client: Client) -> None:
    with (
        streaming([b'event: cycle\ndata: {"no": 1}\n\n']) as (url, _),
        pytest.raises(SourceError, match="not those of"),
    ):
        client.events(url, 1)


def test_a_page_instead_of_events_is_told_and_not_asked_for_again(client: Client) -> None:
    with streaming([b"<html>"], type_="text/html") as (url, asked):
        with pytest.raises(SourceError, match="not as the forecast API does"):
            client.events(url, 1)

        assert len(asked) == 1


def test_pauses_grow_while_connections_bring_nothing_and_shrink_with_the_first_event(client: Client) -> None:
    with streaming([], [], [], [a_cycle(1)], [a_cycle(2)]) as (url, _):
        client.events(url, 2)

    empty, fresh = client.waits[:3], client.waits[3]
    assert empty == sorted(empty)
    assert empty[2] > 3 * 0.2
    assert fresh <= 0.26


def test_after_days_of_outage_the_client_still_asks_every_half_minute() -> None:
    reader = EventReader(Settings("http://forescale"), [])

    for _ in range(2000):
        reader.request()

    assert 30.0 <= reader.pause() <= 39.0


def test_a_server_with_too_many_listeners_is_asked_again_when_it_says(client: Client) -> None:
    client.most_waits = 2
    with in_turn(lambda _: problem(503, "256 listeners already", headers={"Retry-After": "10"})) as (url, asked):
        with pytest.raises(EnoughError):
            client.events(url, 1)

        assert len(asked) == 2
    assert all(10.0 <= wait <= 13.0 for wait in client.waits)
