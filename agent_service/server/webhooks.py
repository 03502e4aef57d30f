"""Tells others that a run has ended.  Only hosts that were allowed, never an address of the network we stand in."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from agent_service.engine.meters import Meters
from agent_service.errors import InvalidError
from agent_service.server.answers import run_json
from agent_service.store.records import Run, Stop

log = logging.getLogger("forescale.agent")

_ATTEMPTS = 3
_TIMEOUT_SECONDS = 5.0
_FIRST_WAIT_SECONDS = 1.0


class Webhooks:
    """Delivers in the background."""

    def __init__(
        self, hosts: tuple[str, ...], meters: Meters, *, first_wait_seconds: float = _FIRST_WAIT_SECONDS
    ) -> None:
        """hosts: names that runs may give; one written as host:port also as an address that is not public."""
        self._hosts, self._meters, self._wait = frozenset(hosts), meters, first_wait_seconds
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, url: str | None) -> None:
        """Raises InvalidError for a webhook that would not be called."""
        if url is None:
            return
        parts = _parts_of(url)
        if not self._allows(parts.hostname or "", parts.port):
            raise InvalidError(f"webhooks to {parts.hostname} are not allowed here; ask for it in AGENT_WEBHOOK_HOSTS")

    def send(self, run: Run) -> None:
        """Of a run that ended and named one."""
        url = run.request.get("webhook")
        if not isinstance(url, str) or run.stop is Stop.ROLLBACK:  # what was rolled back never was
            return
        task = asyncio.create_task(self._deliver(url, run_json(run)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """What is on its way gets a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_TIMEOUT_SECONDS)
        if self._client is not None:
            await self._client.aclose()

    async def _deliver(self, url: str, told: Mapping[str, Any]) -> None:
        wait, reason = self._wait, ""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._refuse_private(url)
                answer = await self._opened().post(url, json=told)
                if answer.status_code < 300:
                    self._meters.webhook("delivered")
                    return
                reason = f"answered {answer.status_code}"
                if answer.status_code < 500 and answer.status_code != 429:
                    break
            except InvalidError as error:
                self._meters.webhook("refused")
                log.warning("webhook of run %s: %s", told["run_id"], error)
                return
            except (
                Exception
            ) as error:  # whatever the way there may raise: the run has ended, and its webhook is told of
                reason = type(error).__name__
            if attempt < _ATTEMPTS:
                await asyncio.sleep(wait)
                wait *= 2
        self._meters.webhook("given_up")
        log.warning("webhook of run %s was given up: %s %s", told["run_id"], urlsplit(url).hostname, reason)

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            # No redirects: they would lead past the list of hosts.
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False)
        return self._client

    def _allows(self, host: str, port: int | None) -> bool:
        return host.lower() in self._hosts or f"{host.lower()}:{port}" in self._hosts

    async def _refuse_private(self, url: str) -> None:
        parts = _parts_of(url)
        host, port = parts.hostname or "", parts.port
        if not self._allows(host, port):
            raise InvalidError(f"{host} is not allowed any more")
        if f"{host.lower()}:{port}" in self._hosts:
            return  # named with its port: meant as it is
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host} cannot be resolved") from error
        for *_, address in found:
            if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
                raise InvalidError(
                    f"{host} is an address of a private network; allow it as {host}:PORT if that is meant"
                )


def _parts_of(url: str) -> SplitResult:
    """Raises InvalidError for what is no URL to call."""
    try:
        httpx.URL(url)
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        is_good, parts = False, urlsplit("")
    if not is_good:
        raise InvalidError("webhook must be an http or https URL")
    return parts
