"""Clients of the forecast API, one for threads and one for asyncio; both say the same by the same rules.

A forecast that is not available is an answer.  SourceError: the server cannot be reached, fails, or is no forecast
server.  InputError: it refuses the request.  Secrets never appear in either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import httpx

from predictor import messages as m
from predictor.client_events import Event, EventReader
from predictor.client_protocol import (
    Answer,
    Attempt,
    Body,
    Call,
    accuracy_call,
    alarms_call,
    batch_call,
    forecast_call,
    history_call,
)
from predictor.client_settings import Settings

__all__ = ["AsyncForecastClient", "Event", "ForecastClient", "Settings"]

_T = TypeVar("_T", bound=m.Message)
_MODELS = Call("GET", "/v1/models", m.Models)
_RELOAD = Call("POST", "/v1/models/reload", m.Reloaded)
_WORKLOADS = Call("GET", "/v1/workloads", m.WorkloadList)


class ForecastClient:
    """For threads.  Use it in a `with` block, or close it."""

    def __init__(self, settings: Settings | str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """settings: a URL is enough where no token is needed."""
        self._settings = Settings(settings) if isinstance(settings, str) else settings
        self._attempt, self._sleep = Attempt(self._settings), sleep
        self._http = httpx.Client(**self._settings.transport())

    def __enter__(self) -> ForecastClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def workloads(self) -> m.WorkloadList:
        """Every workload."""
        return self._send(_WORKLOADS)

    def forecast(
        self,
        name: str,
        *,
        quantiles: Sequence[float] | None = None,
        horizon_seconds: int | None = None,
        window_max: bool = True,
    ) -> m.ForecastAnswer:
        """One workload's forecast, or why there is none."""
        return self._send(forecast_call(name, quantiles, horizon_seconds, window_max))

    def forecasts(
        self,
        names: Sequence[str] | None = None,
        *,
        quantiles: Sequence[float] | None = None,
        horizon_seconds: int | None = None,
        window_max: bool = True,
    ) -> m.ForecastBatch:
        """Many workloads in one call, all when none is named; answers come in the order asked."""
        return self._send(batch_call(names, quantiles, horizon_seconds, window_max))

    def history(self, name: str, *, start: datetime | None = None, end: datetime | None = None) -> m.History:
        """Demand beside what had been expected; the last day when no range is given."""
        return self._send(history_call(name, start, end))

    def accuracy(self, name: str, *, window_seconds: int = 86_400) -> m.Accuracy:
        """How right forecasts have been."""
        return self._send(accuracy_call(name, window_seconds))

    def alarms(self, name: str, *, window_seconds: int = 86_400) -> m.Alarms:
        """Alarms with their outcomes, and surges."""
        return self._send(alarms_call(name, window_seconds))

    def models(self) -> m.Models:
        """Bundles in service."""
        return self._send(_MODELS)

    def reload_models(self) -> m.Reloaded:
        """Look for newer bundles now."""
        return self._send(_RELOAD)

    def is_ready(self) -> bool:
        """Whether every query has been read once; False also when the server cannot be reached."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.RequestError:
            return False

    def events(self, workloads: Sequence[str] = ()) -> Iterator[Event]:
        """Every cycle, and the forecasts of these workloads; goes on by itself after a broken connection."""
        reader = EventReader(self._settings, workloads)
        while True:
            try:
                with self._http.stream("GET", "/v1/events", **reader.request()) as stream:
                    if reader.is_stream(stream.status_code, stream.headers):
                        for block in stream.iter_bytes():
                            yield from reader.take(block)
                    else:
                        reader.refused(self._gather(stream, Body(self._settings)))
            except httpx.RequestError:
                pass  # the next connection goes on after the last cycle
            self._sleep(reader.pause())

    def _send(self, call: Call[_T]) -> _T:
        attempt = self._attempt.begin()
        while True:
            body = Body(self._settings)
            try:
                response = self._http.send(attempt.request(self._http, call), stream=True)
                answer = self._gather(response, body)
            except httpx.RequestError as error:
                wait = attempt.failed(error)
            else:
                found = attempt.take(call, answer)
                if not isinstance(found, float):
                    return found
                wait = found
            self._sleep(wait)

    def _gather(self, response: httpx.Response, body: Body) -> Answer:
        try:
            for block in response.iter_bytes():
                body.take(block)
        finally:
            response.close()
        return body.answer(response)


class AsyncForecastClient:
    """For asyncio.  Use it in an `async with` block, or close it."""

    def __init__(self, settings: Settings | str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """settings: a URL is enough where no token is needed."""
        self._settings = Settings(settings) if isinstance(settings, str) else settings
        self._attempt, self._sleep = Attempt(self._settings), sleep
        self._http = httpx.AsyncClient(**self._settings.transport())

    async def __aenter__(self) -> AsyncForecastClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def workloads(self) -> m.WorkloadList:
        """Every workload."""
        return await self._send(_WORKLOADS)

    async def forecast(
        self,
        name: str,
        *,
        quantiles: Sequence[float] | None = None,
        horizon_seconds: int | None = None,
        window_max: bool = True,
    ) -> m.ForecastAnswer:
        """One workload's forecast, or why there is none."""
        return await self._send(forecast_call(name, quantiles, horizon_seconds, window_max))

    async def forecasts(
        self,
        names: Sequence[str] | None = None,
        *,
        quantiles: Sequence[float] | None = None,
        horizon_seconds: int | None = None,
        window_max: bool = True,
    ) -> m.ForecastBatch:
        """Many workloads in one call, all when none is named; answers come in the order asked."""
        return await self._send(batch_call(names, quantiles, horizon_seconds, window_max))

    async def history(self, name: str, *, start: datetime | None = None, end: datetime | None = None) -> m.History:
        """Demand beside what had been expected; the last day when no range is given."""
        return await self._send(history_call(name, start, end))

    async def accuracy(self, name: str, *, window_seconds: int = 86_400) -> m.Accuracy:
        """How right forecasts have been."""
        return await self._send(accuracy_call(name, window_seconds))

    async def alarms(self, name: str, *, window_seconds: int = 86_400) -> m.Alarms:
        """Alarms with their outcomes, and surges."""
        return await self._send(alarms_call(name, window_seconds))

    async def models(self) -> m.Models:
        """Bundles in service."""
        return await self._send(_MODELS)

    async def reload_models(self) -> m.Reloaded:
        """Look for newer bundles now."""
        return await self._send(_RELOAD)

    async def is_ready(self) -> bool:
        """Whether every query has been read once; False also when the server cannot be reached."""
        try:
            return (await self._http.get("/readyz")).status_code == httpx.codes.OK
        except httpx.RequestError:
            return False

    async def events(self, workloads: Sequence[str] = ()) -> AsyncIterator[Event]:
        """Every cycle, and the forecasts of these workloads; goes on by itself after a broken connection."""
        reader = EventReader(self._settings, workloads)
        while True:
            try:
                async with self._http.stream("GET", "/v1/events", **reader.request()) as stream:
                    if reader.is_stream(stream.status_code, stream.headers):
                        async for block in stream.aiter_bytes():
                            for event in reader.take(block):
                                yield event
                    else:
                        reader.refused(await self._gather(stream, Body(self._settings)))
            except httpx.RequestError:
                pass  # the next connection goes on after the last cycle
            await self._sleep(reader.pause())

    async def _send(self, call: Call[_T]) -> _T:
        attempt = self._attempt.begin()
        while True:
            body = Body(self._settings)
            try:
                response = await self._http.send(attempt.request(self._http, call), stream=True)
                answer = await self._gather(response, body)
            except httpx.RequestError as error:
                wait = attempt.failed(error)
            else:
                found = attempt.take(call, answer)
                if not isinstance(found, float):
                    return found
                wait = found
            await self._sleep(wait)

    async def _gather(self, response: httpx.Response, body: Body) -> Answer:
        try:
            async for block in response.aiter_bytes():
                body.take(block)
        finally:
            await response.aclose()
        return body.answer(response)
