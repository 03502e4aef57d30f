"""Another try where one may help, and one deadline for all of a call."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from agent_service.models.attempts import retry_after_seconds
from agent_service.models.endpoint import EndpointChatModel
from agent_service.models.errors import ModelError, ModelTimeoutError, ThrottledError
from tests.agent_service.models.calling import hello, streamed, using
from tests.agent_service.models.provider import Provider, Script, Told, delta, providing, whole

FAILED = Script(500, {"error": "broken"})
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def busy(retry_after: str, status: int = 429) -> Script:
    return Script(status, {"error": "slow down"}, headers={"Retry-After": retry_after})


def test_what_a_second_try_may_mend_is_tried_again_and_waits_as_long_as_asked() -> None:
    told, pauses = Told(), list[float]()
    with providing(busy("3"), FAILED, whole("at last")) as provider:
        answer = using(provider, hello, told, pauses=pauses)

    assert (answer.content, len(provider.requests)) == ("at last", 3)
    assert pauses[0] == 3.0
    assert 0.7 < pauses[1] < 1.3
    assert (told.throttles, told.outcomes) == (1, ["ok"])


def test_a_server_that_restarts_is_waited_for_as_long_as_it_asks() -> None:
    pauses = list[float]()
    with providing(busy("4", status=503), whole("back")) as provider:
        assert using(provider, hello, pauses=pauses).content == "back"

    assert pauses == [4.0]


def test_a_pause_may_be_asked_for_as_a_date() -> None:
    pauses = list[float]()
    with providing(busy("Tue, 24 Nov 2026 12:00:07 GMT"), whole("at last")) as provider:
        using(provider, hello, pauses=pauses, now=lambda: NOON)

    assert pauses == [7.0]


@pytest.mark.parametrize("retry_after", ["900", "Tue, 24 Nov 2026 12:15:00 GMT"])
def test_a_pause_that_would_outlast_the_call_is_not_begun_and_is_told(retry_after: str) -> None:
    told, pauses = Told(), list[float]()
    with (
        providing(busy(retry_after)) as provider,
        pytest.raises(ThrottledError, match="HTTP 429, and asks to be tried again in 900 s") as caught,
    ):
        using(provider, hello, told, pauses=pauses, now=lambda: NOON)

    assert caught.value.retry_after_seconds == 900
    assert (len(provider.requests), pauses) == (1, [])
    assert (told.outcomes, told.throttles) == (["throttled"], 1)


def test_a_provider_that_stays_busy_is_told_apart_from_one_that_fails() -> None:
    told = Told()
    with providing(busy("1")) as provider, pytest.raises(ThrottledError):
        using(provider, hello, told)

    assert (told.outcomes, told.throttles) == (["throttled"], 3)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-3", 0.0),
        ("1.5", 1.5),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 12:00:00", None),
    ],
)
def test_a_pause_is_read_or_left_out(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOON) == seconds


@contextmanager
def accepting_nobody() -> Iterator[str]:
    """An address whose queue is full, so that connecting to it takes for ever."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        finally:
            for each in waiting:
                each.close()


def test_a_connection_that_takes_too_long_is_tried_again_and_called_what_it_is() -> None:
    async def impatient(model: EndpointChatModel) -> Any:
        model.client.timeout = httpx.Timeout(10, connect=0.1)
        return await hello(model)

    told, pauses = Told(), list[float]()
    with accepting_nobody() as url, pytest.raises(ModelError, match=r"cannot be reached \(ConnectTimeout\)"):
        using(Provider([], url=url), impatient, told, pauses=pauses)

    assert (len(pauses), told.outcomes) == (2, ["error"])


def test_nobody_there_is_an_error_in_words() -> None:
    pauses = list[float]()
    with pytest.raises(ModelError, match="cannot be reached"):
        using(Provider([], url="http://127.0.0.1:1/v1"), hello, pauses=pauses)

    assert len(pauses) == 2


@pytest.mark.parametrize(
    "script",
    [
        Script(body={}, pause_seconds=2),
        Script(pieces=[b" "] * 100, pause_seconds=0.05, kind="application/json"),  # never silent, never done
    ],
)
def test_tries_pauses_and_answer_together_take_no_longer_than_a_call_may(script: Script) -> None:
    async def timed(model: EndpointChatModel) -> float:
        began = time.monotonic()
        with pytest.raises(ModelTimeoutError, match=r"did not answer within 1\.2 s"):
            await hello(model)
        return time.monotonic() - began

    told = Told()
    with providing(busy("0.8"), script) as provider:
        seconds = using(provider, timed, told, timeout_seconds=1.2, sleep=asyncio.sleep)

    assert 1.2 <= seconds < 1.7
    assert (len(provider.requests), told.outcomes) == (2, ["timeout"])


def test_a_second_try_that_would_come_too_late_is_not_begun() -> None:
    pauses = list[float]()
    with providing(FAILED) as provider, pytest.raises(ModelError, match="HTTP 500"):
        using(provider, hello, timeout_seconds=0.3, pauses=pauses)

    assert (len(provider.requests), pauses) == (1, [])


def test_a_stream_that_drips_ends_with_its_call() -> None:
    told = Told()
    dripping = Script(pieces=[delta(content="a")] * 200, pause_seconds=0.05)
    with providing(dripping) as provider, pytest.raises(ModelTimeoutError, match=r"did not answer within 0\.4 s"):
        using(provider, streamed, told, timeout_seconds=0.4)

    assert (told.outcomes, told.firsts) == (["timeout"], 1)


def test_a_stream_that_falls_silent_is_left_and_called_what_it_is() -> None:
    told = Told()
    slow = Script(pieces=[delta(content="a"), delta(content="b")], pause_seconds=1.0)
    with providing(slow) as provider, pytest.raises(ModelTimeoutError, match=r"sent nothing for 0\.2 s"):
        using(provider, streamed, told, silence_seconds=0.2)

    assert told.outcomes == ["timeout"]


def test_the_deadline_of_a_stream_does_not_cancel_whoever_reads_it() -> None:
    done: list[str] = []

    async def read_slowly(model: EndpointChatModel) -> None:
        async for chunk in model.astream("hello"):
            await asyncio.sleep(0.3)  # past the deadline
            done.append(str(chunk.content))

    pieces = [delta(content="a"), delta(content="b")]
    with providing(Script(pieces=pieces, pause_seconds=0.05)) as provider, pytest.raises(ModelTimeoutError):
        using(provider, read_slowly, timeout_seconds=0.2)

    assert done == ["a"]
