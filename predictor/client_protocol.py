"""What both clients send and how they read what comes: requests, retries, kept answers.  Sends nothing."""

from __future__ import annotations

import random
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from predictor import messages as m
from predictor.client_settings import Settings
from predictor.errors import ForescaleError, InputError, SourceError

_T = TypeVar("_T", bound=m.Message)
RETRIED_STATUS = frozenset({502, 503, 504})
_FIRST_WAIT_SECONDS = 0.2  # doubles with each retry
_MOST_KEPT = 512  # answers remembered by their tag
_SHOWN = 400  # characters of a server's explanation


@dataclass(frozen=True, slots=True)
class Call(Generic[_T]):
    """One path with its parameters, and the type of its answer."""

    method: str
    path: str
    message: type[_T]
    params: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    @property
    def key(self) -> str:
        """Names the answer."""
        return f"{self.path}?{sorted(self.params.items())}"


def forecast_call(
    name: str, quantiles: Sequence[float] | None, horizon_seconds: int | None, window_max: bool
) -> Call[m.ForecastAnswer]:
    """GET …/forecast."""
    params = {"window_max": "true" if window_max else "false"}
    if quantiles is not None:
        params["quantiles"] = ",".join(f"{level:.6f}".rstrip("0") for level in quantiles)
    if horizon_seconds is not None:
        params["horizon"] = str(horizon_seconds)
    return Call("GET", f"{_path(name)}/forecast", m.ForecastAnswer, params)


def batch_call(
    names: Sequence[str] | None, quantiles: Sequence[float] | None, horizon_seconds: int | None, window_max: bool
) -> Call[m.ForecastBatch]:
    """POST /v1/forecast."""
    try:
        wanted = m.ForecastRequest(
            workloads=None if names is None else list(names),
            quantiles=None if quantiles is None else list(quantiles),
            horizon_seconds=horizon_seconds,
            window_max=window_max,
        )
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong[:3])
        raise InputError(f"no forecasts can be asked for like that: {told}") from error
    return Call("POST", "/v1/forecast", m.ForecastBatch, body=wanted.model_dump_json(exclude_none=True))


def history_call(name: str, start: datetime | None, end: datetime | None) -> Call[m.History]:
    """GET …/history."""
    given = {"start": start, "end": end}
    params = {key: value.isoformat() for key, value in given.items() if value is not None}
    return Call("GET", f"{_path(name)}/history", m.History, params)


def accuracy_call(name: str, window_seconds: int) -> Call[m.Accuracy]:
    """GET …/accuracy."""
    return Call("GET", f"{_path(name)}/accuracy", m.Accuracy, {"window": str(window_seconds)})


def alarms_call(name: str, window_seconds: int) -> Call[m.Alarms]:
    """GET …/alarms."""
    return Call("GET", f"{_path(name)}/alarms", m.Alarms, {"window": str(window_seconds)})


def _path(name: str) -> str:
    return f"/v1/workloads/{quote(name, safe='')}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Body:
    """Gathers an answer while its time lasts: httpx bounds the wait for each packet, not for all of them."""

    def __init__(self, settings: Settings) -> None:
        self._until = time.monotonic() + settings.timeout_seconds
        self._blocks: list[bytes] = []

    def take(self, block: bytes) -> None:
        """Raises httpx.ReadTimeout when it is too late."""
        self._blocks.append(block)
        if time.monotonic() > self._until:
            raise httpx.ReadTimeout("the answer is not complete")

    def answer(self, response: httpx.Response) -> Answer:
        """All of it."""
        return Answer(response.status_code, response.headers, b"".join(self._blocks))


class Kept:
    """Answers with their tags, the ones used last.  Threads may share it."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[str, m.Message]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> tuple[str, m.Message] | None:
        """(tag, answer)."""
        return self._answers.get(key)

    def put(self, key: str, known: tuple[str, m.Message]) -> None:
        """As the newest; the one not used for longest makes room."""
        with self._lock:
            self._answers[key] = known
            self._answers.move_to_end(key)
            if len(self._answers) > _MOST_KEPT:
                self._answers.popitem(last=False)


class Attempt:
    """One call with its retries; what is kept of earlier answers is shared by all calls of a client."""

    def __init__(self, settings: Settings, kept: Kept | None = None) -> None:
        self._settings, self._kept = settings, Kept() if kept is None else kept
        self._known: tuple[str, m.Message] | None = None  # held here, since other calls may displace it meanwhile
        self._tries, self._lost_seconds, self._begun = 0, 0.0, 0.0

    def begin(self) -> Attempt:
        """For the next call."""
        return Attempt(self._settings, self._kept)

    def request(self, http: httpx.Client | httpx.AsyncClient, call: Call[_T]) -> httpx.Request:
        """The request, which asks for news only where an answer is known."""
        headers = self._settings.authorization()
        self._known = self._kept.get(call.key) if call.method == "GET" else None
        if self._known is not None:
            headers["If-None-Match"] = self._known[0]
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        self._begun = time.monotonic()
        return http.build_request(call.method, call.path, params=call.params, content=call.body, headers=headers)

    def take(self, call: Call[_T], answer: Answer) -> _T | float:
        """The message, or how many seconds to wait before the next try; raises when there is none worth making."""
        known = self._known
        if answer.status == httpx.codes.NOT_MODIFIED and known is not None and isinstance(known[1], call.message):
            self._kept.put(call.key, known)
            return known[1]
        if answer.status == httpx.codes.OK:
            return self._read(call, answer)
        # A workload without a past is answered with 503 as well: no retry brings it one, but a moment may.
        if answer.status in RETRIED_STATUS:
            return self._wait(explain(self._settings, answer), retry_after_seconds(answer.headers))
        raise explain(self._settings, answer)

    def failed(self, error: httpx.RequestError) -> float:
        """How long to wait before the next try; raises SourceError when there is none left."""
        url = self._settings.url
        if not isinstance(error, httpx.TransportError):
            raise wrong_server(self._settings) from error
        if isinstance(error, httpx.TimeoutException):
            told = SourceError(f"{url}: no answer within {self._settings.timeout_seconds:g} s; is the server busy?")
        else:
            told = SourceError(f"{url}: cannot be reached ({error}); check the address, and that forescale serve runs")
        told.__cause__ = error
        return self._wait(told, 0.0)

    def _wait(self, told: ForescaleError, at_least: float) -> float:
        wait: float = max(_FIRST_WAIT_SECONDS * 2**self._tries, at_least) * random.uniform(1.0, 1.3)  # noqa: S311  # no secret
        self._lost_seconds += time.monotonic() - self._begun + wait
        if self._tries >= self._settings.retries or self._lost_seconds > self._settings.retry_budget_seconds:
            raise told
        self._tries += 1
        return wait

    def _read(self, call: Call[_T], answer: Answer) -> _T:
        try:
            found = call.message.model_validate_json(answer.body)
        except ValidationError as error:
            raise wrong_server(self._settings) from error
        tag = answer.headers.get("etag")
        if tag is not None and call.method == "GET":
            self._kept.put(call.key, (tag, found))
        return found


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """What the server asks for; 0 when it names no number of seconds."""
    after = headers.get("retry-after", "")
    return float(after) if after.isdecimal() else 0.0


def wrong_server(settings: Settings) -> SourceError:
    """Somebody else answers."""
    return SourceError(
        f"{settings.url}: answers, but not as the forecast API does; is the address right, and is the "
        "server as new as this client?"
    )


def explain(settings: Settings, answer: Answer) -> ForescaleError:
    """A refusal in words."""
    url, status = settings.url, answer.status
    try:
        detail = settings.redact(m.Problem.model_validate_json(answer.body).detail)[:_SHOWN]
    except ValidationError:
        detail = "no explanation"
    if status == httpx.codes.UNAUTHORIZED:
        return SourceError(f"{url}: not let in (HTTP 401); check the token")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return SourceError(f"{url}: {detail} (HTTP 429); ask for many workloads in one call")
    if httpx.codes.is_client_error(status):
        return InputError(f"{url} refuses: {detail} (HTTP {status})")
    return SourceError(f"{url}: {detail} (HTTP {status}); see the server's log")
