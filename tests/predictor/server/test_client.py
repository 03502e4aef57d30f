"""The clients against the real server: what one says the other understands, in threads and in asyncio alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from predictor import messages as m
from predictor.client import AsyncForecastClient, ForecastClient, Settings
from predictor.errors import InputError, SourceError
from tests.coroutines import run_apart
from tests.predictor.server.serving import EndlessFeed, Running, serving, settings_of, wait_until_ready
from tests.servers.http_stubs import answering, cutting_proxy
from tests.servers.processes import free_port

TOKEN = "a-token-that-is-long-enough"
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Running]:
    """Two workloads behind a token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    environment = {"FORESCALE_API_TOKENS": TOKEN}
    with serving(settings_of(model), EndlessFeed(("api", "web")), environment, headers=headers) as running:
        wait_until_ready(running)
        running.wait_until_warm()
        yield running


@pytest.fixture(params=["threads", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Calls a method of either client: ask(settings, "forecast", "web", horizon_seconds=3)."""
    waits: list[float] = []

    async def no_wait(seconds: float) -> None:
        waits.append(seconds)

    def in_threads(settings: Settings, method: str, *arguments: Any, **named: Any) -> Any:
        with ForecastClient(settings, sleep=waits.append) as client:
            return getattr(client, method)(*arguments, **named)

    def in_asyncio(settings: Settings, method: str, *arguments: Any, **named: Any) -> Any:
        async def call() -> Any:
            async with AsyncForecastClient(settings, sleep=no_wait) as client:
                return await getattr(client, method)(*arguments, **named)

        return run_apart(call())

    chosen: Ask = in_threads if request.param == "threads" else in_asyncio
    chosen.waits = waits  # type: ignore[attr-defined]
    return chosen


def entry(running: Running, **more: Any) -> Settings:
    return Settings(running.url, **{"token": TOKEN, **more})


@pytest.mark.parametrize(
    ("method", "arguments", "named", "kind"),
    [
        ("workloads", (), {}, m.WorkloadList),
        ("forecast", ("web",), {"quantiles": [0.5, 0.9], "horizon_seconds": 3}, m.ForecastAnswer),
        ("forecast", ("api",), {"window_max": False}, m.ForecastAnswer),
        ("forecasts", (["api", "nobody"],), {"quantiles": [0.5]}, m.ForecastBatch),
        ("forecasts", (), {}, m.ForecastBatch),
        ("history", ("web",), {}, m.History),
        ("accuracy", ("web",), {"window_seconds": 300}, m.Accuracy),
        ("alarms", ("web",), {"window_seconds": 300}, m.Alarms),
        ("models", (), {}, m.Models),
        ("reload_models", (), {}, m.Reloaded),
    ],
)
def test_every_call_is_understood(
    server: Running, ask: Ask, method: str, arguments: tuple[Any, ...], named: dict[str, Any], kind: type[m.Message]
) -> None:
    found = ask(entry(server), method, *arguments, **named)

    assert type(found) is kind
    # Nothing that the server says is lost on the way: as strict as the sender.
    assert kind.model_validate(found.model_dump(), extra="forbid") == found


def test_a_forecast_arrives_as_it_was_asked_for(server: Running, ask: Ask) -> None:
    answer = ask(entry(server), "forecast", "web", quantiles=[0.9, 0.5], horizon_seconds=2)

    assert answer.status == "ok"
    assert answer.levels == [0.9, 0.5]
    median = answer.quantile(0.5)
    assert median is not None
    assert median == [row[1] for row in answer.path]
    assert answer.quantile(0.99) is None
    assert len(answer.quantile(0.9, window_max=True)) == 2


def test_no_forecast_is_an_answer_and_no_exception(server: Running, ask: Ask) -> None:
    batch = ask(entry(server), "forecasts", ["nobody"])

    assert batch.forecasts[0].status == "unavailable"
    assert batch.forecasts[0].reason is m.Unavailable.UNKNOWN_WORKLOAD


def test_readiness_is_a_yes_or_no(server: Running, ask: Ask) -> None:
    assert ask(entry(server), "is_ready") is True
    assert ask(Settings(f"http://127.0.0.1:{free_port()}"), "is_ready") is False


@pytest.mark.parametrize(
    ("method", "arguments", "named", "words"),
    [
        ("forecast", ("nobody",), {}, "no workload nobody"),
        ("forecast", ("web",), {"horizon_seconds": 900}, "give 1 to 5 s"),
        ("forecast", ("../models",), {}, "refuses"),
    ],
)
def test_a_refused_request_is_the_askers_mistake(
    server: Running, ask: Ask, method: str, arguments: tuple[Any, ...], named: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        ask(entry(server), method, *arguments, **named)


def test_a_wrong_token_is_told_without_being_shown(server: Running, ask: Ask) -> None:
    with pytest.raises(SourceError, match="check the token") as refused:
        ask(entry(server, token="a-wrong-token-of-mine"), "workloads")

    assert "a-wrong-token-of-mine" not in str(refused.value)


def test_a_rotated_token_is_read_again(server: Running, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("an-old-token-long-enough\n")
    with ForecastClient(entry(server, token=None, token_file=file)) as client:
        with pytest.raises(SourceError):
            client.models()

        file.write_text(f"{TOKEN}\n")

        assert client.models().models


def test_an_answer_that_is_known_is_not_sent_again(server: Running) -> None:
    with ForecastClient(entry(server)) as client:
        first, again = client.models(), client.models()

    assert again is first  # 304: the very same object


def test_a_server_that_is_not_there_is_asked_again_and_then_told(ask: Ask) -> None:
    with pytest.raises(SourceError, match="cannot be reached"):
        ask(Settings(f"http://127.0.0.1:{free_port()}"), "workloads")

    assert len(ask.waits) == 2  # type: ignore[attr-defined]
    assert ask.waits[1] > ask.waits[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (502, 3), (500, 1), (429, 1)])
def test_only_what_may_pass_is_tried_again(ask: Ask, status: int, tries: int) -> None:
    body = m.Problem(title="No", status=status, detail="not now").model_dump_json().encode()
    with answering(body, status=status) as stub:
        with pytest.raises(SourceError, match="not now"):
            ask(Settings(stub.url), "workloads")

        assert len(stub.paths) == tries


def test_a_server_of_another_kind_is_recognized(ask: Ask) -> None:
    with answering(b'{"status":"success"}') as stub, pytest.raises(SourceError, match="not as the forecast API does"):
        ask(Settings(stub.url), "workloads")


def test_a_broken_connection_is_told(server: Running, ask: Ask) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with cutting_proxy(port, after_bytes=700) as url, pytest.raises(SourceError, match="cannot be reached"):
        ask(Settings(url, token=TOKEN), "history", "web")


def test_events_come_one_by_one_and_go_on_after_a_broken_connection(server: Running) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with cutting_proxy(port, after_bytes=6000) as url, ForecastClient(Settings(url, token=TOKEN)) as client:
        cycles: list[int] = []
        for event in client.events(["web"]):
            if event.cycle is not None:
                cycles.append(event.cycle.cycle)
            if event.forecast is not None:
                assert event.forecast.workload == "web"
            if len(cycles) == 8:
                break

    assert cycles == sorted(set(cycles))  # none twice, although the stream was cut every few events


def test_events_come_in_asyncio_too(server: Running) -> None:
    async def first() -> list[str]:
        kinds = []
        async with AsyncForecastClient(entry(server)) as client:
            async for event in client.events(["api"]):
                kinds.append(event.kind)
                if len(kinds) == 4:
                    break
        return kinds

    assert run_apart(first()) == ["forecast", "cycle", "forecast", "cycle"]


def test_events_that_are_refused_are_not_asked_for_again(server: Running) -> None:
    with (
        ForecastClient(entry(server, token="a-wrong-token-of-mine")) as client,
        pytest.raises(SourceError, match="check the token"),
    ):
        next(client.events())


@pytest.mark.parametrize("url", ["forescale:8080", "ftp://forescale", "http://user:secret@forescale", "http://f/?t=1"])
def test_an_address_that_cannot_be_one_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InputError, match="must look like") as refused:
        Settings(url)

    assert "secret" not in str(refused.value)
