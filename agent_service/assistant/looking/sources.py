"""Where evidence comes from, over HTTP alone.  Absence is an error in words, never a value."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from agent_service.assistant.names import object_problem
from agent_service.assistant.settings import AssistantSettings

_TIMEOUT_SECONDS = 5.0  # to connect, and between two pieces of an answer
_IN_ALL_SECONDS = 8.0
_MOST_BYTES = 4 * 2**20
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_RESOURCES = ("apis", "forescale.io", "v1alpha1", "namespaces")
_PLURAL = "predictiveautoscalers"


class SourceError(Exception):
    """A source that is not set, does not answer, or refuses; the text says which and what to do."""

    def __init__(
        self, words: str, *, status: int | None = None, is_broken: bool = False, may_have_arrived: bool = False
    ) -> None:
        """is_broken: the connection failed.  may_have_arrived: whether a change was made is not known."""
        super().__init__(words)
        self.status, self.is_broken, self.may_have_arrived = status, is_broken, may_have_arrived


class ChangedError(SourceError):
    """The object is not as it was when it was read."""


class Sources:
    """Clients of all sources, opened when first used."""

    def __init__(self, settings: AssistantSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._cluster: httpx.AsyncClient | None = None

    @property
    def who_knows(self) -> str:
        """Why there may be no list of workloads."""
        urls = (self.settings.forecast_url, self.settings.controller_url)
        if not any(urls):
            return "neither FORESCALE_URL nor FORESCALE_CONTROLLER_URL is set for this agent"
        return f"asked for it: {' and '.join(filter(None, urls))}"

    async def close(self) -> None:
        """Give connections back."""
        for client in (self._client, self._cluster):
            if client is not None:
                await client.aclose()

    async def forecasts(self, *segments: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET of the forecast API, at the path of these segments."""
        url = self._set(self.settings.forecast_url, "the forecast API", "FORESCALE_URL") + path_of(*segments)
        return await self._ask("the forecast API", "GET", url, params, token=self.settings.forecast_token)

    async def controller(self, *segments: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET of the controller."""
        url = self._set(self.settings.controller_url, "the controller", "FORESCALE_CONTROLLER_URL")
        return await self._ask("the controller", "GET", url + path_of(*segments), params)

    async def replay(self, body: Mapping[str, Any]) -> Any:
        """What the controller says would have been."""
        url = self._set(self.settings.controller_url, "the controller", "FORESCALE_CONTROLLER_URL")
        return await self._ask("the controller", "POST", url + path_of("v1", "what-if"), None, body=body)

    async def prometheus(self, *segments: str, params: Mapping[str, Any]) -> Any:
        """Data of a query."""
        url = self._set(self.settings.prometheus_url, "Prometheus", "PROMETHEUS_URL") + path_of(*segments)
        limits = {"timeout": f"{_TIMEOUT_SECONDS:g}s", **params}
        found = await self._ask("Prometheus", "GET", url, limits, token=self.settings.prometheus_token)
        return found.get("data") if isinstance(found, dict) else None

    async def resource(self, namespace: str, name: str) -> dict[str, Any]:
        """The PredictiveAutoscaler as it now is."""
        return await self._cluster_ask("GET", namespace, name)

    async def change(self, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge; raises ChangedError when the version in the body is not the present one."""
        return await self._cluster_ask("PATCH", namespace, name, body)

    async def _cluster_ask(self, method: str, namespace: str, name: str, body: Any = None) -> dict[str, Any]:
        who, settings = "the Kubernetes API", self.settings
        url = self._set(settings.kubernetes_url, who, "AGENT_KUBERNETES_URL")
        problem = object_problem(namespace, name)
        if problem:
            raise SourceError(problem)
        try:
            if self._cluster is None:
                ca = settings.kubernetes_ca_file
                verify: ssl.SSLContext | bool = True if ca is None else ssl.create_default_context(cafile=str(ca))
                self._cluster = httpx.AsyncClient(
                    timeout=_TIMEOUT_SECONDS, verify=verify, transport=self._transport, trust_env=False
                )
            file = settings.kubernetes_token_file
            token = None if file is None else file.read_text(encoding="utf-8").strip()  # rotated: read anew
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(
                f"{who} cannot be asked: its token or certificate file cannot be read "
                f"({getattr(error, 'strerror', None) or type(error).__name__}); look at AGENT_KUBERNETES_TOKEN_FILE "
                "and AGENT_KUBERNETES_CA_FILE"
            ) from error
        params = {"fieldManager": "forescale-agent"} if method == "PATCH" else None
        found = await self._ask(
            who,
            method,
            url + resource_path(namespace, name),
            params,
            token=token,
            body=body,
            client=self._cluster,
            kind="application/merge-patch+json",
        )
        if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
            raise SourceError(f"{who} answered something else than expected", may_have_arrived=True)
        return found

    def _set(self, url: str | None, who: str, variable: str) -> str:
        if url is None:
            raise SourceError(f"{who} is not set up for this agent: set {variable}")
        return url

    async def _ask(
        self,
        who: str,
        method: str,
        url: str,
        params: Mapping[str, Any] | None,
        *,
        token: str | None = None,
        body: Any = None,
        client: httpx.AsyncClient | None = None,
        kind: str = "application/json",
    ) -> Any:
        if client is None:
            client = self._client = self._client or httpx.AsyncClient(
                timeout=_TIMEOUT_SECONDS, transport=self._transport, trust_env=False
            )
        headers = {"Accept": "application/json", "Content-Type": kind}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body).encode()
        try:
            async with asyncio.timeout(_IN_ALL_SECONDS):
                answer = await client.request(method, url, params=params, headers=headers, content=content)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise SourceError(
                f"{who} did not answer within {_TIMEOUT_SECONDS:g} s; is it overloaded?",
                may_have_arrived=not isinstance(error, _NEVER_SENT),
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError(
                f"{who} cannot be reached ({type(error).__name__}); does it run?",
                is_broken=isinstance(error, httpx.TransportError),
                may_have_arrived=not isinstance(error, (*_NEVER_SENT, httpx.InvalidURL)),
            ) from error
        return _read(who, answer)


def path_of(*segments: str) -> str:
    """Each is one segment, whatever characters it has."""
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def resource_path(namespace: str, name: str) -> str:
    """Of a PredictiveAutoscaler."""
    return path_of(*_RESOURCES, namespace, _PLURAL, name)


def _read(who: str, answer: httpx.Response) -> Any:
    status = answer.status_code
    is_unsure = not answer.is_client_error  # after a refusal we know; a gateway's 504 tells nothing
    if len(answer.content) > _MOST_BYTES:
        raise SourceError(
            f"{who} answered more than {_MOST_BYTES} bytes; ask for a shorter span",
            status=status,
            may_have_arrived=is_unsure,
        )
    try:
        found = answer.json()
    except ValueError as error:
        raise SourceError(
            f"{who} did not answer JSON (HTTP {status}); is its URL right?", status=status, may_have_arrived=is_unsure
        ) from error
    if answer.is_success:
        return found
    told = found if isinstance(found, dict) else {}
    words = next((str(told[key]) for key in ("detail", "message", "error") if told.get(key)), "no reason given")
    said = f"{who} refused (HTTP {status}): {words[:300]}"
    if status == httpx.codes.CONFLICT:
        raise ChangedError(said, status=status)
    raise SourceError(said, status=status, may_have_arrived=is_unsure)
