"""What both clients send and how they read what comes: requests, retries, kept answers, events.  Sends nothing."""

from __future__ import annotations

import json
import random
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError

from predictor import messages as m
from predictor.errors import ForescaleError, InputError, SourceError

_T = TypeVar("_T", bound=m.Message)
_RETRIED_STATUS = frozenset({502, 503, 504})
_FIRST_WAIT_SECONDS = 0.2  # doubles with each retry
_MOST_KEPT = 512  # answers remembered by their tag
_LONGEST_PAUSE_SECONDS = 30.0
_STREAM_SILENCE_SECONDS = 120.0  # the server says something at least every 15 s


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the server is and how to get in.  A token file is read at each request, since tokens are rotated."""

    url: str
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None
    timeout_seconds: float = 5.0
    retries: int = 2
    retry_budget_seconds: float = 3.0  # that may be lost to waiting, over one call

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise InputError(
                "the forecast server's URL must look like http://forescale:8080, without a user or a query"
            )
        if self.token is not None and self.token_file is not None:
            raise InputError("a token and a token file exclude each other; give one of them")
        for path in (self.token_file, self.ca_file):
            if path is not None and not path.is_file():
                raise InputError(f"{path}: no such file; check the options for the forecast server")

    def transport(self) -> dict[str, Any]:
        """For httpx."""
        verify: ssl.SSLContext | bool = True
        if self.ca_file is not None:
            verify = ssl.create_default_context(cafile=str(self.ca_file))
        headers = {"User-Agent": "forescale", "Accept": "application/json"}
        return {"base_url": self.url, "timeout": self.timeout_seconds, "verify": verify, "headers": headers}

    def authorization(self) -> dict[str, str]:
        """The header, with the token as it is now."""
        token = self.token
        if self.token_file is not None:
            try:
                token = self.token_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{self.token_file}: cannot be read; it must hold the token alone") from error
        if not token:
            return {}
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise InputError("the forecast server's token holds a space or a character beyond ASCII")
        return {"Authorization": f"Bearer {token}"}


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
    wanted = m.ForecastRequest(
        workloads=None if names is None else list(names),
        quantiles=None if quantiles is None else list(quantiles),
        horizon_seconds=horizon_seconds,
        window_max=window_max,
    )
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


class Attempt:
    """One call with its retries; what is kept of earlier answers is shared by all calls of a client."""

    def __init__(self, settings: Settings, kept: OrderedDict[str, tuple[str, m.Message]] | None = None) -> None:
        self._settings = settings
        self._kept: OrderedDict[str, tuple[str, m.Message]] = OrderedDict() if kept is None else kept
        self._tries, self._waited = 0, 0.0

    def begin(self) -> Attempt:
        """For the next call."""
        return Attempt(self._settings, self._kept)

    def request(self, http: httpx.Client | httpx.AsyncClient, call: Call[_T]) -> httpx.Request:
        """The request, which asks for news only where an answer is known."""
        headers = self._settings.authorization()
        known = self._kept.get(call.key) if call.method == "GET" else None
        if known is not None:
            headers["If-None-Match"] = known[0]
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        return http.build_request(call.method, call.path, params=call.params, content=call.body, headers=headers)

    def take(self, call: Call[_T], response: httpx.Response) -> _T | float:
        """The answer, or how many seconds to wait before the next try; raises when there is none worth making."""
        known = self._kept.get(call.key)
        if (
            response.status_code == httpx.codes.NOT_MODIFIED
            and known is not None
            and isinstance(known[1], call.message)
        ):
            self._kept.move_to_end(call.key)
            return known[1]
        if response.status_code == httpx.codes.OK:
            return self._read(call, response)
        # A workload without a past is answered with 503 as well: no retry brings it one, but a moment may.
        if response.status_code in _RETRIED_STATUS:
            after = response.headers.get("retry-after", "")
            return self._wait(self.explain(response), float(after) if after.isdecimal() else 0.0)
        raise self.explain(response)

    def failed(self, error: httpx.TransportError) -> float:
        """How long to wait before the next try; raises SourceError when there is none left."""
        url = self._settings.url
        if isinstance(error, httpx.TimeoutException):
            told = SourceError(f"{url}: no answer within {self._settings.timeout_seconds:g} s; is the server busy?")
        else:
            told = SourceError(f"{url}: cannot be reached ({error}); check the address, and that forescale serve runs")
        told.__cause__ = error
        return self._wait(told, 0.0)

    def _wait(self, told: ForescaleError, at_least: float) -> float:
        wait: float = max(_FIRST_WAIT_SECONDS * 2**self._tries, at_least) * random.uniform(1.0, 1.3)  # noqa: S311  # no secret
        if self._tries >= self._settings.retries or self._waited + wait > self._settings.retry_budget_seconds:
            raise told
        self._tries, self._waited = self._tries + 1, self._waited + wait
        return wait

    def _read(self, call: Call[_T], response: httpx.Response) -> _T:
        try:
            found = call.message.model_validate_json(response.content)
        except ValidationError as error:
            raise SourceError(
                f"{self._settings.url}: answers, but not as the forecast API does; is the address right, and is the "
                "server as new as this client?"
            ) from error
        tag = response.headers.get("etag")
        if tag is not None and call.method == "GET":
            self._kept[call.key] = (tag, found)
            self._kept.move_to_end(call.key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def explain(self, response: httpx.Response) -> ForescaleError:
        """A refusal in words."""
        url, status = self._settings.url, response.status_code
        try:
            detail = m.Problem.model_validate_json(response.content).detail
        except ValidationError:
            detail = "no explanation"
        if status == httpx.codes.UNAUTHORIZED:
            return SourceError(f"{url}: not let in (HTTP 401); check the token")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return SourceError(f"{url}: {detail} (HTTP 429); ask for many workloads in one call")
        if httpx.codes.is_client_error(status):
            return InputError(f"{url} refuses: {detail} (HTTP {status})")
        return SourceError(f"{url}: {detail} (HTTP {status}); see the server's log")


@dataclass(frozen=True, slots=True)
class Event:
    """`cycle` or `forecast`; one of the two messages."""

    kind: str
    cycle: m.CycleEvent | None = None
    forecast: m.ForecastAnswer | None = None


class EventReader:
    """Takes the lines of an event stream apart, and knows where to go on."""

    def __init__(self, settings: Settings, workloads: Sequence[str]) -> None:
        self._settings, self._workloads = settings, list(workloads)
        self._fields: dict[str, str] = {}
        self._last = ""
        self._failures = 0

    def request(self) -> dict[str, Any]:
        """For httpx's `stream`."""
        self._fields = {}
        headers = {**self._settings.authorization(), "Accept": "text/event-stream"}
        if self._last:
            headers["Last-Event-ID"] = self._last
        timeout = httpx.Timeout(self._settings.timeout_seconds, read=_STREAM_SILENCE_SECONDS)
        return {"params": {"workload": self._workloads}, "headers": headers, "timeout": timeout}

    def is_refused(self, status: int) -> bool:
        """Whether to give up: a gateway's trouble passes, a refusal does not."""
        if status in _RETRIED_STATUS:
            self._failures += 1
            return False
        return status != httpx.codes.OK

    def take(self, line: str) -> Event | None:
        """An event, when this line ends one."""
        if line:
            name, _, value = line.partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        self._failures, self._last = 0, fields.get("id", self._last)
        kind = fields.get("event", "")
        try:
            if kind == "cycle":
                return Event(kind, cycle=m.CycleEvent.model_validate(json.loads(fields["data"])))
            if kind == "forecast":
                return Event(kind, forecast=m.ForecastAnswer.model_validate(json.loads(fields["data"])))
        except ValueError as error:
            raise SourceError(f"{self._settings.url}: its events are not those of the forecast API") from error
        return None

    def broke(self, error: httpx.TransportError) -> None:
        """The connection ended; the next one goes on after the last event."""
        self._failures += 1

    def pause(self) -> float:
        """Seconds to wait before the next connection."""
        wait: float = min(_FIRST_WAIT_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        return wait * random.uniform(1.0, 1.3)  # noqa: S311  # no secret
