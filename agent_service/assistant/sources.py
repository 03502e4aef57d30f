"""Where evidence comes from, over HTTP alone.  Absence is an error in words, never a value."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from agent_service.assistant.settings import AssistantSettings

_TIMEOUT_SECONDS = 5.0
_MOST_BYTES = 4 * 2**20


class SourceError(Exception):
    """A source that is not set, does not answer, or refuses; the text says which and what to do."""


class ChangedError(SourceError):
    """The object is not as it was when the change was proposed."""


class Sources:
    """Clients of all sources, opened when first used."""

    def __init__(self, settings: AssistantSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.settings = settings
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._cluster: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Give connections back."""
        for client in (self._client, self._cluster):
            if client is not None:
                await client.aclose()

    async def forecasts(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET of the forecast API."""
        url = self._set(self.settings.forecast_url, "the forecast API", "FORESCALE_URL")
        return await self._ask("the forecast API", "GET", f"{url}{path}", params, token=self.settings.forecast_token)

    async def controller(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET of the controller."""
        url = self._set(self.settings.controller_url, "the controller", "FORESCALE_CONTROLLER_URL")
        return await self._ask("the controller", "GET", f"{url}{path}", params)

    async def replay(self, body: Mapping[str, Any]) -> Any:
        """What the controller says would have been."""
        url = self._set(self.settings.controller_url, "the controller", "FORESCALE_CONTROLLER_URL")
        return await self._ask("the controller", "POST", f"{url}/v1/what-if", None, body=body)

    async def prometheus(self, path: str, params: Mapping[str, Any]) -> Any:
        """Data of a query."""
        url = self._set(self.settings.prometheus_url, "Prometheus", "PROMETHEUS_URL")
        limits = {"timeout": f"{_TIMEOUT_SECONDS:g}s", **params}
        found = await self._ask("Prometheus", "GET", f"{url}{path}", limits, token=self.settings.prometheus_token)
        return found.get("data") if isinstance(found, dict) else None

    async def resource(self, namespace: str, name: str) -> dict[str, Any]:
        """The PredictiveAutoscaler as it now is."""
        found = await self._cluster_ask("GET", namespace, name)
        return dict(found)

    async def change(self, namespace: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge; raises ChangedError when the version in the body is not the present one."""
        return dict(await self._cluster_ask("PATCH", namespace, name, body))

    async def _cluster_ask(self, method: str, namespace: str, name: str, body: Any = None) -> Any:
        url = self._set(self.settings.kubernetes_url, "the Kubernetes API", "AGENT_KUBERNETES_URL")
        path = f"/apis/forescale.io/v1alpha1/namespaces/{namespace}/predictiveautoscalers/{name}"
        if self._cluster is None:
            ca = self.settings.kubernetes_ca_file
            verify: ssl.SSLContext | bool = True if ca is None else ssl.create_default_context(cafile=str(ca))
            self._cluster = httpx.AsyncClient(
                timeout=_TIMEOUT_SECONDS, verify=verify, transport=self._transport, trust_env=False
            )
        token_file = self.settings.kubernetes_token_file
        token = None if token_file is None else token_file.read_text(encoding="utf-8").strip()  # rotated: read anew
        params = {"fieldManager": "forescale-agent"} if method == "PATCH" else None
        kind = "application/merge-patch+json"
        who, where = "the Kubernetes API", f"{url}{path}"
        return await self._ask(who, method, where, params, token=token, body=body, client=self._cluster, kind=kind)

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
            answer = await client.request(method, url, params=params, headers=headers, content=content)
        except httpx.TimeoutException as error:
            raise SourceError(f"{who} did not answer within {_TIMEOUT_SECONDS:g} s; is it overloaded?") from error
        except httpx.HTTPError as error:
            raise SourceError(f"{who} cannot be reached ({type(error).__name__}); does it run?") from error
        if len(answer.content) > _MOST_BYTES:
            raise SourceError(f"{who} answered more than {_MOST_BYTES} bytes; ask for a shorter span")
        try:
            found = answer.json()
        except ValueError as error:
            raise SourceError(f"{who} did not answer JSON (HTTP {answer.status_code}); is its URL right?") from error
        if answer.is_success:
            return found
        told = found if isinstance(found, dict) else {}
        words = next((str(told[key]) for key in ("detail", "message", "error") if told.get(key)), "no reason given")
        said = f"{who} refused (HTTP {answer.status_code}): {words[:300]}"
        if answer.status_code == httpx.codes.CONFLICT:
            raise ChangedError(said)
        raise SourceError(said)
