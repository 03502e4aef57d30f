"""Requests to the Kubernetes API through the official client's transport, with JSON in and out.

The client's typed models would cost memory and time for a thousand objects and drop fields that they do not know;
its transport knows kubeconfig files, service accounts, exec plugins, token rotation, TLS and proxies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, Configuration

from controller.kube.errors import KubeError, UnreachableError, error_for
from predictor.errors import InputError

Json = dict[str, Any]

APPLY = "application/apply-patch+yaml"  # JSON is YAML
MERGE = "application/merge-patch+json"
_JSON = "application/json"
_PAGE = 500
_SHOWN = 300


class KubeApi:
    """One API server and account.  Threads may share it."""

    def __init__(
        self, client: ApiClient, *, timeout_seconds: float = 5.0, may_write: Callable[[], None] | None = None
    ) -> None:
        """may_write: called right before every write is sent; raises to forbid it."""
        self._client, self._timeout, self._may_write = client, timeout_seconds, may_write

    @classmethod
    def connect(
        cls, *, kubeconfig: Path | None = None, context: str | None = None, agent: str, timeout_seconds: float = 5.0
    ) -> KubeApi:
        """The cluster of a kubeconfig file, of the pod that this runs in, or of the default kubeconfig.

        agent: the user agent, which the audit log shows.  Raises InputError when there is no way in.
        """
        settings = Configuration()
        try:
            if (
                kubeconfig is None
                and context is None
                and Path(config.incluster_config.SERVICE_TOKEN_FILENAME).is_file()
            ):
                config.load_incluster_config(settings)  # type: ignore[no-untyped-call]
            else:
                file = None if kubeconfig is None else str(kubeconfig)
                config.load_kube_config(file, context, settings)  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise InputError(f"no way into a cluster: {error}; give --kubeconfig FILE, or run in a pod") from error
        settings.retries = urllib3.Retry(0)  # every caller knows better what may be sent twice
        settings.connection_pool_maxsize = 16
        settings.keep_alive = True
        client = ApiClient(settings)
        client.user_agent = agent
        return cls(client, timeout_seconds=timeout_seconds)

    def guarded(self, may_write: Callable[[], None]) -> KubeApi:
        """The same way in, with writes under this guard."""
        return KubeApi(self._client, timeout_seconds=self._timeout, may_write=may_write)

    def close(self) -> None:
        """Give the connections back."""
        self._client.rest_client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """Read one object."""
        return self._json("GET", path, params)

    def get_all(self, path: str, params: Mapping[str, str] | None = None) -> tuple[list[Json], str]:
        """Read a collection page by page; its items and the version to watch from."""
        items: list[Json] = []
        asked = {**(params or {}), "limit": str(_PAGE)}
        while True:
            page = self._json("GET", path, asked)
            items += page.get("items") or []
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                return items, str(meta.get("resourceVersion", ""))
            asked["continue"] = meta["continue"]

    def watch(self, path: str, params: Mapping[str, str], *, patience_seconds: float) -> Iterator[Json]:
        """Events until the server ends the stream; raises UnreachableError when it breaks or stays silent."""
        response = self._send(
            "GET",
            path,
            {**params, "watch": "true"},
            timeout=urllib3.Timeout(connect=self._timeout, read=patience_seconds),
        )
        try:
            rest = b""
            for block in response.stream(65_536, decode_content=True):
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise UnreachableError(f"watching {path}: {error}") from error
        finally:
            response.close()

    def create(self, path: str, body: Json) -> Json:
        """POST."""
        return self._json("POST", path, None, body, _JSON)

    def replace(self, path: str, body: Json) -> Json:
        """PUT; fails with a conflict when the object's resourceVersion is not the one in `body`."""
        return self._json("PUT", path, None, body, _JSON)

    def apply(self, path: str, body: Json, *, manager: str, force: bool = True) -> Json:
        """Server-side apply: `body` is all that `manager` wants to own."""
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        return self._json("PATCH", path, params, body, APPLY)

    def merge(self, path: str, body: Json, *, manager: str) -> Json:
        """Merge patch in the name of `manager`."""
        return self._json("PATCH", path, {"fieldManager": manager}, body, MERGE)

    def delete(self, path: str) -> Json:
        """DELETE."""
        return self._json("DELETE", path)

    def _json(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str | None = None,
    ) -> Json:
        response = self._send(method, path, params, body, content_type)
        try:
            found = json.loads(response.data)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise UnreachableError(f"{method} {path}: the answer broke off ({error})") from error
        if not isinstance(found, dict):
            raise KubeError(f"{method} {path}: the answer is no object; is this a Kubernetes API server?")
        return found

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str | None = None,
        *,
        timeout: urllib3.Timeout | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The answer, unread; raises KubeError unless it is a success."""
        asked = f"{method} {path}"
        headers = {"Accept": _JSON} if content_type is None else {"Accept": _JSON, "Content-Type": content_type}
        sent = self._client.param_serialize(
            method,
            path,
            query_params=list((params or {}).items()),
            header_params=headers,
            auth_settings=["BearerToken"],
        )
        url, headers = sent[1], sent[2]
        if method != "GET" and self._may_write is not None:
            self._may_write()
        limits = timeout if timeout is not None else urllib3.Timeout(total=self._timeout)
        try:
            response = self._client.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=limits,
                preload_content=False,
                redirect=False,
            )
            if response.status < 300:
                return response
            text = response.data
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"{asked}: the API server cannot be reached ({error})") from error
        raise error_for(response.status, *_explained(text), asked)


def _explained(text: bytes) -> tuple[str, str]:
    """Reason and message of a `Status`, or what else there is."""
    try:
        status = json.loads(text)
        return str(status.get("reason", "")), str(status.get("message", ""))[:_SHOWN]
    except (ValueError, AttributeError):
        return "", text[:_SHOWN].decode(errors="replace").strip()
