"""How an event stream is read and taken up again.  Sends nothing."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from predictor import messages as m
from predictor.client_protocol import RETRIED_STATUS, Answer, explain, retry_after_seconds, wrong_server
from predictor.client_settings import Settings
from predictor.errors import SourceError

_FIRST_PAUSE_SECONDS = 0.2  # doubles with each connection that brings no event
_MOST_DOUBLINGS = 8
_LONGEST_PAUSE_SECONDS = 30.0
_STREAM_SILENCE_SECONDS = 120.0  # the server says something at least every 15 s
_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)  # a last \r may be half of \r\n


@dataclass(frozen=True, slots=True)
class Event:
    """`cycle` or `forecast`; one of the two messages."""

    kind: str
    cycle: m.CycleEvent | None = None
    forecast: m.ForecastAnswer | None = None


class EventReader:
    """Takes an event stream apart, and knows where to go on."""

    def __init__(self, settings: Settings, workloads: Sequence[str]) -> None:
        self._settings, self._workloads = settings, list(workloads)
        self._rest = b""
        self._kind, self._id, self._data = "", "", list[str]()
        self._last = ""
        self._failures = 0
        self._at_least_seconds = 0.0

    def request(self) -> dict[str, Any]:
        """For httpx's `stream`."""
        self._rest, self._kind, self._id, self._data = b"", "", "", []
        self._failures += 1  # until it brings an event
        self._at_least_seconds = 0.0
        headers = {**self._settings.authorization(), "Accept": "text/event-stream"}
        if self._last:
            headers["Last-Event-ID"] = self._last
        timeout = httpx.Timeout(self._settings.timeout_seconds, read=_STREAM_SILENCE_SECONDS)
        return {"params": {"workload": self._workloads}, "headers": headers, "timeout": timeout}

    def is_stream(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether events follow; raises SourceError when these are no events."""
        if status != httpx.codes.OK:
            return False
        if not headers.get("content-type", "").startswith("text/event-stream"):
            raise wrong_server(self._settings)
        return True

    def refused(self, answer: Answer) -> None:
        """Raise what was answered instead of events, unless it passes as a gateway's trouble does."""
        if answer.status not in RETRIED_STATUS:
            raise explain(self._settings, answer)
        self._at_least_seconds = min(retry_after_seconds(answer.headers), _LONGEST_PAUSE_SECONDS)

    def pause(self) -> float:
        """Seconds to wait before the next connection, so that many clients do not come back at once."""
        doublings = min(max(self._failures - 1, 0), _MOST_DOUBLINGS)
        wait: float = min(_FIRST_PAUSE_SECONDS * 2**doublings, _LONGEST_PAUSE_SECONDS)
        return max(wait, self._at_least_seconds) * random.uniform(1.0, 1.3)  # noqa: S311  # no secret

    def take(self, block: bytes) -> Iterator[Event]:
        """The events that end in this block; what is left over waits for the next one.

        By bytes, because only these line ends count: text may hold others, which `splitlines` would cut at.
        """
        *lines, self._rest = _LINE_END.split(self._rest + block)
        for line in lines:
            if line:
                self._note(line.decode("utf-8", errors="replace"))
                continue
            event = self._end()
            if event is not None:
                yield event

    def _note(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._kind = value
        elif name == "id":
            self._id = value

    def _end(self) -> Event | None:
        kind, data = self._kind, "\n".join(self._data)
        self._kind, self._data = "", []
        if not data:
            return None
        try:
            event = _event(kind, data)
        except ValueError as error:
            url = self._settings.url
            raise SourceError(
                f"{url}: its events are not those of the forecast API; is the server as new as this client?"
            ) from error
        self._failures = 0
        if kind == "cycle":
            # It ends a cycle.  Going on after a forecast would skip the forecasts behind it, which have the same id.
            self._last = self._id
        return event


def _event(kind: str, data: str) -> Event | None:
    if kind == "cycle":
        return Event(kind, cycle=m.CycleEvent.model_validate_json(data))
    if kind == "forecast":
        return Event(kind, forecast=m.ForecastAnswer.model_validate_json(data))
    return None  # of a newer server
